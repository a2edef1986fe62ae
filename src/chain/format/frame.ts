/**
 * Encodes and decodes frames: groups of records that are written together. Works only on bytes, without I/O.
 *
 *   0    97                array of 7
 *   1    ce ····           length of the frame in bytes
 *   6    ce ····           CRC-32 of all bytes from byte 11 on, seeded (checksum.ts)
 *   11   ff                flags: levels present (bits 0 to 4), a `$` kind is present (5), all strings
 *                          outside `data` are ASCII (6)
 *   12   epoch             unsigned integer in its shortest form
 *        base seq          seq of the first row; each later seq is one more than the previous one
 *        base time         float64, milliseconds since 1970; each row's time is relative to it
 *        rows              array of rows (codec/row-encoder.ts)
 *
 * A `$gap` is always the first row of its frame. Only a frame that starts with a `$gap` may have a base seq
 * more than one above the previous record's seq.
 */
import { isEpoch, isRecordTime, isSeq } from '../../model/record.ts'
import { checksum, entrySeed, type StretchChecksums } from './checksum.ts'

/** Size of the fields at fixed positions: array header, length, checksum and flags. */
export const FRAME_FIXED_BYTES = 12
/** Upper bound on the size of a frame header: fixed part, epoch, seq beyond 32 bits, time, row count. */
export const FRAME_HEADER_BYTES_MAX = FRAME_FIXED_BYTES + 5 + 9 + 9 + 5
/** Minimum combined size of the base time, the row count and one row of three bytes. */
const TIME_AND_ROWS_BYTES_MIN = 9 + 1 + 3
/** Size of the shortest frame that can contain a row. */
export const FRAME_BYTES_MIN = FRAME_FIXED_BYTES + 1 + 1 + TIME_AND_ROWS_BYTES_MIN
/** Maximum number of rows in a frame. */
export const FRAME_ROWS_MAX = 0xffff
/** Maximum length of a frame. Readers treat a greater length as damage. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024

export const FLAG_CONTROL = 1 << 5
export const FLAG_ASCII = 1 << 6
export const LEVELS_MASK = (1 << 5) - 1

export interface FrameHeader {
	readonly flags: number
	readonly epoch: number
	readonly baseSeq: number
	readonly baseTsMs: number
	readonly rows: number
}

/** A decoded frame: its header, and the positions of the frame and its rows. */
export interface Frame extends FrameHeader {
	readonly offset: number
	readonly length: number
	readonly bytes: Buffer
	readonly rowsStart: number
	readonly rowsEnd: number
}

/** The encoded rows of a frame. */
export interface EncodedRows {
	readonly length: number
	copyTo(target: Buffer, pos: number): void
}

/**
 * Writes a frame to `target[pos…]`, where at least {@link frameBytesMax} bytes must be available. Returns the
 * length of the frame.
 *
 * @param offset Offset of the frame in the file. The checksum depends on this offset and on the chain's id.
 */
export function encodeFrame(
	target: Buffer,
	pos: number,
	frame: FrameHeader,
	rows: EncodedRows,
	offset: number,
	idChecksum: number,
): number {
	let at = writeUint(target, pos + FRAME_FIXED_BYTES, frame.epoch)
	at = writeUint(target, at, frame.baseSeq)
	target[at] = 0xcb
	at = target.writeDoubleBE(frame.baseTsMs, at + 1)
	at = writeArrayHeader(target, at, frame.rows)
	rows.copyTo(target, at)
	const end = at + rows.length
	const length = end - pos
	target[pos] = 0x97
	target[pos + 1] = 0xce
	target.writeUInt32BE(length, pos + 2)
	target[pos + 6] = 0xce
	target[pos + 11] = frame.flags
	relocateFrame(target, pos, length, offset, idChecksum)
	return length
}

/**
 * Updates the checksum of a frame that was copied to `target[pos, pos + length)`. No other byte depends on
 * the offset or the chain.
 */
export function relocateFrame(
	target: Buffer,
	pos: number,
	length: number,
	offset: number,
	idChecksum: number,
): void {
	const seed = entrySeed(idChecksum, offset, length)
	target.writeUInt32BE(checksum(target, pos + 11, pos + length, seed), pos + 7)
}

/** Returns the number of bytes that {@link encodeFrame} may need for `rowsBytes` bytes of rows. */
export function frameBytesMax(rowsBytes: number): number {
	return FRAME_HEADER_BYTES_MAX + rowsBytes
}

/** Returns whether the 12 bytes at `pos` look like the start of a frame. */
export function looksLikeFrame(bytes: Uint8Array, pos: number): boolean {
	return (
		bytes[pos] === 0x97 &&
		bytes[pos + 1] === 0xce &&
		bytes[pos + 6] === 0xce &&
		(bytes[pos + 11] ?? 0xff) < 0x80
	)
}

