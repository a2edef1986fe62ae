/** How much of a file is read at once, and how anchors are searched backwards. No I/O. */
import { ANCHOR_BYTES, type Anchor, decodeAnchor, findAnchorLeadBackward } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'

/** What a walk reads at once. */
export const PIECE_BYTES = 256 * 1024
/** What a search for an anchor reads at once. Anchors are rarely further apart. */
const WINDOW_BYTES = 64 * 1024

/**
 * The windows of a file below `end`, the last one first. Each overlaps the next by an anchor less one byte,
 * so that none is cut in two.
 */
export function* windowsBefore(end: number): Generator<{ readonly start: number; readonly end: number }> {
	for (let windowEnd = end; windowEnd > HEADER_BYTES; ) {
		const start = Math.max(HEADER_BYTES, windowEnd - WINDOW_BYTES)
		yield { start, end: windowEnd }
		windowEnd = start === HEADER_BYTES ? start : start + ANCHOR_BYTES - 1
	}
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
