/** Defines the sizes of reads, and searches backward for anchors. Does no I/O. */
import { ANCHOR_BYTES, type Anchor, decodeAnchor, findAnchorLeadBackward } from '../format/anchor.ts'
import { HEADER_BYTES } from '../format/header.ts'

/** Number of bytes that a walk reads at a time. */
export const PIECE_BYTES = 256 * 1024
/**
 * Number of bytes that a search for an anchor reads at a time. The distance between anchors is rarely
 * greater.
 */
const WINDOW_BYTES = 64 * 1024

/**
 * Yields windows of a file that cover the bytes from the header to `end`, the last window first. Adjacent
 * windows overlap by one byte less than the length of an anchor, so each anchor lies completely within one
 * window.
 */
export function* windowsBefore(end: number): Generator<{ readonly start: number; readonly end: number }> {
	for (let windowEnd = end; windowEnd > HEADER_BYTES; ) {
		const start = Math.max(HEADER_BYTES, windowEnd - WINDOW_BYTES)
		yield { start, end: windowEnd }
		windowEnd = start === HEADER_BYTES ? start : start + ANCHOR_BYTES - 1
	}
}

/** Returns the last anchor in a window that verifies. The window starts at `offset` in the file. */
export function lastAnchorIn(window: Buffer, offset: number, idChecksum: number): Anchor | undefined {
	let pos = findAnchorLeadBackward(window, window.length - ANCHOR_BYTES)
	while (pos >= 0) {
		const anchor = decodeAnchor(window, pos, offset + pos, idChecksum)
		if (anchor !== undefined) return anchor
		pos = findAnchorLeadBackward(window, pos - 1)
	}
	return undefined
}
