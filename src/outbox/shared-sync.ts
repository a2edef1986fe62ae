/** One promise for all callers of one sync of an appender: most of the cost of a sync is promises. */
export class SharedSync {
	#last: { readonly sync: Promise<void>; readonly shared: Promise<void> } | undefined

	/** What `finish` makes of a sync; callers with the same sync share it until {@link forget}. */
	of(sync: Promise<void>, finish: (sync: Promise<void>) => Promise<void>): Promise<void> {
		if (this.#last?.sync !== sync) this.#last = { sync, shared: finish(sync) }
		return this.#last.shared
	}

	/** An appender may return the same promise for ever; later losses must be reported all the same. */
	forget(): void {
		this.#last = undefined
	}
}
