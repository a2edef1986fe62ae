/** Batches as single records. Written by hand: most calls find their record in the batch at hand, and an async generator pays for each. */
import type { LogRecord } from '../../model/record.ts'

export class RecordIterator implements AsyncIterableIterator<LogRecord, undefined> {
	readonly #batches: AsyncIterator<LogRecord[]>
	readonly #onReturn: (() => void) | undefined
	#batch: readonly LogRecord[] = []
	#index = 0
	#isDone = false
	/** The batch that is being fetched: calls that come meanwhile wait for it, in order. */
	#fetching: Promise<unknown> | undefined

	/** @param onReturn called first when the consumer leaves: batches that may never come must not be waited for. */
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
