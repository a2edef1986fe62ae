/** The state of one archived source: its task, checks, connection, share of the queue, and counters. */
import type { LimitFunction } from 'p-limit'
import { canonicalise } from '../codec/canonical.ts'
import { settle } from '../guard/promises.ts'
import { methodOf } from '../guard/values.ts'
import { messageOf } from '../model/errors.ts'
import { Backoff } from '../platform/backoff.ts'
import { Connection, type Regained } from './connection.ts'
import { copyOf, droppedTotal, type SourceCounts } from './counters.ts'
import type { LiveValue, SourceEntry, SourceState } from './entry.ts'
import { type FieldBounds, FieldMonitors } from './field-monitors.ts'
import { MonitorTask } from './monitor-task.ts'
import { RateMeter } from './rate-meter.ts'
import { readSample } from './read-sample.ts'
import { SampleChecks } from './sample-checks.ts'
import { type SampleQueue, Share } from './sample-queue.ts'
import { ScanTask } from './scan-task.ts'
import type { Sample, SampleSink, Source } from './source.ts'

/** The `data` of a `sample` record. */
export interface SampleData {
	/** The value, in canonical form. */
	readonly value: unknown
	/** Extra fields, sorted by name. Fields that do not have a value yet are omitted. */
	readonly fields?: Readonly<Record<string, unknown>>
	/** Regained connection; present only in the first sample after a lost connection. */
	readonly connection?: Regained
}

/** A sample in the queue. */
export interface QueuedSample {
	readonly source: ManagedSource
	readonly tsMs: number
	readonly data: SampleData
	readonly bytes: number
}

/**
 * Rule that decides which sample is dropped if the queue is full and the source cannot wait. `'newest'` drops
 * the sample that has just arrived. `'oldest'` drops the source's oldest sample in the queue.
 */
export type DropPolicy = 'newest' | 'oldest'

/** State and functions that all sources share. */
export interface Pipeline extends FieldBounds {
	readonly queue: SampleQueue<QueuedSample>
	readonly clock: () => number
	readonly reads: LimitFunction
	readonly drop: DropPolicy
	/** Notifies the writer that the queue is not empty. */
	wake(): void
	/** Resolves when a sample has left the queue, or when the signal is aborted. */
	room(signal: AbortSignal): Promise<void>
}

/** Estimated size of a record without its data, in bytes. */
const ROW_BYTES = 24

/** An archived source and its state. */
export class ManagedSource {
	readonly name: string
	readonly details: unknown
	readonly sinceMs: number
	readonly counts: SourceCounts
	readonly checks: SampleChecks
	readonly share = new Share<QueuedSample>()
	mode: SourceEntry['mode']
	policy: string | undefined
	state: SourceState
	/** Reason why `restore` could not start the source; undefined once the source has started. */
	failure: string | undefined
	aliases: readonly string[]
	/** Whether the entry has changed since it was last saved to the registry. */
	isUnsaved = false
	readonly #pipeline: Pipeline
	readonly #connection: Connection
	readonly #fields: FieldMonitors
	readonly #rate: RateMeter
	#source: Source | undefined
	#task: MonitorTask | ScanTask | undefined
	/** Regained connection; undefined after a sample that contains it has entered the queue. */
	#regained: Regained | undefined
	#isWaiting = false
	#newest: Received | undefined

	constructor(entry: SourceEntry, pipeline: Pipeline) {
		this.name = entry.name
		this.details = entry.details
		this.sinceMs = entry.sinceMs
		this.mode = entry.mode
		this.policy = entry.policy
		this.state = entry.state
		this.aliases = entry.aliases
		this.counts = copyOf(entry.counts)
		// Samples that were queued when the entry was written may have been lost, so they do not count as
		// received.
		this.counts.received = this.counts.stored + droppedTotal(this.counts)
		this.checks = new SampleChecks({ ...entry.memory })
		this.#pipeline = pipeline
		this.#connection = new Connection(entry.lostMs)
		const events = {
			failed: (error: string) => this.#failed(error),
			abandoned: (ms: number) => this.#abandoned(ms),
		}
		this.#fields = new FieldMonitors(entry.name, entry.fields, events, pipeline)
		this.#rate = new RateMeter(entry.rate, this.counts.received)
		// The source may have been connected when the process was killed, but it is not connected now.
		this.isUnsaved = entry.connection !== 'idle'
	}

