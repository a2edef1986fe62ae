/**
 * What a writer finds when it opens a chain that exists, and what becomes of its end. Reads only; what it decides, the
 * writer does. First rule: bytes with a valid entry anywhere behind them are never cut.
 */

import { decodeRows } from '../codec/row-decoder.ts'
import { MeshChainError } from '../errors.ts'
import { isGap, LOG_LEVELS, levelIndex, show } from '../record.ts'
import { type FileSystem, readFully } from './file-system.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	anchorChainId,
	decodeAnchor,
	EMPTY_EXTENT,
	type Extent,
	findAnchorLeadBackward,
	joinExtents,
	PRESENCE_GAP,
} from './format/anchor.ts'
import { checksum } from './format/checksum.ts'
import type { Frame } from './format/frame.ts'
import { HEADER_BYTES, readHeader } from './format/header.ts'
import { type BadPlace, Scanner } from './scan.ts'

/** Longer than an anchor, so that each window back overlaps the one before by one. */
const WINDOW_BYTES = 64 * 1024
const PIECE_BYTES = 256 * 1024

export interface ChainIdentity {
	readonly id: Uint8Array
	readonly idChecksum: number
	readonly idHex: string
	readonly createdMs: number
	/** The header does not verify; the first anchor gave the identity. */
	readonly headerDamaged: boolean
	/** The bytes that the first link covers. */
	readonly headerBytes: Buffer
}

/** Where a writer goes on. */
export interface ChainEnd {
	readonly epoch: number
	readonly nextSeq: number
	readonly levelCounts: number[]
	/** The newest anchor; undefined when the file has none that verifies. */
	readonly anchor: Anchor | undefined
	/** Everything behind the newest anchor (or the header) that stays. */
	readonly tail: Buffer
	/** The offset behind the tail. */
	readonly end: number
	/** Of the records in the tail. */
	readonly extent: Extent
	/** The newest anchor, the one it points to, and so on, as far as they can be read. */
	readonly jumpPath: readonly Anchor[]
	/** What stands at the end and is no entry: to be kept aside and cut. */
	readonly suffix: BadPlace | undefined
}

/**
 * Says what chain the first bytes of a file belong to.
 *
 * @param bytes the first bytes of the file, at least a header and an anchor where it has them.
 * @throws {MeshChainError} `CHAIN_EMPTY` for an empty file or part of a header, `NOT_A_CHAIN`, `HEADER_DAMAGED`,
 * `NEWER_VERSION`.
 */
export function identify(bytes: Buffer, path: string): ChainIdentity {
	const headerBytes = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	const reading = readHeader(headerBytes, path)
	if (reading.kind === 'header') {
		const { chainId, createdMs } = reading.header
		return identityOf(chainId, createdMs, headerBytes, false)
	}
	if (reading.kind === 'prefix') {
		throw new MeshChainError(
			'CHAIN_EMPTY',
			`${show(path)} holds ${bytes.length === 0 ? 'nothing' : 'only the beginning of a header'}: no writer has finished creating it`,
			{ path },
		)
	}
	// A damaged header takes nothing with it: the anchor behind it has the chain's id too.
	const chainId = anchorChainId(bytes, HEADER_BYTES, HEADER_BYTES)
	if (chainId !== undefined) return identityOf(chainId, Number.NaN, headerBytes, true)
	if (reading.kind === 'damaged') {
		throw new MeshChainError(
			'HEADER_DAMAGED',
			`${show(path)} begins as a chain does, but neither its header nor the anchor behind it can be read`,
			{ path, offset: 0 },
		)
	}
	throw new MeshChainError('NOT_A_CHAIN', `${show(path)} is no mesh-chain file; it is left as it is`, {
		path,
	})
}

function identityOf(
	id: Uint8Array,
	createdMs: number,
	headerBytes: Buffer,
	headerDamaged: boolean,
): ChainIdentity {
	const idHex = Buffer.from(id).toString('hex')
	return { id, idChecksum: checksum(id, 0, id.length, 0), idHex, createdMs, headerDamaged, headerBytes }
}

/** Reads the end of a chain of `size` bytes: from its newest anchor on, whatever the size of the file. */
export function readChainEnd(
	system: FileSystem,
	fd: number,
	size: number,
	identity: ChainIdentity,
): ChainEnd {
	const anchor = findAnchorBefore(system, fd, size, identity.idChecksum)
	const from = anchor === undefined ? HEADER_BYTES : anchor.offset + ANCHOR_BYTES
	const walk = new EndWalk(anchor)
	const scanner = new Scanner(identity.idChecksum, from)
	const pieces: Buffer[] = []
	let position = from
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type === 'frame') walk.frame(step.frame)
		else if (step.type === 'bad') walk.bad(step.place)
		else if (step.type === 'more') {
			const wanted = Math.min(Math.max(step.bytes, PIECE_BYTES), size - position)
			const piece = readFully(system, fd, wanted, position)
			position += piece.length
			if (piece.length === 0) scanner.end()
			else {
				pieces.push(piece)
				scanner.push(piece)
			}
		}
	}
	return walk.finish(Buffer.concat(pieces), from, readJumpPath(system, fd, anchor, identity.idChecksum))
}

