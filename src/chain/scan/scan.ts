/**
 * Finds the frames, anchors and unreadable ranges in the bytes of a file. This is the only scanner: readers,
 * writers and repairs all use it. It accepts pieces of any size, does no I/O, and does not decode rows.
 *
 * Invariants: an entry is returned only if its checksum verifies at its own offset. No length in an
 * unreadable range is trusted: the scanner searches for the next entry byte by byte, and finds every entry
 * that verifies. The search time depends on the number of bytes, not on the lengths that they state
 * (`StretchChecksums`). It is at most about 0.1 µs per byte. Memory use is limited to three maximum-size
 * frames and one piece.
 */
import {
	ANCHOR_BYTES,
	ANCHOR_LEAD_BYTES,
	type Anchor,
	decodeAnchor,
	findAnchorLead,
	looksLikeAnchor,
} from '../format/anchor.ts'
import { StretchChecksums } from '../format/checksum.ts'
import {
	claimedLength,
	decodeFrame,
	FRAME_BYTES_MAX,
	FRAME_FIXED_BYTES,
	type Frame,
	looksLikeFrame,
} from '../format/frame.ts'
import { isTorn, NO_REMAINS, type Remains, remainsOf, UNKNOWN_REMAINS } from './remains.ts'

/** Bytes that are not an entry. */
export interface UnreadableRange {
	readonly offset: number
	readonly bytes: number
	/** Whether no valid entry follows the range. */
	readonly atEnd: boolean
	/**
	 * Whether the range is an entry whose end is missing, for example because a process was killed during a
	 * write. Implies `atEnd`.
	 */
	readonly torn: boolean
	/** Probable former content of the range, determined only at the end of a file. */
	readonly remains: Remains
}

export type ScanEntry =
	| { readonly type: 'frame'; readonly frame: Frame }
	| { readonly type: 'anchor'; readonly anchor: Anchor; readonly bytes: Buffer; readonly pos: number }
	| { readonly type: 'bad'; readonly place: UnreadableRange }

type ScanStep = ScanEntry | { readonly type: 'more'; readonly bytes: number } | { readonly type: 'end' }

const END = { type: 'end' } as const

export class Scanner {
	readonly #idChecksum: number
	#bytes: Buffer = Buffer.alloc(0)
	/** File offset of the first buffered byte. */
	#base: number
	#pos = 0
	#ended = false
	/** Start of the unreadable range in the buffered bytes; -1 if no search is in progress. */
	#badPos = -1
	/**
	 * Number of bytes discarded from the unreadable range. If this is not 0, the range is too long to be a torn
	 * entry.
	 */
	#badDropped = 0
	/** Checksums of the searched bytes; created at the first unreadable range. */
	#stretches: StretchChecksums | undefined
	/** Total length of the frames that did not verify where an entry was expected. */
	#checkedInVain = 0
	/** Offset of the next anchor lead that the look-ahead has found; -1 if it has found none. */
	#anchorOffset = -1
	/** Offset up to which the look-ahead for anchors has searched. */
	#anchorsSoughtTo = 0

	constructor(idChecksum: number, offset: number) {
		this.#idChecksum = idChecksum
		this.#base = offset
	}

