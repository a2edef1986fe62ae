/**
 * Guesses the former content of unverifiable bytes at the end of a file. The result is not verified. It only
 * determines which seqs are skipped and reported as lost.
 *
 * Invariants: an unreadable end counts as at least one record, unless it is a torn entry or consists only of
 * the remains of anchors. If the header of a frame and its rows indicate different numbers of records, the
 * higher number is used, because skipping a seq is better than assigning one twice.
 */
import { RUNS_PAST_END, valueEnd } from '../../codec/structure.ts'
import { ANCHOR_BYTES, resemblesAnchor } from '../format/anchor.ts'
import {
	claimedLength,
	FRAME_BYTES_MIN,
	FRAME_FIXED_BYTES,
	FRAME_HEADER_BYTES_MAX,
	type Frame,
	readFrameHeader,
	resemblesFrame,
} from '../format/frame.ts'

export interface Remains {
	/** Frames that the bytes probably contained, in order. */
	readonly frames: readonly Frame[]
	/** Whether the bytes may have contained committed records. */
	readonly mayHoldRecords: boolean
}

/** The remains of a range that contained no records, or that is not at the end of a file. */
export const NO_REMAINS: Remains = { frames: [], mayHoldRecords: false }
/** The remains of a range whose former content is unknown. */
export const UNKNOWN_REMAINS: Remains = { frames: [], mayHoldRecords: true }

/** Returns the probable former content of `bytes[start, end)`, at the end of a file. */
export function remainsOf(bytes: Buffer, start: number, end: number): Remains {
	const frames: Frame[] = []
	let pos = start
	while (pos < end && !isTorn(bytes, pos, end)) {
		if (resemblesAnchor(bytes, pos, end)) {
			pos += ANCHOR_BYTES
			continue
		}
		const frame = frameAt(bytes, pos, end)
		if (frame === undefined) break
		frames.push(frame)
		pos = frame.rowsEnd
	}
	const isExplained = pos >= end || isTorn(bytes, pos, end)
	return { frames, mayHoldRecords: !isExplained || frames.length > 0 }
}

/** Reads a frame in which one field of the header, or any of the rows, may be damaged. */
function frameAt(bytes: Buffer, pos: number, end: number): Frame | undefined {
	if (end - pos < FRAME_BYTES_MIN || !resemblesFrame(bytes, pos)) return undefined
	const claimed = claimedLength(bytes, pos)
	const isWithin = claimed !== undefined && pos + claimed < end
	return (isWithin ? frameUpTo(bytes, pos, pos + claimed) : undefined) ?? frameUpTo(bytes, pos, end)
}

function frameUpTo(bytes: Buffer, pos: number, end: number): Frame | undefined {
	const head = readFrameHeader(bytes, pos, end, 0)
	const found = findRows(bytes, pos, end)
	if (head !== undefined) return { ...head, rows: Math.max(head.rows, found?.rows ?? 0) }
	const unknown = { offset: 0, flags: 0, epoch: 0, baseSeq: 0, baseTsMs: 0 }
	return found && { ...unknown, length: end - pos, bytes, ...found, rowsEnd: end }
}

/**
 * Returns the number of rows (arrays) that fill `bytes[start, end)` exactly, or 0 if the bytes contain
 * anything else.
 */
function countRows(bytes: Buffer, start: number, end: number, passed: Set<number>, last: number): number {
	let rows = 0
	for (let pos = start; pos < end; rows++) {
		if (pos <= last) passed.add(pos)
		if ((bytes[pos]! & 0xf0) !== 0x90) return 0
		pos = valueEnd(bytes, pos, end)
		if (pos < 0) return 0
	}
	return rows
}

/**
 * Finds the rows of a frame without relying on its header. Tries every possible start, and returns the one
 * from which the most rows exactly fill the rest of the frame.
 */
function findRows(bytes: Buffer, pos: number, end: number): Pick<Frame, 'rowsStart' | 'rows'> | undefined {
	let found: Pick<Frame, 'rowsStart' | 'rows'> | undefined
	const passed = new Set<number>()
	const last = Math.min(pos + FRAME_HEADER_BYTES_MAX, end)
	for (let rowsStart = pos + FRAME_FIXED_BYTES; rowsStart <= last; rowsStart++) {
		// A start that is a row boundary in an earlier count cannot yield more rows than that count.
		if (passed.has(rowsStart)) continue
		const rows = countRows(bytes, rowsStart, end, passed, last)
		if (rows > (found?.rows ?? 0)) found = { rowsStart, rows }
	}
	return found
}

/**
 * Returns whether `bytes[start, end)` is an entry whose end is missing. Both the structure and, if present,
 * the length must show this, because a single flipped bit cannot corrupt both.
 */
export function isTorn(bytes: Buffer, start: number, end: number): boolean {
	const available = end - start
	if (valueEnd(bytes, start, end) !== RUNS_PAST_END) return false
	if (bytes[start] === 0x9f) return available < ANCHOR_BYTES && anchorBegins(bytes, start, available)
	if (bytes[start] !== 0x97 || (available > 1 && bytes[start + 1] !== 0xce)) return false
	if (available < 6) return true
	const length = claimedLength(bytes, start)
	if (length === undefined || length <= available) return false
	return (available < 7 || bytes[start + 6] === 0xce) && (available < 12 || bytes[start + 11]! < 0x80)
}

function anchorBegins(bytes: Buffer, start: number, available: number): boolean {
	const lead = Buffer.from([0x9f, 0xa6, ...Buffer.from('anchor')])
	const length = Math.min(available, lead.length)
	return bytes.subarray(start, start + length).equals(lead.subarray(0, length))
}
