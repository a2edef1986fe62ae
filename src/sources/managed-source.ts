/** One source while it is archived: its task, its checks, its connection, its place in the queue, and every counter. */
import type { LimitFunction } from 'p-limit'
import { canonicalise } from '../codec/canonical.ts'
import { hush } from '../guard/hush.ts'
import { settle } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { attempt, methodOf, propertyOf } from '../guard/values.ts'
import { messageOf } from '../model/errors.ts'
import { FIELD_RETRY_MS_MAX } from '../model/limits.ts'
import { Backoff } from '../platform/backoff.ts'
import { warn } from '../platform/diagnostics.ts'
import { Connection, type Regained } from './connection.ts'
import { copyOf, droppedTotal, type SourceCounts } from './counters.ts'
import type { LiveValue, SourceEntry, SourceState } from './entry.ts'
import { MonitorTask } from './monitor-task.ts'
import { SampleChecks } from './sample-checks.ts'
import { type SampleQueue, Share } from './sample-queue.ts'
import { ScanTask } from './scan-task.ts'
import type { Sample, SampleSink, Source } from './source.ts'

/** What a record holds of a sample. */
export interface SampleData {
	readonly value: unknown
	/** The extra fields, sorted by name; those that no value has come of are left out. */
	readonly fields?: Readonly<Record<string, unknown>>
	/** In the first sample after the connection was lost. */
	readonly connection?: Regained
}

/** A sample in the queue. */
export interface QueuedSample {
	readonly source: ManagedSource
	readonly tsMs: number
	readonly data: SampleData
	readonly bytes: number
}

/** Which sample gives way when a source that cannot wait has no room left: the one that comes, or its oldest in the queue. */
export type DropPolicy = 'newest' | 'oldest'

/** What all sources share. */
export interface Pipeline {
	readonly queue: SampleQueue<QueuedSample>
	readonly clock: () => number
	readonly reads: LimitFunction
	readonly connectTimeoutMs: number
	readonly closeTimeoutMs: number
	readonly retryMs: number
	readonly drop: DropPolicy
	/** Something is in the queue. */
	wake(): void
	/** Resolves when something has left the queue. */
	room(signal: AbortSignal): Promise<void>
}

/** What a record takes beside its data; an estimate. */
const ROW_BYTES = 24
/** What stands for something that is no sample: it has no value. */
const NOTHING: Sample = Object.freeze({ value: undefined })

interface ReadSample {
	readonly value: unknown
	readonly tsMs?: number | undefined
}

/** Reads a sample once. One that cannot be read has no value: it is garbage, and its source, which is in the middle of pushing, does not hear of it. */
function sampleFrom(sample: Sample | null | undefined): ReadSample {
	return attempt<ReadSample>(() => {
		hush(sample)
		const { value, tsMs }: { value: unknown; tsMs?: number | undefined } = sample ?? NOTHING
		// Neither can be a promise: what is dropped is not looked at again.
		hush(value)
		hush(tsMs)
		return { value, tsMs }
	}, NOTHING)
}

export class ManagedSource {
	readonly name: string
	readonly details: unknown
	readonly sinceMs: number
	readonly counts: SourceCounts
	readonly checks: SampleChecks
	readonly share = new Share<QueuedSample>()
	mode: SourceEntry['mode']
	policy: string | null
	state: SourceState
	/** Why it does not run although it should. */
	failure: string | null = null
	live: LiveValue | null = null
	rate: number
	/** Other names that it goes by. */
	aliases: readonly string[]
	/** Something has changed since the registry was told. */
	isUnsaved = false
	readonly #pipeline: Pipeline
	readonly #connection: Connection
	#source: Source | undefined
	#task: MonitorTask | ScanTask | undefined
	/** By name, sorted. */
	#fields = new Map<string, FieldMonitor>()
	#fieldNames: readonly string[]
	/** Of a connection that came back, until a sample has carried it to the queue. */
	#regained: Regained | undefined
	#isWaiting = false
	/** When the rate was measured last. */
	#receivedBefore: number

