/**
 * Runs the scanner over a file without blocking the event loop. Yields the entries of each piece in groups,
 * and reads the next piece while a group is processed.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import type { OpenFile } from '../../platform/file-system.ts'
import { ANCHOR_BYTES, type Anchor, decodeAnchor } from '../format/anchor.ts'
import type { ChainIdentity } from './identity.ts'
import { lastAnchorIn, PIECE_BYTES, windowsBefore } from './pieces.ts'
import { type ScanEntry, Scanner } from './scan.ts'

/** Size of the free space before a piece, for the rest of the previous piece. Most frames are shorter. */
const HEADROOM_BYTES = 32 * 1024

/** Maximum number of entries in a group, for pieces with many small entries. */
const GROUP_ENTRIES_MAX = 4096

/** A file of a chain, open for reading. */
export interface OpenSegment extends OpenFile {
	readonly path: string
	/** Path of the chain, which is the path of its live file. */
	readonly chainPath: string
	readonly identity: ChainIdentity
}

/**
 * Yields the entries in the range `[from, to)` of a file in order, in groups. The bytes of a group are valid
 * until the next group is requested.
 *
 * @throws {MeshChainError} `CHAIN_TRUNCATED` if the file ends before `to`.
 */
export async function* walkFile(file: OpenSegment, from: number, to: number): AsyncGenerator<ScanEntry[]> {
	const scanner = new Scanner(file.identity.idChecksum, from)
	const buffers = new PieceBuffers()
	let position = from
	let wanted = 0
	const readNext = (bytes: number): Promise<Buffer> => {
		wanted = Math.min(Math.max(bytes, PIECE_BYTES), to - position)
		const piece = readInto(file, buffers.next(wanted), position)
		// A walk that ends early never awaits this promise.
		piece.catch(() => {})
		return piece
	}
	let next = readNext(0)
	for (;;) {
		let entries: ScanEntry[] = []
		let step = scanner.next()
		for (; step.type !== 'more' && step.type !== 'end'; step = scanner.next()) {
			if (entries.push(step) < GROUP_ENTRIES_MAX) continue
			yield entries
			entries = []
		}
		if (entries.length > 0) yield entries
		if (step.type === 'end') return
		const piece = await next
		if (piece.length < wanted) throw truncated(file, to, position + piece.length)
		position += piece.length
		if (piece.length === 0) scanner.end()
		else scanner.push(piece, HEADROOM_BYTES)
		next = readNext(step.bytes - piece.length)
	}
}

/**
 * Two alternating buffers. Each has free space before the piece for the rest of the previous piece, so only
 * that rest has to be copied.
 */
class PieceBuffers {
	#held: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)]

	next(bytes: number): Buffer {
		const [spare, last] = this.#held
		const size = HEADROOM_BYTES + Math.max(0, bytes)
		const buffer = spare.length >= size ? spare : Buffer.allocUnsafeSlow(size)
		this.#held = [last, buffer]
		return buffer.subarray(HEADROOM_BYTES, size)
	}
}

/** Reads `length` bytes at `position`, or fewer at the end of the file. */
export function readPiece(file: OpenFile, length: number, position: number): Promise<Buffer> {
	return readInto(file, Buffer.allocUnsafeSlow(Math.max(0, length)), position)
}

async function readInto({ system, fd }: OpenFile, bytes: Buffer, position: number): Promise<Buffer> {
	let done = 0
	while (done < bytes.length) {
		const count = await system.read(fd, bytes, done, bytes.length - done, position + done)
		if (count === 0) break
		done += count
	}
	return bytes.subarray(0, done)
}

/** Returns the anchor at an offset, or undefined if there is none. */
export async function anchorAt(file: OpenSegment, offset: number): Promise<Anchor | undefined> {
	return decodeAnchor(await readPiece(file, ANCHOR_BYTES, offset), 0, offset, file.identity.idChecksum)
}

/** Returns the last anchor that ends at or before `before`. */
export async function anchorBefore(file: OpenSegment, before: number): Promise<Anchor | undefined> {
	for (const { start, end } of windowsBefore(before)) {
		const window = await readPiece(file, end - start, start)
		const anchor = lastAnchorIn(window, start, file.identity.idChecksum)
		if (anchor !== undefined) return anchor
	}
	return undefined
}

function truncated({ path }: OpenSegment, expected: number, found: number): MeshChainError {
	return new MeshChainError(
		'CHAIN_TRUNCATED',
		`${show(path)} became shorter while it was being read: ` +
			`it has ${found} bytes, but had at least ${expected}; it was truncated or rewritten`,
		{ path, offset: found },
	)
}
