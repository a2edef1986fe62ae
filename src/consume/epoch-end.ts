/** Finds the end of an epoch in a chain. */
import type { Chain } from '../chain/index.ts'
import type { LogRecord } from '../model/record.ts'

/**
 * Returns the seq of the first record in a later epoch. The seq is in the range `(afterSeq, laterSeq]`.
 * Epochs never decrease, so the function bisects the chain with seeks. The number of reads grows with the
 * square of the logarithm of the chain's length.
 *
 * @param range Range to search. `laterSeq` is the seq of a record in a later epoch.
 */
export async function firstSeqAfterEpoch(
	chain: Chain,
	epoch: number,
	{ afterSeq, laterSeq }: { readonly afterSeq: number; readonly laterSeq: number },
): Promise<number> {
	let known = afterSeq
	let later = laterSeq
	while (later - known > 1) {
		const middle = Math.floor((known + later) / 2)
		const found = await lastUpTo(chain, middle)
		if (found !== undefined && found.epoch > epoch) later = found.seq
		else known = middle
	}
	return later
}

/** Returns the last record of a chain, including a gap at its end. */
export async function lastOf(chain: Chain): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ reverse: true, limit: 1 })) return record
	return undefined
}

/** Returns the last record up to a seq, skipping gaps. By default, returns the last record of the chain. */
export async function lastUpTo(
	chain: Chain,
	toSeq = Number.MAX_SAFE_INTEGER,
): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ toSeq, reverse: true, limit: 1, gaps: 'skip' })) return record
	return undefined
}
