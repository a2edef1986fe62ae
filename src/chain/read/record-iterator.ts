/**
 * Converts an iteration over batches to one over individual records. The iterator is not an async generator,
 * because most calls find their record in the current batch, and a generator would make each call slower.
 */
import type { LogRecord } from '../../model/record.ts'

/**
 * Returns an iterable over the individual records of all batches. Each iteration starts again at the first
 * batch.
 */
export function recordsOf(batches: AsyncIterable<LogRecord[]>): AsyncIterable<LogRecord> {
	return { [Symbol.asyncIterator]: () => new RecordIterator(batches[Symbol.asyncIterator]()) }
}

export class RecordIterator implements AsyncIterableIterator<LogRecord, undefined> {
	readonly #batches: AsyncIterator<LogRecord[]>
	readonly #onReturn: (() => void) | undefined
	#batch: readonly LogRecord[] = []
	#index = 0
	#isDone = false
	/** The fetch that is in progress. Concurrent calls wait for it, in order. */
	#fetching: Promise<unknown> | undefined

	/**
	 * @param onReturn called first when the caller stops early, so that nothing waits for batches that may
	 * never arrive.
	 */
	constructor(batches: AsyncIterator<LogRecord[]>, onReturn?: () => void) {
		this.#batches = batches
		this.#onReturn = onReturn
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	next(): Promise<IteratorResult<LogRecord, undefined>> {
		if (this.#fetching === undefined) {
			const value = this.#batch[this.#index]
			if (value !== undefined) {
				this.#index++
				return Promise.resolve({ value, done: false })
			}
		}
		return this.#nextFetched()
	}

	async return(): Promise<IteratorResult<LogRecord, undefined>> {
		this.#end()
		this.#onReturn?.()
		await this.#batches.return?.()
		return { value: undefined, done: true }
	}

	async #nextFetched(): Promise<IteratorResult<LogRecord, undefined>> {
		for (;;) {
			if (this.#fetching !== undefined) await this.#fetching
			else {
				const value = this.#batch[this.#index]
				if (value !== undefined) {
					this.#index++
					return { value, done: false }
				}
				if (this.#isDone) return { value: undefined, done: true }
				this.#fetching = this.#fetch()
			}
		}
	}

	async #fetch(): Promise<void> {
		try {
			const { value, done } = await this.#batches.next()
			if (done) this.#end()
			else if (!this.#isDone) {
				this.#batch = value
				this.#index = 0
			}
		} catch (error) {
			this.#end()
			throw error
		} finally {
			this.#fetching = undefined
		}
	}

	#end(): void {
		this.#isDone = true
		this.#batch = []
		this.#index = 0
	}
}
