/**
 * What each of several chains has given out, so that none gives what another one has given already: a merged
 * chain beside one that it was made of, or two of them. A chain's own repeats are its own: what somebody
 * replayed into it twice is in it twice.
 */
import { GAP_KIND, type LogRecord, type RecordOrigin } from '../model/record.ts'
import { SeqRanges } from './seq-ranges.ts'

/** Of more chains nothing is remembered: at the worst a record comes twice. */
const CHAINS_MAX = 10_000
/**
 * What a chain calls itself. Names that people and imports give stand for different records in different
 * places.
 */
const CHAIN_ID = /^[0-9a-f]{32}$/

type Givers = Map<string, SeqRanges>

export class SeenRecords {
	readonly #givers = new Map<string, Givers | undefined>()
	/** Records that were given before by another chain. */
	repeats = 0

	/** Whether another chain than `by` has given it; `by` has otherwise. */
	isRepeat(by: string, { kind }: LogRecord, { chainId, epoch, seq }: RecordOrigin): boolean {
		// A gap does not stand for the record of the same seq, which another chain may still have.
		const givers = this.#giversOf(kind === GAP_KIND ? `${chainId}${GAP_KIND}` : chainId, chainId)
		if (givers === undefined) return false
		for (const [giver, spans] of givers) {
			if (giver === by || !spans.has(epoch, seq)) continue
			this.repeats++
			return true
		}
		spansOf(givers, by).add(epoch, seq)
		return false
	}

	#giversOf(name: string, chainId: string): Givers | undefined {
		const known = this.#givers.get(name)
		if (known !== undefined || this.#givers.has(name)) return known
		if (this.#givers.size >= CHAINS_MAX) this.#givers.clear()
		const givers: Givers | undefined = CHAIN_ID.test(chainId) ? new Map() : undefined
		this.#givers.set(name, givers)
		return givers
	}
}

function spansOf(givers: Givers, by: string): SeqRanges {
	const spans = givers.get(by) ?? new SeqRanges()
	givers.set(by, spans)
	return spans
}
