/**
 * Stores the registry of sources in its own chain. Each record contains the state of one source at the time
 * of the write. The newest record of each source applies.
 *
 * Retention removes the chain's old files. A source that has not been written for a long time is therefore
 * written again before its record is removed. Each record contains the seq from which the registry must be
 * read. Opening the registry therefore reads at most about 10,000 records, or two for each source if that is
 * more, regardless of the length of the history.
 */
import { type Chain, FileChainAppender, openChain } from '../chain/index.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { GAP_KIND, gapDataOf } from '../model/record.ts'
import type { FileSystem } from '../platform/file-system.ts'
import { entryFrom, type SourceEntry } from './entry.ts'
import { modeText } from './source.ts'

const SOURCE_KIND = 'source'
const FORGOTTEN_KIND = 'forgotten'
/** Maximum number of retained records, which exceeds the size of any window. */
const RECORDS_MAX = 200_000
/**
 * Minimum size, in records, of the window in which every source is written at least once. With many sources,
 * the window has twice as many records as there are sources.
 */
const WINDOW_RECORDS_MIN = 10_000

/** The contents of a registry. */
export interface RegistryContents {
	/** Entries by source name. */
	readonly entries: ReadonlyMap<string, SourceEntry>
	/** Seq of each entry's record, by source name, lowest seq first. */
	readonly seqs: ReadonlyMap<string, number>
	/** Time of the newest record; undefined for an empty registry. */
	readonly savedMs: number | undefined
	/**
	 * Number of lost records, for example because of damage. The affected sources are read from older records
	 * or are missing.
	 */
	readonly missing: number
}

/**
 * Reads a registry, even while it is being written.
 *
 * @throws {MeshChainError} The same errors as `openChain`.
 */
export async function readRegistry(path: string, fs?: FileSystem): Promise<RegistryContents> {
	await using chain = await openChain(path, fs === undefined ? {} : { fs })
	const fromSeq = await firstNeeded(chain)
	const contents = await readFrom(chain, fromSeq)
	// An older record may contain a source whose newest record is damaged.
	return contents.missing === 0 || fromSeq === 1 ? contents : await readFrom(chain, 1)
}

async function readFrom(chain: Chain, fromSeq: number): Promise<RegistryContents> {
	const entries = new Map<string, SourceEntry>()
	const seqs = new Map<string, number>()
	let savedMs: number | undefined
	let missing = 0
	for await (const batch of chain.batches({ fromSeq })) {
		for (const record of batch) {
			const { kind, daemonId, data } = record
			if (kind === GAP_KIND) missing += countMissing(data)
			const entry = kind === SOURCE_KIND ? entryFrom(record) : undefined
			if (entry === undefined && kind !== FORGOTTEN_KIND) continue
			// The seq is deleted first, so that the map stays in ascending order of seq.
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

/**
 * Returns the first seq to read, according to the newest record. The newest record of every source has this
 * seq or a higher one.
 */
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

/**
 * Returns the number of missing records in a gap. Records that retention removed do not count, because newer
 * records contain the same sources.
 */
function countMissing(data: unknown): number {
	const gap = gapDataOf(data)
	return gap === undefined || gap.cause === 'retained' ? 0 : gap.count
}

/** Writes a registry. */
export class Registry {
	readonly #loop: MeshLoop
	readonly #path: string | undefined
	readonly #fs: FileSystem | undefined
	/** Seq of each source's newest record, by source name, lowest seq first. */
	readonly #seqs = new Map<string, number>()

	/**
	 * @param path Path of the chain. If undefined, the registry does not survive the process.
	 * @throws {MeshChainError} The same errors as `FileChainAppender`, for example `CHAIN_LOCKED` if another
	 * manager uses the registry.
	 */
	constructor(path: string | undefined, fs: FileSystem | undefined) {
		this.#path = path
		this.#fs = fs
		const options = { retain: { records: RECORDS_MAX }, ...(fs === undefined ? {} : { fs }) }
		this.#loop = new MeshLoop(path === undefined ? undefined : new FileChainAppender(path, options))
	}

	async load(): Promise<RegistryContents> {
		if (this.#path === undefined)
			return { entries: new Map(), seqs: new Map(), savedMs: undefined, missing: 0 }
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

	/** Returns the names of the sources that must be written again before retention removes their records. */
	ageing(): string[] {
		const oldest = this.#loop.stats().lastSeq - Math.max(WINDOW_RECORDS_MIN, 2 * this.#seqs.size)
		const names: string[] = []
		for (const [name, seq] of this.#seqs) {
			if (seq > oldest) break
			names.push(name)
		}
		return names
	}

	/** Seq of the oldest record that still applies; if no record applies, the seq of the next record. */
	get #oldestSeq(): number {
		const [oldest = this.#loop.stats().lastSeq + 1] = this.#seqs.values()
		return oldest
	}

	/**
	 * Passes the saved entries to the OS.
	 *
	 * @throws {MeshChainError} `WRITE_FAILED` or `FLUSH_FAILED` if the saved entries have not reached the OS.
	 */
	flush(): void {
		this.#loop.flush()
	}

	/** Closes the registry. @throws {MeshChainError} The same errors as `MeshLoop.close`. */
	close(): Promise<void> {
		return this.#loop.close()
	}
}
