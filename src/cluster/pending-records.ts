/** Records that were taken over and are not acknowledged yet: bounded, and addressed by position. */

import { RowEncoder } from '../codec/row-encoder.ts'
import type { LogRecord } from '../model/record.ts'
import { type Gap, queueRangeOf } from '../outbox/gap-list.ts'
import { RecordQueue } from '../outbox/record-queue.ts'

/** What a record takes in memory beside what is in its row; as measured, roughly. */
const RECORD_BYTES = 256

/** Records that belong together. */
export interface PendingBatch {
	/** The position of the last one. */
	readonly to: number
	readonly bytes: number
}

export class PendingRecords {
	readonly #recordsMax: number
	readonly #bytesMax: number
	readonly #queue = new RecordQueue(0)
	readonly #measure = new RowEncoder()
	/** By the position of their first record. */
	readonly #batches = new Map<number, PendingBatch>()

	constructor(bounds: { readonly pendingRecordsMax: number; readonly pendingBytesMax: number }) {
		this.#recordsMax = bounds.pendingRecordsMax
		this.#bytesMax = bounds.pendingBytesMax
	}

	get count(): number {
		return this.#queue.count
	}

	get bytes(): number {
		return this.#queue.bytes
	}

	/** The position of the oldest, and the one that the next will get. */
	get first(): number {
		return this.#queue.first
	}

	get end(): number {
		return this.#queue.end
	}

	/** Of the oldest; undefined where there is none. */
	get firstSeq(): number | undefined {
		return this.count === 0 ? undefined : this.at(this.first).seq
	}

	at(position: number): LogRecord {
		return this.#queue.at(position)
	}

	/**
	 * Takes all of them, or none where they have no room; that is never so where nothing is held.
	 *
	 * @throws {LogAppendError} not retryable, where one cannot be written.
	 */
	add(records: readonly LogRecord[], isBatch: boolean): boolean {
		const sizes = records.map((record) => this.#sizeOf(record))
		let bytes = 0
		for (const size of sizes) bytes += size
		if (!this.#hasRoom(records.length, bytes)) return false
		const from = this.end
		for (const [index, record] of records.entries()) this.#queue.push(record, sizes[index])
		if (isBatch) this.#batches.set(from, { to: this.end - 1, bytes })
		return true
	}

	/** The batch that begins at a position. */
	batchFrom(position: number): PendingBatch | undefined {
		return this.#batches.get(position)
	}

	/** The node that the first record names that names one. */
	firstNode(): string | undefined {
		for (let position = this.first; position < this.end; position++) {
			const { nodeId } = this.at(position)
			if (nodeId !== null) return String(nodeId)
		}
		return undefined
	}

	/** Forgets what is up to this seq. */
	drop(seq: number): void {
		while (this.count > 0 && this.at(this.first).seq <= seq) {
			this.#batches.delete(this.first)
			this.#queue.shift()
		}
	}

	/** All of them, as what is lost; undefined where there is none. */
	asLoss(): Gap | undefined {
		if (this.count === 0) return undefined
		return { ...queueRangeOf(this.first, this.#queue.slice(this.first, this.end - 1)), cause: 'appendFailed' }
	}

	clear(): void {
		this.#queue.clear()
		this.#batches.clear()
	}

	#hasRoom(records: number, bytes: number): boolean {
		if (this.count === 0) return true
		return this.count + records <= this.#recordsMax && this.bytes + bytes <= this.#bytesMax
	}

	/** As its row: so it is known now, and not on the way, that it can be written. */
	#sizeOf(record: LogRecord): number {
		try {
			this.#measure.encode(record, record.tsMs)
			this.#measure.finish()
			return RECORD_BYTES + this.#measure.length
		} finally {
			this.#measure.reset()
		}
	}
}
