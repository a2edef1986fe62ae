/** Guards iterables that application code supplies. */
import { hush } from './hush.ts'
import { discard, isThenable, settle, within } from './promises.ts'
import { methodOf } from './values.ts'

/**
 * An async iterator over the items of any iterable, for use in `for await`. Follows the language
 * specification, with two exceptions: a thenable that resolves with itself ends the iteration with an error,
 * and a source is abandoned if its `return` does not settle in time.
 *
 * @param left Called when the source is abandoned.
 */
export class ForeignItems<T> implements AsyncIterableIterator<T, undefined> {
	readonly #items: Partial<AsyncIterator<unknown>>
	readonly #isAsync: boolean
	readonly #closeTimeoutMs: number
	readonly #left: () => void
	#isDone = false

	/** @throws {unknown} Any error from the source, or a `TypeError` if the source is not iterable. */
	constructor(source: unknown, closeTimeoutMs: number, left: () => void) {
		const { [Symbol.asyncIterator]: asynchronous, [Symbol.iterator]: synchronous } = source as {
			readonly [name: symbol]: unknown
		}
		const open = asynchronous ?? synchronous
		hush(asynchronous)
		hush(synchronous)
		if (typeof open !== 'function') throw new TypeError('the source is not iterable')
		this.#isAsync = open === asynchronous
		this.#items = keptPromise(() => Reflect.apply(open, source, [])) as Partial<AsyncIterator<unknown>>
		discard(this.#items)
		this.#closeTimeoutMs = closeTimeoutMs
		this.#left = left
	}

	[Symbol.asyncIterator](): this {
		return this
	}

	async next(): Promise<IteratorResult<T, undefined>> {
		if (this.#isDone) return OVER
		// `return` must not be called on a source that has thrown or ended.
		this.#isDone = true
		const given = keptPromise(() => methodOf(this.#items, 'next')?.())
		if (!this.#isAsync) discard(given)
		const step = (this.#isAsync ? await settle(given) : given) as IteratorResult<unknown> | null
		if (typeof step !== 'object' || step === null) throw new TypeError('an iterator must return objects')
		const { done, value } = step
		hush(done)
		if (done) {
			hush(value)
			return OVER
		}
		const item = isThenable(value) ? await settle(value) : value
		this.#isDone = false
		return { value: item as T, done: false }
	}

	async return(): Promise<IteratorResult<T, undefined>> {
		if (this.#isDone) return OVER
		this.#isDone = true
		const returned = await within(
			settle(keptPromise(() => methodOf(this.#items, 'return')?.())),
			this.#closeTimeoutMs,
		)
		if (returned.is === 'rejected') throw returned.thrown
		if (returned.is === 'late') this.#left()
		return OVER
	}
}

/** Returns the result of `act`. If `act` throws a promise, the promise is handled and rethrown. */
function keptPromise(act: () => unknown): unknown {
	try {
		return act()
	} catch (thrown) {
		hush(thrown)
		throw thrown
	}
}

const OVER = { value: undefined, done: true } as const
