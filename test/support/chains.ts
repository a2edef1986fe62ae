/** What many tests of chains do: name a file, let a turn of the event loop pass, list seqs. */
import { join } from 'node:path'
import { temporaryFolder } from './temporary.ts'

/** A path in a folder of its own, for a chain that does not exist yet. */
export function newChainPath(name = 'node.chain'): string {
	return join(temporaryFolder(), name)
}

/** Resolves in the next turn of the event loop. */
export function nextTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve))
}

/** The whole numbers from `first` to `last`, both inclusive. */
export function range(first: number, last: number): number[] {
	return Array.from({ length: Math.max(0, last - first + 1) }, (_unused, index) => first + index)
}
