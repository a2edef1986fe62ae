/**
 * Holds the accepted records that are not yet acknowledged. The queue is bounded, and its records are
 * addressed by position.
 */
import { RowEncoder } from '../codec/row-encoder.ts'
import type { LogRecord } from '../model/record.ts'
import { type Gap, queueRangeOf } from '../outbox/gap-list.ts'
import { RecordQueue } from '../outbox/record-queue.ts'

/** Approximate memory that a record uses in addition to its row, in bytes (measured). */
const RECORD_BYTES = 256

/** A batch, whose records share one message if the servers accept a message of that size. */
export interface PendingBatch {
	/** Position of the last record. */
	readonly to: number
	readonly bytes: number
}

/** A bounded queue of records. */
export class PendingRecords {
	readonly #recordsMax: number
	readonly #bytesMax: number
	readonly #queue = new RecordQueue(0)
	readonly #measure = new RowEncoder()
	/** Batches, keyed by the position of their first record. */
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

	/** Position of the oldest record. */
	get first(): number {
		return this.#queue.first
	}

	/** Position of the next record to be added. */
	get end(): number {
		return this.#queue.end
	}

	/** Seq of the oldest record; undefined if the queue is empty. */
	get firstSeq(): number | undefined {
		return this.count === 0 ? undefined : this.at(this.first).seq
	}

	/** Returns the record at a position. */
	at(position: number): LogRecord {
		return this.#queue.at(position)
	}

	/**
	 * Adds the records and returns true, or adds none and returns false if they do not fit. An empty queue
	 * accepts any number of records.
	 *
	 * @throws {LogAppendError} If a record cannot be encoded; not retryable.
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

	/** Returns the batch that starts at a position. */
	batchFrom(position: number): PendingBatch | undefined {
		return this.#batches.get(position)
	}

	/** Returns the node of the first record that has one; undefined if none has one. */
	firstNode(): string | undefined {
		for (let position = this.first; position < this.end; position++) {
			const { nodeId } = this.at(position)
			if (nodeId !== null) return String(nodeId)
		}
		return undefined
	}

	/** Drops the records up to and including a seq. */
	drop(seq: number): void {
		while (this.count > 0 && this.at(this.first).seq <= seq) {
			this.#batches.delete(this.first)
			this.#queue.shift()
		}
	}

	/** Returns a gap that reports all records in the queue as lost; undefined if the queue is empty. */
	asLoss(): Gap | undefined {
		if (this.count === 0) return undefined
		return { ...queueRangeOf(this.first, this.#queue.slice(this.first, this.end - 1)), cause: 'appendFailed' }
	}

	/** Drops all records. */
	clear(): void {
		this.#queue.clear()
		this.#batches.clear()
	}

	#hasRoom(records: number, bytes: number): boolean {
		if (this.count === 0) return true
		return this.count + records <= this.#recordsMax && this.bytes + bytes <= this.#bytesMax
	}

	/**
	 * Returns the size of a record. Encodes the row, so that a record that cannot be encoded is refused now
	 * rather than when it is sent.
	 */
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
