/**
 * A queue for the samples from all sources. It is bounded, ordered by arrival, and shared fairly.
 *
 * The samples from one source may occupy at most 8 times the free space. A source that floods the queue
 * therefore occupies at most 8/9 of the queue at any time, and the other sources always have space. The limit
 * is a dynamic threshold, as in Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory
 * packet switches", 1998. The same limit applies to bytes. Invariant: `count` never exceeds `capacity`.
 */

const SHARE_FACTOR = 8
/** Estimated size of an entry without its data, in bytes. */
const ENTRY_BYTES = 200

/** The part of the queue that belongs to one source. */
export class Share<T> {
	count = 0
	bytes = 0
	oldest: Entry<T> | undefined
	newest: Entry<T> | undefined
}

interface Entry<T> {
	readonly item: T
	readonly bytes: number
	readonly share: Share<T>
	previous: Entry<T> | undefined
	next: Entry<T> | undefined
	/** Next entry in the same share. */
	younger: Entry<T> | undefined
}

/** The queue of all sources. */
export class SampleQueue<T> {
	readonly capacity: number
	readonly bytesMax: number
	#count = 0
	#bytes = 0
	#first: Entry<T> | undefined
	#last: Entry<T> | undefined

	constructor(capacity: number, bytesMax: number) {
		this.capacity = capacity
		this.bytesMax = bytesMax
	}

	get count(): number {
		return this.#count
	}

	get bytes(): number {
		return this.#bytes
	}

	/** Returns whether another item fits. The last item may exceed the byte limit. */
	hasRoomFor(share: Share<T>): boolean {
		const isWithinCount = share.count < SHARE_FACTOR * (this.capacity - this.#count)
		return isWithinCount && share.bytes < SHARE_FACTOR * (this.bytesMax - this.#bytes)
	}

	/** Adds an item. The caller must check {@link hasRoomFor} first. */
	push(share: Share<T>, item: T, dataBytes: number): void {
		const bytes = dataBytes + ENTRY_BYTES
		const entry: Entry<T> = { item, bytes, share, previous: this.#last, next: undefined, younger: undefined }
		if (this.#last === undefined) this.#first = entry
		else this.#last.next = entry
		this.#last = entry
		if (share.newest === undefined) share.oldest = entry
		else share.newest.younger = entry
		share.newest = entry
		share.count++
		share.bytes += bytes
		this.#count++
		this.#bytes += bytes
	}

	/** Removes and returns the oldest item. */
	shift(): T | undefined {
		return this.#first === undefined ? undefined : this.#take(this.#first)
	}

	/** Removes and returns the oldest item of one source, wherever it is in the queue. */
	shiftOf(share: Share<T>): T | undefined {
		return share.oldest === undefined ? undefined : this.#take(share.oldest)
	}

	/**
	 * Removes an entry. The oldest item in the queue is also the oldest in its share, so the entry is always
	 * the first in its share.
	 */
	#take(entry: Entry<T>): T {
		const { share, previous, next } = entry
		if (previous === undefined) this.#first = next
		else previous.next = next
		if (next === undefined) this.#last = previous
		else next.previous = previous
		share.oldest = entry.younger
		if (share.oldest === undefined) share.newest = undefined
		share.count--
		share.bytes -= entry.bytes
		this.#count--
		this.#bytes -= entry.bytes
		return entry.item
	}
}
