/**
 * What bytes at the end of a file that do not verify seem to have been. Nothing of it is verified: it only bounds what is lost.
 *
 * Invariant: an unreadable end stands for at least one record, unless it is a torn entry or the remains of anchors alone.
 */
import { RUNS_PAST_END, valueEnd } from '../../codec/structure.ts'
import { ANCHOR_BYTES, resemblesAnchor } from '../format/anchor.ts'
import {
	claimedLength,
	FRAME_BYTES_MIN,
	FRAME_HEADER_BYTES_MAX,
	type Frame,
	readFrameHead,
	resemblesFrame,
} from '../format/frame.ts'

export interface Remains {
	/** Frames that seem to have stood there, in order. */
	readonly frames: readonly Frame[]
	/** Whether records may have been committed there. */
	readonly mayHoldRecords: boolean
}

/** Of a place that held no records, or of which it does not matter. */
export const NO_REMAINS: Remains = { frames: [], mayHoldRecords: false }
/** Of a place of which nothing is known. */
export const UNKNOWN_REMAINS: Remains = { frames: [], mayHoldRecords: true }

/** What seems to have stood in `bytes[start, end)`, at the end of a file. */
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

/** A frame of which one field of the head, or any of the rows, may be wrong. */
function frameAt(bytes: Buffer, pos: number, end: number): Frame | undefined {
	if (end - pos < FRAME_BYTES_MIN || !resemblesFrame(bytes, pos)) return undefined
	const claimed = claimedLength(bytes, pos)
	const frameEnd = claimed !== undefined && pos + claimed <= end ? pos + claimed : end
	const head = readFrameHead(bytes, pos, frameEnd, 0)
	const counted = head === undefined ? undefined : countRows(bytes, head.rowsStart, frameEnd)
	if (head !== undefined) return { ...head, rows: counted ?? head.rows }
	const rows = findRows(bytes, pos, frameEnd)
	if (rows === undefined) return undefined
	const { rowsStart, count } = rows
	const unknown = { offset: 0, flags: 0, epoch: 0, baseSeq: 0, baseTsMs: 0 }
	return { ...unknown, length: frameEnd - pos, rows: count, bytes, rowsStart, rowsEnd: frameEnd }
}

/** How many rows, which are arrays, fill `bytes[start, end)` exactly. */
function countRows(bytes: Buffer, start: number, end: number): number | undefined {
	let rows = 0
	for (let pos = start; pos < end; rows++) {
		if ((bytes[pos]! & 0xf0) !== 0x90) return undefined
		pos = valueEnd(bytes, pos, end)
		if (pos < 0) return undefined
	}
	return rows
}

/** The array of rows behind a head that cannot be read: it ends where the frame does. */
function findRows(bytes: Buffer, pos: number, end: number) {
	for (let at = pos; at < Math.min(pos + FRAME_HEADER_BYTES_MAX, end); at++) {
		const lead = bytes[at]!
		const isLong = lead === 0xdc && at + 3 <= end
		const count = isLong ? bytes.readUInt16BE(at + 1) : lead >= 0x91 && lead <= 0x9f ? lead & 0x0f : 0
		// A row is an array too.
		const rowsStart = at + (isLong ? 3 : 1)
		const isRow = (bytes[rowsStart]! & 0xf0) === 0x90
		if (count > 0 && isRow && valueEnd(bytes, at, end) === end) return { rowsStart, count }
	}
	return undefined
}

/**
 * Whether `bytes[start, end)` is the beginning of an entry and nothing else. Both witnesses must agree, the length where it is
 * there and the structure: a flipped bit upsets one of them, never both.
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
