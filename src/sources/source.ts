/** The contract between a producer of samples and the pipeline, independent of queue and chain. */
import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** One value that a source produced. */
export interface Sample {
	/**
	 * The value, any data. `null` means that there is no value at present; it fits every type. Functions,
	 * symbols and `undefined` are not values: such a sample is dropped as `type`.
	 */
	readonly value: unknown
	/** Time by the source's own clock, in ms since 1970. Default: the time when the sample was received. */
	readonly tsMs?: number
}

/**
 * How samples are obtained. `'monitor'`: the source pushes them. `{ scanIntervalMs }`: the source is read
 * once per interval.
 */
export type SampleMode = 'monitor' | { readonly scanIntervalMs: number }

/**
 * Takes the samples of a source that pushes. Each attempt to subscribe gets a new sink, which accepts nothing
 * after the attempt has ended.
 */
export interface SampleSink {
	/** Aborted when the source must end: it was paused, stopped, or took too long to subscribe. */
	readonly signal: AbortSignal
	/**
	 * Confirms the subscription, as a first sample does. Without either, the attempt ends after
	 * `connectTimeoutMs`.
	 */
	opened(): void
	/**
	 * Takes a sample of a source that cannot wait. Without room, a sample is dropped by the drop policy and
	 * counted.
	 */
	push(sample: Sample): void
	/**
	 * Takes a sample of a source that can wait. Returns a promise if there is no room, otherwise undefined.
	 * One call at a time.
	 */
	put(sample: Sample): Promise<void> | undefined
	/** Reports a lost connection that the source restores itself; its next sample ends the loss. */
	lost(cause: unknown): void
}

/** A producer of samples. It has at least one of `monitor` and `read`. */
export interface Source {
	/**
	 * Pushes into the sink until its signal is aborted, and settles soon afterwards with every resource
	 * released. Settling earlier, successfully or not, is a lost connection; the method is called again after
	 * a delay.
	 */
	monitor?(sink: SampleSink): Promise<void>
	/** Returns the present value, or a promise of it. An error is counted; the next period reads again. */
	read?(signal: AbortSignal): unknown
	/**
	 * Follows one extra field that is attached to each sample, as {@link monitor} does. Not throttled: the
	 * newest value applies.
	 */
	monitorField?(field: string, sink: SampleSink): Promise<void>
	/**
	 * Releases the resources of `read`, because the source was paused, stopped or forgotten. A later `read`
	 * starts anew.
	 */
	end?(): void
}

/** Checks a source. @throws {MeshChainError} `INVALID_SOURCE` */
export function checkSource(name: string, source: unknown, mode: SampleMode): Source {
	const monitor = propertyOf(source, 'monitor')
	const read = propertyOf(source, 'read')
	if (typeof monitor !== 'function' && typeof read !== 'function') {
		const wanted = 'an object with monitor(sink) or read(), such as fromFunction() returns'
		const given = `${show(name)} was given ${show(source)}`
		throw new MeshChainError('INVALID_SOURCE', `a source must be ${wanted}; ${given}`)
	}
	const [needed, has] = mode === 'monitor' ? ['monitor(sink)', typeof monitor] : ['read()', typeof read]
	if (has === 'function') return source as Source
	const text = `the mode of ${show(name)} is ${modeText(mode)}, and its source has no ${needed}`
	throw new MeshChainError('INVALID_SOURCE', text)
}

/** Checks a mode. @throws {MeshChainError} `INVALID_OPTION` */
export function checkSampleMode(mode: unknown): SampleMode {
	if (mode === 'monitor') return mode
	const { scanIntervalMs } = (mode ?? {}) as { readonly scanIntervalMs?: unknown }
	const isPeriod = typeof scanIntervalMs === 'number' && scanIntervalMs >= 1 && scanIntervalMs <= TIMER_MS_MAX
	if (isPeriod && typeof mode === 'object') return { scanIntervalMs }
	throw invalidOption('mode', mode, `'monitor' or { scanIntervalMs: 1 to ${TIMER_MS_MAX} }`)
}

/** Formats a mode as text. */
export function modeText(mode: SampleMode): string {
	return mode === 'monitor' ? 'monitor' : `scan every ${mode.scanIntervalMs} ms`
}
