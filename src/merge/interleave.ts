/**
 * Interleaves items from several sources in order of arrival. Each source waits until its current item is
 * consumed.
 */

interface Waiting<T> {
	readonly item: T
	readonly taken: () => void
}

/**
 * Yields items from all sources. If a source fails, the iteration yields the items that are already waiting,
 * and then throws the first error.
 *
 * @param stop Called at the end. It must end all sources that are still running, because the iteration awaits
 * them.
 */
export async function* interleave<T>(
	sources: readonly AsyncIterable<T>[],
	stop: () => void,
): AsyncGenerator<T> {
	const waiting: Waiting<T>[] = []
	let running = sources.length
	let failure: { readonly thrown: unknown } | undefined
	let isOver = false
	let wake = () => {}
	const pump = async (source: AsyncIterable<T>) => {
		try {
			for await (const item of source) {
				if (isOver) return
				await new Promise<void>((taken) => {
					waiting.push({ item, taken })
					wake()
				})
			}
		} catch (thrown) {
			failure ??= { thrown }
			// Otherwise, items from other sources could delay the failure indefinitely.
			isOver = true
		} finally {
			running--
			wake()
		}
	}
	const pumps = sources.map(pump)
	try {
		for (;;) {
			const next = waiting.shift()
			if (next !== undefined) {
				try {
					yield next.item
				} finally {
					next.taken()
				}
			} else if (failure !== undefined) throw failure.thrown
			else if (running === 0) return
			else await new Promise<void>((resolve) => (wake = resolve))
		}
	} finally {
		isOver = true
		for (const { taken } of waiting.splice(0)) taken()
		stop()
		await Promise.allSettled(pumps)
	}
}
