/**
 * Passes samples from many sources through one bounded queue to a loop. Operators can control each source and
 * see its losses.
 */
import pLimit from 'p-limit'
import { show } from '../guard/show.ts'
import { checkLoop } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { checkFunction, checkName } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { SOURCE_NAMES_MAX, SOURCES_MAX } from '../model/limits.ts'
import { warn } from '../platform/diagnostics.ts'
import { onExit } from '../platform/exit-hook.ts'
import { counted } from '../text/numbers.ts'
import { type ArchiveOptions, checkArchiveOptions, checkFields } from './archive-options.ts'
import { type CreateSource, createWithin } from './create-source.ts'
import { type LiveValue, newEntry, type SourceEntry, type SourceState } from './entry.ts'
import { ManagedSource, type Pipeline, type QueuedSample } from './managed-source.ts'
import {
	type ResolvedManagerOptions,
	resolveManagerOptions,
	type SourceManagerOptions,
} from './manager-options.ts'
import { Registry } from './registry.ts'
import { SampleQueue } from './sample-queue.ts'
import { SampleWriter } from './sample-writer.ts'
import { SerialByName } from './serial-by-name.ts'
import { checkSource, type Source } from './source.ts'
import { type SourceReport, sourceReport } from './source-report.ts'
import { type SourceStatus, statusOf } from './source-status.ts'

/** Number of entries to save to the registry before yielding to other work. */
const SAVED_AT_ONCE = 64

/**
 * Archives samples from many sources. Each sample becomes a record of kind `sample` in the loop. The record's
 * `daemonId` is the name of the source, and its `data` contains the value, the extra fields and, after a lost
 * connection, the regained connection. For every source, at any time, received = stored + dropped + queued.
 *
 * All samples pass through one queue, which is bounded in number and in bytes. A source that floods the queue
 * still leaves space for the other sources. Samples leave the queue only as fast as the loop's appender
 * accepts them. While the disk is full, the queue fills up. When the queue is full, sources that can wait do
 * so, and samples from all other sources are dropped and counted. Close the manager before its loop.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { fromFunction, SourceManager } from 'mesh-chain/sources'
 *
 * const loop = new MeshLoop()
 * const manager = new SourceManager(loop)
 * const heap = fromFunction(() => process.memoryUsage().heapUsed)
 * await manager.archive('heap', heap, { mode: { scanIntervalMs: 1000 } })
 * console.log((await manager.status('heap')).connection)
 * await manager.close()
 * await loop.close()
 * ```
 */
export class SourceManager implements AsyncDisposable {
	readonly #options: ResolvedManagerOptions
	readonly #queue: SampleQueue<QueuedSample>
	readonly #writer: SampleWriter
	readonly #pipeline: Pipeline
	readonly #registry: Registry
	readonly #sources = new Map<string, ManagedSource>()
	readonly #aliases = new Map<string, string>()
	readonly #operations = new SerialByName()
	/** Names for which an `archive` call is in progress. */
	readonly #archiving = new Set<string>()
	readonly #ready: Promise<void>
	readonly #saveTimer: NodeJS.Timeout
	readonly #undoExit: () => void
	#savedAtMs = performance.now()
	#create: CreateSource | undefined
	#closing: Promise<void> | undefined

	/**
	 * @throws {MeshChainError} `INVALID_OPTION` or `INVALID_POLICY`, or `CHAIN_LOCKED` if the registry is in
	 * use.
	 */
	constructor(loop: MeshLoop, options: SourceManagerOptions = {}) {
		checkLoop('a SourceManager needs a loop', loop)
		this.#options = resolveManagerOptions(options)
		const { queueSamplesMax, queueBytesMax, flushIntervalMs, saveIntervalMs, registry, fs } = this.#options
		this.#registry = new Registry(registry, fs)
		this.#queue = new SampleQueue(queueSamplesMax, queueBytesMax)
		this.#writer = new SampleWriter(loop, this.#queue, flushIntervalMs)
		this.#pipeline = {
			...this.#options,
			queue: this.#queue,
			reads: pLimit(this.#options.concurrency),
			wake: () => this.#writer.wake(),
			room: (signal) => this.#writer.room(signal),
		}
		this.#ready = this.#load()
		this.#ready.catch(() => {})
		this.#saveTimer = setInterval(() => void this.#saveChanged(), saveIntervalMs).unref()
		this.#undoExit = onExit('loop', () => this.#lastWords())
	}