	/**
	 * Pushes the next piece of the file. The scanner may use the piece without copying it, so the piece must
	 * not change before the next push.
	 *
	 * @param headroom Number of free bytes before the piece in its underlying buffer, for the unprocessed rest
	 * of earlier pieces.
	 */
	push(piece: Buffer, headroom = 0): void {
		const keepFrom = this.#badPos >= 0 ? this.#badPos : this.#pos
		const kept = this.#bytes.length - keepFrom
		if (kept === 0) this.#bytes = piece
		else if (kept > headroom) this.#bytes = Buffer.concat([this.#bytes.subarray(keepFrom), piece])
		else {
			const joined = Buffer.from(piece.buffer, piece.byteOffset - kept, kept + piece.length)
			this.#bytes.copy(joined, 0, keepFrom)
			this.#bytes = joined
		}
		this.#base += keepFrom
		this.#pos -= keepFrom
		if (this.#badPos >= 0) this.#badPos = 0
	}

	/** Ends the input. No more pieces may be pushed. */
	end(): void {
		this.#ended = true
	}

	/**
	 * Returns the next step. `more` requests at least `bytes` more bytes. `end` is returned only after a call
	 * to {@link end}.
	 */
	next(): ScanStep {
		if (this.#badPos >= 0) return this.#search()
		const available = this.#bytes.length - this.#pos
		if (available === 0) return this.#ended ? END : { type: 'more', bytes: 1 }
		const found = this.#entryAt(this.#pos)
		if (typeof found === 'number') return { type: 'more', bytes: found }
		if (found !== undefined) return this.#take(found)
		this.#badPos = this.#pos
		this.#pos++
		this.#stretches ??= new StretchChecksums()
		return this.#search()
	}

	/**
	 * Returns the valid entry at `pos`, the number of additional bytes needed to decide, or undefined if the
	 * bytes are not an entry.
	 */
	#entryAt(pos: number): ScanEntry | number | undefined {
		const bytes = this.#bytes
		const available = bytes.length - pos
		const offset = this.#base + pos
		if (available < FRAME_FIXED_BYTES) return this.#missing(FRAME_FIXED_BYTES - available)
		if (looksLikeFrame(bytes, pos)) {
			const length = claimedLength(bytes, pos)
			if (length === undefined) return undefined
			if (available < length) return this.#missing(length - available)
			const isSearch = this.#badPos >= 0 || this.#checkedInVain > FRAME_BYTES_MAX
			const stretches = isSearch ? this.#stretches : undefined
			const frame = decodeFrame(bytes, pos, length, offset, this.#idChecksum, stretches)
			if (frame === undefined && stretches === undefined) this.#checkedInVain += length
			return frame && { type: 'frame', frame }
		}
		if (!looksLikeAnchor(bytes, pos)) return undefined
		if (available < ANCHOR_BYTES) return this.#missing(ANCHOR_BYTES - available)
		const anchor = decodeAnchor(bytes, pos, offset, this.#idChecksum)
		return anchor && { type: 'anchor', anchor, bytes, pos }
	}

	#missing(bytes: number): number | undefined {
		return this.#ended ? undefined : bytes
	}

	#take(entry: ScanEntry): ScanEntry {
		if (entry.type === 'frame') this.#pos += entry.frame.length
		else if (entry.type === 'anchor') this.#pos += ANCHOR_BYTES
		return entry
	}

	/** Searches for the next valid entry after an unreadable range. */
	#search(): ScanStep {
		for (;;) {
			const candidate = this.#nextCandidate()
			if (candidate < 0) break
			this.#pos = candidate
			const found = this.#entryAt(candidate)
			if (typeof found === 'number') return this.#wantMore(found)
			if (found !== undefined) return this.#leaveBad(false)
			this.#pos++
		}
		// A lead may extend beyond the end of the buffered bytes.
		this.#pos = Math.max(this.#pos, this.#bytes.length - (FRAME_FIXED_BYTES - 1))
		if (!this.#ended) return this.#wantMore(1)
		this.#pos = this.#bytes.length
		return this.#leaveBad(true)
	}

	/** Returns the next position where an entry may begin, or -1 if there is none in the buffered bytes. */
	#nextCandidate(): number {
		const bytes = this.#bytes
		const anchor = this.#nextAnchorLead()
		const end = anchor < 0 ? bytes.length : anchor
		// A loop is used because calling `indexOf` for each 0x97 would be too slow in a long run of this byte.
		for (let pos = this.#pos; pos < end; pos++) {
			if (bytes[pos] !== 0x97) continue
			const partial = bytes.length - pos < FRAME_FIXED_BYTES
			if (partial ? !this.#ended : looksLikeFrame(bytes, pos)) return pos
		}
		return anchor
	}

	/**
	 * Returns the position of the next anchor lead, or -1. Searches each byte only once, regardless of the
	 * number of possible frames before that lead.
	 */
	#nextAnchorLead(): number {
		const offset = this.#base + this.#pos
		if (this.#anchorOffset < offset) {
			const from = Math.max(this.#pos, this.#anchorsSoughtTo - this.#base)
			const found = findAnchorLead(this.#bytes, from)
			this.#anchorOffset = found < 0 ? -1 : this.#base + found
			this.#anchorsSoughtTo =
				this.#base + (found < 0 ? this.#bytes.length - (ANCHOR_LEAD_BYTES - 1) : found + 1)
		}
		return this.#anchorOffset < 0 ? -1 : this.#anchorOffset - this.#base
	}

	#wantMore(bytes: number): ScanStep {
		// The range is longer than any frame and therefore not torn, so the searched bytes can be discarded.
		if (this.#pos - this.#badPos > FRAME_BYTES_MAX) {
			this.#badDropped += this.#pos - this.#badPos
			this.#badPos = this.#pos
		}
		return { type: 'more', bytes }
	}

	#leaveBad(atEnd: boolean): ScanEntry {
		const start = this.#badPos
		const bytes = this.#pos - start + this.#badDropped
		const isWhole = this.#badDropped === 0
		const torn = atEnd && isWhole && isTorn(this.#bytes, start, this.#pos)
		const place: UnreadableRange = {
			offset: this.#base + start - this.#badDropped,
			bytes,
			atEnd,
			torn,
			remains: this.#remainsOf(start, atEnd && !torn, isWhole),
		}
		this.#badPos = -1
		this.#badDropped = 0
		return { type: 'bad', place }
	}

	#remainsOf(start: number, mayHoldRecords: boolean, isWhole: boolean): Remains {
		if (!mayHoldRecords) return NO_REMAINS
		return isWhole ? remainsOf(this.#bytes, start, this.#pos) : UNKNOWN_REMAINS
	}
}

/** Returns the offset at which an entry or an unreadable range begins. */
export function entryStart(entry: ScanEntry): number {
	if (entry.type === 'frame') return entry.frame.offset
	return entry.type === 'anchor' ? entry.anchor.offset : entry.place.offset
}

/** Returns the offset at which an entry or an unreadable range ends. */
export function entryEnd(entry: ScanEntry): number {
	if (entry.type === 'frame') return entry.frame.offset + entry.frame.length
	return entry.type === 'anchor' ? entry.anchor.offset + ANCHOR_BYTES : entry.place.offset + entry.place.bytes
}
