/**
 * Finds and identifies the files of a chain: the live file `node.chain`, and beside it the sealed files
 * `node-<first seq>.chain`. File names only select candidates. The headers determine which of them belong to
 * a chain, and in what order.
 */
import { basename, dirname, extname, join } from 'node:path'
import { MeshChainError } from '../../model/errors.ts'
import {
	type FileSystem,
	NOT_THERE,
	O_RDONLY,
	type OpenFile,
	readFully,
	systemCode,
	withFile,
} from '../../platform/file-system.ts'
import { ANCHOR_BYTES, decodeAnchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainIdentity, identify } from '../scan/identity.ts'
import { readWatermark } from './watermark-file.ts'

/** Number of bytes to read from the start of a file to identify it. */
const IDENTITY_BYTES = HEADER_BYTES + ANCHOR_BYTES
/**
 * Number of bytes to search for an anchor if the identifying bytes are damaged. Anchors are closer together
 * than this, except around very large frames.
 */
const IDENTITY_SEARCH_BYTES = 1024 * 1024

/**
 * Returns the identity of an open file: its chain, segment and first seq.
 *
 * @throws {MeshChainError} The same errors as {@link identify}.
 */
export function identifyFile({ system, fd }: OpenFile, path: string): ChainIdentity {
	const first = readFully(system, fd, IDENTITY_BYTES, 0)
	const identity = identify(first, path, () => readFully(system, fd, IDENTITY_SEARCH_BYTES, 0))
	// If neither the header nor the first anchor can be read, only the file name can contain the first seq.
	const named = firstSeqIn(path)
	return identity.headerDamaged && named < identity.firstSeq ? { ...identity, firstSeq: named } : identity
}

/**
 * Returns the identity of the file at a path.
 *
 * @throws The same errors as {@link identifyFile}, or any file system error.
 */
export function identifyAt(system: FileSystem, path: string): ChainIdentity {
	return withFile(system, path, O_RDONLY, (file) => identifyFile(file, path))
}

/** A sealed file of a chain. */
export interface Segment {
	readonly path: string
	readonly identity: ChainIdentity
	readonly bytes: number
}

/** Returns the path of a sealed file. `copy` distinguishes files that begin with the same seq. */
export function segmentPathOf(chainPath: string, firstSeq: number, copy = 0): string {
	const extension = extname(chainPath)
	const stem = basename(chainPath, extension)
	return join(dirname(chainPath), `${stem}-${firstSeq}${copy === 0 ? '' : `.${copy}`}${extension}`)
}

/** Returns the paths of all files beside a chain that are named like its sealed files. */
function candidatePaths(chainPath: string, names: readonly string[]): string[] {
	const extension = extname(chainPath)
	const stem = basename(chainPath, extension)
	const isSegmentName = (name: string) =>
		name.startsWith(`${stem}-`) &&
		name.endsWith(extension) &&
		/^\d+(\.\d+)?$/.test(name.slice(stem.length + 1, name.length - extension.length))
	return names
		.filter(isSegmentName)
		.sort()
		.map((name) => join(dirname(chainPath), name))
}

/**
 * Lists the sealed files of a chain, oldest first. Skips files of other chains and files that are not chains.
 * If several files have the same segment number, lists only the file with the shortest name or, if several
 * names are equally short, the one that sorts first. Without an id, lists the files of the chain that the
 * watermark names or, without a watermark, the files of the newest chain.
 *
 * @throws Any file system error from reading the directory or a file that is named like a sealed file. Files
 * that no longer exist are skipped.
 */
export function listSegments(
	system: FileSystem,
	chainPath: string,
	chainId: Uint8Array | undefined,
): Segment[] {
	const names = system.readdirSync(dirname(chainPath))
	const found: Segment[] = []
	for (const path of candidatePaths(chainPath, names)) {
		const segment = readSegment(system, path)
		if (segment !== undefined) found.push(segment)
	}
	const id = chainId ?? readWatermark(system, chainPath, undefined)?.chainId ?? newestWithin(found, names)
	return sortSegments(found.filter(({ identity }) => id !== undefined && sameId(identity.id, id)))
}

/**
 * Identifies a file that is named like a sealed file. Returns undefined if the file is not a chain, or if the
 * seq in its name is not its first seq. In the latter case, it is a separate chain.
 */
function readSegment(system: FileSystem, path: string): Segment | undefined {
	try {
		return withFile(system, path, O_RDONLY, (file) => {
			const stat = system.fstatSync(file.fd)
			if (!stat.isFile()) return undefined
			const identity = identifyFile(file, path)
			return identity.firstSeq === firstSeqIn(path) ? { path, identity, bytes: stat.size } : undefined
		})
	} catch (error) {
		if (error instanceof MeshChainError || isGone(error)) return undefined
		throw error
	}
}

function firstSeqIn(path: string): number {
	return Number(/-(\d+)(?:\.\d+)?$/.exec(basename(path, extname(path)))?.[1])
}

/**
 * Returns the chain id of the newest file. Ignores files with their own watermark or lock, because they are
 * separate chains.
 */
function newestWithin(segments: readonly Segment[], names: readonly string[]): Uint8Array | undefined {
	const isOwn = ({ path }: Segment) =>
		['.durable', '.lock'].some((sidecar) => names.includes(`${basename(path)}${sidecar}`))
	const createdMs = ({ identity }: Segment) => identity.createdMs ?? 0
	const ours = segments.filter((segment) => !isOwn(segment)).sort((a, b) => createdMs(a) - createdMs(b))
	return ours.at(-1)?.identity.id
}

/**
 * Returns the path of the chain to which a sealed file belongs, as derived from the file's name. Returns
 * undefined unless the file at that path is a later file of the same chain.
 */
export function ownerOf(system: FileSystem, path: string, identity: ChainIdentity): string | undefined {
	if (firstSeqIn(path) !== identity.firstSeq) return undefined
	const owner = join(dirname(path), basename(path).replace(/-\d+(?:\.\d+)?(?=(?:\.[^.]*)?$)/, ''))
	try {
		const found = identifyAt(system, owner)
		return sameId(found.id, identity.id) && found.segment > identity.segment ? owner : undefined
	} catch {
		return undefined
	}
}

/**
 * Returns whether a sealed file ends with an anchor that `repairChain` wrote. If so, the entire file belongs
 * to the chain, regardless of the end offset that the next file records.
 */
export function endsRepaired(
	system: FileSystem,
	path: string,
	bytes: number,
	{ idChecksum }: ChainIdentity,
): boolean {
	const offset = bytes - ANCHOR_BYTES
	if (offset < HEADER_BYTES) return false
	try {
		const bytesThere = withFile(system, path, O_RDONLY, ({ fd }) =>
			readFully(system, fd, ANCHOR_BYTES, offset),
		)
		return decodeAnchor(bytesThere, 0, offset, idChecksum)?.reason === 'repaired'
	} catch (error) {
		if (isGone(error)) return false
		throw error
	}
}

/**
 * Returns whether an error means that a listed name does not refer to a segment. Retention may have removed
 * the file, or the name may refer to a link, a folder or a socket.
 */
function isGone(error: unknown): boolean {
	return NOT_THERE.includes(systemCode(error) ?? '')
}

function sortSegments(segments: Segment[]): Segment[] {
	segments.sort((a, b) => a.identity.segment - b.identity.segment || a.path.length - b.path.length)
	return segments.filter(({ identity }, index) => identity.segment !== segments[index - 1]?.identity.segment)
}

export function sameId(a: Uint8Array, b: Uint8Array): boolean {
	return Buffer.compare(a, b) === 0
}
