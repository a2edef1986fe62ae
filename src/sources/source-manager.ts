/** Many producers, one bounded pipeline into a loop: operators start, pause, resume and stop each, and see what each one lost. */
import pLimit, { type LimitFunction } from 'p-limit'
import { show } from '../guard/show.ts'
import { checkLoop } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { checkFunction, checkName } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { SOURCE_NAMES_MAX, SOURCES_MAX } from '../model/limits.ts'
import { warn } from '../platform/diagnostics.ts'
import { onExit } from '../platform/exit-hook.ts'
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
import { checkSampleMode, checkSource, type SampleMode, type Source } from './source.ts'
import { type SourceReport, sourceReport } from './source-report.ts'

/** Entries that go to the registry before others get their turn. */
const SAVED_AT_ONCE = 64

/** A source at this moment. */
export interface SourceStatus extends SourceEntry {
	/** Samples that were received, and neither stored nor dropped yet: in the queue, or waiting for room in it. */
	readonly queued: number
	/** Why it does not run although it is active; null where it does. */
	readonly failure: string | null
}

/**
 * Archives what many sources produce: each sample becomes a record of the loop, of kind `sample`, with the source's name as `daemonId` and the
 * value, extra fields and a lost connection in `data`. For every source, at every moment: received = stored + dropped, by cause, + queued.
 *
 * Samples go through one queue, bounded in number and in bytes, in which a source that floods leaves room for the others. They leave it
 * only as fast as the loop's appender takes them: a disk that is full fills the queue; then sources that can wait do, and those that cannot
 * drop, counted. Close it before its loop.
 *
 * @example
 * ```ts
 * import { MeshLoop } from 'mesh-chain'
 * import { fromFunction, SourceManager } from 'mesh-chain/sources'
 *
 * const loop = new MeshLoop()
 * const manager = new SourceManager(loop)
 * await manager.archive('heap', fromFunction(() => process.memoryUsage().heapUsed), { scanMs: 1000 })
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
	/** Operations on one name come one after the other. */
	readonly #operations = new Map<string, LimitFunction>()
	/** Names that are being archived at this moment. */
	readonly #archiving = new Set<string>()
	readonly #ready: Promise<void>
	readonly #saveTimer: NodeJS.Timeout
	readonly #undoExit: () => void
	#savedAtMs = performance.now()
	#create: CreateSource | undefined
	#closing: Promise<void> | undefined

	/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_POLICY`; `CHAIN_LOCKED` where another manager has the registry. */
	constructor(loop: MeshLoop, options: SourceManagerOptions = {}) {
		checkLoop('a SourceManager needs a loop', loop)
		this.#options = resolveManagerOptions(options)
		const { queueCapacity, queueBytesMax, flushIntervalMs, saveMs, registry, fs } = this.#options
		this.#registry = new Registry(registry, fs)
		this.#queue = new SampleQueue(queueCapacity, queueBytesMax)
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
		this.#saveTimer = setInterval(() => void this.#saveChanged(), saveMs).unref()
		this.#undoExit = onExit('loop', () => this.#lastWords())
	}

	/**
	 * Archives a source from now on. Resolves when the registry has it and the first attempt is under way: a source that is not there yet is
	 * tried again until it is.
	 *
	 * @param mode a policy that matches the name decides instead.
	 * @throws {MeshChainError} `SOURCE_EXISTS`, `SOURCE_BUSY`, `INVALID_SOURCE`, `INVALID_OPTION`, `SOURCES_CLOSED`; `WRITE_FAILED` or `FLUSH_FAILED` when the registry
	 * could not be written: then it is not archived.
	 */
	async archive(
		name: string,
		source: Source,
		mode: SampleMode = 'monitor',
		options: ArchiveOptions = {},
	): Promise<void> {
		checkName('the name of a source', name)
		const asked = checkSampleMode(mode)
		const { fields, details } = checkArchiveOptions(options)
		if (this.#archiving.has(name)) {
			throw new MeshChainError('SOURCE_BUSY', `${show(name)}: archive operation already in progress`)
		}
		this.#archiving.add(name)
		try {
			await this.#exclusively(name, () => {
				this.#refuseKnown(name)
				const policy = this.#options.policies.find(name)
				const decided = policy?.mode ?? asked
				checkSource(name, source, decided)
				const entry = {
					...newEntry(name, this.#options.clock()),
					mode: decided,
					policy: policy?.name ?? null,
					fields,
					details,
				}
				this.#add(new ManagedSource(entry, this.#pipeline), source)
			})
		} finally {
			this.#archiving.delete(name)
		}
	}

	/** Ends a source for a while; fine when it does not run. It stays paused over restarts. */
	pause(name: string): Promise<void> {
		return this.#change(name, (source) => this.#end(source, 'paused'))
	}

	/** Ends a source until somebody resumes it; fine when it does not run. */
	stop(name: string): Promise<void> {
		return this.#change(name, (source) => this.#end(source, 'inactive'))
	}

	/**
	 * Starts a source again; does nothing when it runs.
	 *
	 * @param given the source, where this process has not seen it and `restore` has not been called.
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`, `SOURCE_UNAVAILABLE`, `INVALID_SOURCE`
	 */
	resume(name: string, given?: Source): Promise<void> {
		return this.#change(name, async (managed) => {
			if (managed.isRunning) return
			const entry = managed.toEntry()
			const source = given ?? managed.source ?? (await this.#createAgain(entry))
			if (source === undefined) {
				const text = `${show(entry.name)} is known from the registry only: resume(name, source), or restore(create) first`
				throw new MeshChainError('SOURCE_UNAVAILABLE', text)
			}
			this.#start(managed, source)
			managed.state = 'active'
		})
	}

	/** Ends a source and removes it from the registry, with its aliases; an alias alone when that is given. What it stored stays. */
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
	 * Gives a source a second name, under which it can be asked for.
	 *
	 * @throws {MeshChainError} `SOURCE_NOT_FOUND`, `SOURCE_EXISTS`; `INVALID_USAGE` above 256 of them.
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
	 * After a restart: starts every source that was active, side by side.
	 *
	 * @param create makes the source of an entry; kept for `resume`.
	 * @returns how many were started. One that could not be has the reason in its status as `failure`, and stays active: the next
	 * `restore`, or `resume`, tries it again.
	 */
	async restore(create: CreateSource): Promise<number> {
		checkFunction('create', create)
		await this.#open()
		this.#create = create
		const due = [...this.#sources.values()].filter((source) => this.#isDue(source))
		const started = await Promise.all(due.map((source) => this.#restart(source, create)))
		return started.filter(Boolean).length
	}

	/** Which extra fields are attached to the samples from now on; those that are in both lists go on undisturbed. */
	async updateFields(name: string, fields: readonly string[]): Promise<void> {
		const checked = checkFields(fields)
		await this.#change(name, (source) => source.setFields(checked))
	}

	/** The newest value that passed the checks, in the chain or not yet; null before the first one. */
	async liveValue(name: string): Promise<LiveValue | null> {
		await this.#open()
		return this.#find(name).live
	}

	/** One source, or all of them in the order of their names. */
	status(name: string): Promise<SourceStatus>
	status(): Promise<SourceStatus[]>
	async status(name?: string): Promise<SourceStatus | SourceStatus[]> {
		await this.#open()
		return name === undefined ? this.#statuses() : statusOf(this.#find(name))
	}

	/** What needs looking at, and what was lost. */
	async report(): Promise<SourceReport> {
		await this.#open()
		this.#measureRates()
		return sourceReport(this.#statuses(), this.#options.clock())
	}

	/**
	 * Ends every source, hands what is in the queue to the loop, and writes the registry. Sources that were active are so after the next start.
	 * Idempotent.
	 *
	 * @throws {MeshChainError} what closing the registry throws.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

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

	/** The process exits: what is in the queue is stored, and the registry knows of it. */
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
		warn(
			'REGISTRY_DAMAGED',
			`${missing} records of the registry are lost: sources may be missing, or stand as they were before`,
		)
	}

	/** @throws {MeshChainError} `SOURCES_CLOSED`, and what reading the registry throws. */
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
		const limit = this.#operations.get(name) ?? pLimit(1)
		this.#operations.set(name, limit)
		try {
			await limit(async () => {
				await this.#open()
				await operation()
			})
		} finally {
			if (limit.activeCount + limit.pendingCount === 0) this.#operations.delete(name)
		}
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

	/** The registry first: what is archived is known after a crash too. */
	#add(managed: ManagedSource, source: Source): void {
		this.#sources.set(managed.name, managed)
		try {
			this.#save(managed)
		} catch (error) {
			this.#sources.delete(managed.name)
			// What could not be written now is written when the disk is back.
			this.#registry.forget(managed.name)
			throw error
		}
		managed.start(source)
	}

	/** Making a source may take its time: the manager may have been closed meanwhile. */
	#start(managed: ManagedSource, source: Source): void {
		this.#refuseClosed()
		managed.start(checkSource(managed.name, source, managed.mode))
	}

	/** Somebody may have paused or forgotten it while it waited for its turn. */
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

	/** However many operations there are between two times that all is saved, no source ages out of the registry. */
	#save(source: ManagedSource): void {
		this.#keep(source)
		for (const name of this.#registry.ageing()) this.#keepNamed(name)
		this.#registry.flush()
	}

	#keepNamed(name: string): void {
		const source = this.#sources.get(name)
		if (source !== undefined) this.#keep(source)
	}

	/** A few at a time: with many sources, others get their turn in between. */
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

	/** Over the time since the last measurement, a second of it at the least. */
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

	/** @throws {MeshChainError} `SOURCE_NOT_FOUND` */
	#find(name: string): ManagedSource {
		const source = this.#sources.get(this.#nameOf(name))
		if (source !== undefined) return source
		throw new MeshChainError('SOURCE_NOT_FOUND', `no source is archived as ${show(name)}`)
	}

	#refuseKnown(name: string): void {
		if (this.#sources.has(name) || this.#aliases.has(name)) {
			const text = `${show(name)} is already being archived; after a restart, restore(create) or resume(name, source) starts it`
			throw new MeshChainError('SOURCE_EXISTS', text)
		}
		if (this.#sources.size < SOURCES_MAX) return
		throw tooMany('manager', SOURCES_MAX, 'sources')
	}
}

function tooMany(of: string, max: number, things: string): MeshChainError {
	return new MeshChainError('INVALID_USAGE', `one ${of} has at most ${max} ${things}`)
}

function statusOf(source: ManagedSource): SourceStatus {
	return { ...source.toEntry(), queued: source.queued, failure: source.failure }
}
