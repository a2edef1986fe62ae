/** Defines `openChain`, which opens a chain for reading. */
import { checkFileSystem, checkOptionNames } from '../../model/check.ts'
import type { EventMap } from '../../model/events.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import type { Chain } from '../chain.ts'
import { openForReading } from './open-file.ts'
import type { FileChain } from './reader.ts'

/**
 * Opens a chain for reading, even while a writer has it open. `E` is the event map of the loop that wrote the
 * chain.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `CHAIN_NOT_FOUND`, `CHAIN_EMPTY`,
 * `CHAIN_UNREADABLE`, `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 *
 * await using chain = await openChain('node.chain')
 * for await (const record of chain.records({ level: 'error' })) console.log(record.message)
 * ```
 */
export async function openChain<E extends object = EventMap>(
	path: string,
	options: { readonly fs?: FileSystem | undefined } = {},
): Promise<Chain<E>> {
	checkOptionNames(options, ['fs'])
	const { fs = nodeFileSystem } = options
	const chain: Chain = await openFileChain(path, checkFileSystem('fs', fs))
	return chain as Chain<E>
}

/** Opens a chain, for code that also needs its frames. Throws the same errors as {@link openChain}. */
export async function openFileChain(path: string, fs: FileSystem): Promise<FileChain> {
	// Loaded when it is used, because most services only write.
	const { FileChain } = await import('./reader.ts')
	return new FileChain(await openForReading(path, fs))
}
