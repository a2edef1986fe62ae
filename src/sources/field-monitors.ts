/** Follows the extra fields of a source and keeps the newest value of each field. */
import { canonicalise } from '../codec/canonical.ts'
import { settle } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { methodOf, propertyOf } from '../guard/values.ts'
import { messageOf } from '../model/errors.ts'
import { FIELD_RETRY_MS_MAX } from '../model/limits.ts'
import { Backoff } from '../platform/backoff.ts'
import { warn } from '../platform/diagnostics.ts'
import { type MonitorBounds, MonitorTask } from './monitor-task.ts'
import { readSample } from './read-sample.ts'
import type { Sample, SampleSink, Source } from './source.ts'

/** The time limits and the retry delay of a field monitor. */
export interface FieldBounds extends MonitorBounds {
	readonly retryIntervalMs: number
}

/** The events that a field monitor reports. */
export interface FieldEvents {
	failed(error: string): void
	/** Reports that a monitor did not end within `ms` milliseconds after its signal was aborted. */
	abandoned(ms: number): void
}

/** The extra fields of one source. */
export class FieldMonitors {
	readonly #source: string
	readonly #events: FieldEvents
	readonly #bounds: FieldBounds
	#names: readonly string[]
	/** Monitors by field name, sorted by name. */
	#monitors = new Map<string, FieldMonitor>()

	/** @param source Name of the source, for messages. */
	constructor(source: string, names: readonly string[], events: FieldEvents, bounds: FieldBounds) {
		this.#source = source
		this.#names = names
		this.#events = events
		this.#bounds = bounds
	}

	get names(): readonly string[] {
		return this.#names
	}

	/** Number of fields that are currently followed. */
	get size(): number {
		return this.#monitors.size
	}

	/**
	 * Changes the list of names. Fields in both the old and the new list are followed without interruption. To
	 * follow new fields, call {@link start}.
	 */
	setNames(names: readonly string[]): void {
		this.#names = names
		for (const [name, monitor] of this.#monitors) {
			if (names.includes(name)) continue
			this.#monitors.delete(name)
			void monitor.stop()
		}
	}

	/**
	 * Starts following the listed fields that are not followed yet. Does nothing if the source cannot follow
	 * fields.
	 */
	start(source: Source): void {
		for (const name of this.#names) if (!this.#monitors.has(name)) this.#startOne(source, name)
		this.#monitors = new Map([...this.#monitors].sort(([a], [b]) => (a < b ? -1 : 1)))
	}

	async stop(): Promise<void> {
		const stopping = [...this.#monitors.values()].map((monitor) => monitor.stop())
		this.#monitors.clear()
		await Promise.all(stopping)
	}

	/** Returns the newest value of every field that has one. */
	values(): Record<string, unknown> {
		const known = [...this.#monitors].filter(([, monitor]) => monitor.hasValue)
		return Object.fromEntries(known.map(([name, monitor]) => [name, monitor.value]))
	}

	/** Returns an estimated upper bound on the size of {@link values} in a record, in bytes. */
	bytes(): number {
		let bytes = 0
		for (const [name, monitor] of this.#monitors) bytes += 3 * name.length + monitor.bytes
		return bytes
	}

	#startOne(source: Source, name: string): void {
		if (propertyOf(source, 'monitorField') === undefined) return
		const run = (sink: SampleSink) => settle(methodOf(source, 'monitorField')?.(name, sink)) as Promise<void>
		const options = { source: this.#source, name, run, events: this.#events, bounds: this.#bounds }
		this.#monitors.set(name, new FieldMonitor(options))
	}
}

interface FieldMonitorOptions {
	readonly source: string
	readonly name: string
	readonly run: (sink: SampleSink) => Promise<void>
	readonly events: FieldEvents
	readonly bounds: FieldBounds
}

/** Follows one extra field. */
class FieldMonitor {
	value: unknown
	bytes = 0
	hasValue = false
	readonly #options: FieldMonitorOptions
	readonly #backoff: Backoff
	readonly #task: MonitorTask
	#hasWarned = false

	constructor(options: FieldMonitorOptions) {
		this.#options = options
		const { run, events, bounds } = options
		const { retryIntervalMs } = bounds
		this.#backoff = new Backoff(retryIntervalMs, Math.max(retryIntervalMs, FIELD_RETRY_MS_MAX))
		const monitorEvents = {
			push: (sample: Sample) => this.#take(sample),
			put: (sample: Sample) => void this.#take(sample),
			lost: (cause: unknown) => this.#failed(cause),
			abandoned: (ms: number) => events.abandoned(ms),
			failed: (cause: unknown, waitMs: number) => {
				this.#failed(cause)
				this.#warnOnce(cause, waitMs)
			},
		}
		this.#task = new MonitorTask(run, monitorEvents, this.#backoff, bounds)
	}

	stop(): Promise<void> {
		return this.#task.stop()
	}

	#take(sample: Sample | null | undefined): void {
		const { value, bytes } = canonicalise(readSample(sample).value)
		this.value = value
		this.bytes = bytes
		this.hasValue = true
		this.#hasWarned = false
		this.#backoff.reset()
	}

	#failed(cause: unknown): void {
		this.#options.events.failed(`field ${this.#options.name}: ${messageOf(cause)}`)
	}

	/**
	 * Warns when the delay has grown to its maximum. Warns again only if the field has delivered a value since
	 * the last warning.
	 */
	#warnOnce(cause: unknown, waitMs: number): void {
		if (this.#hasWarned || !this.#backoff.isAtMax(waitMs)) return
		this.#hasWarned = true
		const { name, source } = this.#options
		const text = `the field ${show(name)} of the source ${show(source)} keeps failing (${messageOf(cause)})`
		warn('FIELD_FAILING', `${text}; it is retried every ${waitMs / 1000} s`)
	}
}
