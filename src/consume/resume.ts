/** Where a consumer resumes in a chain that may have lost, in a power loss, records that were handled. */
import type { Chain } from '../chain/index.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import type { ConsumerCursor } from './cursor-file.ts'
import { firstSeqAfterEpoch, lastOf, lastUpTo } from './epoch-end.ts'

/**
 * The seq after which every record is new to a consumer with this cursor. A later epoch reuses the seqs of
 * lost records; its records are new.
 */
export async function resumeAfter(chain: Chain, { epoch, seq }: ConsumerCursor): Promise<number> {
	if (seq === 0) return 0
	const at = (await firstFrom(chain, seq)) ?? (await lastOf(chain))
	if (at === undefined) return 0
	if (isGap(at) && at.data?.cause === 'retained') return Math.min(seq, at.seq)
	if (at.epoch <= epoch) return Math.min(seq, at.seq)
	const laterSeq = await firstSeqAfterEpoch(chain, epoch, { afterSeq: 0, laterSeq: at.seq })
	// The lost seqs are all after the cursor: what preceded it is absent, and nothing has replaced it.
	if (laterSeq > seq) return seq
	return (await lastUpTo(chain, laterSeq - 1))?.seq ?? 0
}

/** The first present record from a seq on. */
async function firstFrom(chain: Chain, seq: number): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ fromSeq: seq, limit: 1, gaps: 'skip' })) return record
	return undefined
}
