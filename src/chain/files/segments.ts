/**
 * Finds and identifies the files of a chain: the live file `node.chain`, and beside it the sealed files
 * `node-<first seq>.chain`. The headers, not the names, determine which files belong to a chain and in what
 * order.
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

/** Number of bytes at the beginning of a file that identify it. */
const IDENTITY_BYTES = HEADER_BYTES + ANCHOR_BYTES
/**
 * Number of bytes to search for an anchor if the identifying bytes are damaged. The distance between anchors
 * is always smaller.
 */
const IDENTITY_SEARCH_BYTES = 1024 * 1024

/**
 * Returns the identity of an open file: its chain, segment and first seq. @throws {MeshChainError} the codes
 * of `identify`.
 */
export function identifyFile({ system, fd }: OpenFile, path: string): ChainIdentity {
	const first = readFully(system, fd, IDENTITY_BYTES, 0)
	const identity = identify(first, path, () => readFully(system, fd, IDENTITY_SEARCH_BYTES, 0))
	// If the header and the first anchor are both unreadable, no other anchor contains the first seq of the
	// file, but the file name may contain it.
	const named = firstSeqIn(path)
	return identity.headerDamaged && named < identity.firstSeq ? { ...identity, firstSeq: named } : identity
}

/**
 * Returns the identity of the file at a path. @throws the errors of {@link identifyFile}, and any file system
 * error.
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

/** Returns the paths of files that are beside a chain and are named like its sealed files. */
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
 * names are equally short, the one that sorts first. If no id is given, lists the files of the chain that the
 * watermark names. If there is no watermark either, lists the files of the newest chain.
 *
 * @throws any file system error, if a file that is named like a sealed file cannot be read.
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
 * Reads a file that is named like a sealed file. Returns undefined unless its name contains its first seq,
 * because a file with any other name is a separate chain.
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
 * Returns the chain id of the newest file. A file with its own watermark or lock is not part of another
 * chain, and is ignored.
 */
function newestWithin(segments: readonly Segment[], names: readonly string[]): Uint8Array | undefined {
	const isOwn = ({ path }: Segment) =>
		['.durable', '.lock'].some((sidecar) => names.includes(`${basename(path)}${sidecar}`))
	const createdMs = ({ identity }: Segment) => identity.createdMs ?? 0
	const ours = segments.filter((segment) => !isOwn(segment)).sort((a, b) => createdMs(a) - createdMs(b))
	return ours.at(-1)?.identity.id
}

/**
 * Returns the path of the chain to which a sealed file belongs. The path is derived from the file's name and
 * checked against the file at that path. Returns undefined for a separate chain.
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
 * Returns whether a sealed file ends in an anchor that `repairChain` wrote. If so, the complete file belongs
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
 * Returns whether an error means that a listed file is no longer a segment. Retention may have removed the
 * file, or its name may refer to a link, a folder or a socket.
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
