/**
 * The checksum of frames and anchors: CRC-32 (the one of zlib), seeded with the chain's id, the segment, the entry's own
 * offset and its length. Bytes copied to another place, another file or another chain therefore never verify. It finds
 * accidents; it is no security.
 */
import { crc32 } from 'node:zlib'

/** From here on the native function is faster than the table (350 ns a call against 1.3 ns a byte). */
const NATIVE_BYTES_MIN = 256

const TABLE = Uint32Array.from({ length: 256 }, (_unused, byte) => {
	let crc = byte
	for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
	return crc >>> 0
})

/** CRC-32 of `bytes[start, end)`, going on from `crc`. */
export function checksum(bytes: Uint8Array, start: number, end: number, crc: number): number {
	if (end - start >= NATIVE_BYTES_MIN) return crc32(bytes.subarray(start, end), crc)
	let state = ~crc
	for (let pos = start; pos < end; pos++) state = (state >>> 8) ^ TABLE[(state ^ bytes[pos]!) & 0xff]!
	return ~state >>> 0
}

const place = new Uint8Array(12)
const placeView = new DataView(place.buffer)

/** What every checksum in one file starts from: the CRC-32 of chain id (16 bytes) and segment (u32), big-endian. */
export function identityChecksum(chainId: Uint8Array, segment: number): number {
	placeView.setUint32(0, segment)
	return checksum(place, 0, 4, checksum(chainId, 0, chainId.length, 0))
}

/**
 * What the checksum at one place of one file starts from: {@link identityChecksum}, given as `idChecksum`, going on over offset
 * (u64) and length (u32), big-endian.
 */
export function entrySeed(idChecksum: number, offset: number, length: number): number {
	placeView.setUint32(0, Math.floor(offset / 0x1_0000_0000))
	placeView.setUint32(4, offset >>> 0)
	placeView.setUint32(8, length)
	return checksum(place, 0, place.length, idChecksum)
}
