/** What a replay reads: a chain, or anything that gives records one by one, as batches. */
import type { Chain } from '../chain/chain.ts'
import { MeshChainError } from '../errors.ts'
import type { LogFilter } from '../filter.ts'
import { type LogRecord, show } from '../record.ts'

/** What seeks by itself what is asked for: a chain, or what stands in for one. */
export interface BatchSource extends Pick<Chain, 'batches'> {
	/** The chain that its records are of. */
	readonly chainId?: string
	/** Lines that were no records, by reason. */
	readonly skipped?: Readonly<Record<string, number>>
}

/** Records one by one. What it knows of itself, a replay takes over. */
export interface RecordSource extends AsyncIterable<LogRecord>, Pick<BatchSource, 'chainId' | 'skipped'> {}

export function isBatchSource(source: BatchSource | RecordSource): source is BatchSource {
	return typeof (source as Partial<BatchSource>).batches === 'function'
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkSource(source: unknown): void {
	const isObject = typeof source === 'object' && source !== null
	if (
		isObject &&
		(typeof (source as Partial<BatchSource>).batches === 'function' || Symbol.asyncIterator in source)
	)
		return
	const text = `a source is a chain or an async iterable of records, not ${show(source)}: openChain(path) and readJsonl(path) give one`
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