	constructor(entry: SourceEntry, pipeline: Pipeline) {
		this.name = entry.name
		this.details = entry.details
		this.sinceMs = entry.sinceMs
		this.mode = entry.mode
		this.policy = entry.policy
		this.state = entry.state
		this.rate = entry.rate
		this.aliases = entry.aliases
		this.counts = copyOf(entry.counts)
		// What was in the queue when this was written is not there any more, and nothing says what became of it.
		this.counts.received = this.counts.stored + droppedTotal(this.counts)
		this.#receivedBefore = this.counts.received
		this.checks = new SampleChecks({ ...entry.memory })
		this.#fieldNames = entry.fields
		this.#pipeline = pipeline
		this.#connection = new Connection(entry.lostMs)
		// It was connected when its process was killed, and is not now.
		this.isUnsaved = entry.connection !== 'idle'
	}

	get isRunning(): boolean {
		return this.#task !== undefined
	}

	/** The source itself; undefined after a restart, before somebody gave it again. */
	get source(): Source | undefined {
		return this.#source
	}

	/** Samples that were received, and neither stored nor dropped yet: in the queue, or waiting for room in it. */
	get queued(): number {
		return this.share.count + (this.#isWaiting ? 1 : 0)
	}

	get fields(): readonly string[] {
		return this.#fieldNames
	}

	/** As it outlives the process: what is in the queue may not, and is not received yet. */
	toSavedEntry(): SourceEntry {
		const entry = this.toEntry()
		return { ...entry, counts: { ...entry.counts, received: entry.counts.received - this.queued } }
	}

	toEntry(): SourceEntry {
		const { name, aliases, details, sinceMs, mode, policy, state, rate } = this
		return {
			name,
			aliases,
			mode,
			policy,
			state,
			fields: this.#fieldNames,
			details,
			connection: this.#connection.state,
			connectedSinceMs: this.#connection.sinceMs,
			lostMs: this.#connection.lostMs,
			counts: copyOf(this.counts),
			memory: { ...this.checks.memory },
			rate,
			sinceMs,
		}
	}

	/** Does nothing where it runs already. */
	start(source: Source): void {
		if (this.#task !== undefined) return
		this.#source = source
		this.failure = null
		this.#connection.connecting()
		this.isUnsaved = true
		this.#task = this.mode === 'monitor' ? this.#monitor(source) : this.#scan(source, this.mode.scanMs)
		for (const name of this.#fieldNames) this.#startField(name)
	}

	/** Nothing is taken of the source any more from here on; what it gave is still stored. */
	async end(): Promise<void> {
		const ending = [this.#task, ...this.#fields.values()].map((task) => task?.stop())
		this.#task = undefined
		this.#fields.clear()
		this.#connection.ended()
		await Promise.all(ending)
		if (this.#task === undefined) this.#letGo()
	}

	/** Whatever the source says to that, it is over. */
	#letGo(): void {
		const failed = (cause: unknown) => this.#failed(messageOf(cause))
		// It may throw at once, or reject.
		void (async () => settle(methodOf(this.#source ?? {}, 'end')?.()))().catch(failed)
	}

	/** @param seconds since the last measurement. */
	measureRate(seconds: number): void {
		const rate = (this.counts.received - this.#receivedBefore) / seconds
		// One that went silent is written once more.
		if (rate !== this.rate) this.isUnsaved = true
		this.rate = rate
		this.#receivedBefore = this.counts.received
	}

	/** What stays in the list goes on undisturbed. */
	setFields(names: readonly string[]): void {
		this.#fieldNames = names
		for (const [name, field] of this.#fields) {
			if (names.includes(name)) continue
			this.#fields.delete(name)
			void field.stop()
		}
		if (this.#task === undefined) return
		for (const name of names) if (!this.#fields.has(name)) this.#startField(name)
		this.#fields = new Map([...this.#fields].sort(([a], [b]) => (a < b ? -1 : 1)))
	}

	/** The loop has it. */
	stored(sample: QueuedSample): void {
		this.counts.stored++
		this.counts.storedBytes += sample.bytes
		this.isUnsaved = true
	}

	/** The loop did not take it. */
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
		return new MonitorTask(run, events, new Backoff(this.#pipeline.retryMs), this.#pipeline)
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

	#startField(name: string): void {
		const source = this.#source ?? {}
		if (propertyOf(source, 'monitorField') === undefined) return
		const run = (sink: SampleSink) => settle(methodOf(source, 'monitorField')?.(name, sink)) as Promise<void>
		const failed = (cause: unknown) => this.#failed(`field ${name}: ${messageOf(cause)}`)
		const abandoned = (ms: number) => this.#abandoned(ms)
		const pipeline = this.#pipeline
		this.#fields.set(name, new FieldMonitor({ source: this.name, name, run, failed, abandoned, pipeline }))
	}

	#push(sample: Sample): void {
		const queued = this.#receive(sample)
		if (queued === undefined) return
		const { queue } = this.#pipeline
		while (this.#isWaiting || !queue.hasRoomFor(this.share)) {
			this.counts.dropped.overflow++
			// One that waits for room comes before this one.
			const isOldest = this.#pipeline.drop === 'oldest' && !this.#isWaiting
			const oldest = isOldest ? queue.shiftOf(this.share) : undefined
			if (oldest === undefined) return
			this.#regained ??= oldest.data.connection
		}
		this.#enqueue(queued)
	}

	#put(sample: Sample, signal: AbortSignal): Promise<void> | undefined {
		const { queue } = this.#pipeline
		// Who does not wait for the one before cannot be waited with: nothing may pile up.
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

	/** Counts a sample and checks it; undefined when it is dropped. */
	#receive(sample: Sample | null | undefined): Received | undefined {
		const { value, tsMs } = sampleFrom(sample)
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
		this.live = { value: copy, tsMs: tsMs ?? nowMs, receivedMs: nowMs }
		return { value: copy, bytes, type, ownMs: tsMs, nowMs }
	}

	#enqueue({ value, bytes, type, ownMs, nowMs }: Received): void {
		this.checks.accept(type, ownMs, nowMs)
		const data: { -readonly [Name in keyof SampleData]: SampleData[Name] } = { value }
		if (this.#fields.size > 0) data.fields = this.#fieldValues()
		const dataBytes = bytes + this.#fieldBytes()
		if (this.#regained !== undefined) data.connection = this.#regained
		this.#regained = undefined
		const queued = { source: this, tsMs: ownMs ?? nowMs, data, bytes: dataBytes + ROW_BYTES }
		this.#pipeline.queue.push(this.share, queued, queued.bytes)
		this.#pipeline.wake()
	}

	#fieldValues(): Record<string, unknown> {
		const known = [...this.#fields].filter(([, field]) => field.hasValue)
		return Object.fromEntries(known.map(([name, field]) => [name, field.value]))
	}

	#fieldBytes(): number {
		let bytes = 0
		for (const [name, field] of this.#fields) bytes += 3 * name.length + field.bytes
		return bytes
	}

	#abandoned(ms: number): void {
		this.#failed(`it was told to end and has not within ${ms} ms: it is left to itself`)
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
	readonly ownMs: number | undefined
	readonly nowMs: number
}

/** Follows one extra field, and holds its newest value. */
class FieldMonitor {
	value: unknown
	bytes = 0
	hasValue = false
	readonly #task: MonitorTask

	constructor(options: {
		readonly source: string
		readonly name: string
		readonly run: (sink: SampleSink) => Promise<void>
		readonly failed: (cause: unknown) => void
		readonly abandoned: (ms: number) => void
		readonly pipeline: Pipeline
	}) {
		const { source, name, run, failed, abandoned, pipeline } = options
		const { retryMs } = pipeline
		const backoff = new Backoff(retryMs, Math.max(retryMs, FIELD_RETRY_MS_MAX))
		let isTold = false
		const take = (sample: Sample | null | undefined) => {
			const { value, bytes } = canonicalise(sampleFrom(sample).value)
			this.value = value
			this.bytes = bytes
			this.hasValue = true
			isTold = false
			backoff.reset()
		}
		const events = {
			push: take,
			put: (sample: Sample) => void take(sample),
			lost: failed,
			abandoned,
			failed: (cause: unknown, waitMs: number) => {
				failed(cause)
				if (isTold || !backoff.isAtMax(waitMs)) return
				isTold = true
				const text = `the field ${show(name)} of the source ${show(source)} fails again and again (${messageOf(cause)}); it is tried once in ${waitMs / 1000} s`
				warn('FIELD_FAILING', text)
			},
		}
		this.#task = new MonitorTask(run, events, backoff, pipeline)
	}

	stop(): Promise<void> {
		return this.#task.stop()
	}
}
