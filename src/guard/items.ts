/** Guards the iterables of foreign code. */
import { hush } from './hush.ts'
import { discard, isThenable, settle, within } from './promises.ts'
import { methodOf } from './values.ts'

/**
 * The items of anything iterable, for `for await`. Behaves as the language does, but a thenable that resolves
 * with itself ends it, and a source whose `return` does not answer in time is abandoned.
 *
 * @param left called when the source is abandoned.
 */
export class ForeignItems<T> implements AsyncIterableIterator<T, undefined> {
	readonly #items: Partial<AsyncIterator<unknown>>
	readonly #isAsync: boolean
	readonly #closeTimeoutMs: number
	readonly #left: () => void
	#isDone = false

	/** @throws {unknown} what the source throws, and a `TypeError` for one that cannot be iterated. */
	constructor(source: unknown, closeTimeoutMs: number, left: () => void) {
		const { [Symbol.asyncIterator]: asynchronous, [Symbol.iterator]: synchronous } = source as {
			readonly [name: symbol]: unknown
		}
		const open = asynchronous ?? synchronous
		hush(asynchronous)
		hush(synchronous)
		if (typeof open !== 'function') throw new TypeError('what was given cannot be iterated')
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
		// A source that throws or ends gets no `return`.
		this.#isDone = true
		const given = keptPromise(() => methodOf(this.#items, 'next')?.())
		if (!this.#isAsync) discard(given)
		const step = (this.#isAsync ? await settle(given) : given) as IteratorResult<unknown> | null
		if (typeof step !== 'object' || step === null) throw new TypeError('an iterator must give objects')
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

/** The result of `act`; a promise that it throws is handled and thrown on. */
function keptPromise(act: () => unknown): unknown {
	try {
		return act()
	} catch (thrown) {
		hush(thrown)
		throw thrown
	}
}

const OVER = { value: undefined, done: true } as const
