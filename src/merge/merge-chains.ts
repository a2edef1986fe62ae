/** Merges several chains into one history. */
import { createHash } from 'node:crypto'
import {
	type Chain,
	type ChainEndInfo,
	type ChainInfo,
	type ChainInfoOptions,
	type ChainQuery,
	checkChain,
	explainedAs,
	RecordIterator,
	recordsOf,
	type TailQuery,
} from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { invalidOption } from '../model/check.ts'
import { defined } from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { isGap, type LogRecord, type RecordOrigin } from '../model/record.ts'
import { SeenRecords } from './deduplicate.ts'
import { interleave } from './interleave.ts'
import { lastSeqOf } from './last-seq.ts'
import { compareMergeCursors, MergeCursor, sortIn } from './merge-cursor.ts'
import { mergedEnd, mergedInfo } from './merged-info.ts'

/** Maximum number of records in a batch. */
const BATCH_RECORDS_MAX = 256

/**
 * Several chains that are read as one. `info` returns totals over all chains, so a record that several chains
 * contain is counted once for each chain.
 */
export interface MergedChain extends Chain {
	/**
	 * Number of repeats in the latest iteration: records that were not returned because another chain had
	 * already returned them.
	 */
	readonly repeats: number
}

/**
 * Merges several chains into one history. Records from different chains are ordered by time. Records from the
 * same chain stay in seq order, even if their times go backwards. Records with the same time are ordered by
 * node, then by chain. The `origin` of every record identifies the chain that it comes from. Gaps in the
 * chains are included.
 *
 * Records are numbered as they are read: `seq` starts at 1 in each iteration, so filters by seq are refused.
 * All other filters apply to each chain, which seeks to the matching records. `tail` first merges the
 * existing records, and then returns new records in order of arrival. With `durableOnly`, all records of a
 * chain without a watermark count as new. Memory use does not grow with the length of the chains. Closing the
 * merged chain closes its chains.
 *
 * If several chains contain the same record, for example a merged chain and one of its inputs, the record is
 * returned once. A record is identified by the `(chainId, epoch, seq)` of its `origin`. `repeats` counts the
 * further copies, which are not returned.
 *
 * @param chains At least one chain. Pass each chain only once. A merged chain counts as all of its inputs.
 * @throws {MeshChainError} `INVALID_OPTION`. Reading throws `INVALID_FILTER` for a filter by seq, and
 * otherwise the same errors as reading the individual chains.
 *
 * @example
 * ```ts
 * import { mergeChains, openChain } from 'mesh-chain'
 *
 * await using all = mergeChains([await openChain('a.chain'), await openChain('b.chain')])
 * for await (const { origin, message } of all.records({ level: 'warn' }))
 *   console.log(origin?.chainId, message)
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
	#seen = new SeenRecords()

	constructor(chains: readonly Chain[]) {
		this.chains = chains
		this.path = chains.map(({ path }) => path).join(', ')
		const ids = chains.map(({ chainId }) => chainId).sort()
		this.chainId = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 32)
	}

	get repeats(): number {
		return this.#seen.repeats
	}

	records(query: ChainQuery = {}): AsyncIterable<LogRecord> {
		return recordsOf(this.batches(query))
	}

	batches(query: ChainQuery = {}): AsyncIterable<LogRecord[]> {
		// The chains refuse an invalid query here rather than at the first record.
		const sources = this.chains.map((chain) => chain.batches(query))
		refuseSeqs(query)
		const { limit, reverse } = query
		return {
			[Symbol.asyncIterator]: () => merged(this.#cursors(sources), this.#newSeen(), limit, reverse),
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

	async info(options?: ChainInfoOptions): Promise<ChainInfo> {
		const infos = await Promise.all(this.chains.map((chain) => chain.info(options)))
		return mergedInfo(this.path, this.chainId, infos)
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

	/** Creates the set of returned records for a new iteration. */
	#newSeen(): SeenRecords {
		this.#seen = new SeenRecords()
		return this.#seen
	}

	#cursors(sources: readonly AsyncIterable<LogRecord[]>[]): MergeCursor[] {
		return sources.map((batches, index) => new MergeCursor(this.chains[index]!.chainId, batches))
	}

	/** @param over Controller that is aborted when the tail ends or the caller stops iterating. */
	async *#tail(
		{ signal, pollIntervalMs, durableOnly, ...filter }: TailQuery,
		over: AbortController,
	): AsyncGenerator<LogRecord[]> {
		const ended = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
		if (ended.aborted) return
		// Records up to these seqs already exist, so they are merged by time. Later records are returned in order
		// of arrival.
		const lasts = await Promise.all(this.chains.map((chain) => lastSeqOf(chain, { durableOnly })))
		const history = this.chains.map((chain, index) => chain.batches({ ...filter, toSeq: lasts[index]! }))
		const seen = this.#newSeen()
		let seq = 0
		for await (const batch of merged(this.#cursors(history), seen)) {
			seq += batch.length
			yield batch
			if (ended.aborted) return
		}
		const options = {
			...filter,
			...defined({ pollIntervalMs, durableOnly }),
			signal: ended,
		}
		const tails = this.chains.map((chain, index) => {
			const records = chain.tail({ ...options, afterSeq: lasts[index]! })
			return mapped(records, (record) => ({ record, chainId: chain.chainId }))
		})
		for await (const { record, chainId } of interleave(tails, () => over.abort())) {
			const origin = originOf(record, chainId)
			if (!seen.isRepeat(chainId, record, origin)) yield [asMerged(record, origin, ++seq)]
			if (ended.aborted) return
		}
	}
}

