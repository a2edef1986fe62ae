/**
 * Tells a chain that was copied and continued twice from one that lost its end. Both lives of a copied chain have its id and
 * use the same epochs and seqs for different records.
 *
 * Invariant: a forwarder publishes behind a message only when the file and the stream agree at the newest place that both
 * of them have. A history is linear, so what agrees there agrees before it.
 */
import type { FileChain } from '../chain/read/reader.ts'
import { firstSeqBehindEpoch, lastUpTo } from '../consume/epoch-end.ts'
import { MeshChainError } from '../errors.ts'
import { isGap, type LogRecord, show } from '../record.ts'
import { compareCursors, endOf, startOf } from './chain-stream.ts'
import { areOtherRecords } from './join-subjects.ts'
import { recordsOf } from './message.ts'
import type { LastMessage } from './place.ts'
import type { SubjectStream } from './subject-stream.ts'

/** @throws {MeshChainError} `CHAIN_FORKED`; what reading the chain and the stream throws. */
export async function checkSameLife(
	chain: FileChain,
	stream: SubjectStream,
	last: LastMessage | undefined,
): Promise<void> {
	if (last === undefined) return
	const rows = recordsOf({ frames: last.frames, isWhole: true }) ?? []
	const own = await recordsAt(chain, rows)
	if (areOtherRecords(own, rows)) throw forked(chain, stream, last.seq)
	const common = await lastWithin(chain, last.epoch)
	if (common === undefined || compareCursors(common, last) >= 0) return
	const newest = await stream.last()
	if (newest === undefined) return
	const { from } = await stream.seek(newest, (message) => compareCursors(endOf(message), common) < 0)
	const there = await stream.firstFrom(from)
	if (there === undefined) return
	// The stream has a later epoch where the file has an older one.
	const isPassed = compareCursors(startOf(there), common) > 0 && startOf(there).seq <= common.seq
	const sent = recordsOf(there) ?? []
	if (isPassed || areOtherRecords(await recordsAt(chain, sent), sent)) throw forked(chain, stream, common.seq)
}

/** What the file has in the place of records of the stream. */
async function recordsAt(chain: FileChain, rows: readonly LogRecord[]): Promise<LogRecord[]> {
	const [first, last] = [rows[0], rows.at(-1)]
	if (first === undefined || last === undefined) return []
	const fromSeq = isGap(first) ? first.data!.fromSeq : first.seq
	const found: LogRecord[] = []
	for await (const record of chain.records({ fromSeq, toSeq: last.seq, gaps: 'skip' })) found.push(record)
	return found
}

/** The last record of the file that is of this epoch or an older one. */
async function lastWithin(chain: FileChain, epoch: number): Promise<LogRecord | undefined> {
	const newest = await lastUpTo(chain)
	if (newest === undefined || newest.epoch <= epoch) return newest
	const laterSeq = await firstSeqBehindEpoch(chain, epoch, { afterSeq: 0, laterSeq: newest.seq })
	return lastUpTo(chain, laterSeq - 1)
}

function forked(
	{ path, chainId }: FileChain,
	{ stream, source }: SubjectStream,
	seq: number,
): MeshChainError {
	return new MeshChainError(
		'CHAIN_FORKED',
		`the stream ${show(stream)} has another record of the chain ${chainId} at seq ${seq}, of the subject ${source.subject}, than ${show(path)}: the chain has two lives, as after a machine or its files were copied. Nothing is forwarded; decide which copy goes on, and give the other service a new chain`,
		{ path, seq },
	)
}
