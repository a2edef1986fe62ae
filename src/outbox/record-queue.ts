/**
 * A queue of records that are addressed by position. Positions increase by one with each push and are never
 * reused, so several cursors can read one queue. In a loop's ring, the position is the `seq`. The queue grows
 * as needed, and its owner limits its size.
 */
import type { LogRecord } from '../model/record.ts'

const SLOTS_MIN = 16

export class RecordQueue {
	/** Slots for records. Their number is a power of two, so that a bit mask can wrap an index around. */
	#records: (LogRecord | undefined)[] = new Array(SLOTS_MIN).fill(undefined)
	#sizes: number[] = new Array(SLOTS_MIN).fill(0)
	#head = 0
	#count = 0
	#bytes = 0
	#first: number

	constructor(firstPosition: number) {
		this.#first = firstPosition
	}

	/** Position of the oldest record; {@link end} if the queue is empty. */
	get first(): number {
		return this.#first
	}

	/** Position of the next record. */
	get end(): number {
		return this.#first + this.#count
	}

	get count(): number {
		return this.#count
	}

	/** Total size of the records, as passed to {@link push}. */
	get bytes(): number {
		return this.#bytes
	}

	push(record: LogRecord, bytes = 0): void {
		if (this.#count === this.#records.length) this.#grow()
		const slot = (this.#head + this.#count) & (this.#records.length - 1)
		this.#records[slot] = record
		this.#sizes[slot] = bytes
		this.#count += 1
		this.#bytes += bytes
	}

	/** Removes the oldest record. Does nothing if the queue is empty. */
	shift(): void {
		if (this.#count === 0) return
		this.#records[this.#head] = undefined
		this.#bytes -= this.#sizes[this.#head]!
		this.#head = (this.#head + 1) & (this.#records.length - 1)
		this.#count -= 1
		this.#first += 1
	}

	/**
	 * Returns the record at a position. The position must be at least {@link first} and less than {@link end}.
	 */
	at(position: number): LogRecord {
		return this.#records[(this.#head + (position - this.#first)) & (this.#records.length - 1)]!
	}

	/** Returns a copy of the records at positions `from` to `to`, both inclusive. */
	slice(from: number, to: number): LogRecord[] {
		const records: LogRecord[] = []
		for (let position = from; position <= to; position++) records.push(this.at(position))
		return records
	}

	/** Removes all records. Positions are not reset. */
	clear(): void {
		while (this.#count > 0) this.shift()
	}

	#grow(): void {
		this.#records = rotated(this.#records, this.#head, undefined)
		this.#sizes = rotated(this.#sizes, this.#head, 0)
		this.#head = 0
	}
}

/**
 * Returns the slots of a full queue, rotated so that the head is first, and the same number of empty slots.
 */
function rotated<T>(slots: readonly T[], head: number, empty: T): T[] {
	const straight = [...slots.slice(head), ...slots.slice(0, head)]
	for (let index = slots.length; index > 0; index--) straight.push(empty)
	return straight
}
