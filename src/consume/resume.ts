/** Where a consumer goes on in a chain that may have lost, after a power loss, records that it had dealt with. */
import type { Chain } from '../chain/chain.ts'
import { isGap, type LogRecord } from '../record.ts'
import type { Cursor } from './cursor-file.ts'

/**
 * The seq behind which everything is new to whoever has dealt with the record at the cursor. Records that were lost are written again
 * by a later epoch under the same seqs: those are new. Epochs never step back, so the place is found in a number of reads that grows
 * with the square of the logarithm of the chain.
 */
export async function resumeAfter(chain: Chain, { epoch, seq }: Cursor): Promise<number> {
	if (seq === 0) return 0
	const at = (await firstFrom(chain, seq)) ?? (await lastOf(chain))
	if (at === undefined) return Math.min(seq, await removedUpTo(chain))
	if (at.epoch <= epoch) return Math.min(seq, at.seq)
	// The first seq of a later epoch is in (known, later].
	let known = 0
	let later = at.seq
	while (later - known > 1) {
		const middle = Math.floor((known + later) / 2)
		const found = await firstFrom(chain, middle)
		if (found !== undefined && found.epoch <= epoch) known = found.seq
		else later = middle
	}
	// Where it is behind the cursor, what was before it is absent, and nothing has come in its place.
	const first = await firstFrom(chain, known + 1)
	return first !== undefined && first.seq > seq ? seq : Math.min(seq, known)
}

/** Of a chain without records the last seq that retention has removed; 0 when it removed none. */
async function removedUpTo(chain: Chain): Promise<number> {
	for await (const record of chain.records({ limit: 1 })) {
		return isGap(record) && record.data?.cause === 'retained' ? record.seq : 0
	}
	return 0
}

/** The first record that is there at a seq or behind it. */
async function firstFrom(chain: Chain, seq: number): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ fromSeq: seq, limit: 1, gaps: 'skip' })) return record
	return undefined
}

export async function lastOf(chain: Chain): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ reverse: true, limit: 1, gaps: 'skip' })) return record
	return undefined
}
