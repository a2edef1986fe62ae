/**
 * Packs `data` as MessagePack with msgpackr. The output contains only standard types, except for the
 * extension 0x42 for integers beyond 64 bits. `data-reader.ts` is the inverse. This module does not depend on
 * records or files.
 *
 * Invariant: the packed bytes depend only on the structure of a canonical value. msgpackr reads the
 * properties `constructor`, `toJSON` and `hasOwnProperty` of an object, and data may have keys with these
 * names. With `useToJSON: false`, msgpackr never calls the values of these properties, and the values do not
 * affect the output.
 */
import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr/pack'

const OPTIONS = { useRecords: false, useBigIntExtension: true, useToJSON: false }

const packr = new Packr(OPTIONS)
/**
 * A slower packer that counts the keys of a map before it writes them. It accepts maps with more than 65,535
 * keys, which the other packer refuses.
 */
const packrOfWideMaps = new Packr({ ...OPTIONS, variableMapSize: true })

/** Makes msgpackr return its own buffer instead of a view, and pack the next value into the same bytes. */
const IN_PLACE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE

/** The buffer of a packer. The packed value is in `[start, end)`. */
interface Packed extends Buffer {
	readonly start: number
	readonly end: number
}

/**
 * Packs a canonical value into the packer's own buffer. The bytes are valid only until the next call, so the
 * caller must copy them immediately.
 */
export function packInPlace(data: unknown): Packed {
	try {
		return packNarrowInPlace(data)
	} catch {
		return packrOfWideMaps.pack(data, IN_PLACE) as Packed
	}
}

/** Works like {@link packInPlace}, but throws if the value contains a map with more than 65,535 keys. */
export function packNarrowInPlace(data: unknown): Packed {
	return packr.pack(data, IN_PLACE) as Packed
}

/** Packs a canonical value like {@link packInPlace}, and returns a view of the packed bytes. */
export function packDataBorrow(data: unknown): Uint8Array {
	const packed = packInPlace(data)
	return packed.subarray(packed.start, packed.end)
}
