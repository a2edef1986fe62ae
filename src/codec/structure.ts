/**
 * Walks MessagePack without decoding it, to find the end of a value and to check whether its counts are
 * plausible. Allocates nothing and does not recurse, so the cost depends only on the bytes that are present,
 * even with malicious nesting or lengths.
 */

/** The value extends beyond the end. */
export const RUNS_PAST_END = -1
/** The bytes are not MessagePack: they contain the only unused lead byte, 0xc1. */
export const NOT_MSGPACK = -2

/**
 * Number of bytes after the lead byte for the types 0xc0 to 0xdf; -1 if the size must be read, and -2 if the
 * byte is unused.
 */
const FIXED_BYTES = Int8Array.from([
	0, -2, 0, 0, -1, -1, -1, -1, -1, -1, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, -1, -1, -1, -1, -1, -1,
	-1,
])

/** Returns the end of the value at `start`, {@link RUNS_PAST_END} or {@link NOT_MSGPACK}. */
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
		// Every remaining value takes at least one byte.
		if (pos + values - 1 > end) return RUNS_PAST_END
	}
	return pos
}

/** Returns the number of bytes that encode the size of a bin, ext, str, array or map. */
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
