/**
 * One promise for all callers of one sync of an appender, because promises are most of the cost of a sync.
 */
export class SharedSync {
	#last: { readonly sync: Promise<void>; readonly shared: Promise<void> } | undefined

	/** Returns the result of `finish`; callers with the same sync share it until {@link forget}. */
	of(sync: Promise<void>, finish: (sync: Promise<void>) => Promise<void>): Promise<void> {
		if (this.#last?.sync !== sync) this.#last = { sync, shared: finish(sync) }
		return this.#last.shared
	}

	/**
	 * Forgets the shared promise. An appender may return the same promise forever, and later losses must
	 * still be reported.
	 */
	forget(): void {
		this.#last = undefined
	}
}
