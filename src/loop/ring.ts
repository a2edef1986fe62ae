/** The bounded buffer of the newest records. A record's position in the ring is its `seq`. */
import { RecordQueue } from '../outbox/record-queue.ts'
import type { RingStats } from './stats.ts'

export class Ring {
	readonly queue: RecordQueue
	readonly capacity: number
	/** Maximum size in bytes; Infinity for no bound. */
	readonly bytesMax: number
	#evicted = 0

	constructor(options: { readonly nextSeq: number; readonly capacity: number; readonly bytesMax: number }) {
		this.queue = new RecordQueue(options.nextSeq)
		this.capacity = options.capacity
		this.bytesMax = options.bytesMax
	}

	/**
	 * Returns whether a record must be evicted to make room for `records` new records with a total size of
	 * `bytes`. An empty ring has room for records of any size.
	 */
	isFullFor(records: number, bytes: number): boolean {
		const { count } = this.queue
		return count > 0 && (count + records > this.capacity || this.queue.bytes + bytes > this.bytesMax)
	}

	/** Whether the records occupy more than half of `bytesMax`. */
	get isHalfFull(): boolean {
		return 2 * this.queue.bytes > this.bytesMax
	}

	evict(): void {
		this.queue.shift()
		this.#evicted += 1
	}

	stats(): RingStats {
		return Object.freeze({
			records: this.queue.count,
			bytes: this.queue.bytes,
			capacity: this.capacity,
			bytesMax: this.bytesMax === Number.POSITIVE_INFINITY ? undefined : this.bytesMax,
			evicted: this.#evicted,
		})
	}
}
