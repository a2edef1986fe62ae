/**
 * Opens a chain for writing, or creates it. resume-chain.ts handles an existing file, and begin-chain.ts
 * handles a chain without files. The caller holds the lock. A failed opening leaves all records of the chain
 * unchanged. At most, it has moved unreadable bytes, or a file that is no longer a chain, to another path.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { removeTemporaries } from '../../platform/atomic-file.ts'
import {
	closeQuietly,
	O_RDWR,
	type OpenFile,
	openOurs,
	systemCode,
	withFile,
} from '../../platform/file-system.ts'
import { keepAside, moveAside } from '../files/keep-aside.ts'
import { openError } from '../files/open-error.ts'
import { identifyFile, listSegments, ownerOf } from '../files/segments.ts'
import { continueAfterWatermark, createChain, lostWatermark, refuseLost } from './begin-chain.ts'
import type { OpenedChain, OpeningOptions } from './opened-chain.ts'
import { ChainResumption } from './resume-chain.ts'

/**
 * Opens a chain, or creates it if it does not exist.
 *
 * @throws {MeshChainError} `NOT_A_CHAIN`, `HEADER_DAMAGED`, `NEWER_VERSION`, `CHAIN_UNWRITABLE`,
 * `CHAIN_DAMAGED`, `CHAIN_SEALED`, `CHAIN_EXHAUSTED`.
 */
export function openForWriting(options: OpeningOptions): OpenedChain {
	const { system, path } = options
	removeTemporaries(system, path)
	const file = openLiveFile(options)
	if (file === undefined) return openWithoutLiveFile(options)
	try {
		refuseSealed(options, file)
		const opened = new ChainResumption(options, file).inLiveFile()
		if (opened.file.handle.fd !== file.fd) closeQuietly(system, file.fd)
		return opened
	} catch (error) {
		closeQuietly(system, file.fd)
		throw openError(path, error)
	}
}

/**
 * Opens the live file. Returns undefined if there is none, or if the file had to be removed or renamed. A
 * file that is empty or contains only part of a header is removed, after its bytes are saved to another file.
 * A file that is no longer a chain, although the watermark beside it shows that it was one, is renamed.
 */
function openLiveFile(options: OpeningOptions): OpenFile | undefined {
	const { system, path, onDamage } = options
	let fd: number
	try {
		fd = openOurs(system, path, O_RDWR)
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return undefined
		throw openError(path, error)
	}
	const file = { system, fd }
	try {
		const stat = system.fstatSync(fd)
		if (!stat.isFile()) throw openError(path, new Error('not a regular file'))
		const state = stateOf(options, file)
		if (state === 'whole') return file
		if (onDamage === 'refuse') refuseLost(options)
		if (state === 'destroyed') moveAside(system, path)
		else {
			if (stat.size > 0) keepAside(path, file, 0, stat.size)
			system.unlinkSync(path)
		}
	} catch (error) {
		closeQuietly(system, fd)
		throw openError(path, error)
	}
	closeQuietly(system, fd)
	return undefined
}

/**
 * Classifies the live file.
 *
 * @throws {MeshChainError} The same errors as `identify`, unless the file is unfinished or destroyed.
 */
function stateOf(options: OpeningOptions, file: OpenFile): 'whole' | 'unfinished' | 'destroyed' {
	try {
		identifyFile(file, options.path)
		return 'whole'
	} catch (error) {
		if (!(error instanceof MeshChainError)) throw error
		if (error.code === 'CHAIN_EMPTY') return 'unfinished'
		const isDestroyed = error.code === 'NOT_A_CHAIN' || error.code === 'HEADER_DAMAGED'
		if (isDestroyed && lostWatermark(options) !== undefined) return 'destroyed'
		throw error
	}
}

/**
 * Continues the chain after its sealed files or, without sealed files, after its watermark. Creates a chain
 * if there is neither.
 */
function openWithoutLiveFile(options: OpeningOptions): OpenedChain {
	const { system, path } = options
	try {
		const last = listSegments(system, path, undefined).at(-1)
		if (last !== undefined) {
			return withFile(system, last.path, O_RDWR, (file) =>
				new ChainResumption(options, file).afterSealedFile(),
			)
		}
		const watermark = lostWatermark(options)
		return watermark === undefined ? createChain(options) : continueAfterWatermark(options, watermark)
	} catch (error) {
		throw openError(path, error)
	}
}

/**
 * Refuses to open a sealed file of a chain, because records written to it would not be part of the chain.
 *
 * @throws {MeshChainError} `CHAIN_SEALED`
 */
function refuseSealed({ system, path }: OpeningOptions, file: OpenFile): void {
	const owner = ownerOf(system, path, identifyFile(file, path))
	if (owner === undefined) return
	const text = `${show(path)} is a sealed file of the chain ${show(owner)}: open that chain instead`
	throw new MeshChainError('CHAIN_SEALED', text, { path })
}
