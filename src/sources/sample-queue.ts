/**
 * One queue for the samples of all sources: bounded, in the order of arrival, and shared fairly.
 *
 * A source may hold at most 8 times the free space (a dynamic threshold: Choudhury and Hahne, "Dynamic queue
 * length thresholds for shared-memory packet switches", 1998). A flooding source therefore takes at most 8/9
 * of the queue, however long it floods, and there is always room for the others. The same applies to bytes.
 * Invariant: `count` never exceeds `capacity`.
 */

const SHARE_FACTOR = 8
/** Estimated size of an entry without its data. */
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
	/** Next entry of the same share. */
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

	/** Tells whether another item fits. The last item may exceed the bound on bytes. */
	hasRoomFor(share: Share<T>): boolean {
		const isWithinCount = share.count < SHARE_FACTOR * (this.capacity - this.#count)
		return isWithinCount && share.bytes < SHARE_FACTOR * (this.bytesMax - this.#bytes)
	}

	/** Adds an item; requires {@link hasRoomFor}. */
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

	/** Removes the oldest item. */
	shift(): T | undefined {
		return this.#first === undefined ? undefined : this.#take(this.#first)
	}

	/** Removes the oldest item of one source, wherever it is. */
	shiftOf(share: Share<T>): T | undefined {
		return share.oldest === undefined ? undefined : this.#take(share.oldest)
	}

	/**
	 * Removes an entry. The oldest item of the queue is also the oldest of its share, so the entry is always
	 * the first of its share.
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
