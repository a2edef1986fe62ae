/**
 * `data` as MessagePack, by msgpackr: plain values only, no private extension but 0x42 for integers beyond 64 bits.
 * Knows nothing of records or files.
 */
import { Packr, Unpackr } from 'msgpackr'

const OPTIONS = { useRecords: false, useBigIntExtension: true, mapsAsObjects: true, copyBuffers: true }

const packr = new Packr(OPTIONS)
const unpackr = new Unpackr(OPTIONS)

/** The bytes of a canonical value, valid until the next call: copy them at once. */
export function packDataBorrow(data: unknown): Uint8Array {
	return packr.pack(data)
}

/**
 * The value in `bytes[start, end)`, which must hold exactly one well-formed value (see `dataEnd`): msgpackr trusts
 * the counts it reads. Bytes come back as plain `Uint8Array` copies.
 */
export function unpackData(bytes: Uint8Array, start: number, end: number): unknown {
	// A Buffer would make msgpackr return Buffers; the canonical form has Uint8Array.
	return unpackr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start))
}
