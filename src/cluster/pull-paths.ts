/**
 * Names the files for the chains of a stream: `<node>.chain` for the first chain of a node, and
 * `<node>-<first 8 digits of the chain id>.chain` for each additional chain of the node. A chain that already
 * has a file keeps it, even if the stream or the node name changes later.
 *
 * Invariant: a folder contains at most one file for each chain.
 */
import { join } from 'node:path'
import { identifyAt } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { exists, type FileSystem, systemCode } from '../platform/file-system.ts'

const NAME_BYTES_MAX = 180

/**
 * Returns a portable file name for a node. Every byte other than an ASCII letter, a digit, `-`, `_` or a dot
 * after the first character becomes `%XX`.
 */
export function fileNameOf(node: string): string {
	const safe = Array.from(Buffer.from(node), (byte, index) => {
		const character = String.fromCharCode(byte)
		const isSafe = /[\w-]/.test(character) || (character === '.' && index > 0)
		return isSafe ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
	}).join('')
	return safe === '' ? '%' : safe.slice(0, NAME_BYTES_MAX)
}

/** A chain that needs a file. */
export interface NamedChain {
	readonly chainId: string
	/** Nodes of the chain's subjects; the node of the oldest subject is first. */
	readonly nodes: readonly string[]
}

/**
 * Chooses a file for each chain.
 *
 * @param wanted Chains, in the order in which their files are named.
 * @param idsInStream Ids of all chains in the stream.
 * @returns For each chain, a path or an error: `CHAIN_MISMATCH` if another chain already uses the file name,
 * or the error from reading an existing file.
 */
export function pathsOf(
	system: FileSystem,
	folder: string,
	wanted: readonly NamedChain[],
	idsInStream: ReadonlySet<string>,
): (string | MeshChainError)[] {
	/** Chain ids of the files that this call assigns, by path. */
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

/**
 * Returns the paths of the files that were pulled into a folder, by chain id. A file with a watermark has its
 * own writer, so it was not pulled.
 */
function pulledChains(system: FileSystem, folder: string): ReadonlyMap<string, string> {
	const paths = new Map<string, string>()
	for (const name of system.readdirSync(folder).toSorted()) {
		const path = join(folder, name)
		if (!name.endsWith('.chain') || exists(system, `${path}.durable`)) continue
		try {
			const id = chainIdAt(system, path)
			if (id !== undefined && !paths.has(id)) paths.set(id, path)
		} catch {
			// A file without a readable chain id was not pulled.
		}
	}
	return paths
}

function foreign(path: string, chainId: string, node: string): MeshChainError {
	const text =
		`${show(path)} belongs to the chain ${chainId}, not to the chain ` +
		`of node ${show(node)}: the file is left unchanged. Pull into another folder, or move the file away`
	return new MeshChainError('CHAIN_MISMATCH', text, { path })
}

/** Returns the chain id of a file; undefined if the file does not exist. */
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
