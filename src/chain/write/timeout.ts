/** A shared time limit for several consecutive waits. */
export class Timeout {
	#isOver = false
	readonly #over: Promise<never>
	#timer: NodeJS.Timeout | undefined

	constructor(ms: number) {
		this.#over = new Promise((_resolve, reject) => {
			this.#timer = setTimeout(() => {
				this.#isOver = true
				reject(new Error(`no response within ${ms} ms`))
			}, ms)
		})
		this.#over.catch(() => {})
	}

	get isOver(): boolean {
		return this.#isOver
	}

	/**
	 * Settles like `promise`. If the time limit expires first, rejects with an error that does not have a code.
	 */
	orThrow<T>(promise: Promise<T>): Promise<T> {
		return Promise.race([promise, this.#over])
	}

	clear(): void {
		clearTimeout(this.#timer)
	}
}
