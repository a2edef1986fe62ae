/**
 * The files that the chains of a stream go to: `<node>.chain`, and `<node>-<first 8 of its id>.chain` for every further chain of that node. A chain that has a file
 * keeps it, whatever else is in the stream by then, and whatever its node is called by then.
 *
 * Invariant: a folder has one file of a chain.
 */
import { join } from 'node:path'
import { identifyAt } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { exists, type FileSystem, systemCode } from '../platform/file-system.ts'

const NAME_BYTES_MAX = 180

/** A node as a file may be called everywhere: everything but letters, digits, `-`, `_` and dots within is `%XX`. */
export function fileNameOf(node: string): string {
	const safe = Array.from(Buffer.from(node), (byte, index) => {
		const character = String.fromCharCode(byte)
		const isSafe = /[\w-]/.test(character) || (character === '.' && index > 0)
		return isSafe ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
	}).join('')
	return safe === '' ? '%' : safe.slice(0, NAME_BYTES_MAX)
}

/** A chain that a file is wanted for. */
export interface NamedChain {
	readonly chainId: string
	/** The name of the oldest of its subjects comes first. */
	readonly nodes: readonly string[]
}

/**
 * @param wanted in the order in which they get names.
 * @param idsInStream of all chains that are in the stream.
 * @returns for each a path, or why it has none: `CHAIN_MISMATCH` where its file is one of a chain that the stream does not
 * have; what a file throws that is no chain.
 */
export function pathsOf(
	system: FileSystem,
	folder: string,
	wanted: readonly NamedChain[],
	idsInStream: ReadonlySet<string>,
): (string | MeshChainError)[] {
	/** Of those that get their file only now. */
	const given = new Map<string, string>()
	const idAt = (path: string) => given.get(path.toLowerCase()) ?? chainIdAt(system, path)
	const pulled = pulledChains(system, folder)
	const pathOf = ({ nodes, chainId }: NamedChain): string => {
		for (const node of nodes)
			for (const path of possiblePaths(folder, node, chainId)) if (isAt(path, chainId)) return path
		const [node] = nodes as [string]
		const [plain, further] = possiblePaths(folder, node, chainId)
		const kept = pulled.get(chainId)
		if (kept !== undefined) return kept
		const at = { plain: idAt(plain), further: idAt(further) }
		if (at.plain === undefined && at.further === undefined) return plain
		if (at.plain !== undefined && !idsInStream.has(at.plain)) throw foreign(plain, at.plain, node)
		if (at.further !== undefined) throw foreign(further, at.further, node)
		return further
	}
	const isAt = (path: string, chainId: string) => idAt(path) === chainId
	return wanted.map((chain) => {
		try {
			const path = pathOf(chain)
			given.set(path.toLowerCase(), chain.chainId)
			return path
		} catch (error) {
			if (error instanceof MeshChainError) return error
			throw error
		}
	})
}

function possiblePaths(folder: string, node: string, chainId: string): [plain: string, further: string] {
	const name = fileNameOf(node)
	return [join(folder, `${name}.chain`), join(folder, `${name}-${chainId.slice(0, 8)}.chain`)]
}

/** The files that were pulled into a folder, by the id of their chain. A file that has a writer of its own is not one of them. */
function pulledChains(system: FileSystem, folder: string): ReadonlyMap<string, string> {
	const paths = new Map<string, string>()
	for (const name of system.readdirSync(folder).toSorted()) {
		const path = join(folder, name)
		if (!name.endsWith('.chain') || exists(system, `${path}.durable`)) continue
		try {
			const id = chainIdAt(system, path)
			if (id !== undefined && !paths.has(id)) paths.set(id, path)
		} catch {
			// It is no chain: nothing to do with the stream.
		}
	}
	return paths
}

function foreign(path: string, chainId: string, node: string): MeshChainError {
	const text = `${show(path)} is of the chain ${chainId}, which the stream does not have, and not of the one of node ${show(node)}: it is left as it is; pull into another folder, or move it away`
	return new MeshChainError('CHAIN_MISMATCH', text, { path })
}

/** Undefined where there is no file. */
function chainIdAt(system: FileSystem, path: string): string | undefined {
	try {
		return identifyAt(system, path).idHex
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		if (error instanceof MeshChainError) throw error
		throw new MeshChainError('CHAIN_UNREADABLE', `cannot read ${show(path)}: ${String(error)}`, {
			path,
			cause: error,
		})
	}
}
