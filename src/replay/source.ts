/** What a replay reads: a chain, or anything that gives records one by one, as batches. */
import type { Chain } from '../chain/chain.ts'
import type { LogFilter } from '../filter.ts'
import type { LogRecord } from '../record.ts'

/** Records one by one. What it knows of itself, a replay takes over. */
export interface RecordSource extends AsyncIterable<LogRecord> {
	/** The chain that its records are of. */
	readonly chainId?: string
	/** Lines that were no records, by reason. */
	readonly skipped?: Readonly<Record<string, number>>
}

export function isChain(source: Chain | RecordSource): source is Chain {
	return typeof (source as Partial<Chain>).batches === 'function'
}

/** A chain seeks what is wanted; anything else is read from its beginning. */
export async function* batchesOf(
	source: Chain | RecordSource,
	query: LogFilter,
): AsyncGenerator<readonly LogRecord[]> {
	if (isChain(source)) yield* source.batches(query)
	else for await (const record of source) yield [record]
}
