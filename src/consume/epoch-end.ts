/** Where an epoch of a chain ends, of which only a reader's look is known. */
import type { Chain } from '../chain/index.ts'
import type { LogRecord } from '../model/record.ts'

/**
 * The seq of the first record of a later epoch, which is in `(afterSeq, laterSeq]`. Epochs never step back: a bisection by seeks, whose
 * reads grow with the square of the logarithm of the chain.
 *
 * @param laterSeq of a record of a later epoch.
 */
export async function firstSeqBehindEpoch(
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

/** The last one of a chain, be it a gap that was written and nothing behind it yet. */
export async function lastOf(chain: Chain): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ reverse: true, limit: 1 })) return record
	return undefined
}

/** The last record that is there up to a seq; of the whole chain unless told. */
export async function lastUpTo(
	chain: Chain,
	toSeq = Number.MAX_SAFE_INTEGER,
): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ toSeq, reverse: true, limit: 1, gaps: 'skip' })) return record
	return undefined
}
