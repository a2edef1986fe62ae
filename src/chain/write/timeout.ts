/** One bound for several waits, one after the other. */
export class Timeout {
	#isOver = false
	readonly #over: Promise<never>
	#timer: NodeJS.Timeout | undefined

	constructor(ms: number) {
		this.#over = new Promise((_resolve, reject) => {
			this.#timer = setTimeout(() => {
				this.#isOver = true
				reject(new Error(`nothing came for ${ms} ms`))
			}, ms)
		})
		this.#over.catch(() => {})
	}

	get isOver(): boolean {
		return this.#isOver
	}

	/** What a promise comes to; rejects, with an error that has no code, when the time is up before. */
	orThrow<T>(promise: Promise<T>): Promise<T> {
		return Promise.race([promise, this.#over])
	}

	clear(): void {
		clearTimeout(this.#timer)
	}
}
