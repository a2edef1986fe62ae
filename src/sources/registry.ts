/**
 * What is archived, in a chain of its own: each record is one source as it was at that time, and the newest one counts.
 *
 * The chain is bounded: old files of it go. So that no source goes with them, one that was not written for long is written again.
 */
import { openChain } from '../chain/read/open-chain.ts'
import { FileChainAppender } from '../chain/write/file-chain-appender.ts'
import type { FileSystem } from '../file-system.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { entryFrom, type SourceEntry } from './entry.ts'
import { modeText } from './source.ts'

const SOURCE_KIND = 'source'
const FORGOTTEN_KIND = 'forgotten'
/** Records that are kept in all, and those within which every source is written once. */
const RECORDS_MAX = 200_000
const WINDOW_RECORDS = 100_000

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
	const entries = new Map<string, SourceEntry>()
	const seqs = new Map<string, number>()
	let savedMs: number | null = null
	let missing = 0
	await using chain = await openChain(path, fs === undefined ? {} : { fs })
	for await (const batch of chain.batches()) {
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

/** What retention took is in newer records. */
function countMissing(data: unknown): number {
	const { cause, count } = (data ?? {}) as { readonly cause?: string; readonly count?: number }
	return cause === 'retained' ? 0 : (count ?? 0)
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
		const data = { ...entry }
		const record = this.#loop.publish({
			kind: SOURCE_KIND,
			daemonId: name,
			message: `${state}, ${modeText(mode)}`,
			data,
		})
		this.#seqs.delete(name)
		this.#seqs.set(name, record?.seq ?? 0)
	}

	forget(name: string): void {
		this.#loop.publish({ kind: FORGOTTEN_KIND, daemonId: name })
		this.#seqs.delete(name)
	}

	/** The sources that have to be written again, before the record they are in goes. */
	ageing(): string[] {
		const { lastSeq } = this.#loop.stats()
		const names: string[] = []
		for (const [name, seq] of this.#seqs) {
			if (seq > lastSeq - WINDOW_RECORDS) break
			names.push(name)
		}
		return names
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