	/**
	 * Archives a source. Resolves when the registry contains the source and the first attempt to subscribe or
	 * read has started. If the source cannot be reached yet, the manager retries until it succeeds.
	 *
	 * @throws {MeshChainError} `SOURCE_EXISTS`, `SOURCE_BUSY`, `INVALID_SOURCE`, `INVALID_OPTION` or
	 * `SOURCES_CLOSED`, or `INVALID_USAGE` for more than 50,000 sources. If the registry cannot be written,
	 * throws `WRITE_FAILED` or `FLUSH_FAILED`, and the source is not archived.
	 */
	async archive(name: string, source: Source, options: ArchiveOptions = {}): Promise<void> {
		checkName('the name of a source', name)
		const { mode, fields, details } = checkArchiveOptions(options)
		if (this.#archiving.has(name)) {
			throw new MeshChainError('SOURCE_BUSY', `${show(name)}: archive operation already in progress`)
		}
		this.#archiving.add(name)
		try {
			await this.#exclusively(name, () => {
				this.#refuseKnown(name)
				if (this.#sources.size >= SOURCES_MAX) throw tooMany('manager', SOURCES_MAX, 'sources')
				const policy = this.#options.policies.find(name)
				const decided = policy?.mode ?? mode
				checkSource(name, source, decided)
				const entry = {
					...newEntry(name, this.#options.clock()),
					mode: decided,
					policy: policy?.name,
					fields,
					details,
				}
				this.#add(new ManagedSource(entry, this.#pipeline), source)
			})
		} finally {
			this.#archiving.delete(name)
		}
	}

	/**
	 * Pauses a source until {@link resume} is called. The source stays paused after a restart. Pausing a source
	 * that is not running only changes its state.
	 */
	pause(name: string): Promise<void> {
		return this.#change(name, (source) => this.#end(source, 'paused'))
	}

	/**
	 * Stops a source until {@link resume} is called. The source stays stopped after a restart. Stopping a
	 * source that is not running only changes its state.
	 */
	stop(name: string): Promise<void> {
		return this.#change(name, (source) => this.#end(source, 'inactive'))
	}

