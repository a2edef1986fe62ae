/** Finds the chains in a folder. */
import { join } from 'node:path'
import { attempt } from '../../guard/values.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import { identifyAt, ownerOf } from './segments.ts'

/**
 * Returns the paths of the chains in a folder, sorted by name. A sealed file is part of its chain, and is not
 * listed. Files that are not chains, and files that cannot be read, are not listed either.
 *
 * @throws Any file system error from reading the folder.
 */
export function chainsIn(folder: string, system: FileSystem = nodeFileSystem): string[] {
	return system
		.readdirSync(folder)
		.sort()
		.map((name) => join(folder, name))
		.filter((path) => isChain(system, path) && chainOfSealedFile(path, system) === undefined)
}

/**
 * Returns the path of the chain that a sealed file belongs to. Returns undefined for every other file, and
 * for a file that cannot be read.
 */
export function chainOfSealedFile(path: string, system: FileSystem = nodeFileSystem): string | undefined {
	return attempt(() => ownerOf(system, path, identifyAt(system, path)), undefined)
}

function isChain(system: FileSystem, path: string): boolean {
	return attempt(() => {
		if (!system.statSync(path).isFile()) return false
		identifyAt(system, path)
		return true
	}, false)
}
