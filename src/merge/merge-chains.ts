/** Several chains as one history. */
import { createHash } from 'node:crypto'
import {
	type Chain,
	type ChainEndInfo,
	type ChainInfo,
	type ChainQuery,
	checkChain,
	explainedAs,
	RecordIterator,
	readWatermark,
	type TailQuery,
} from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { invalidOption } from '../model/check.ts'
import { defined } from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { isGap, type LogRecord, type RecordOrigin } from '../model/record.ts'
import { nodeFileSystem } from '../platform/file-system.ts'
import { interleave } from './interleave.ts'
import { compareMergeCursors, MergeCursor, sortIn } from './merge-cursor.ts'
import { mergedEnd, mergedInfo } from './merged-info.ts'
import { SeenRecords } from './seen-records.ts'

/** As many records are handed out at once, at the most. */
const BATCH_RECORDS_MAX = 256

/** Several chains, read as one. Its `info` is the sum of theirs: a record that several of them have counts in each. */
export interface MergedChain extends Chain {
	/** Records of the latest iteration that more than one of the chains have, and that were left out but for the first time. */
	readonly repeats: number
}

/**
 * Reads several chains as one: by time, but within each chain always by seq, also where its times step back; records of one time by
 * node, then by chain. Every record says by its `origin` which chain's it was; gaps of the chains among them.
 *
 * The merged history is numbered as it is read: `seq` counts from 1 in each iteration, so filters by seq are refused. Other filters
 * seek in each chain. `tail` merges what is there, and hands out what comes in the order in which it comes; with `durableOnly` also
 * what lies in a chain that has no watermark beside it. Memory does not grow with the chains. Closing it closes them.
 *
 * A record that several of the chains have, a merged chain file and one that it was made of, comes once: its identity is
 * `(chainId, epoch, seq)` of its `origin`. `repeats` counts what was left out.
 *
 * @param chains at least one; no chain twice. One that was merged itself counts as the chains that it was made of.
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
export function mergeChains(chains: readonly Chain[]): MergedChain {
	if (!Array.isArray(chains) || chains.length === 0) {
		throw invalidOption('chains', chains, 'an array of at least one chain')
	}
	const all = (chains as readonly Chain[]).flatMap((chain) => {
		checkChain('a merge needs chains', chain, ['records', 'batches', 'tail'])
		return chain.chains ?? [chain]
	})
	refuseDoubles(all)
	return new Merged(all)
}

class Merged implements MergedChain {
	readonly path: string
	readonly chainId: string
	readonly chains: readonly Chain[]
	#given = new SeenRecords()

	constructor(chains: readonly Chain[]) {
		this.chains = chains
		this.path = chains.map(({ path }) => path).join(', ')
		const ids = chains.map(({ chainId }) => chainId).sort()
		this.chainId = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 32)
	}

	get repeats(): number {
		return this.#given.repeats
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		const batches = this.batches(query)
		return { [Symbol.asyncIterator]: () => new RecordIterator(batches[Symbol.asyncIterator]()) }
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		// Whatever a chain refuses it refuses here.
		const sources = this.chains.map((chain) => chain.batches(query))
		refuseSeqs(query)
		const { limit, reverse } = query
		return {
			[Symbol.asyncIterator]: () => merged(this.#heads(sources), this.#anew(), limit, reverse),
		}
	}

	tail(query: TailQuery = {}): AsyncIterable<LogRecord> {
		for (const chain of this.chains) chain.tail(query)
		refuseSeqs(query)
		const asked = { ...query }
		return {
			[Symbol.asyncIterator]: () => {
				const over = new AbortController()
				return new RecordIterator(this.#tail(asked, over), () => over.abort())
			},
		}
	}

	async info(): Promise<ChainInfo> {
		return mergedInfo(this.path, this.chainId, await Promise.all(this.chains.map((chain) => chain.info())))
	}

	async end(): Promise<ChainEndInfo> {
		return mergedEnd(await Promise.all(this.chains.map((chain) => chain.end())))
	}

	async close(): Promise<void> {
		await Promise.all(this.chains.map((chain) => chain.close()))
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.close()
	}

	/** Each iteration knows what it has given out, and only that. */
	#anew(): SeenRecords {
		this.#given = new SeenRecords()
		return this.#given
	}

	#heads(sources: readonly AsyncIterable<LogRecord[]>[]): MergeCursor[] {
		return sources.map((batches, index) => new MergeCursor(this.chains[index]!.chainId, batches))
	}

	/** @param over aborted when the consumer leaves, and in the end. */
	async *#tail(
		{ signal, pollMs, durableOnly, ...filter }: TailQuery,
		over: AbortController,
	): AsyncGenerator<LogRecord[]> {
		const ended = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
		if (ended.aborted) return
		// What is there by now is history; what comes behind it is not.
		const lasts = await Promise.all(this.chains.map((chain) => lastSeqOf(chain, durableOnly)))
		const history = this.chains.map((chain, index) => chain.batches({ ...filter, toSeq: lasts[index]! }))
		const given = this.#anew()
		let seq = 0
		for await (const batch of merged(this.#heads(history), given)) {
			seq += batch.length
			yield batch
			if (ended.aborted) return
		}
		const options = {
			...filter,
			...defined({ pollMs, durableOnly }),
			signal: ended,
		}
		const tails = this.chains.map((chain, index) => {
			const records = chain.tail({ ...options, afterSeq: lasts[index]! })
			return mapped(records, (record) => ({ record, chainId: chain.chainId }))
		})
		for await (const { record, chainId } of interleave(tails, () => over.abort())) {
			const origin = originOf(record, chainId)
			if (!given.isRepeat(chainId, record, origin)) yield [asMerged(record, origin, ++seq)]
			if (ended.aborted) return
		}
	}
}

