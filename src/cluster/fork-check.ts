/**
 * Distinguishes a copied chain that two writers continued from a chain that lost its end. Both forks of a
 * copied chain have the same id, and use the same epochs and seqs for different records.
 *
 * Invariant: a forwarder continues a chain in a stream only if the file and the stream agree at the newest
 * position that both have. Histories are linear, so two histories that agree at one position also agree at
 * all earlier positions.
 */
import type { FileChain } from '../chain/index.ts'
import { firstSeqAfterEpoch, lastUpTo } from '../consume/epoch-end.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { compareCursors, endOf, startOf } from './chain-reader.ts'
import { recordsDiffer } from './join-subjects.ts'
import { recordsOf } from './message.ts'
import type { LastMessage } from './stream-position.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/**
 * Checks that the file and the stream contain the same fork.
 *
 * @throws {MeshChainError} `CHAIN_FORKED`, or an error from reading the chain or the stream.
 */
export async function checkNotForked(
	chain: FileChain,
	subject: SubjectReader,
	last: LastMessage | undefined,
): Promise<void> {
	const newest = last && (await subject.last())
	for (let message = newest; message !== undefined; ) {
		const end = endOf(message)
		if (await differsFromFile(chain, message)) throw forked(chain, subject, end.seq)
		const common = await lastWithin(chain, end.epoch)
		if (newest === undefined || common === undefined || compareCursors(common, end) >= 0) return
		const position = await subject.seek(newest, (each) => compareCursors(endOf(each), common) < 0)
		const there = await subject.firstFrom(position.from)
		if (there !== undefined && compareCursors(startOf(there), common) <= 0) {
			if (await differsFromFile(chain, there)) throw forked(chain, subject, common.seq)
			return
		}
		// The stream has a later epoch at a seq where the file has an older epoch.
		if (there !== undefined && startOf(there).seq <= common.seq) throw forked(chain, subject, common.seq)
		// In this epoch, the file ends before the stream's first record. The two share only older positions.
		message = position.previous
	}
}

/**
 * Returns whether the file has different records at the position of a message. Without a fork, a later epoch
 * can reuse the seqs of an older epoch, but an older epoch never reuses the seqs of a later one.
 */
async function differsFromFile(chain: FileChain, message: StreamMessage): Promise<boolean> {
	const rows = recordsOf(message) ?? []
	const own = await recordsAt(chain, rows)
	const bySeq = new Map(rows.filter((row) => !isGap(row)).map((row) => [row.seq, row.epoch]))
	return own.some(({ epoch, seq }) => epoch < (bySeq.get(seq) ?? 0)) || recordsDiffer(own, rows)
}

/** Returns the records in the file that have the same seqs as records from the stream. */
async function recordsAt(chain: FileChain, rows: readonly LogRecord[]): Promise<LogRecord[]> {
	const [first, last] = [rows[0], rows.at(-1)]
	if (first === undefined || last === undefined) return []
	const fromSeq = isGap(first) ? first.data!.fromSeq : first.seq
	const found: LogRecord[] = []
	for await (const record of chain.records({ fromSeq, toSeq: last.seq, gaps: 'skip' })) found.push(record)
	return found
}

/** Returns the last record in the file whose epoch is at most `epoch`. */
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
		`the chain ${chainId} has a fork: at seq ${seq}, the record in the stream ${show(stream)} ` +
			`(subject ${source.subject}) differs from the record in ${show(path)}, because a machine or its ` +
			'files were copied. Nothing is forwarded: decide which copy continues, and give the other ' +
			'service a new chain',
		{ path, seq },
	)
}
