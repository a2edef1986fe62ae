/**
 * The checksum of frames and anchors: a CRC-32 (as in zlib) that is seeded with the chain's id, the segment,
 * and the entry's own offset and length. Bytes that were copied to another offset, file or chain therefore do
 * not verify. The checksum detects accidental changes, but provides no security.
 */
import { crc32 } from 'node:zlib'

/** Minimum length at which the native function is faster than the tables. */
const NATIVE_BYTES_MIN = 192

/** The CRC-32 of each byte value. */
const TABLE = Uint32Array.from({ length: 256 }, (_unused, byte) => {
	let crc = byte
	for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
	return crc >>> 0
})

/** `TABLES[256 * zeros + byte]`: the CRC-32 of a byte followed by 0 to 3 zero bytes. */
const TABLES = new Int32Array(4 * 256)
for (let byte = 0; byte < 256; byte++) {
	let crc = TABLE[byte]!
	for (let zeros = 0; zeros < 4; zeros++) {
		TABLES[256 * zeros + byte] = crc
		crc = (crc >>> 8) ^ TABLE[crc & 0xff]!
	}
}

/** Computes the CRC-32 of `bytes[start, end)`, continuing from `crc`. */
export function checksum(bytes: Uint8Array, start: number, end: number, crc: number): number {
	if (end - start >= NATIVE_BYTES_MIN) return crc32(bytes.subarray(start, end), crc)
	return ~advance(~crc, bytes, start, end) >>> 0
}

/** Returns the CRC-32 state that follows `state` after `bytes[start, end)`. */
function advance(state: number, bytes: Uint8Array, start: number, end: number): number {
	let next = state
	let pos = start
	for (; pos + 4 <= end; pos += 4) {
		next ^= bytes[pos]! | (bytes[pos + 1]! << 8) | (bytes[pos + 2]! << 16) | (bytes[pos + 3]! << 24)
		next =
			TABLES[768 + (next & 0xff)]! ^
			TABLES[512 + ((next >>> 8) & 0xff)]! ^
			TABLES[256 + ((next >>> 16) & 0xff)]! ^
			TABLES[next >>> 24]!
	}
	for (; pos < end; pos++) next = (next >>> 8) ^ TABLE[(next ^ bytes[pos]!) & 0xff]!
	return next
}

const place = new Uint8Array(12)
const placeView = new DataView(place.buffer)

/**
 * Returns the seed that all checksums in a file share: the CRC-32 of the chain id (16 bytes) and the segment
 * (u32), big-endian.
 */
export function identityChecksum(chainId: Uint8Array, segment: number): number {
	placeView.setUint32(0, segment)
	return checksum(place, 0, 4, checksum(chainId, 0, chainId.length, 0))
}

/**
 * Returns the seed of one entry's checksum: the file's {@link identityChecksum}, continued over the entry's
 * offset (u64) and length (u32), big-endian.
 */
export function entrySeed(idChecksum: number, offset: number, length: number): number {
	placeView.setUint32(0, Math.floor(offset / 0x1_0000_0000))
	placeView.setUint32(4, offset >>> 0)
	placeView.setUint32(8, length)
	return checksum(place, 0, place.length, idChecksum)
}

const BLOCK_BYTES = 256
/**
 * Maximum distance, in blocks, from the oldest stored state to the start of a stretch; enough for two frames
 * of maximum length.
 */
const BLOCKS_MAX = (32 * 1024 * 1024) / BLOCK_BYTES

/**
 * Computes checksums of overlapping stretches of one file, each in constant time: about the time that a
 * checksum of 512 bytes takes. The scanner uses this class to search bytes in which every position may look
 * like the start of an entry of maximum length.
 *
 * CRC-32 is linear: `state(a to c) = state(0 to c) ^ zeros(state(0 to b) ^ state(a to b))`, where `zeros`
 * appends one zero byte for each byte from `b` to `c`. The states at block boundaries are stored, and the
 * partial blocks at both ends are computed.
 */
export class StretchChecksums {
	/** Position of the first stored state, in blocks from the beginning of the file. */
	#first = 0
	#count = 0
	#states = new Uint32Array(1024)

	/**
	 * Returns the same result as {@link checksum}. The first byte of `bytes` is at the offset `base` in the
	 * file.
	 */
	of(bytes: Uint8Array, base: number, start: number, end: number, crc: number): number {
		const from = Math.ceil((base + start) / BLOCK_BYTES)
		const to = Math.floor((base + end) / BLOCK_BYTES)
		if (to <= from) return checksum(bytes, start, end, crc)
		this.#extend(bytes, base, from, to)
		const before = advance(~crc, bytes, start, from * BLOCK_BYTES - base)
		const whole = this.#stateAt(to) ^ appendZeros(this.#stateAt(from) ^ before, to - from)
		return ~advance(whole, bytes, to * BLOCK_BYTES - base, end) >>> 0
	}

	#stateAt(block: number): number {
		return this.#states[block - this.#first]!
	}

	#extend(bytes: Uint8Array, base: number, from: number, to: number): void {
		const known = this.#first + this.#count - 1
		if (this.#count === 0 || from < this.#first || known * BLOCK_BYTES < base) {
			this.#first = from
			this.#count = 1
			this.#states[0] = 0
		} else if (from - this.#first > BLOCKS_MAX) {
			this.#states.copyWithin(0, from - this.#first, this.#count)
			this.#count -= from - this.#first
			this.#first = from
		}
		for (let block = this.#first + this.#count; block <= to; block++) {
			const end = block * BLOCK_BYTES - base
			if (this.#count === this.#states.length) this.#grow()
			this.#states[this.#count] = advance(this.#states[this.#count - 1]!, bytes, end - BLOCK_BYTES, end)
			this.#count++
		}
	}

	#grow(): void {
		const grown = new Uint32Array(2 * this.#states.length)
		grown.set(this.#states)
		this.#states = grown
	}
}

/** `ZEROS[n]`: the effect of 2^n blocks of zero bytes on each of the four bytes of a state. */
const ZEROS: Uint32Array[] = []

function appendZeros(state: number, blocks: number): number {
	let next = state
	for (let power = 0; blocks >>> power > 0; power++) {
		if (((blocks >>> power) & 1) === 1) next = lookUp(zerosTable(power), next)
	}
	return next
}

function zerosTable(power: number): Uint32Array {
	const known = ZEROS[power]
	if (known !== undefined) return known
	const zeros = new Uint8Array(BLOCK_BYTES)
	const table = Uint32Array.from({ length: 4 * 256 }, (_unused, index) => {
		const state = (index & 0xff) << (8 * (index >> 8))
		if (power === 0) return advance(state, zeros, 0, BLOCK_BYTES)
		const half = zerosTable(power - 1)
		return lookUp(half, lookUp(half, state))
	})
	ZEROS[power] = table
	return table
}

function lookUp(table: Uint32Array, state: number): number {
	return (
		table[state & 0xff]! ^
		table[256 + ((state >>> 8) & 0xff)]! ^
		table[512 + ((state >>> 16) & 0xff)]! ^
		table[768 + (state >>> 24)]!
	)
}
