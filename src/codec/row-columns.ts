/**
 * Determines which columns a row has. The encoders and the decoder must agree on these columns and on the
 * encoding of each column.
 */
import type { LogRecord } from '../model/record.ts'

/** The default kind, which rows omit. */
export const DEFAULT_KIND = 'log'

export const ROW_COLUMNS_MIN = 2
export const ROW_COLUMNS_MAX = 8

/**
 * Returns how many columns a row needs. Trailing defaults are omitted. A row has eight columns only if its
 * record has data.
 */
export function rowColumns(record: LogRecord): number {
	if (record.data !== undefined) return ROW_COLUMNS_MAX
	if (record.origin !== undefined) return 7
	if (record.nodeId !== null) return 6
	if (record.daemonId !== null) return 5
	if (record.message !== record.kind) return 4
	return record.kind === DEFAULT_KIND ? ROW_COLUMNS_MIN : 3
}