/** The records of all heads in their order, as many at once as are in memory. */
async function* merged(
	all: readonly MergeCursor[],
	given: SeenRecords,
	limit = Number.POSITIVE_INFINITY,
	reverse = false,
): AsyncGenerator<LogRecord[]> {
	const compare = reverse
		? (a: MergeCursor, b: MergeCursor) => compareMergeCursors(b, a)
		: compareMergeCursors
	let seq = 0
	let left = limit
	try {
		await Promise.all(all.map((head) => head.fill()))
		const heads = all.filter(({ record }) => record !== undefined).sort(compare)
		while (heads.length > 0 && left > 0) {
			const batch: LogRecord[] = []
			let first = heads[0]!
			do {
				const record = first.record!
				const origin = originOf(record, first.chainId)
				if (!given.isRepeat(first.chainId, record, origin)) {
					if (!isGap(record)) left--
					batch.push(asMerged(record, origin, ++seq))
				}
				first.next()
				if (first.record === undefined) break
				sortIn(heads, compare)
				first = heads[0]!
			} while (left > 0 && batch.length < BATCH_RECORDS_MAX)
			if (batch.length > 0) yield batch
			if (first.record !== undefined || left === 0) continue
			await first.fill()
			if (first.record === undefined) heads.shift()
			else sortIn(heads, compare)
		}
	} finally {
		await Promise.all(all.map((head) => head.close()))
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function refuseDoubles(chains: readonly Chain[]): void {
	const paths = new Map<string, string>()
	for (const { chainId, path } of chains) {
		const other = paths.get(chainId)
		if (other !== undefined) {
			const text = `${show(other)} and ${show(path)} are the same chain: give each chain once`
			throw new MeshChainError('INVALID_OPTION', text, { path })
		}
		paths.set(chainId, path)
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

function originOf({ origin, epoch, seq }: LogRecord, chainId: string): RecordOrigin {
	return origin ?? { chainId, epoch, seq }
}

function asMerged(record: LogRecord, origin: RecordOrigin, seq: number): LogRecord {
	return explainedAs(record, { ...record, seq, epoch: 1, origin })
}

/** How far the history of a chain goes; with `durableOnly` no further than the mark beside it says that it is on disk. */
async function lastSeqOf(chain: Chain, durableOnly = false): Promise<number> {
	const durable = durableOnly
		? (readWatermark(nodeFileSystem, chain.path, Buffer.from(chain.chainId, 'hex'))?.seq ?? 0)
		: Number.POSITIVE_INFINITY
	for await (const { seq } of chain.records({ reverse: true, limit: 1 })) return Math.min(seq, durable)
	return 0
}

async function* mapped<A, B>(source: AsyncIterable<A>, change: (item: A) => B): AsyncGenerator<B> {
	for await (const item of source) yield change(item)
}