/**
 * Yields the records of all cursors in order. Each batch contains only records that are already in memory.
 */
async function* merged(
	all: readonly MergeCursor[],
	seen: SeenRecords,
	limit = Number.POSITIVE_INFINITY,
	reverse = false,
): AsyncGenerator<LogRecord[]> {
	const compare = reverse
		? (a: MergeCursor, b: MergeCursor) => compareMergeCursors(b, a)
		: compareMergeCursors
	let seq = 0
	let left = limit
	try {
		await Promise.all(all.map((cursor) => cursor.fill()))
		const cursors = all.filter(({ record }) => record !== undefined).sort(compare)
		while (cursors.length > 0 && left > 0) {
			const batch: LogRecord[] = []
			let first = cursors[0]!
			do {
				const record = first.record!
				const origin = originOf(record, first.chainId)
				if (!seen.isRepeat(first.chainId, record, origin)) {
					if (!isGap(record)) left--
					batch.push(asMerged(record, origin, ++seq))
				}
				first.next()
				if (first.record === undefined) break
				sortIn(cursors, compare)
				first = cursors[0]!
			} while (left > 0 && batch.length < BATCH_RECORDS_MAX)
			if (batch.length > 0) yield batch
			if (first.record !== undefined || left === 0) continue
			await first.fill()
			if (first.record === undefined) cursors.shift()
			else sortIn(cursors, compare)
		}
	} finally {
		await Promise.all(all.map((cursor) => cursor.close()))
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function refuseDoubles(chains: readonly Chain[]): void {
	const paths = new Map<string, string>()
	for (const { chainId, path } of chains) {
		const other = paths.get(chainId)
		if (other !== undefined) {
			const text = `${show(other)} and ${show(path)} are the same chain: pass each chain once`
			throw new MeshChainError('INVALID_OPTION', text, { path })
		}
		paths.set(chainId, path)
	}
}

/** @throws {MeshChainError} `INVALID_FILTER` */
function refuseSeqs(query: LogFilter): void {
	const name = (['afterSeq', 'fromSeq', 'toSeq'] as const).find((key) => query[key] !== undefined)
	if (name === undefined) return
	const advice = 'filter by time, or merge the chains into one file with mesh-chain merge'
	const text = `${name} is not supported for merged chains, which have no common seqs: ${advice}`
	throw new MeshChainError('INVALID_FILTER', text)
}

function originOf({ origin, epoch, seq }: LogRecord, chainId: string): RecordOrigin {
	return origin ?? { chainId, epoch, seq }
}

function asMerged(record: LogRecord, origin: RecordOrigin, seq: number): LogRecord {
	return explainedAs(record, { ...record, seq, epoch: 1, origin })
}

async function* mapped<A, B>(source: AsyncIterable<A>, change: (item: A) => B): AsyncGenerator<B> {
	for await (const item of source) yield change(item)
}
