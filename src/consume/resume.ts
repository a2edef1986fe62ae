/** Decides where a consumer resumes in a chain that may have lost handled records in a power loss. */
import type { Chain } from '../chain/index.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import type { ConsumerCursor } from './cursor-file.ts'
import { firstSeqAfterEpoch, lastOf, lastUpTo } from './epoch-end.ts'

/**
 * Returns the seq after which every record is new to a consumer with this cursor. If a later epoch reuses the
 * seqs of lost records, the records of that epoch are new.
 */
export async function resumeAfter(chain: Chain, { epoch, seq }: ConsumerCursor): Promise<number> {
	if (seq === 0) return 0
	const at = (await firstFrom(chain, seq)) ?? (await lastOf(chain))
	if (at === undefined) return 0
	if (isGap(at) && at.data?.cause === 'retained') return Math.min(seq, at.seq)
	if (at.epoch <= epoch) return Math.min(seq, at.seq)
	const laterSeq = await firstSeqAfterEpoch(chain, epoch, { afterSeq: 0, laterSeq: at.seq })
	// The later epoch starts after the cursor, so it does not reuse any seq up to the cursor. Handled records
	// may be absent, but other records have not replaced them.
	if (laterSeq > seq) return seq
	return (await lastUpTo(chain, laterSeq - 1))?.seq ?? 0
}

/** Returns the first record at or after a seq, skipping gaps. */
async function firstFrom(chain: Chain, seq: number): Promise<LogRecord | undefined> {
	for await (const record of chain.records({ fromSeq: seq, limit: 1, gaps: 'skip' })) return record
	return undefined
}
