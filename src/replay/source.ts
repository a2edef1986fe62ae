/** What a replay reads: a chain, or anything that gives records one by one, as batches. */
import type { Chain } from '../chain/chain.ts'
import { whatWasGiven } from '../chain/check-chain.ts'
import { MeshChainError } from '../errors.ts'
import type { LogFilter } from '../filter.ts'
import type { LogRecord } from '../record.ts'

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
	return typeof (source as Partial<BatchSource>).batches === 'function'
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkSource(source: unknown): void {
	if (typeof source === 'object' && source !== null) {
		if (typeof (source as Partial<BatchSource>).batches === 'function') return
		if (Symbol.asyncIterator in source || Symbol.iterator in source) return
	}
	const text = `a source is a chain or an iterable of records, not ${whatWasGiven(source)}, and readJsonl(path) reads JSON Lines`
	throw new MeshChainError('INVALID_OPTION', text)
}

/** A chain seeks what is wanted; anything else is read from its beginning. */
export async function* batchesOf(
	source: BatchSource | RecordSource,
	query: LogFilter,
): AsyncGenerator<readonly LogRecord[]> {
	if (isBatchSource(source)) yield* source.batches(query)
	else for await (const record of source) yield [record]
}
