/**
 * Walks MessagePack without decoding it: where a value ends, and whether its counts can be believed. Allocates
 * nothing and does not recurse, so hostile nesting or lengths cost no more than the bytes that are there.
 */

import { DATA_DEPTH_MAX, PACKED_DATA_BYTES_MAX } from '../limits.ts'

/** The value's structure needs bytes beyond the end. */
export const RUNS_PAST_END = -1
/** The bytes are no MessagePack (the one unused lead byte, 0xc1). */
export const NOT_MSGPACK = -2

/** Bytes behind the lead byte of the fixed-size types 0xc0 to 0xdf; -1 where the size must be read. */
const FIXED_BYTES = Int8Array.from([
	0, -2, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -1, -1, -1, -1, -1,
	-1,
])

/** The position behind the value at `start`, or {@link RUNS_PAST_END} or {@link NOT_MSGPACK}. */
export function valueEnd(bytes: Uint8Array, start: number, end: number): number {
	let pos = start
	for (let values = 1; values > 0; values--) {
		if (pos >= end) return RUNS_PAST_END
		const lead = bytes[pos++]!
		if (lead < 0x80 || lead >= 0xe0) continue
		if (lead < 0x90) values += (lead & 0x0f) * 2
		else if (lead < 0xa0) values += lead & 0x0f
		else if (lead < 0xc0) pos += lead & 0x1f
		else {
			const fixed = FIXED_BYTES[lead - 0xc0]!
			if (fixed >= 0) pos += fixed
			else if (fixed === -2) return NOT_MSGPACK
			else {
				const sizeBytes = sizeWidth(lead)
				if (pos + sizeBytes > end) return RUNS_PAST_END
				const size = readSize(bytes, pos, sizeBytes)
				pos += sizeBytes
				if (lead >= 0xdc) values += lead >= 0xde ? size * 2 : size
				else pos += size + (lead >= 0xc7 && lead <= 0xc9 ? 1 : 0)
			}
		}
		// Every value that is still owed takes at least one byte.
		if (pos + values - 1 > end) return RUNS_PAST_END
	}
	return pos
}

/** Integers beyond 64 bits (msgpackr's), and MessagePack's own timestamps. */
const EXTENSIONS = [0x42, 0xff]
/** Deeper than any `data` that a loop lets through. */
const DEPTH_MAX = 2 * DATA_DEPTH_MAX
const TOO_DEEP = -3
/** Values still owed at each depth. */
const owed = new Float64Array(DEPTH_MAX + 1)

/**
 * As {@link valueEnd}, for a value that will be decoded: what it would take beside its bytes is bounded too. Negative also when
 * it is longer than {@link PACKED_DATA_BYTES_MAX}, nested too deep, or holds an extension that no writer of ours uses.
 */
export function dataEnd(bytes: Uint8Array, start: number, rowsEnd: number): number {
	const end = Math.min(rowsEnd, start + PACKED_DATA_BYTES_MAX)
	let pos = start
	let depth = 0
	owed[0] = 1
	while (depth >= 0) {
		if (owed[depth]! === 0) {
			depth--
			continue
		}
		owed[depth]!--
		if (pos >= end) return RUNS_PAST_END
		const lead = bytes[pos]!
		const headBytes = containerHeadBytes(lead)
		if (headBytes === 0) {
			if (isExtension(lead) && !EXTENSIONS.includes(bytes[pos + 1 + extensionSizeWidth(lead)] ?? 0)) {
				return NOT_MSGPACK
			}
			pos = valueEnd(bytes, pos, end)
			if (pos < 0) return pos
			continue
		}
		if (pos + headBytes > end) return RUNS_PAST_END
		const size = headBytes === 1 ? lead & 0x0f : readSize(bytes, pos + 1, headBytes === 3 ? 2 : 4)
		const isMap = lead < 0x90 || lead >= 0xde
		pos += headBytes
		if (++depth > DEPTH_MAX) return TOO_DEEP
		owed[depth] = isMap ? size * 2 : size
		if (pos + owed[depth]! > end) return RUNS_PAST_END
	}
	return pos
}

/** How many bytes the head of an array or a map takes; 0 for any other value. */
function containerHeadBytes(lead: number): 0 | 1 | 3 | 5 {
	if (lead >= 0x80 && lead < 0xa0) return 1
	if (lead === 0xdc || lead === 0xde) return 3
	return lead === 0xdd || lead === 0xdf ? 5 : 0
}

function isExtension(lead: number): boolean {
	return (lead >= 0xc7 && lead <= 0xc9) || (lead >= 0xd4 && lead <= 0xd8)
}

/** Where the type of an extension stands: behind its size, if it has one. */
function extensionSizeWidth(lead: number): number {
	return lead >= 0xd4 ? 0 : sizeWidth(lead)
}

/** How many bytes hold the size of a bin, ext, str, array or map. */
function sizeWidth(lead: number): 1 | 2 | 4 {
	switch (lead) {
		case 0xc4: // bin 8
		case 0xc7: // ext 8
		case 0xd9: // str 8
			return 1
		case 0xc5: // bin 16
		case 0xc8: // ext 16
		case 0xda: // str 16
		case 0xdc: // array 16
		case 0xde: // map 16
			return 2
		default:
			return 4
	}
}

function readSize(bytes: Uint8Array, pos: number, width: 1 | 2 | 4): number {
	let size = 0
	for (let index = 0; index < width; index++) size = size * 256 + bytes[pos + index]!
	return size
}
