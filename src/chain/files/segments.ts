/**
 * The files of a chain: `node.chain`, the live one, and beside it those that were sealed before it, as `node-<first seq>.chain`.
 * Which of the files with such names belong to a chain, and in which order, their headers say.
 */
import { basename, dirname, extname, join } from 'node:path'
import { MeshChainError } from '../../errors.ts'
import {
	closeQuietly,
	type FileSystem,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	readFully,
	systemCode,
} from '../file-system.ts'
import { ANCHOR_BYTES, decodeAnchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainIdentity, identify } from '../scan/identity.ts'

/** The first bytes of a file that say what it is. */
export const IDENTITY_BYTES = HEADER_BYTES + ANCHOR_BYTES
/** Where these are damaged: anchors stand more often than this. */
export const IDENTITY_SEARCH_BYTES = 1024 * 1024

/** @throws {MeshChainError} what `identify` throws. */
export function identifyFile(system: FileSystem, fd: number, path: string): ChainIdentity {
	const first = readFully(system, fd, IDENTITY_BYTES, 0)
	return identify(first, path, () => readFully(system, fd, IDENTITY_SEARCH_BYTES, 0))
}

/** A sealed file of a chain. */
export interface Segment {
	readonly path: string
	readonly identity: ChainIdentity
	readonly bytes: number
}

/** Where a file of a chain is kept once it is sealed. `copy` tells files apart that begin with the same seq. */
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
	return names.filter(isSegmentName).map((name) => join(dirname(chainPath), name))
}

/**
 * The sealed files of a chain, oldest first. Files that cannot be read, or are no chain or another one, are passed over; of two
 * with the same place in the chain, the one whose header verifies counts.
 */
export function listSegments(
	system: FileSystem,
	chainPath: string,
	chainId: Uint8Array | undefined,
): Segment[] {
	const found: Segment[] = []
	for (const path of candidatePaths(chainPath, system.readdirSync(dirname(chainPath)))) {
		const segment = readSegment(system, path)
		if (segment !== undefined) found.push(segment)
	}
	const id = chainId ?? newest(found)?.identity.id
	return sortSegments(found.filter(({ identity }) => id !== undefined && sameId(identity.id, id)))
}

function readSegment(system: FileSystem, path: string): Segment | undefined {
	let fd: number | undefined
	try {
		fd = system.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
		const stat = system.fstatSync(fd)
		if (!stat.isFile()) return undefined
		return { path, identity: identifyFile(system, fd, path), bytes: stat.size }
	} catch (error) {
		if (error instanceof MeshChainError || isGone(error)) return undefined
		throw error
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}

/** Whether a sealed file ends as `repairChain` leaves one: then it counts to its end, whatever the next file says. */
export function endsRepaired(
	system: FileSystem,
	path: string,
	bytes: number,
	{ idChecksum }: ChainIdentity,
): boolean {
	const offset = bytes - ANCHOR_BYTES
	if (offset < HEADER_BYTES) return false
	let fd: number | undefined
	try {
		fd = system.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
		const last = decodeAnchor(readFully(system, fd, ANCHOR_BYTES, offset), 0, offset, idChecksum)
		return last?.reason === 'repaired'
	} catch (error) {
		if (isGone(error)) return false
		throw error
	} finally {
		if (fd !== undefined) closeQuietly(system, fd)
	}
}

/** Retention may remove a file between the listing and the look into it; a link is no segment. */
function isGone(error: unknown): boolean {
	return ['ENOENT', 'ELOOP', 'EACCES', 'EISDIR'].includes(systemCode(error) ?? '')
}

function newest(segments: readonly Segment[]): Segment | undefined {
	return segments.reduce<Segment | undefined>(
		(best, each) =>
			best === undefined || (each.identity.createdMs || 0) > (best.identity.createdMs || 0) ? each : best,
		undefined,
	)
}

function sortSegments(segments: Segment[]): Segment[] {
	segments.sort((a, b) => a.identity.segment - b.identity.segment || a.path.length - b.path.length)
	return segments.filter(({ identity }, index) => identity.segment !== segments[index - 1]?.identity.segment)
}

export function sameId(a: Uint8Array, b: Uint8Array): boolean {
	return Buffer.compare(a, b) === 0
}
