/**
 * One chain of a stream as a file. Where the file ends, its own last record says: there is no cursor that could tell something else. Messages of a chain are in
 * the stream by epoch and then by seq, so the place behind that record is found by a bisection.
 */
import { isDeepStrictEqual } from 'node:util'
import { ChainBuilder, firstCovered, openChain, ReplicaWriter } from '../chain/index.ts'
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { type GapData, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { exists, type FileSystem } from '../platform/file-system.ts'
import { type ChainReader, compareCursors, endOf } from './chain-reader.ts'
import { recordsOf } from './message.ts'
import type { StreamMessage } from './subject-reader.ts'

/** What came of one chain. Counts are of this pull alone. */
export interface PulledChain {
	readonly node: string
	readonly chainId: string
	readonly path: string
	/** Records that came, gaps not counted. */
	readonly records: number
	/** The seqs of what came, gaps included; undefined where nothing did. */
	readonly fromSeq: number | undefined
	readonly toSeq: number | undefined
	/** `$gap`s that came, or that stand for what the stream has not, or not any more (`retained`). */
	readonly gaps: number
	/** Records that were taken out of the file, since a later epoch has their seqs: they are in `supersededPaths`. */
	readonly superseded: number
	readonly supersededPaths: readonly string[]
	/** Messages that cannot be read, or are no part of the chain. */
	readonly unreadable: number
	/** Records that stand in the stream behind later ones, and are not in the file. */
	readonly outOfOrder: number
	/** Subjects that hold another life of the chain, of a copied machine say: they are left out. */
	readonly otherLives: number
}

export interface PullPosition {
	readonly system: FileSystem
	readonly path: string
	readonly mode: number
}

type Counts = { -readonly [Name in keyof PulledChain]: PulledChain[Name] }

const NOWHERE: ConsumerCursor = { epoch: 0, seq: 0 }

export class ChainPull {
	readonly #stream: ChainReader
	readonly #place: PullPosition
	readonly #mirror: ReplicaWriter
	readonly #counts: Counts
	/** Up to here the file had it when this pull began. */
	readonly #found: ConsumerCursor
	#seen = NOWHERE
	/** The last message that is in the file as a whole, and whether it was looked at. */
	#before: StreamMessage | undefined
	#isChecked = false
	/** The message before could not be read. */
	#isDamaged = false

	/** @throws {MeshChainError} what `ReplicaWriter` throws. */
	constructor(stream: ChainReader, place: PullPosition) {
		const { node, chainId } = stream
		this.#stream = stream
		this.#place = place
		this.#mirror = new ReplicaWriter(place.path, { chainId, mode: place.mode, fs: place.system })
		const { epoch, nextSeq } = this.#mirror
		this.#found = { epoch, seq: nextSeq - 1 }
		this.#counts = {
			node,
			chainId,
			path: place.path,
			records: 0,
			fromSeq: undefined,
			toSeq: undefined,
			gaps: 0,
			superseded: 0,
			supersededPaths: [],
			unreadable: 0,
			outOfOrder: 0,
			otherLives: stream.otherLives.length,
		}
	}

	get counts(): PulledChain {
		return { ...this.#counts }
	}

	/**
	 * Everything that is in the stream by now; yields after each message, and may be left there. The file is whole and has its end whatever stops it.
	 *
	 * @throws {MeshChainError} `CHAIN_MISMATCH` where the file has something else than the stream; `CLUSTER_UNREACHABLE`, `CHAIN_UNREADABLE`.
	 */
	async *run(): AsyncGenerator<void> {
		try {
			yield* this.#run()
		} finally {
			try {
				// What was there before is better than what would be without its superseded records.
				if (!this.#mirror.isRewound) this.#mirror.finish()
			} finally {
				this.#mirror.release()
			}
		}
	}

	async *#run(): AsyncGenerator<void> {
		const end = await this.#stream.end()
		if (end.last === undefined) return
		const last = endOf(end.last)
		const found = this.#found
		if (found.seq > 0 && last.seq > 0 && compareCursors(last, found) <= 0)
			return this.#checkAt(last, end.last)
		const place =
			found.seq === 0 ? this.#stream.start : await this.#stream.seek(end, (message) => this.#has(message))
		this.#before = place.before
		for await (const message of this.#stream.read(place, end)) {
			const rows = recordsOf(message)
			if (rows === undefined) this.#counts.unreadable++
			else {
				await this.#checkOnce(rows)
				for (const record of rows) this.#take(record, message)
				this.#mirror.commit()
			}
			this.#isDamaged = rows === undefined
			yield
		}
		this.#takeEnd(end.last)
	}

	/** Whether the file has all of a message. */
	#has(message: StreamMessage): boolean {
		return message.frames.length > 0 && compareCursors(endOf(message), this.#found) < 0
	}

	/** What was there when the pull began, and was removed meanwhile. */
	#takeEnd(last: StreamMessage): void {
		const { seq: toSeq, epoch } = endOf(last)
		const { nextSeq: fromSeq } = this.#mirror
		if (compareCursors({ epoch, seq: toSeq }, this.#seen) <= 0 || toSeq < fromSeq) return
		const gap = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'retained' } as const
		this.#push(gapRecord(gap, { epoch, tsMs: last.frames[0]!.baseTsMs }))
		this.#mirror.commit()
	}

	/**
	 * Whether the file ends as the stream has it. Where a message has the record that the file ends with, that one tells; otherwise the last one that should be in
	 * the file: somebody may have written behind it, in an epoch of their own.
	 */
	async #checkOnce(rows: readonly LogRecord[]): Promise<void> {
		if (this.#isChecked || compareCursors(rows.at(-1)!, this.#found) < 0) return
		this.#isChecked = true
		const same = rows.find((record) => compareCursors(record, this.#found) === 0)
		const last = same ?? (this.#before && recordsOf(this.#before)?.at(-1))
		if (last !== undefined) await this.#compareWith(last)
	}

	/** The stream ends where the file has come to already. */
	async #checkAt({ seq }: ConsumerCursor, message: StreamMessage): Promise<void> {
		const record = recordsOf(message)?.findLast((each) => each.seq === seq)
		if (record !== undefined) await this.#compareWith(record)
	}

	/** @throws {MeshChainError} `CHAIN_MISMATCH` */
	async #compareWith(record: LogRecord): Promise<void> {
		const { path, system } = this.#place
		const chain = await openChain(path, { fs: system })
		try {
			let own: LogRecord | undefined
			for await (const each of chain.records({ fromSeq: record.seq, toSeq: record.seq })) own = each
			// What a gap stands for depends on what was there before it.
			const isSame = own !== undefined && (isGap(own) || isGap(record) || isDeepStrictEqual(own, record))
			if (isSame) return
		} finally {
			await chain.close()
		}
		throw new MeshChainError(
			'CHAIN_MISMATCH',
			`${show(path)} has another record at seq ${record.seq} than the stream, or none: somebody has written into it; it is left as it is`,
			{ path, seq: record.seq },
		)
	}

	#take(record: LogRecord, message: StreamMessage): void {
		if (compareCursors(record, this.#seen) <= 0) {
			// Subjects that are joined may have the same records.
			if (this.#stream.subjects.length === 1) this.#counts.outOfOrder++
			return
		}
		this.#seen = { epoch: record.epoch, seq: record.seq }
		if (compareCursors(record, this.#found) <= 0) return
		const { nextSeq } = this.#mirror
		if (record.seq < nextSeq) {
			// Records that the file has are more than a gap for them.
			if (isGap(record)) return
			this.#supersede(record)
		}
		const covered = isGap(record) ? record.data!.fromSeq : record.seq
		if (covered > this.#mirror.nextSeq) this.#explain(covered - 1, record, message)
		this.#push(isGap(record) ? behind(record, this.#mirror.nextSeq) : record)
	}

	/** What is missing before a record: removed from the stream, unless a message in between cannot be read, or it is missing in the message. */
	#explain(toSeq: number, record: LogRecord, { frames: [first] }: StreamMessage): void {
		const { nextSeq: fromSeq } = this.#mirror
		const isWithin = first !== undefined && firstCovered(first) <= toSeq
		const cause = this.#isDamaged || isWithin ? 'damaged' : 'retained'
		this.#push(gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, record))
	}

	#push(record: LogRecord): void {
		this.#mirror.push(record)
		const counts = this.#counts
		counts.fromSeq ??= isGap(record) ? record.data!.fromSeq : record.seq
		counts.toSeq = record.seq
		if (isGap(record)) counts.gaps++
		else counts.records++
	}

	/**
	 * A power loss took the end of the source's file after it had been forwarded, and the next epoch has used the seqs again. The file follows the
	 * source; what the source has lost goes into a chain of its own beside it, under its old identity.
	 */
	#supersede({ seq, epoch }: LogRecord): void {
		const { path, system, mode } = this.#place
		const { chainId } = this.#counts
		const kept = freeName(system, `${path}.superseded-e${epoch}`)
		const builder = new ChainBuilder(kept, { chainId, mode, fs: system })
		try {
			this.#mirror.rewind(seq, (record) => builder.push(record))
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

/** A gap of what is absent from a seq on. */
function behind(gap: LogRecord<'$gap', GapData>, nextSeq: number): LogRecord {
	const { fromSeq, toSeq, count, cause } = gap.data!
	if (fromSeq >= nextSeq) return gap
	return gapRecord({ fromSeq: nextSeq, toSeq, count: Math.min(count, toSeq - nextSeq + 1), cause }, gap)
}
