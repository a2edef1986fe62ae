/** Scans a stretch of a file synchronously, for writers and repairs. Readers use the asynchronous walk.ts. */
import { createHash } from 'node:crypto'
import { type OpenFile, readFully } from '../../platform/file-system.ts'
import { ANCHOR_BYTES, type Anchor } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainIdentity, headerLink } from './identity.ts'
import { PIECE_BYTES } from './pieces.ts'
import { type ScanEntry, Scanner } from './scan.ts'

/** The bytes `[from, to)` of a file. */
export interface ByteRange {
	readonly from: number
	readonly to: number
}

/** Calls `take` for each entry and each unreadable range in a stretch of a file, in order. */
export function scanRange(
	file: OpenFile,
	idChecksum: number,
	{ from, to }: ByteRange,
	take: (entry: ScanEntry) => void,
): void {
	const scanner = new Scanner(idChecksum, from)
	let position = from
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type !== 'more') {
			take(step)
			continue
		}
		const wanted = Math.min(Math.max(step.bytes, PIECE_BYTES), to - position)
		const piece = readFully(file.system, file.fd, wanted, position)
		position += piece.length
		if (piece.length === 0) scanner.end()
		else scanner.push(piece)
	}
}

/**
 * Returns the offset of the first unreadable range in a stretch of a file, or undefined if the entire stretch
 * is readable.
 */
export function firstUnreadable(file: OpenFile, idChecksum: number, range: ByteRange): number | undefined {
	let first: number | undefined
	scanRange(file, idChecksum, range, (entry) => {
		if (entry.type === 'bad') first ??= entry.place.offset
	})
	return first
}

/**
 * Returns the link of a file up to `to`. This is the link of the newest anchor if that anchor ends at `to`.
 * Otherwise, it is the SHA-256 of that link and the bytes between the anchor and `to`.
 */
export function linkUpTo(
	file: OpenFile,
	to: number,
	identity: ChainIdentity,
	anchor: Anchor | undefined,
): Uint8Array {
	const link = anchor?.link ?? headerLink(identity)
	let position = anchor === undefined ? HEADER_BYTES : anchor.offset + ANCHOR_BYTES
	if (position === to) return link
	const hash = createHash('sha256').update(link)
	while (position < to) {
		const piece = readFully(file.system, file.fd, Math.min(PIECE_BYTES, to - position), position)
		if (piece.length === 0) break
		hash.update(piece)
		position += piece.length
	}
	return hash.digest()
}
