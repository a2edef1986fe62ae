/**
 * Shares one promise among all callers that wait for the same sync, because promises account for most of the
 * cost of a sync.
 */
export class SharedSync {
	#last: { readonly sync: Promise<void>; readonly shared: Promise<void> } | undefined

	/**
	 * Returns the promise from `finish`. Callers that pass the same sync share this promise until
	 * {@link forget}.
	 */
	of(sync: Promise<void>, finish: (sync: Promise<void>) => Promise<void>): Promise<void> {
		if (this.#last?.sync !== sync) this.#last = { sync, shared: finish(sync) }
		return this.#last.shared
	}

	/**
	 * Forgets the shared promise. Without this call, later losses would not be reported if the appender always
	 * returns the same promise.
	 */
	forget(): void {
		this.#last = undefined
	}
}
