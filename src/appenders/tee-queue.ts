/**
 * The queue from which one or more children of a `TeeAppender` read, each with its own cursor.
 *
 * Invariant: the queue holds only records that at least one child still needs, and at most
 * `TEE_QUEUE_RECORDS_MAX` of them.
 */
import { TEE_QUEUE_RECORDS_MAX } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import type { Outbox } from '../outbox/outbox.ts'
import { RecordQueue } from '../outbox/record-queue.ts'

export class TeeQueue {
	readonly records = new RecordQueue(0)
	readonly #outboxes: Outbox[] = []

	/** Adds the outbox of a child, which must read from {@link records}. */
	attach(outbox: Outbox): void {
		this.#outboxes.push(outbox)
	}

	add(record: LogRecord): void {
		if (this.#outboxes.length === 0) return
		this.#makeRoom(1)
		this.records.push(record)
		for (const outbox of this.#outboxes) outbox.pump()
		this.trim()
	}

	/** Adds records as one batch. A child without `appendBatch` receives them one by one. */
	addBatch(records: readonly LogRecord[]): void {
		if (this.#outboxes.length === 0 || records.length === 0) return
		this.#makeRoom(records.length)
		for (const record of records) this.records.push(record)
		for (const outbox of this.#outboxes) outbox.pumpBatch(records.length)
		this.trim()
	}

	/** Removes the records that no child needs any longer. */
	trim(): void {
		let needed = this.records.end
		for (const outbox of this.#outboxes) needed = Math.min(needed, outbox.needed)
		while (this.records.first < needed) this.records.shift()
	}

	/**
	 * Makes room for `count` records. First retries the appends to each child, because this may free enough
	 * room without dropping records.
	 */
	#makeRoom(count: number): void {
		if (this.records.count + count <= TEE_QUEUE_RECORDS_MAX) return
		for (const outbox of this.#outboxes) outbox.pump()
		this.trim()
		while (this.records.count > 0 && this.records.count + count > TEE_QUEUE_RECORDS_MAX) {
			for (const outbox of this.#outboxes) outbox.evicting(this.records.first)
			this.records.shift()
		}
	}
}
