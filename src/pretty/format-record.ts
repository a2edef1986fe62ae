/** Formats records for people, for programs that use the library. */
import { show } from '../guard/show.ts'
import { checkBoolean } from '../model/check.ts'
import { defineOptions, type OptionRules, withDefault } from '../model/define-options.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { painter } from './paint.ts'
import { prettyRecord } from './pretty-record.ts'

/** Options for {@link formatRecord}. */
export interface FormatOptions {
	/** Whether the text contains colour codes for a terminal. Default: false. */
	readonly color?: boolean | undefined
}

const FORMAT_OPTIONS = defineOptions({
	color: withDefault(false, checkBoolean),
} satisfies OptionRules<FormatOptions>)

/**
 * Returns a record as text for people, in the form that `mesh-chain dump` prints on a terminal: one line, and
 * below it errors with their stacks and long data, indented. There is no line break at the end.
 *
 * The text is safe to print to a terminal. Every field is escaped, so a record cannot control the terminal or
 * imitate another record. The time is in the local time zone.
 *
 * @throws {MeshChainError} `INVALID_OPTION` for an invalid option, or for a value that is not a record.
 *
 * @example
 * ```ts
 * import { formatRecord, MeshLoop } from 'mesh-chain'
 *
 * const loop = new MeshLoop()
 * loop.on('*', (record) => console.log(formatRecord(record, { color: process.stdout.isTTY })))
 * loop.info('listening', { port: 8080 })
 * ```
 */
export function formatRecord(record: LogRecord, options: FormatOptions = {}): string {
	const { color } = FORMAT_OPTIONS.resolve(options)
	try {
		return String(prettyRecord(record, painter(color))).slice(0, -1)
	} catch (thrown) {
		const text = `formatRecord needs a record, not ${show(record)}: ${messageOf(thrown)}`
		throw new MeshChainError('INVALID_OPTION', text, { cause: thrown })
	}
}
