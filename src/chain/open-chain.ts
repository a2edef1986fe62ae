/**
 * The way into a chain for readers: opens the file, says whose it is, refuses what is no chain.
 */
import { resolve } from 'node:path'
import { MeshChainError, messageOf } from '../errors.ts'
import { checkOptionNames } from '../options.ts'
import { show } from '../record.ts'
import type { Chain } from './chain.ts'
import { type FileSystem, nodeFileSystem, O_NONBLOCK, O_RDONLY, systemCode } from './file-system.ts'
import { ANCHOR_BYTES } from './format/anchor.ts'
import { HEADER_BYTES } from './format/header.ts'
import { FileChain } from './reader.ts'
import { type ChainIdentity, identify } from './recovery.ts'
import { type OpenFile, readPiece } from './walk.ts'

/**
 * Opens a chain for reading, also while a writer has it open.
 *
 * @throws {MeshChainError} `INVALID_PATH`, `CHAIN_NOT_FOUND`, `CHAIN_EMPTY`, `CHAIN_UNREADABLE`, `NOT_A_CHAIN`,
 * `HEADER_DAMAGED`, `NEWER_VERSION`.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 *
 * await using chain = await openChain('node.chain')
 * for await (const record of chain.records({ level: 'error' })) console.log(record.message)
 * ```
 */
export async function openChain(path: string, options: { fs?: FileSystem } = {}): Promise<Chain> {
	checkOptionNames(options, ['fs'])
	const { file, identity } = await openForReading(path, options.fs ?? nodeFileSystem)
	return new FileChain(file, identity)
}

/** The open file behind a chain and whose it is; the caller closes it. */
export async function openForReading(
	path: string,
	system: FileSystem,
): Promise<{ file: OpenFile; identity: ChainIdentity }> {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw new MeshChainError(
			'INVALID_PATH',
			`the path of a chain must be a non-empty text, not ${show(path)}`,
		)
	}
	const fd = await openFile(path, system)
	try {
		const stat = await system.fstat(fd)
		if (!stat.isFile())
			throw unreadable(path, stat.isDirectory() ? 'it is a directory' : 'it is no regular file')
		const first = await readPiece({ system, fd }, HEADER_BYTES + ANCHOR_BYTES, 0)
		const identity = identify(first, path)
		const { id: chainId, idChecksum } = identity
		return { file: { system, fd, path: resolve(path), chainId, idChecksum }, identity }
	} catch (error) {
		await system.close(fd)
		throw error instanceof MeshChainError ? error : unreadable(path, messageOf(error), error)
	}
}

async function openFile(path: string, system: FileSystem): Promise<number> {
	try {
		// Without O_NONBLOCK, opening a named pipe would wait for somebody to write into it.
		return await system.open(path, O_RDONLY | O_NONBLOCK)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') {
			throw new MeshChainError('CHAIN_NOT_FOUND', `there is no file ${show(path)}`, { path, cause: error })
		}
		const reason =
			systemCode(error) === 'EACCES' ? 'permission denied: this user may not read it' : messageOf(error)
		throw unreadable(path, reason, error)
	}
}

function unreadable(path: string, reason: string, cause?: unknown): MeshChainError {
	return new MeshChainError('CHAIN_UNREADABLE', `cannot read ${show(path)}: ${reason}`, { path, cause })
}
