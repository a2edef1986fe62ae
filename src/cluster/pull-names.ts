/**
 * The files that the chains of a stream go to: `<node>.chain`, and `<node>-<first 8 of its id>.chain` for every further chain of that node. A chain that has a file
 * keeps it, whatever else is in the stream by then.
 */
import { join } from 'node:path'
import { identifyFile } from '../chain/files/segments.ts'
import { MeshChainError } from '../errors.ts'
import {
	closeQuietly,
	type FileSystem,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	systemCode,
} from '../file-system.ts'
import { show } from '../record.ts'
import type { ChainSubject } from './subjects.ts'

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

/**
 * @param wanted in the order in which they get names.
 * @param all that are in the stream.
 * @returns a path for each, in their order.
 * @throws {MeshChainError} `CHAIN_MISMATCH` where the file of a chain is one of a chain that the stream does not have; what a file throws that is no chain.
 */
export function placesOf(
	system: FileSystem,
	folder: string,
	wanted: readonly ChainSubject[],
	all: readonly ChainSubject[],
): string[] {
	/** Of those that get their file only now. */
	const given = new Map<string, string>()
	const idAt = (path: string) => given.get(path.toLowerCase()) ?? chainIdAt(system, path)
	const isInStream = (id: string) => all.some(({ chainId }) => chainId === id)
	return wanted.map(({ node, chainId }) => {
		const name = fileNameOf(node)
		const [plain, further] = [`${name}.chain`, `${name}-${chainId.slice(0, 8)}.chain`].map((file) =>
			join(folder, file),
		) as [string, string]
		const at = { plain: idAt(plain), further: idAt(further) }
		const isPlain = at.plain === chainId || (at.plain === undefined && at.further === undefined)
		const path = isPlain ? plain : further
		if (!isPlain && at.further !== chainId && at.plain !== undefined && !isInStream(at.plain))
			throw foreign(plain, at.plain, node)
		if (!isPlain && at.further !== undefined && at.further !== chainId)
			throw foreign(further, at.further, node)
		given.set(path.toLowerCase(), chainId)
		return path
	})
}

function foreign(path: string, chainId: string, node: string): MeshChainError {
	const text = `${show(path)} is of the chain ${chainId}, which the stream does not have, and not of the one of node ${show(node)}: it is left as it is; pull into another folder, or move it away`
	return new MeshChainError('CHAIN_MISMATCH', text, { path })
}

/** Undefined where there is no file. */
function chainIdAt(system: FileSystem, path: string): string | undefined {
	let fd: number | undefined
	try {
		fd = system.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
		return identifyFile(system, fd, path).idHex
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		if (error instanceof MeshChainError) throw error
		throw new MeshChainError('CHAIN_UNREADABLE', `cannot read ${show(path)}: ${String(error)}`, {
			path,
			cause: error,
		})
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}