/** Returns whether at least two of a frame's three constant bytes are in the 7 bytes at `pos`. */
export function resemblesFrame(bytes: Uint8Array, pos: number): boolean {
	const found = [bytes[pos] === 0x97, bytes[pos + 1] === 0xce, bytes[pos + 6] === 0xce]
	return found.filter((isThere) => isThere).length >= 2
}

/** Returns the length stated in the frame at `pos`, or undefined if no frame can have that length. */
export function claimedLength(bytes: Buffer, pos: number): number | undefined {
	const length = bytes.readUInt32BE(pos + 2)
	return length >= FRAME_BYTES_MIN && length <= FRAME_BYTES_MAX ? length : undefined
}

/**
 * Decodes the frame of `length` bytes at `pos` in `bytes`, which is at `offset` in the file. Returns
 * undefined if the frame does not verify at that offset.
 *
 * @param stretches Computes each checksum in constant time. Pass it when checking many overlapping frames.
 */
export function decodeFrame(
	bytes: Buffer,
	pos: number,
	length: number,
	offset: number,
	idChecksum: number,
	stretches?: StretchChecksums,
): Frame | undefined {
	if (!looksLikeFrame(bytes, pos)) return undefined
	const seed = entrySeed(idChecksum, offset, length)
	const [start, end] = [pos + 11, pos + length]
	const found =
		stretches === undefined
			? checksum(bytes, start, end, seed)
			: stretches.of(bytes, offset - pos, start, end, seed)
	if (bytes.readUInt32BE(pos + 7) !== found) return undefined
	return readFrameHeader(bytes, pos, pos + length, offset)
}

/**
 * Reads the header of a frame that may be damaged, without verifying the checksum. Returns undefined if a
 * field is invalid.
 */
export function readFrameHeader(bytes: Buffer, pos: number, end: number, offset: number): Frame | undefined {
	if (end - pos < FRAME_BYTES_MIN) return undefined
	const epoch = readUint(bytes, pos + FRAME_FIXED_BYTES)
	if (epoch === undefined || !isEpoch(epoch.value)) return undefined
	const baseSeq = readUint(bytes, epoch.end)
	if (
		baseSeq === undefined ||
		baseSeq.value < 1 ||
		bytes[baseSeq.end] !== 0xcb ||
		baseSeq.end + TIME_AND_ROWS_BYTES_MIN > end
	)
		return undefined
	const rows = readArrayHeader(bytes, baseSeq.end + 9)
	if (rows === undefined || rows.value === 0 || rows.end + rows.value * 3 > end) return undefined
	const baseTsMs = bytes.readDoubleBE(baseSeq.end + 1)
	if (!isSeq(baseSeq.value + rows.value - 1) || !isRecordTime(baseTsMs)) return undefined
	return {
		offset,
		length: end - pos,
		flags: bytes[pos + 11]!,
		epoch: epoch.value,
		baseSeq: baseSeq.value,
		baseTsMs,
		rows: rows.value,
		bytes,
		rowsStart: rows.end,
		rowsEnd: end,
	}
}

function writeUint(bytes: Buffer, pos: number, value: number): number {
	if (value < 0x80) {
		bytes[pos] = value
		return pos + 1
	}
	if (value <= 0xffff_ffff) {
		const width = value < 0x100 ? 1 : value < 0x10000 ? 2 : 4
		bytes[pos] = width === 1 ? 0xcc : width === 2 ? 0xcd : 0xce
		return bytes.writeUIntBE(value, pos + 1, width)
	}
	bytes[pos] = 0xcb
	return bytes.writeDoubleBE(value, pos + 1)
}

function writeArrayHeader(bytes: Buffer, pos: number, count: number): number {
	if (count < 16) {
		bytes[pos] = 0x90 | count
		return pos + 1
	}
	bytes[pos] = 0xdc
	return bytes.writeUInt16BE(count, pos + 1)
}

interface ReadValue {
	readonly value: number
	readonly end: number
}

/** Reads an unsigned integer at `pos`. Returns undefined if there is none. */
function readUint(bytes: Buffer, pos: number): ReadValue | undefined {
	const lead = bytes[pos]!
	if (lead < 0x80) return { value: lead, end: pos + 1 }
	if (pos + 9 > bytes.length) return undefined
	if (lead === 0xcc) return { value: bytes[pos + 1]!, end: pos + 2 }
	if (lead === 0xcd) return { value: bytes.readUInt16BE(pos + 1), end: pos + 3 }
	if (lead === 0xce) return { value: bytes.readUInt32BE(pos + 1), end: pos + 5 }
	if (lead !== 0xcb) return undefined
	const value = bytes.readDoubleBE(pos + 1)
	return Number.isSafeInteger(value) && value >= 0 ? { value, end: pos + 9 } : undefined
}

function readArrayHeader(bytes: Buffer, pos: number): ReadValue | undefined {
	const lead = bytes[pos]!
	if (lead >= 0x90 && lead < 0xa0) return { value: lead & 0x0f, end: pos + 1 }
	return lead === 0xdc ? { value: bytes.readUInt16BE(pos + 1), end: pos + 3 } : undefined
}
