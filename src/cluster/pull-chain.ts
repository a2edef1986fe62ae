/**
 * Pulls one chain from a stream into a file. The last record in the file determines where the pull continues,
 * so a separate cursor, which could disagree with the file, is not needed. The messages of a chain are
 * ordered by epoch and then by seq, so a bisection finds the first message after the last record.
 */
import { isDeepStrictEqual } from 'node:util'
import { ChainBuilder, firstCovered, openChain, ReplicaWriter } from '../chain/index.ts'
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { clippedGap, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { exists, type FileSystem } from '../platform/file-system.ts'
import { type ChainReader, compareCursors, endOf } from './chain-reader.ts'
import { recordsOf } from './message.ts'
import type { StreamMessage } from './subject-reader.ts'

/** The result of pulling one chain. The counts cover only this pull. */
export interface PulledChain {
	readonly node: string
	readonly chainId: string
	readonly path: string
	/** Number of records pulled, not counting gaps. */
	readonly records: number
	/** First seq that was pulled, including gaps; undefined if nothing was pulled. */
	readonly fromSeq: number | undefined
	/** Last seq that was pulled, including gaps; undefined if nothing was pulled. */
	readonly toSeq: number | undefined
	/**
	 * Number of `$gap` records, including gaps for records that the stream lacks or has removed (`retained`).
	 */
	readonly gaps: number
	/**
	 * Number of records removed from the file because a later epoch reused their seqs. The chains in
	 * `supersededPaths` contain these records.
	 */
	readonly superseded: number
	/** Paths of the chains with the superseded records. */
	readonly supersededPaths: readonly string[]
	/** Number of messages that cannot be read, or are not part of the chain. */
	readonly unreadable: number
	/** Number of records that were skipped because they follow later records in the stream. */
	readonly outOfOrder: number
	/**
	 * Number of subjects that were skipped because they contain another fork of the chain, for example from a
	 * copied machine.
	 */
	readonly forks: number
}

/** The file that a chain is pulled into. */
export interface PullTarget {
	readonly system: FileSystem
	readonly path: string
	readonly mode: number
}

type Counts = { -readonly [Name in keyof PulledChain]: PulledChain[Name] }

const NOWHERE: ConsumerCursor = { epoch: 0, seq: 0 }

/** Pulls one chain into a file. */
export class ChainPull {
	readonly #reader: ChainReader
	readonly #target: PullTarget
	readonly #replica: ReplicaWriter
	readonly #counts: Counts
	/** Last record in the file when this pull started. */
	readonly #found: ConsumerCursor
	#seen = NOWHERE
	/** Last message before the start of this pull. The file contains all its records. */
	#previous: StreamMessage | undefined
	/** Whether the end of the file has been compared with the stream. */
	#isChecked = false
	/** Whether the previous message could not be read. */
	#isDamaged = false

	/** @throws {MeshChainError} The same errors as `ReplicaWriter`. */
	constructor(reader: ChainReader, target: PullTarget) {
		const { node, chainId } = reader
		this.#reader = reader
		this.#target = target
		this.#replica = new ReplicaWriter(target.path, { chainId, mode: target.mode, fs: target.system })
		const { epoch, nextSeq } = this.#replica
		this.#found = { epoch, seq: nextSeq - 1 }
		this.#counts = {
			node,
			chainId,
			path: target.path,
			records: 0,
			fromSeq: undefined,
			toSeq: undefined,
			gaps: 0,
			superseded: 0,
			supersededPaths: [],
			unreadable: 0,
			outOfOrder: 0,
			forks: reader.forks.length,
		}
	}

	/** Current counts. */
	get counts(): PulledChain {
		return { ...this.#counts }
	}

	/**
	 * Pulls all messages that are in the stream now. Yields after each message, so that the caller can stop.
	 * However the pull ends, the file is an intact chain.
	 *
	 * @throws {MeshChainError} `CLUSTER_UNREACHABLE`, `CHAIN_UNREADABLE`, `CHAIN_UNWRITABLE`, or
	 * `CHAIN_MISMATCH` if the file differs from the stream.
	 */
	async *run(): AsyncGenerator<void> {
		try {
			yield* this.#run()
		} finally {
			try {
				// An uncommitted rewind is discarded, because an unchanged file is better than a file without the
				// superseded records.
				if (!this.#replica.isRewound) this.#replica.finish()
			} finally {
				this.#replica.release()
			}
		}
	}

	async *#run(): AsyncGenerator<void> {
		const end = await this.#reader.end()
		if (end.last === undefined) return
		const last = endOf(end.last)
		const found = this.#found
		if (found.seq > 0 && last.seq > 0 && compareCursors(last, found) <= 0)
			return this.#checkAt(last, end.last)
		const position =
			found.seq === 0
				? this.#reader.start
				: await this.#reader.seek(end, (message) => this.#isInFile(message))
		this.#previous = position.previous
		for await (const message of this.#reader.read(position, end)) {
			const rows = recordsOf(message)
			if (rows === undefined) this.#counts.unreadable++
			else {
				await this.#checkOnce(rows)
				for (const record of rows) this.#add(record, message)
				this.#replica.commit()
			}
			this.#isDamaged = rows === undefined
			yield
		}
		this.#addMissingEnd(end.last)
	}

	/** Returns whether the file contains all records of a message. */
	#isInFile(message: StreamMessage): boolean {
		return message.frames.length > 0 && compareCursors(endOf(message), this.#found) < 0
	}

	/** Adds a gap for records that were in the stream when the pull started and have been removed since. */
	#addMissingEnd(last: StreamMessage): void {
		const { seq: toSeq, epoch } = endOf(last)
		const { nextSeq: fromSeq } = this.#replica
		if (compareCursors({ epoch, seq: toSeq }, this.#seen) <= 0 || toSeq < fromSeq) return
		const gap = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'retained' } as const
		this.#push(gapRecord(gap, { epoch, tsMs: last.frames[0]!.baseTsMs }))
		this.#replica.commit()
	}

	/**
	 * Compares the end of the file with the stream, once. If a message contains the last record of the file,
	 * that record is compared. Otherwise, another program may have written to the file in another epoch, so the
	 * last record from the stream that should be in the file is compared.
	 */
	async #checkOnce(rows: readonly LogRecord[]): Promise<void> {
		if (this.#isChecked || compareCursors(rows.at(-1)!, this.#found) < 0) return
		this.#isChecked = true
		const same = rows.find((record) => compareCursors(record, this.#found) === 0)
		const last = same ?? (this.#previous && recordsOf(this.#previous)?.at(-1))
		if (last !== undefined) await this.#compareWith(last)
	}

	/** Compares the end of the file with the stream if there is nothing to pull. */
	async #checkAt({ seq }: ConsumerCursor, message: StreamMessage): Promise<void> {
		const record = recordsOf(message)?.findLast((each) => each.seq === seq)
		if (record !== undefined) await this.#compareWith(record)
	}

	/** @throws {MeshChainError} `CHAIN_MISMATCH` */
	async #compareWith(record: LogRecord): Promise<void> {
		const { path, system } = this.#target
		const chain = await openChain(path, { fs: system })
		try {
			let own: LogRecord | undefined
			for await (const each of chain.records({ fromSeq: record.seq, toSeq: record.seq })) own = each
			// Gaps are not compared, because the range of a gap depends on the records before it.
			const isSame = own !== undefined && (isGap(own) || isGap(record) || isDeepStrictEqual(own, record))
			if (isSame) return
		} finally {
			await chain.close()
		}
		throw new MeshChainError(
			'CHAIN_MISMATCH',
			`${show(path)} does not have the record that the stream has at seq ${record.seq}: another ` +
				'program has written to the file, which is left unchanged',
			{ path, seq: record.seq },
		)
	}

	#add(record: LogRecord, message: StreamMessage): void {
		if (compareCursors(record, this.#seen) <= 0) {
			// Joined subjects may share records.
			if (this.#reader.subjects.length === 1) this.#counts.outOfOrder++
			return
		}
		this.#seen = { epoch: record.epoch, seq: record.seq }
		if (compareCursors(record, this.#found) <= 0) return
		const { nextSeq } = this.#replica
		if (record.seq < nextSeq) {
			// Records in the file are more valuable than a gap in their place.
			if (isGap(record)) return
			this.#supersede(record)
		}
		const covered = isGap(record) ? record.data!.fromSeq : record.seq
		if (covered > this.#replica.nextSeq) this.#pushGap(covered - 1, record, message)
		this.#push(isGap(record) ? clippedGap(record, { fromSeq: this.#replica.nextSeq }) : record)
	}

	/**
	 * Adds a gap for the records that are missing before a record. The cause is `damaged` if the previous
	 * message could not be read, or if the message of this record lacks the missing records. Otherwise, the
	 * stream has removed the records, and the cause is `retained`.
	 */
	#pushGap(toSeq: number, record: LogRecord, { frames: [first] }: StreamMessage): void {
		const { nextSeq: fromSeq } = this.#replica
		const isWithin = first !== undefined && firstCovered(first) <= toSeq
		const cause = this.#isDamaged || isWithin ? 'damaged' : 'retained'
		this.#push(gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, record))
	}

	#push(record: LogRecord): void {
		this.#replica.push(record)
		const counts = this.#counts
		counts.fromSeq ??= isGap(record) ? record.data!.fromSeq : record.seq
		counts.toSeq = record.seq
		if (isGap(record)) counts.gaps++
		else counts.records++
	}

	/**
	 * Handles a chain whose original file lost its end in a power loss, after the end had been forwarded. The
	 * next epoch of such a chain reuses the lost seqs. Moves the lost records, with their original identity, to
	 * a separate chain next to the file.
	 */
	#supersede({ seq, epoch }: LogRecord): void {
		const { path, system, mode } = this.#target
		const { chainId } = this.#counts
		const kept = freeName(system, `${path}.superseded-e${epoch}`)
		const builder = new ChainBuilder(kept, { chainId, mode, fs: system })
		try {
			this.#replica.rewind(seq, (record) => builder.push(record))
			this.#counts.superseded += builder.records
			this.#counts.fromSeq = Math.min(this.#counts.fromSeq ?? seq, seq)
			if (builder.records === 0) return
			builder.finish()
			this.#counts.supersededPaths = [...this.#counts.supersededPaths, kept]
		} finally {
			builder.discard()
		}
	}
}

function freeName(system: FileSystem, path: string): string {
	if (!exists(system, path)) return path
	for (let copy = 2; ; copy++) if (!exists(system, `${path}-${copy}`)) return `${path}-${copy}`
}
