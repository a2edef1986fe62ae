/** Helpers for tests of chains: new paths, turns of the event loop, lists of seqs. */
import { join } from 'node:path'
import { temporaryFolder } from './temporary.ts'

/** Returns a path in a folder of its own, for a new chain. */
export function newChainPath(name = 'node.chain'): string {
	return join(temporaryFolder(), name)
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve))
}

/** Returns the whole numbers from `first` to `last`, both inclusive. */
export function range(first: number, last: number): number[] {
	return Array.from({ length: Math.max(0, last - first + 1) }, (_unused, index) => first + index)
}
