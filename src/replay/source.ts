/** Reads the sources of a replay in batches. A source is a chain or an iterable of records. */
import { type Chain, whatWasGiven } from '../chain/index.ts'
import { ForeignItems } from '../guard/items.ts'
import { show } from '../guard/show.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { isRecordTime, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'

/** A source that can seek to the start of the window: a chain or an object with the same `batches` method. */
export interface BatchSource extends Pick<Chain, 'batches'> {
	/** Id of the chain that the records belong to. */
	readonly chainId?: string
	/** Number of lines that are not records, by reason. */
	readonly skipped?: Readonly<Record<string, number>>
}

/**
 * An iterable of single records, such as an array. A replay uses the `chainId` of the iterable, and includes
 * its `skipped` counts in the summary.
 */
export type RecordSource = (AsyncIterable<LogRecord> | Iterable<LogRecord>) &
	Pick<BatchSource, 'chainId' | 'skipped'>

/** Returns whether a source can seek to the start of the window. */
export function isBatchSource(source: BatchSource | RecordSource): source is BatchSource {
	return typeof propertyOf(source, 'batches') === 'function'
}

/** Checks a source. @throws {MeshChainError} `INVALID_OPTION` */
export function checkSource(source: unknown): void {
	if (typeof source === 'object' && source !== null) {
		if (typeof propertyOf(source, 'batches') === 'function') return
		if (attempt(() => Symbol.asyncIterator in source || Symbol.iterator in source, false)) return
	}
	const what = `a source must be a chain or an iterable of records, not ${whatWasGiven(source)}`
	throw new MeshChainError('INVALID_OPTION', `${what}; for a JSON Lines file, use readJsonl(path)`)
}

/**
 * Reads a source in batches. A chain seeks to the start of the window. Any other source is read from its
 * beginning.
 *
 * @param timeoutMs Time limit for ending the source when no more records are needed. A source that takes
 * longer is abandoned with a warning.
 */
export async function* batchesOf(
	source: BatchSource | RecordSource,
	query: LogFilter,
	timeoutMs: number,
): AsyncGenerator<readonly LogRecord[]> {
	const left = () => warnLeft(timeoutMs)
	if (isBatchSource(source))
		yield* new ForeignItems<readonly LogRecord[]>(source.batches(query), timeoutMs, left)
	else
		for await (const record of new ForeignItems<LogRecord>(source, timeoutMs, left)) yield [checked(record)]
}

/** Refuses a record without a valid time, because a paced replay would wait forever for the record. */
function checked(record: LogRecord): LogRecord {
	if (isRecordTime(propertyOf(record, 'tsMs'))) return record
	throw new MeshChainError('INVALID_LINE', `a source must yield records with a time, not ${show(record)}`)
}

/** Emits a warning that a source was abandoned. */
export function warnLeft(timeoutMs: number): void {
	warn('SOURCE_LEFT', `the source of a replay did not end within ${timeoutMs} ms and was abandoned`)
}
