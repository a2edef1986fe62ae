/**
 * `data` as MessagePack, by msgpackr: plain values only, no private extension but 0x42 for integers beyond 64 bits. The way back is
 * `data-reader.ts`. Knows nothing of records or files.
 *
 * Invariant: a canonical value is packed by its structure alone. msgpackr asks an object for its constructor, for toJSON and for
 * hasOwnProperty; data may have keys of those names. With `useToJSON: false` no answer calls anything or changes what is packed.
 */
import { Packr } from 'msgpackr'

const OPTIONS = { useRecords: false, useBigIntExtension: true, useToJSON: false }

const packr = new Packr(OPTIONS)
/** Counts keys before it writes them: slower, and for maps of more than 65,535 keys, which the other one refuses. */
const packrOfWideMaps = new Packr({ ...OPTIONS, variableMapSize: true })

/** The bytes of a canonical value, valid until the next call: copy them at once. */
export function packDataBorrow(data: unknown): Uint8Array {
	try {
		return packr.pack(data)
	} catch {
		return packrOfWideMaps.pack(data)
	}
}
