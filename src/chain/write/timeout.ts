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
	 * Settles like the given promise, or rejects with an error without a code if the time limit expires first.
	 */
	orThrow<T>(promise: Promise<T>): Promise<T> {
		return Promise.race([promise, this.#over])
	}

	clear(): void {
		clearTimeout(this.#timer)
	}
}
