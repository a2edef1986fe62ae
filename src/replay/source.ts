/** What a replay reads: a chain, or anything that gives records one by one, as batches. */
import { type Chain, whatWasGiven } from '../chain/index.ts'
import { ForeignItems } from '../guard/items.ts'
import { show } from '../guard/show.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { isRecordTime, type LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'

/** What seeks by itself what is asked for: a chain, or what stands in for one. */
export interface BatchSource extends Pick<Chain, 'batches'> {
	/** The chain that its records are of. */
	readonly chainId?: string
	/** Lines that were no records, by reason. */
	readonly skipped?: Readonly<Record<string, number>>
}

/** Records one by one, an array of them too. What it knows of itself, a replay takes over. */
export type RecordSource = (AsyncIterable<LogRecord> | Iterable<LogRecord>) &
	Pick<BatchSource, 'chainId' | 'skipped'>

export function isBatchSource(source: BatchSource | RecordSource): source is BatchSource {
	return typeof propertyOf(source, 'batches') === 'function'
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkSource(source: unknown): void {
	if (typeof source === 'object' && source !== null) {
		if (typeof propertyOf(source, 'batches') === 'function') return
		if (attempt(() => Symbol.asyncIterator in source || Symbol.iterator in source, false)) return
	}
	const text = `a source is a chain or an iterable of records, not ${whatWasGiven(source)}, and readJsonl(path) reads JSON Lines`
	throw new MeshChainError('INVALID_OPTION', text)
}

/**
 * A chain seeks what is wanted; anything else is read from its beginning.
 *
 * @param timeoutMs how long it may take to end once no more is wanted; one that takes longer is left to itself, with a warning.
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

/** One without a time would be waited for without end. */
function checked(record: LogRecord): LogRecord {
	if (isRecordTime(propertyOf(record, 'tsMs'))) return record
	throw new MeshChainError('INVALID_LINE', `a source must give records with a time, not ${show(record)}`)
}

export function warnLeft(timeoutMs: number): void {
	warn('SOURCE_LEFT', `the source of a replay did not end within ${timeoutMs} ms: it is left to itself`)
}
