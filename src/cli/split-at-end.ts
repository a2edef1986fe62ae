/**
 * Splits a chain into two parts: the records that are in the chain now, and the records that are written
 * later. For a merged chain, each input chain is split and the parts are merged again, because the seqs of a
 * merged chain are valid for only one read.
 */
import type { Chain, ChainInfoOptions, ChainQuery, TailQuery } from '../chain/index.ts'
import { lastSeqOf } from '../merge/last-seq.ts'
import { mergeChains } from '../merge/merge-chains.ts'

/** Splits a chain at its current end. */
export async function splitAtEnd(chain: Chain): Promise<{ readonly before: Chain; readonly after: Chain }> {
	const chains = chain.chains ?? [chain]
	const lasts = await Promise.all(chains.map((one) => lastSeqOf(one)))
	const joined = (parts: readonly Chain[]) => (chain.chains === undefined ? parts[0]! : mergeChains(parts))
	return {
		before: joined(chains.map((one, index) => new Part(one, 0, lasts[index]!))),
		after: joined(chains.map((one, index) => new Part(one, lasts[index]!, Number.POSITIVE_INFINITY))),
	}
}

/** The records of a chain after one seq, up to and including another seq. */
class Part implements Chain {
	readonly path: string
	readonly chainId: string
	readonly #chain: Chain
	readonly #afterSeq: number
	readonly #toSeq: number

	constructor(chain: Chain, afterSeq: number, toSeq: number) {
		this.path = chain.path
		this.chainId = chain.chainId
		this.#chain = chain
		this.#afterSeq = afterSeq
		this.#toSeq = toSeq
	}

	records(query: ChainQuery = {}) {
		return this.#chain.records(this.#within(query))
	}

	batches(query: ChainQuery = {}) {
		return this.#chain.batches(this.#within(query))
	}

	tail(query: TailQuery = {}) {
		return this.#chain.tail(this.#within(query))
	}

	info(options?: ChainInfoOptions) {
		return this.#chain.info(options)
	}

	end() {
		return this.#chain.end()
	}

	close(): Promise<void> {
		return this.#chain.close()
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	#within<Q extends ChainQuery | TailQuery>(query: Q): Q {
		const { afterSeq = 0, toSeq = Number.POSITIVE_INFINITY } = query
		const end = Math.min(toSeq, this.#toSeq)
		return {
			...query,
			afterSeq: Math.max(afterSeq, this.#afterSeq),
			...(end === Number.POSITIVE_INFINITY ? {} : { toSeq: end }),
		}
	}
}
