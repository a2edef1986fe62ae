/**
 * The one frame walker. It takes bytes in pieces of any size and returns frames, anchors and the ranges that
 * are neither. It does no I/O and decodes no rows.
 *
 * Invariants: an entry is handed out only when its checksum verifies at its own offset; after an unreadable
 * range no length in it is trusted: the next entry is searched byte by byte, and every entry that verifies is
 * found. A search takes a time that grows with the bytes searched and not with the lengths that they claim
 * (`StretchChecksums`), at most about 0.1 µs a byte. Memory is bounded by three frames of the largest size
 * and one piece.
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
	/** Nothing valid follows it. */
	readonly atEnd: boolean
	/** It is the beginning of an entry whose rest is missing: what a killed process leaves. Implies `atEnd`. */
	readonly torn: boolean
	/** What it seems to have been; looked at only at the end of a file. */
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
	/** File offset of the first byte held. */
	#base: number
	#pos = 0
	#ended = false
	/** Where the unreadable range began, in the bytes held; -1 when not searching. */
	#badPos = -1
	/** Bytes of the unreadable range that were dropped because no torn entry is that long. */
	#badDropped = 0
	/** Of what was searched; made when the first bad place is met. */
	#stretches: StretchChecksums | undefined
	/** Bytes of frames that did not verify where one should stand. */
	#checkedInVain = 0
	/**
	 * Offset of the next thing that begins as an anchor does, found ahead of the search; and how far was looked
	 * for it.
	 */
	#anchorOffset = -1
	#anchorsSoughtTo = 0

	constructor(idChecksum: number, offset: number) {
		this.#idChecksum = idChecksum
		this.#base = offset
	}

	/**
	 * The next piece of the file; it is kept, not copied, and must not change before the one after it is
	 * pushed.
	 *
	 * @param headroom bytes before the piece, in the same memory, that are free for what is left of the pieces
	 * before it.
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

	/** There are no more pieces. */
	end(): void {
		this.#ended = true
	}

	/** The next entry. `more` asks for at least that many bytes; `end` only follows {@link end}. */
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

	/** The valid entry at `pos`, how many more bytes it takes to tell, or undefined when there is none. */
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

	/** Looks for the next valid entry after an unreadable range. */
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
		// A lead may straddle the end of what is here.
		this.#pos = Math.max(this.#pos, this.#bytes.length - (FRAME_FIXED_BYTES - 1))
		if (!this.#ended) return this.#wantMore(1)
		this.#pos = this.#bytes.length
		return this.#leaveBad(true)
	}

	/** The next position where an entry may begin; -1 where there is none in the bytes held. */
	#nextCandidate(): number {
		const bytes = this.#bytes
		const anchor = this.#nextAnchorLead()
		const end = anchor < 0 ? bytes.length : anchor
		// Not indexOf: among bytes that are all this one, a native call a byte would be most of the time.
		for (let pos = this.#pos; pos < end; pos++) {
			if (bytes[pos] !== 0x97) continue
			const partial = bytes.length - pos < FRAME_FIXED_BYTES
			if (partial ? !this.#ended : looksLikeFrame(bytes, pos)) return pos
		}
		return anchor
	}

	/** Looked for once in all bytes, however many frames may begin before it. */
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
		// Longer than any frame, so no torn one: what was searched need not be kept.
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

/** The offset where an entry, or an unreadable range, begins. */
export function entryStart(entry: ScanEntry): number {
	if (entry.type === 'frame') return entry.frame.offset
	return entry.type === 'anchor' ? entry.anchor.offset : entry.place.offset
}

/** The offset where it ends. */
export function entryEnd(entry: ScanEntry): number {
	if (entry.type === 'frame') return entry.frame.offset + entry.frame.length
	return entry.type === 'anchor' ? entry.anchor.offset + ANCHOR_BYTES : entry.place.offset + entry.place.bytes
}