	/** The newest received value; undefined if there is none. */
	get live(): LiveValue | undefined {
		if (this.#newest === undefined) return undefined
		const { value, ownMs, nowMs } = this.#newest
		return { value, tsMs: ownMs ?? nowMs, receivedMs: nowMs }
	}

	get isRunning(): boolean {
		return this.#task !== undefined
	}

	/** The source; undefined after a restart until a caller provides the source again. */
	get source(): Source | undefined {
		return this.#source
	}

	/**
	 * Number of received samples that have not been stored or dropped yet. These samples are in the queue or
	 * waiting to enter it.
	 */
	get queued(): number {
		return this.share.count + (this.#isWaiting ? 1 : 0)
	}

	/**
	 * Returns the entry to save. Queued samples are not counted as received, because they may not survive the
	 * process.
	 */
	toSavedEntry(): SourceEntry {
		const entry = this.toEntry()
		return { ...entry, counts: { ...entry.counts, received: entry.counts.received - this.queued } }
	}

	toEntry(): SourceEntry {
		const { name, aliases, details, sinceMs, mode, policy, state } = this
		return {
			name,
			aliases,
			mode,
			policy,
			state,
			fields: this.#fields.names,
			details,
			connection: this.#connection.state,
			connectedSinceMs: this.#connection.sinceMs,
			lostMs: this.#connection.lostMs,
			counts: copyOf(this.counts),
			memory: { ...this.checks.memory },
			rate: this.#rate.rate,
			sinceMs,
		}
	}

	/** Starts the source. Does nothing if the source is running. */
	start(source: Source): void {
		if (this.#task !== undefined) return
		this.#source = source
		this.failure = undefined
		this.#connection.connecting()
		this.isUnsaved = true
		this.#task =
			this.mode === 'monitor' ? this.#monitor(source) : this.#scan(source, this.mode.scanIntervalMs)
		this.#fields.start(source)
	}

	/** Stops accepting samples from the source. Samples that are already in the queue are still stored. */
	async end(): Promise<void> {
		const ending = [this.#task?.stop(), this.#fields.stop()]
		this.#task = undefined
		this.#connection.ended()
		await Promise.all(ending)
		if (this.#task === undefined) this.#letGo()
	}

	/** Calls the source's own `end`. An error is only recorded. */
	#letGo(): void {
		const failed = (cause: unknown) => this.#failed(messageOf(cause))
		// The function is async so that a synchronous throw also becomes a rejection.
		void (async () => settle(methodOf(this.#source ?? {}, 'end')?.()))().catch(failed)
	}

	/** Measures the rate. @param seconds Time since the last measurement, in seconds. */
	measureRate(seconds: number): void {
		// The entry for a source that no longer delivers samples is saved one last time, with a rate of 0.
		if (this.#rate.measure(this.counts.received, seconds)) this.isUnsaved = true
	}

	/** Changes the extra fields. Fields in both the old and the new list are followed without interruption. */
	setFields(names: readonly string[]): void {
		this.#fields.setNames(names)
		if (this.#task !== undefined) this.#fields.start(this.#source ?? {})
	}

	/** Counts a sample that the loop stored. */
	stored(sample: QueuedSample): void {
		this.counts.stored++
		this.counts.storedBytes += sample.bytes
		this.isUnsaved = true
	}

	/** Counts a sample that the loop did not accept. */
	refused(): void {
		this.counts.dropped.refused++
		this.isUnsaved = true
	}

	#monitor(source: Source): MonitorTask {
		const run = (sink: SampleSink) => settle(methodOf(source, 'monitor')?.(sink)) as Promise<void>
		const events = {
			push: (sample: Sample) => this.#push(sample),
			put: (sample: Sample, signal: AbortSignal) => this.#put(sample, signal),
			lost: (cause: unknown) => this.#lost(cause),
			failed: (cause: unknown) => this.#lost(cause),
			abandoned: (ms: number) => this.#abandoned(ms),
		}
		return new MonitorTask(run, events, new Backoff(this.#pipeline.retryIntervalMs), this.#pipeline)
	}

	#scan(source: Source, periodMs: number): ScanTask {
		const { connectTimeoutMs, reads } = this.#pipeline
		const events = {
			read: (signal: AbortSignal) => methodOf(source, 'read')?.(signal),
			value: (value: unknown) => this.#push({ value }),
			failed: (cause: unknown) => this.#lost(cause),
			missed: (periods: number) => {
				this.counts.missedScans += periods
				this.isUnsaved = true
			},
		}
		return new ScanTask(events, periodMs, connectTimeoutMs, reads)
	}

	#push(sample: Sample): void {
		const queued = this.#receive(sample)
		if (queued === undefined) return
		const { queue } = this.#pipeline
		while (this.#isWaiting || !queue.hasRoomFor(this.share)) {
			this.counts.dropped.overflow++
			// A waiting sample must enter the queue before this one, so this one is dropped.
			const isOldest = this.#pipeline.drop === 'oldest' && !this.#isWaiting
			const oldest = isOldest ? queue.shiftOf(this.share) : undefined
			if (oldest === undefined) return
			this.#regained ??= oldest.data.connection
		}
		this.#enqueue(queued)
	}

	#put(sample: Sample, signal: AbortSignal): Promise<void> | undefined {
		const { queue } = this.#pipeline
		// If the caller did not wait for the previous sample, this sample is dropped, because waiting samples
		// could otherwise accumulate.
		if (this.#isWaiting || queue.hasRoomFor(this.share)) return void this.#push(sample)
		const queued = this.#receive(sample)
		if (queued === undefined) return undefined
		return this.#waitForRoom(queued, signal)
	}

	async #waitForRoom(queued: Received, signal: AbortSignal): Promise<void> {
		const { queue } = this.#pipeline
		this.counts.waits++
		this.#isWaiting = true
		try {
			while (!queue.hasRoomFor(this.share) && !signal.aborted) await this.#pipeline.room(signal)
		} finally {
			this.#isWaiting = false
		}
		if (queue.hasRoomFor(this.share)) this.#enqueue(queued)
		else this.counts.dropped.overflow++
	}

	/** Counts a sample and checks it. Returns undefined if the sample is dropped. */
	#receive(sample: Sample | null | undefined): Received | undefined {
		const { value, tsMs } = readSample(sample)
		const { counts } = this
		const nowMs = this.#pipeline.clock()
		counts.received++
		counts.firstEventMs ??= nowMs
		counts.lastEventMs = nowMs
		this.isUnsaved = true
		const { isFirst } = this.#connection
		const { verdict, type } = this.checks.judge(value, tsMs, nowMs, isFirst)
		counts.latestType = type ?? typeof value
		this.#regained = this.#connection.seen(nowMs) ?? this.#regained
		if (verdict !== undefined) {
			counts.dropped[verdict]++
			return undefined
		}
		const { value: copy, bytes, markers } = canonicalise(value)
		counts.unserializable += markers
		const received = { value: copy, bytes, type, ownMs: tsMs, nowMs }
		this.#newest = received
		return received
	}

	#enqueue({ value, bytes, type, ownMs, nowMs }: Received): void {
		this.checks.accept(type, ownMs, nowMs)
		const data: { -readonly [Name in keyof SampleData]: SampleData[Name] } = { value }
		if (this.#fields.size > 0) data.fields = this.#fields.values()
		const dataBytes = bytes + this.#fields.bytes()
		if (this.#regained !== undefined) data.connection = this.#regained
		this.#regained = undefined
		const queued = { source: this, tsMs: ownMs ?? nowMs, data, bytes: dataBytes + ROW_BYTES }
		this.#pipeline.queue.push(this.share, queued, queued.bytes)
		this.#pipeline.wake()
	}

	#abandoned(ms: number): void {
		this.#failed(`the source did not end within ${ms} ms after its signal was aborted, so it was abandoned`)
	}

	#failed(error: string): void {
		this.counts.transientErrors++
		this.counts.lastError = error
		this.isUnsaved = true
	}

	#lost(cause: unknown): void {
		const nowMs = this.#pipeline.clock()
		this.#failed(messageOf(cause))
		if (!this.#connection.lost(nowMs)) return
		this.counts.disconnects++
		this.counts.lastDisconnectMs = nowMs
	}
}

interface Received {
	readonly value: unknown
	readonly bytes: number
	readonly type: string | undefined
	/** Time of the sample from the source's own clock. */
	readonly ownMs: number | undefined
	readonly nowMs: number
}
