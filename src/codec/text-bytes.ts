/** Decodes and checks the strings in MessagePack. */
import { isUtf8 } from 'node:buffer'

/** Returns whether all bytes in `[start, end)` are ASCII. */
export function isAsciiIn(bytes: Buffer, start: number, end: number): boolean {
	for (let pos = start; pos < end; pos++) if (bytes[pos]! > 0x7f) return false
	return true
}

/** Length up to which a loop over the bytes is faster than a native call. */
const LOOP_LENGTH_MAX = 48

/**
 * Decodes the string in `bytes[start, end)`. Returns undefined if the bytes are not UTF-8.
 *
 * @param latin1 The bytes from `latin1Start` onwards, with one character per byte. Slicing this string is
 * faster than native calls.
 */
export function utf8Text(
	bytes: Buffer,
	start: number,
	end: number,
	latin1: string,
	latin1Start: number,
): string | undefined {
	if (end - start <= LOOP_LENGTH_MAX) {
		if (isAsciiIn(bytes, start, end)) return latin1.substring(start - latin1Start, end - latin1Start)
	} else {
		// In `slice`, each byte above 0x7f is a character that takes two bytes in UTF-8, so equal lengths mean
		// ASCII.
		const slice = latin1.substring(start - latin1Start, end - latin1Start)
		if (Buffer.byteLength(slice) === end - start) return slice
	}
	const text = bytes.toString('utf8', start, end)
	// Invalid UTF-8 is decoded as U+FFFD, but a valid string may also contain U+FFFD.
	return text.includes('\ufffd') && !isUtf8(bytes.subarray(start, end)) ? undefined : text
}
