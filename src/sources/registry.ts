/**
 * What is archived, in a chain of its own: each record is one source as it was at that time, and the newest one counts.
 *
 * The chain is bounded: old files of it go. So that no source goes with them, one that was not written for long is written again. Each record says
 * from which one on it has to be read: a start reads a few records a source, however long the history is.
 */
import { type Chain, FileChainAppender, openChain } from '../chain/index.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { gapDataOf } from '../model/record.ts'
import type { FileSystem } from '../platform/file-system.ts'
import { entryFrom, type SourceEntry } from './entry.ts'
import { modeText } from './source.ts'

const SOURCE_KIND = 'source'
const FORGOTTEN_KIND = 'forgotten'
/** Records that are kept in all: more than any window. */
const RECORDS_MAX = 200_000
/** Every source is written once within twice as many records as there are sources, at least so many. */
const WINDOW_RECORDS_MIN = 10_000

export interface RegistryContents {
	readonly entries: ReadonlyMap<string, SourceEntry>
	/** The seq of the record that each comes from. */
	readonly seqs: ReadonlyMap<string, number>
	/** When the newest record was written; null for an empty registry. */
	readonly savedMs: number | null
	/** Records that damage took: what they said is told by older ones, or by none. */
	readonly missing: number
}

/**
 * Reads a registry, also one that somebody is writing to.
 *
 * @throws {MeshChainError} what `openChain` throws.
 */
export async function readRegistry(path: string, fs?: FileSystem): Promise<RegistryContents> {
	await using chain = await openChain(path, fs === undefined ? {} : { fs })
	const fromSeq = await firstNeeded(chain)
	const contents = await readFrom(chain, fromSeq)
	// What damage took of a source's newest record, an older one may tell.
	return contents.missing === 0 || fromSeq === 1 ? contents : await readFrom(chain, 1)
}

async function readFrom(chain: Chain, fromSeq: number): Promise<RegistryContents> {
	const entries = new Map<string, SourceEntry>()
	const seqs = new Map<string, number>()
	let savedMs: number | null = null
	let missing = 0
	for await (const batch of chain.batches({ fromSeq })) {
		for (const record of batch) {
			const { kind, daemonId, data } = record
			if (kind === '$gap') missing += countMissing(data)
			const entry = kind === SOURCE_KIND ? entryFrom(record) : undefined
			if (entry === undefined && kind !== FORGOTTEN_KIND) continue
			// The order of the seqs is that of the last records.
			seqs.delete(daemonId as string)
			savedMs = record.tsMs
			if (entry === undefined) {
				entries.delete(daemonId as string)
				continue
			}
			entries.set(entry.name, entry)
			seqs.set(entry.name, record.seq)
		}
	}
	return { entries, seqs, savedMs, missing }
}

/** Where to begin, by what the newest record says: from there on every source has its newest record. */
async function firstNeeded(chain: Chain): Promise<number> {
	for await (const { data, seq } of chain.records({
		kind: [SOURCE_KIND, FORGOTTEN_KIND],
		reverse: true,
		limit: 1,
		gaps: 'skip',
	})) {
		const { oldestSeq } = (data ?? {}) as { readonly oldestSeq?: unknown }
		if (Number.isSafeInteger(oldestSeq) && (oldestSeq as number) >= 1)
			return Math.min(oldestSeq as number, seq)
	}
	return 1
}

/** What retention took is in newer records. */
function countMissing(data: unknown): number {
	const gap = gapDataOf(data)
	return gap === undefined || gap.cause === 'retained' ? 0 : gap.count
}

export class Registry {
	readonly #loop: MeshLoop
	readonly #path: string | undefined
	readonly #fs: FileSystem | undefined
	/** Which record each source was written in last, the oldest first. */
	readonly #seqs = new Map<string, number>()

	/**
	 * Without a path, nothing survives the process.
	 *
	 * @throws {MeshChainError} what `FileChainAppender` throws: `CHAIN_LOCKED` where another manager holds it.
	 */
	constructor(path: string | undefined, fs: FileSystem | undefined) {
		this.#path = path
		this.#fs = fs
		const options = { retain: { records: RECORDS_MAX }, ...(fs === undefined ? {} : { fs }) }
		this.#loop = new MeshLoop(path === undefined ? undefined : new FileChainAppender(path, options))
	}

	async load(): Promise<RegistryContents> {
		if (this.#path === undefined) return { entries: new Map(), seqs: new Map(), savedMs: null, missing: 0 }
		const contents = await readRegistry(this.#path, this.#fs)
		for (const [name, seq] of contents.seqs) this.#seqs.set(name, seq)
		return contents
	}

	save(entry: SourceEntry): void {
		const { name, state, mode } = entry
		this.#seqs.delete(name)
		const data = { ...entry, oldestSeq: this.#oldestSeq }
		const record = this.#loop.publish({
			kind: SOURCE_KIND,
			daemonId: name,
			message: `${state}, ${modeText(mode)}`,
			data,
		})
		this.#seqs.set(name, record?.seq ?? 0)
	}

	forget(name: string): void {
		this.#seqs.delete(name)
		this.#loop.publish({ kind: FORGOTTEN_KIND, daemonId: name, data: { oldestSeq: this.#oldestSeq } })
	}

	/** The sources that have to be written again, before the record they are in goes. */
	ageing(): string[] {
		const oldest = this.#loop.stats().lastSeq - Math.max(WINDOW_RECORDS_MIN, 2 * this.#seqs.size)
		const names: string[] = []
		for (const [name, seq] of this.#seqs) {
			if (seq > oldest) break
			names.push(name)
		}
		return names
	}

	/** Of the records that count; the one that comes next, where there is none. */
	get #oldestSeq(): number {
		const [oldest = this.#loop.stats().lastSeq + 1] = this.#seqs.values()
		return oldest
	}

	/** @throws {MeshChainError} `WRITE_FAILED` or `FLUSH_FAILED` when what was saved is not with the operating system. */
	flush(): void {
		this.#loop.flush()
	}

	/** @throws {MeshChainError} what `MeshLoop.close` throws. */
	close(): Promise<void> {
		return this.#loop.close()
	}
}
