/**
 * State that exists once per process or worker thread, even if a process loads both builds of mesh-chain (ES
 * modules and CommonJS).
 *
 * Invariant: shared state is never used through `#private` members of another build, because each build has
 * its own classes.
 */

const KEY = Symbol.for('mesh-chain.process-wide.1')

/** Returns the value that the first caller with this name created. */
export function processWide<T>(name: string, create: () => T): T {
	const holder = globalThis as { [KEY]?: Map<string, unknown> }
	holder[KEY] ??= new Map()
	if (!holder[KEY].has(name)) holder[KEY].set(name, create())
	return holder[KEY].get(name) as T
}
