/**
 * Detects repeats (duplicates) in a merge. Remembers which records each chain has returned, so that two
 * chains, such as a merged chain and one of its inputs, never return the same record. A record that one chain
 * contains twice is returned twice.
 */
import { GAP_KIND, type LogRecord, type RecordOrigin } from '../model/record.ts'
import { SeqRanges } from './seq-ranges.ts'

/**
 * Maximum number of original chains to remember. Beyond this number, all are forgotten, so a record may be
 * returned twice.
 */
const CHAINS_MAX = 10_000
/**
 * Matches a chain id. An import name can identify different records in different chains, so import names are
 * not compared.
 */
const CHAIN_ID = /^[0-9a-f]{32}$/

type Returned = Map<string, SeqRanges>

/** Remembers, for each original chain, which chains have returned its records. */
export class SeenRecords {
	readonly #returned = new Map<string, Returned | undefined>()
	/** Number of records that another chain had already returned. */
	repeats = 0

	/**
	 * Returns whether a chain other than `by` has returned the record. If not, remembers that `by` returned it.
	 */
	isRepeat(by: string, { kind }: LogRecord, { chainId, epoch, seq }: RecordOrigin): boolean {
		// A gap and the record with the same seq count as different, because another chain may still have the
		// record.
		const returned = this.#returnedOf(kind === GAP_KIND ? `${chainId}${GAP_KIND}` : chainId, chainId)
		if (returned === undefined) return false
		for (const [chain, ranges] of returned) {
			if (chain === by || !ranges.has(epoch, seq)) continue
			this.repeats++
			return true
		}
		rangesOf(returned, by).add(epoch, seq)
		return false
	}

	#returnedOf(name: string, chainId: string): Returned | undefined {
		const known = this.#returned.get(name)
		if (known !== undefined || this.#returned.has(name)) return known
		if (this.#returned.size >= CHAINS_MAX) this.#returned.clear()
		const returned: Returned | undefined = CHAIN_ID.test(chainId) ? new Map() : undefined
		this.#returned.set(name, returned)
		return returned
	}
}

function rangesOf(returned: Returned, by: string): SeqRanges {
	const ranges = returned.get(by) ?? new SeqRanges()
	returned.set(by, ranges)
	return ranges
}