	/**
	 * Starts a source again. Does nothing if the source is running.
	 *
	 * @param given Source to start. Required if the source was archived before a restart and `restore` has not
	 * been called.
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`, `SOURCE_UNAVAILABLE` or `INVALID_SOURCE`, or an error from
	 * the function passed to `restore`.
	 */
	resume(name: string, given?: Source): Promise<void> {
		return this.#change(name, async (managed) => {
			if (managed.isRunning) return
			const entry = managed.toEntry()
			const source = given ?? managed.source ?? (await this.#createAgain(entry))
			if (source === undefined) {
				const advice = 'pass the source to resume(), or call restore(create) first'
				const text = `${show(entry.name)} is known only from the registry: ${advice}`
				throw new MeshChainError('SOURCE_UNAVAILABLE', text)
			}
			this.#start(managed, source)
			managed.state = 'active'
		})
	}

	/**
	 * Ends a source and removes it, with its aliases, from the registry. If the name is an alias, removes only
	 * the alias. Stored samples stay in the chain.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`
	 */
	async forget(name: string): Promise<void> {
		await this.#open()
		await this.#exclusively(this.#nameOf(name), async () => {
			const source = this.#find(name)
			if (this.#aliases.delete(name)) {
				source.aliases = source.aliases.filter((alias) => alias !== name)
				return this.#save(source)
			}
			await source.end()
			this.#sources.delete(name)
			for (const alias of source.aliases) this.#aliases.delete(alias)
			this.#registry.forget(name)
			this.#registry.flush()
		})
	}

	/**
	 * Adds an alias for a source. Every method accepts the alias in place of the name.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND` or `SOURCE_EXISTS`, or `INVALID_USAGE` for more than 256
	 * aliases.
	 */
	async alias(alias: string, name: string): Promise<void> {
		checkName('an alias', alias)
		await this.#change(name, (source) => {
			this.#refuseKnown(alias)
			if (source.aliases.length >= SOURCE_NAMES_MAX) throw tooMany('source', SOURCE_NAMES_MAX, 'aliases')
			source.aliases = [...source.aliases, alias]
			this.#aliases.set(alias, source.name)
		})
	}

	/**
	 * Starts all sources that were active before a restart. The sources are started concurrently.
	 *
	 * @param create Function that returns the source for an entry. Later calls to `resume` also use this
	 * function.
	 * @returns The number of started sources. If a source could not be started, `failure` in its status
	 * contains the reason. The source stays active, and the next `restore` or `resume` tries to start it again.
	 */
	async restore(create: CreateSource): Promise<number> {
		checkFunction('create', create)
		await this.#open()
		this.#create = create
		const due = [...this.#sources.values()].filter((source) => this.#isDue(source))
		const started = await Promise.all(due.map((source) => this.#restart(source, create)))
		return started.filter(Boolean).length
	}

	/**
	 * Changes the extra fields that are attached to a source's samples. Fields in both the old and the new list
	 * are followed without interruption.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`, `INVALID_OPTION`
	 */
	async updateFields(name: string, fields: readonly string[]): Promise<void> {
		const checked = checkFields(fields)
		await this.#change(name, (source) => source.setFields(checked))
	}

	/**
	 * Returns the newest value that passed the checks, even if its sample was not stored; undefined before the
	 * first value.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`
	 */
	async liveValue(name: string): Promise<LiveValue | undefined> {
		await this.#open()
		return this.#find(name).live
	}

	/**
	 * Returns the status of the source with this name or alias.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`
	 */
	async status(name: string): Promise<SourceStatus> {
		await this.#open()
		return statusOf(this.#find(name))
	}

	/** Returns the status of every source, sorted by name. */
	async statuses(): Promise<SourceStatus[]> {
		await this.#open()
		return this.#statuses()
	}

	/** Returns a report on the sources that need attention and on all losses. */
	async report(): Promise<SourceReport> {
		await this.#open()
		this.#measureRates()
		return sourceReport(this.#statuses(), this.#options.clock())
	}

	/**
	 * Ends every source, passes the queued samples to the loop, and writes the registry. Active sources stay
	 * active in the registry, so that `restore` starts them again. Idempotent.
	 *
	 * @throws {MeshChainError} If the registry cannot be closed.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	/** Closes the manager, for `await using`. */
	async [Symbol.asyncDispose](): Promise<void> {
		await this.close()
	}

	async #close(): Promise<void> {
		clearInterval(this.#saveTimer)
		await this.#ready.catch(() => {})
		this.#measureRates()
		await Promise.all([...this.#sources.values()].map((source) => source.end()))
		await this.#writer.close(this.#options.closeTimeoutMs)
		this.#undoExit()
		for (const source of this.#sources.values()) this.#keep(source)
		await this.#registry.close()
	}

	/** Stores the queued samples and saves the counters when the process exits. */
	#lastWords(): void {
		this.#writer.drain()
		for (const source of this.#sources.values()) if (source.isUnsaved) this.#keep(source)
	}

	async #load(): Promise<void> {
		const { entries, missing } = await this.#registry.load()
		for (const entry of entries.values()) {
			const source = new ManagedSource(entry, this.#pipeline)
			this.#sources.set(entry.name, source)
			for (const alias of entry.aliases) this.#aliases.set(alias, entry.name)
		}
		if (missing === 0) return
		const lost = counted(missing, 'registry record is', 'registry records are')
		const text = `${lost} lost: sources may be missing or outdated`
		warn('REGISTRY_DAMAGED', text)
	}

	async #open(): Promise<void> {
		this.#refuseClosed()
		await this.#ready
	}

	#refuseClosed(): void {
		if (this.#closing === undefined) return
		throw new MeshChainError('SOURCES_CLOSED', 'this SourceManager was closed')
	}

	async #exclusively(name: string, operation: () => unknown): Promise<void> {
		await this.#open()
		await this.#operations.run(name, async () => {
			await this.#open()
			await operation()
		})
	}

	async #change(name: string, operation: (source: ManagedSource) => unknown): Promise<void> {
		await this.#open()
		await this.#exclusively(this.#nameOf(name), async () => {
			const source = this.#find(name)
			await operation(source)
			this.#save(source)
		})
	}

	async #end(source: ManagedSource, state: SourceState): Promise<void> {
		source.state = state
		await source.end()
	}

	/** Adds a source, and saves it before starting it, so that the registry contains it even after a crash. */
	#add(managed: ManagedSource, source: Source): void {
		this.#sources.set(managed.name, managed)
		try {
			this.#save(managed)
		} catch (error) {
			this.#sources.delete(managed.name)
			// The `forget` record revokes the failed record, which is written when the disk works again.
			this.#registry.forget(managed.name)
			throw error
		}
		managed.start(source)
	}

	/** Starts a source. Throws if the manager was closed while the source was being created. */
	#start(managed: ManagedSource, source: Source): void {
		this.#refuseClosed()
		managed.start(checkSource(managed.name, source, managed.mode))
	}

	/**
	 * Starts a source after a restart. The source may have been paused or forgotten before this operation
	 * began.
	 */
	async #restart(managed: ManagedSource, create: CreateSource): Promise<boolean> {
		let isStarted = false
		try {
			await this.#exclusively(managed.name, async () => {
				if (!this.#isDue(managed)) return
				this.#start(managed, await createWithin(create, managed.toEntry(), this.#options.connectTimeoutMs))
				isStarted = true
			})
		} catch (error) {
			managed.failure = messageOf(error)
		}
		return isStarted
	}

	async #createAgain(entry: SourceEntry): Promise<Source | undefined> {
		if (this.#create === undefined) return undefined
		return createWithin(this.#create, entry, this.#options.connectTimeoutMs)
	}

	#isDue(managed: ManagedSource): boolean {
		return managed.state === 'active' && !managed.isRunning && this.#sources.get(managed.name) === managed
	}

	/**
	 * Saves a source. Also saves every source whose record retention would soon remove, so that the registry
	 * never loses a source.
	 */
	#save(source: ManagedSource): void {
		this.#keep(source)
		for (const name of this.#registry.ageing()) this.#keepNamed(name)
		this.#registry.flush()
	}

	#keepNamed(name: string): void {
		const source = this.#sources.get(name)
		if (source !== undefined) this.#keep(source)
	}

	/** Saves changed entries in batches, so that a large number of sources does not block other work. */
	async #saveChanged(): Promise<void> {
		this.#measureRates()
		const ageing = new Set(this.#registry.ageing())
		let count = 0
		for (const source of this.#sources.values()) {
			if (this.#closing !== undefined) return
			if (!source.isUnsaved && !ageing.has(source.name)) continue
			this.#keep(source)
			if (++count % SAVED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
		}
	}

	#keep(source: ManagedSource): void {
		source.isUnsaved = false
		this.#registry.save(source.toSavedEntry())
	}

	/** Measures the rates since the last measurement. Does nothing if less than one second has passed. */
	#measureRates(): void {
		const nowMs = performance.now()
		const seconds = (nowMs - this.#savedAtMs) / 1000
		if (seconds < 1) return
		this.#savedAtMs = nowMs
		for (const source of this.#sources.values()) source.measureRate(seconds)
	}

	#statuses(): SourceStatus[] {
		return [...this.#sources.values()].map(statusOf).sort((a, b) => (a.name < b.name ? -1 : 1))
	}

	#nameOf(name: string): string {
		return this.#aliases.get(name) ?? name
	}

	#find(name: string): ManagedSource {
		const source = this.#sources.get(this.#nameOf(name))
		if (source !== undefined) return source
		throw new MeshChainError('SOURCE_NOT_FOUND', `no source is archived under ${show(name)}`)
	}

	#refuseKnown(name: string): void {
		if (this.#sources.has(name) || this.#aliases.has(name)) {
			const advice = 'after a restart, call restore(create) or resume(name, source) to start it'
			throw new MeshChainError('SOURCE_EXISTS', `${show(name)} is already being archived; ${advice}`)
		}
	}
}

function tooMany(of: string, max: number, things: string): MeshChainError {
	return new MeshChainError('INVALID_USAGE', `a ${of} can have at most ${max} ${things}`)
}
