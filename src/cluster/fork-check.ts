/**
 * Tells a chain that was copied and continued twice from one that lost its end. Both lives of a copied chain have its id and
 * use the same epochs and seqs for different records.
 *
 * Invariant: a forwarder publishes behind a message only when the file and the stream agree at the newest place that both
 * of them have. A history is linear, so what agrees there agrees before it.
 */
import type { FileChain } from '../chain/read/reader.ts'
import { firstSeqAfterEpoch, lastUpTo } from '../consume/epoch-end.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { compareCursors, endOf, startOf } from './chain-reader.ts'
import { areOtherRecords } from './join-subjects.ts'
import { recordsOf } from './message.ts'
import type { LastMessage } from './stream-position.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** @throws {MeshChainError} `CHAIN_FORKED`; what reading the chain and the stream throws. */
export async function checkNotForked(
	chain: FileChain,
	stream: SubjectReader,
	last: LastMessage | undefined,
): Promise<void> {
	const newest = last && (await stream.last())
	for (let message = newest; message !== undefined; ) {
		const end = endOf(message)
		if (await isOther(chain, message)) throw forked(chain, stream, end.seq)
		const common = await lastWithin(chain, end.epoch)
		if (newest === undefined || common === undefined || compareCursors(common, end) >= 0) return
		const place = await stream.seek(newest, (each) => compareCursors(endOf(each), common) < 0)
		const there = await stream.firstFrom(place.from)
		if (there !== undefined && compareCursors(startOf(there), common) <= 0) {
			if (await isOther(chain, there)) throw forked(chain, stream, common.seq)
			return
		}
		// The stream has a later epoch where the file has an older one.
		if (there !== undefined && startOf(there).seq <= common.seq) throw forked(chain, stream, common.seq)
		// The file has come less far in this epoch than the stream has begun it: older places are what they have in common.
		message = place.before
	}
}

/** Whether the file has something else in the place of a message. In one life a later epoch can take the seqs of an older one, and never the other way round. */
async function isOther(chain: FileChain, message: StreamMessage): Promise<boolean> {
	const rows = recordsOf(message) ?? []
	const own = await recordsAt(chain, rows)
	const bySeq = new Map(rows.filter((row) => !isGap(row)).map((row) => [row.seq, row.epoch]))
	return own.some(({ epoch, seq }) => epoch < (bySeq.get(seq) ?? 0)) || areOtherRecords(own, rows)
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
	const laterSeq = await firstSeqAfterEpoch(chain, epoch, { afterSeq: 0, laterSeq: newest.seq })
	return lastUpTo(chain, laterSeq - 1)
}

function forked(
	{ path, chainId }: FileChain,
	{ stream, source }: SubjectReader,
	seq: number,
): MeshChainError {
	return new MeshChainError(
		'CHAIN_FORKED',
		`the stream ${show(stream)} has another record of the chain ${chainId} at seq ${seq}, of the subject ${source.subject}, than ${show(path)}: the chain has two lives, as after a machine or its files were copied. Nothing is forwarded; decide which copy goes on, and give the other service a new chain`,
		{ path, seq },
	)
}
