/** Several chains as one history. */
import { createHash } from 'node:crypto'
import type { Chain, ChainEndInfo, ChainInfo, ChainQuery, TailQuery } from '../chain/chain.ts'
import { MeshChainError } from '../errors.ts'
import type { LogFilter } from '../filter.ts'
import { checkWholeNumber } from '../options.ts'
import { isGap, type LogRecord, show } from '../record.ts'
import { funnel } from './funnel.ts'
import { compareHeads, Head } from './heads.ts'
import { mergedEnd, mergedInfo } from './merged-info.ts'

/** As many records are handed out at once, at the most. */
const BATCH_RECORDS_MAX = 256

/**
 * Reads several chains as one: by time, but within each chain always by seq, also where its times step back; records of one time by
 * node, then by chain. Every record says by its `origin` which chain's it was; gaps of the chains among them.
 *
 * The merged history is numbered as it is read: `seq` counts from 1 in each iteration, so filters by seq are refused. Other filters
 * seek in each chain. `tail` merges what is there, and hands out what comes in the order in which it comes. Memory does not grow with
 * the chains. Closing it closes them.
 *
 * @param chains at least one; no chain twice.
 * @throws {MeshChainError} `INVALID_OPTION`; while reading what the chains throw.
 *
 * @example
 * ```ts
 * import { mergeChains, openChain } from 'mesh-chain'
 *
 * await using all = mergeChains([await openChain('a.chain'), await openChain('b.chain')])
 * for await (const record of all.records({ level: 'warn' })) console.log(record.origin?.chainId, record.message)
 * ```
 */
export function mergeChains(chains: readonly Chain[]): Chain {
	if (!Array.isArray(chains) || chains.length === 0) {
		throw new MeshChainError(
			'INVALID_OPTION',
			`chains must be an array of at least one chain, not ${show(chains)}`,
		)
	}
	const paths = new Map<string, string>()
	for (const { chainId, path } of chains as readonly Chain[]) {
		const other = paths.get(chainId)
		if (other !== undefined) {
			const text = `${show(other)} and ${show(path)} are the same chain: give each chain once`
			throw new MeshChainError('INVALID_OPTION', text, { path })
		}
		paths.set(chainId, path)
	}
	return new MergedChain([...chains])
}

class MergedChain implements Chain {
	readonly path: string
	readonly chainId: string
	readonly #chains: readonly Chain[]

	constructor(chains: readonly Chain[]) {
		this.#chains = chains
		this.path = chains.map(({ path }) => path).join(', ')
		const ids = chains.map(({ chainId }) => chainId).sort()
		this.chainId = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 32)
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		return eachOf(this.batches(query))
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		refuseSeqs(query)
		const { limit } = query
		if (limit !== undefined) checkWholeNumber('limit', limit, 0)
		return this.#merged(
			this.#chains.map((chain) => new Head(chain, query)),
			query,
		)
	}

	tail(query: TailQuery = {}): AsyncIterable<LogRecord> {
		refuseSeqs(query)
		return this.#tail(query)
	}

	async info(): Promise<ChainInfo> {
		return mergedInfo(this.path, this.chainId, await Promise.all(this.#chains.map((chain) => chain.info())))
	}

	async end(): Promise<ChainEndInfo> {
		return mergedEnd(await Promise.all(this.#chains.map((chain) => chain.end())))
	}

	async close(): Promise<void> {
		await Promise.all(this.#chains.map((chain) => chain.close()))
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	async *#merged(
		all: readonly Head[],
		{ limit = Number.POSITIVE_INFINITY, reverse = false }: ChainQuery,
	): AsyncGenerator<LogRecord[]> {
		const compare = reverse ? (a: Head, b: Head) => compareHeads(b, a) : compareHeads
		let seq = 0
		let left = limit
		try {
			await Promise.all(all.map((head) => head.fill()))
			let heads = all.filter(({ record }) => record !== undefined)
			while (heads.length > 0 && left > 0) {
				heads.sort(compare)
				const [first, second] = heads as [Head, Head | undefined]
				const batch: LogRecord[] = []
				// As long as no other chain is to be asked.
				do {
					const record = first.record!
					if (!isGap(record)) left--
					batch.push(asMerged(record, first.chainId, ++seq))
					first.next()
					if (first.record === undefined) break
				} while (
					left > 0 &&
					batch.length < BATCH_RECORDS_MAX &&
					(second === undefined || compare(first, second) < 0)
				)
				yield batch
				if (first.record === undefined) await first.fill()
				if (first.record === undefined) heads = heads.slice(1)
			}
		} finally {
			await Promise.all(all.map((head) => head.close()))
		}
	}

	async *#tail({ signal, pollMs, durableOnly, ...query }: TailQuery): AsyncGenerator<LogRecord> {
		const over = new AbortController()
		const options = {
			...query,
			...(pollMs === undefined ? {} : { pollMs }),
			...(durableOnly === undefined ? {} : { durableOnly }),
			signal: signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]),
		}
		// What is there by now is history; what comes behind it is not.
		const lasts = await Promise.all(this.#chains.map(lastSeqOf))
		const history = this.#merged(
			this.#chains.map((chain, index) => new Head(chain, { ...query, toSeq: lasts[index]! })),
			{},
		)
		let seq = 0
		try {
			for await (const batch of history) {
				for (const record of batch) {
					if (signal?.aborted) return
					yield { ...record, seq: ++seq }
				}
			}
			const tails = this.#chains.map((chain, index) => {
				const records = chain.tail({ ...options, afterSeq: lasts[index]! })
				return mapped(records, (record) => ({ record, chainId: chain.chainId }))
			})
			for await (const { record, chainId } of funnel(tails)) yield asMerged(record, chainId, ++seq)
		} finally {
			over.abort()
		}
	}
}

/** @throws {MeshChainError} `INVALID_FILTER` */
function refuseSeqs(query: LogFilter): void {
	const name = (['afterSeq', 'fromSeq', 'toSeq'] as const).find((key) => query[key] !== undefined)
	if (name === undefined) return
	throw new MeshChainError(
		'INVALID_FILTER',
		`${name} has no meaning for merged chains, which have no common seqs: filter by time, or make one chain of them with mesh-chain merge`,
	)
}

function asMerged(record: LogRecord, chainId: string, seq: number): LogRecord {
	const origin = record.origin ?? { chainId, epoch: record.epoch, seq: record.seq }
	return { ...record, seq, epoch: 1, origin }
}

async function lastSeqOf(chain: Chain): Promise<number> {
	for await (const { seq } of chain.records({ reverse: true, limit: 1 })) return seq
	return 0
}

async function* eachOf(batches: AsyncIterable<LogRecord[]>): AsyncGenerator<LogRecord> {
	for await (const batch of batches) yield* batch
}

async function* mapped<A, B>(source: AsyncIterable<A>, change: (item: A) => B): AsyncGenerator<B> {
	for await (const item of source) yield change(item)
}
