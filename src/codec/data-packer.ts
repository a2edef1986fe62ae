/**
 * Packs `data` as MessagePack with msgpackr. The output contains only standard types, except for the
 * extension 0x42 for integers beyond 64 bits. `data-reader.ts` is the inverse. This file is independent of
 * records and files.
 *
 * Invariant: the packed bytes depend only on the structure of a canonical value. msgpackr reads the
 * properties `constructor`, `toJSON` and `hasOwnProperty` of an object, and data may have keys with these
 * names. With `useToJSON: false`, msgpackr never calls these values, and they do not change the result.
 */
import { Packr } from 'msgpackr'

const OPTIONS = { useRecords: false, useBigIntExtension: true, useToJSON: false }

const packr = new Packr(OPTIONS)
/**
 * A slower packer that counts the keys of a map before it writes them. It accepts maps with more than 65,535
 * keys, which the other packer refuses.
 */
const packrOfWideMaps = new Packr({ ...OPTIONS, variableMapSize: true })

/**
 * Packs a canonical value. The bytes are valid only until the next call, so the caller must copy them
 * immediately.
 */
export function packDataBorrow(data: unknown): Uint8Array {
	try {
		return packr.pack(data)
	} catch {
		return packrOfWideMaps.pack(data)
	}
}