function readJumpPath(
	system: FileSystem,
	fd: number,
	newest: Anchor | undefined,
	idChecksum: number,
): readonly Anchor[] {
	const path: Anchor[] = []
	for (let anchor = newest; anchor !== undefined; ) {
		path.push(anchor)
		const { jumpOffset } = anchor
		// An anchor that verifies and points forward was written by something else than mesh-chain.
		if (jumpOffset === 0 || jumpOffset >= anchor.offset) break
		anchor = decodeAnchor(readFully(system, fd, ANCHOR_BYTES, jumpOffset), 0, jumpOffset, idChecksum)
	}
	return path
}

/** The last anchor that verifies below `end`, searched backwards window by window. */
export function findAnchorBefore(
	system: FileSystem,
	fd: number,
	end: number,
	idChecksum: number,
): Anchor | undefined {
	for (let windowEnd = end; windowEnd > HEADER_BYTES; ) {
		const start = Math.max(HEADER_BYTES, windowEnd - WINDOW_BYTES)
		const window = readFully(system, fd, windowEnd - start, start)
		const anchor = lastAnchorIn(window, start, idChecksum)
		if (anchor !== undefined) return anchor
		windowEnd = start === HEADER_BYTES ? start : start + ANCHOR_BYTES - 1
	}
	return undefined
}

/** The last anchor that verifies within a window that begins at `offset` of the file. */
export function lastAnchorIn(window: Buffer, offset: number, idChecksum: number): Anchor | undefined {
	let pos = findAnchorLeadBackward(window, window.length - ANCHOR_BYTES)
	while (pos >= 0) {
		const anchor = decodeAnchor(window, pos, offset + pos, idChecksum)
		if (anchor !== undefined) return anchor
		pos = findAnchorLeadBackward(window, pos - 1)
	}
	return undefined
}

/** Gathers what the entries behind the newest anchor say. */
class EndWalk {
	readonly #anchor: Anchor | undefined
	readonly #levelCounts: number[]
	#nextSeq: number
	#epoch: number
	#extent = EMPTY_EXTENT
	#suffix: BadPlace | undefined

	constructor(anchor: Anchor | undefined) {
		this.#anchor = anchor
		this.#nextSeq = anchor?.nextSeq ?? 1
		this.#epoch = anchor?.epoch ?? 0
		this.#levelCounts = [...(anchor?.levelCounts ?? LOG_LEVELS.map(() => 0))]
	}

	frame(frame: Frame): void {
		this.#nextSeq = Math.max(this.#nextSeq, frame.baseSeq + frame.rows)
		this.#epoch = Math.max(this.#epoch, frame.epoch)
		for (const record of readableRows(frame)) {
			if (isGap(record)) {
				this.#extent = joinExtents(this.#extent, { ...EMPTY_EXTENT, presence: PRESENCE_GAP })
				continue
			}
			const { tsMs } = record
			const level = levelIndex(record.level)
			this.#levelCounts[level]! += 1
			this.#extent = joinExtents(this.#extent, { minTsMs: tsMs, maxTsMs: tsMs, presence: 1 << level })
		}
	}

	bad(place: BadPlace): void {
		if (place.atEnd) this.#suffix = place
		// What was in it is not known, so nobody may pass over the span because of what is known of the rest.
		else this.#extent = joinExtents(this.#extent, { ...EMPTY_EXTENT, presence: PRESENCE_GAP })
	}

	finish(bytes: Buffer, from: number, jumpPath: readonly Anchor[]): ChainEnd {
		const tail = this.#suffix === undefined ? bytes : bytes.subarray(0, this.#suffix.offset - from)
		return {
			epoch: this.#epoch,
			nextSeq: this.#nextSeq,
			levelCounts: this.#levelCounts,
			anchor: this.#anchor,
			tail,
			end: from + tail.length,
			extent: this.#extent,
			jumpPath,
			suffix: this.#suffix,
		}
	}
}

/** The rows of a frame whose checksum holds; none when another program wrote something else into it. */
function readableRows(frame: Frame) {
	try {
		return decodeRows(rowBlockOf(frame))
	} catch {
		return []
	}
}

/** A frame as its rows are decoded from. */
export function rowBlockOf(frame: Frame) {
	return {
		bytes: frame.bytes,
		start: frame.rowsStart,
		end: frame.rowsEnd,
		rows: frame.rows,
		epoch: frame.epoch,
		baseSeq: frame.baseSeq,
		baseTsMs: frame.baseTsMs,
		ascii: (frame.flags & (1 << 6)) !== 0,
	}
}
