/**
 * Packs `data` as MessagePack with msgpackr: only plain values, and no private extension except 0x42 for
 * integers beyond 64 bits. `data-reader.ts` is the inverse. Independent of records and files.
 *
 * Invariant: a canonical value is packed by its structure alone. msgpackr reads `constructor`, `toJSON` and
 * `hasOwnProperty` of an object, and data may have keys with these names. With `useToJSON: false` these
 * values are never called and do not change the result.
 */
import { Packr } from 'msgpackr'

const OPTIONS = { useRecords: false, useBigIntExtension: true, useToJSON: false }

const packr = new Packr(OPTIONS)
/**
 * Counts keys before writing them: slower, but accepts maps of more than 65,535 keys, which the other packer
 * refuses.
 */
const packrOfWideMaps = new Packr({ ...OPTIONS, variableMapSize: true })

/** Packs a canonical value. The bytes are valid until the next call: copy them at once. */
export function packDataBorrow(data: unknown): Uint8Array {
	try {
		return packr.pack(data)
	} catch {
		return packrOfWideMaps.pack(data)
	}
}
