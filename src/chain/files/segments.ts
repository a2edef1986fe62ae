/**
 * The files of a chain: `node.chain`, the live one, and beside it those that were sealed before it, as
 * `node-<first seq>.chain`. Which of the files with such names belong to a chain, and in which order, their
 * headers say.
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

/** The first bytes of a file that say what it is. */
const IDENTITY_BYTES = HEADER_BYTES + ANCHOR_BYTES
/** How far an anchor is looked for where these are damaged: anchors are closer than this. */
const IDENTITY_SEARCH_BYTES = 1024 * 1024

/** Which file of which chain an open file is. @throws {MeshChainError} what `identify` throws. */
export function identifyFile({ system, fd }: OpenFile, path: string): ChainIdentity {
	const first = readFully(system, fd, IDENTITY_BYTES, 0)
	const identity = identify(first, path, () => readFully(system, fd, IDENTITY_SEARCH_BYTES, 0))
	// Where the first anchor is lost with the header, a later one does not say with which seq the file began;
	// the file name may.
	const named = firstSeqIn(path)
	return identity.headerDamaged && named < identity.firstSeq ? { ...identity, firstSeq: named } : identity
}

/** The same for the file of a name. @throws what the file system throws, too. */
export function identifyAt(system: FileSystem, path: string): ChainIdentity {
	return withFile(system, path, O_RDONLY, (file) => identifyFile(file, path))
}

/** A sealed file of a chain. */
export interface Segment {
	readonly path: string
	readonly identity: ChainIdentity
	readonly bytes: number
}

/**
 * Where a file of a chain is kept once it is sealed. `copy` tells files apart that begin with the same seq.
 */
export function segmentPathOf(chainPath: string, firstSeq: number, copy = 0): string {
	const extension = extname(chainPath)
	const stem = basename(chainPath, extension)
	return join(dirname(chainPath), `${stem}-${firstSeq}${copy === 0 ? '' : `.${copy}`}${extension}`)
}

/** The paths beside a chain whose names are those of sealed files. */
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
 * The sealed files of a chain, oldest first. Files of other chains, or of none, are left out. Of two files
 * with the same segment number the one with the shorter name counts, or the first in order. Without an id,
 * the chain is the one that the watermark names, or the newest.
 *
 * @throws what the file system throws where a file of that name cannot be read.
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
 * A file whose name says with which seq it begins, as that of a sealed file does; any other file is a chain
 * of its own.
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
 * The newest of several chains. A file with a watermark or a lock of its own is not a part of another chain.
 */
function newestWithin(segments: readonly Segment[], names: readonly string[]): Uint8Array | undefined {
	const isOwn = ({ path }: Segment) =>
		['.durable', '.lock'].some((sidecar) => names.includes(`${basename(path)}${sidecar}`))
	const createdMs = ({ identity }: Segment) => identity.createdMs ?? 0
	const ours = segments.filter((segment) => !isOwn(segment)).sort((a, b) => createdMs(a) - createdMs(b))
	return ours.at(-1)?.identity.id
}

/**
 * The path of the chain that a sealed file is of, by its name and the file there; undefined for a chain of
 * its own.
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
 * Whether a sealed file ends as `repairChain` leaves it: then all of it counts, whatever the next file says.
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

/** Retention may remove a file after it was listed. A link, a folder or a socket is not a segment. */
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
