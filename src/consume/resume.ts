/** Where a consumer goes on in a chain that may have lost, after a power loss, records that it had dealt with. */
import type { Chain } from '../chain/index.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import type { ConsumerCursor } from './cursor-file.ts'
import { firstSeqBehindEpoch, lastOf, lastUpTo } from './epoch-end.ts'

/**
 * The seq behind which everything is new to whoever has dealt with the record at the cursor. Records that were lost are written again
 * by a later epoch under the same seqs: those are new.
 */
export async function resumeAfter(chain: Chain, { epoch, seq }: ConsumerCursor): Promise<number> {
	if (seq === 0) return 0
	const at = (await firstFrom(chain, seq)) ?? (await lastOf(chain))
	if (at === undefined) return 0
	if (isGap(at) && at.data?.cause === 'retained') return Math.min(seq, at.seq)
	if (at.epoch <= epoch) return Math.min(seq, at.seq)
	const laterSeq = await firstSeqBehindEpoch(chain, epoch, { afterSeq: 0, laterSeq: at.seq })
	// Where it is behind the cursor, what was before it is absent, and nothing has come in its place.
	if (laterSeq > seq) return seq
	return (await lastUpTo(chain, laterSeq - 1))?.seq ?? 0
}

/** The first record that is there at a seq or behind it. */
async function firstFrom(chain: Chain, seq: number): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ fromSeq: seq, limit: 1, gaps: 'skip' })) return record
	return undefined
}
