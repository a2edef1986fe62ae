/**
 * State that exists once per process or worker thread, even if the process loads both builds of mesh-chain
 * (ES modules and CommonJS).
 *
 * Invariant: shared state is never accessed through `#private` members, because each build has its own
 * classes.
 */

const KEY = Symbol.for('mesh-chain.process-wide.1')

/** Returns the value that is stored under this name. The first call creates the value. */
export function processWide<T>(name: string, create: () => T): T {
	const holder = globalThis as { [KEY]?: Map<string, unknown> }
	holder[KEY] ??= new Map()
	if (!holder[KEY].has(name)) holder[KEY].set(name, create())
	return holder[KEY].get(name) as T
}
