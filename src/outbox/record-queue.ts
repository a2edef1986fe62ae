/**
 * A queue of records addressed by position: positions increase by one with each push and are never reused, so
 * that several cursors can walk one queue. In a loop's ring the position is the `seq`. Grows as needed; its
 * owner bounds it.
 */
import type { LogRecord } from '../model/record.ts'

const SLOTS_MIN = 16

export class RecordQueue {
	/** Its length is a power of two, so that a mask wraps around. */
	#records: (LogRecord | undefined)[] = new Array(SLOTS_MIN).fill(undefined)
	#sizes: number[] = new Array(SLOTS_MIN).fill(0)
	#head = 0
	#count = 0
	#bytes = 0
	#first: number

	constructor(firstPosition: number) {
		this.#first = firstPosition
	}

	/** The position of the oldest record; equals {@link end} when there is none. */
	get first(): number {
		return this.#first
	}

	/** The position of the next record. */
	get end(): number {
		return this.#first + this.#count
	}

	get count(): number {
		return this.#count
	}

	/** The sum of the sizes given to {@link push}. */
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

	/** Removes the oldest record; does nothing when there is none. */
	shift(): void {
		if (this.#count === 0) return
		this.#records[this.#head] = undefined
		this.#bytes -= this.#sizes[this.#head]!
		this.#head = (this.#head + 1) & (this.#records.length - 1)
		this.#count -= 1
		this.#first += 1
	}

	/** The record at a position from {@link first} to before {@link end}; the caller checks the position. */
	at(position: number): LogRecord {
		return this.#records[(this.#head + (position - this.#first)) & (this.#records.length - 1)]!
	}

	/** A copy of the records at positions `from` to `to`, both inclusive. */
	slice(from: number, to: number): LogRecord[] {
		const records: LogRecord[] = []
		for (let position = from; position <= to; position++) records.push(this.at(position))
		return records
	}

	/** Forgets all records; positions continue. */
	clear(): void {
		while (this.#count > 0) this.shift()
	}

	#grow(): void {
		this.#records = rotated(this.#records, this.#head, undefined)
		this.#sizes = rotated(this.#sizes, this.#head, 0)
		this.#head = 0
	}
}

/** A full ring of slots, straightened and doubled. */
function rotated<T>(slots: readonly T[], head: number, empty: T): T[] {
	const straight = [...slots.slice(head), ...slots.slice(0, head)]
	for (let index = slots.length; index > 0; index--) straight.push(empty)
	return straight
}
