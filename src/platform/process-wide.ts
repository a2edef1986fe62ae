/**
 * State that exists once per process or worker thread, even where a process loads both builds of mesh-chain, the ES modules and the CommonJS one.
 *
 * Invariant: what is kept here uses no `#private` members across builds, because each build has its own classes.
 */

const KEY = Symbol.for('mesh-chain.process-wide.1')

/** Returns what the first caller with this name created. */
export function processWide<T>(name: string, create: () => T): T {
	const holder = globalThis as { [KEY]?: Map<string, unknown> }
	holder[KEY] ??= new Map()
	if (!holder[KEY].has(name)) holder[KEY].set(name, create())
	return holder[KEY].get(name) as T
}
