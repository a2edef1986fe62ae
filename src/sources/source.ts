/** Defines the interface between a source and its manager, independently of the queue and the chain. */
import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** One value that a source produced. */
export interface Sample {
	/**
	 * Value of the sample, which can be any data. `null` means that there is currently no value, and is allowed
	 * for every type. Functions, symbols and `undefined` are not values. A sample with such a value is dropped
	 * and counted under `type`.
	 */
	readonly value: unknown
	/** Time from the source's own clock, in ms since 1970. Default: the time when the sample was received. */
	readonly tsMs?: number
}

/**
 * How samples are obtained. With `'monitor'`, the source pushes samples. With `{ scanIntervalMs }`, the
 * manager reads the source once per interval.
 */
export type SampleMode = 'monitor' | { readonly scanIntervalMs: number }

/**
 * Receives the samples of a source that pushes. Each attempt to subscribe receives a new sink, which ignores
 * samples after the attempt has ended.
 */
export interface SampleSink {
	/**
	 * Signal that is aborted when the source must end, for example because the source was paused or stopped, or
	 * because it took too long to subscribe.
	 */
	readonly signal: AbortSignal
	/**
	 * Confirms the subscription. The first sample also confirms it. Without confirmation, the attempt ends
	 * after `connectTimeoutMs`.
	 */
	opened(): void
	/**
	 * Accepts a sample from a source that cannot wait. If the queue is full, a sample is dropped according to
	 * the drop policy and is counted.
	 */
	push(sample: Sample): void
	/**
	 * Accepts a sample from a source that can wait. If the queue is full, returns a promise that the source
	 * must await before the next call. Otherwise, returns undefined.
	 */
	put(sample: Sample): Promise<void> | undefined
	/**
	 * Reports a lost connection that the source restores by itself. The connection is regained when the next
	 * sample arrives.
	 */
	lost(cause: unknown): void
}

/** A producer of samples. It implements `monitor`, `read` or both. */
export interface Source {
	/**
	 * Pushes samples into the sink until the sink's signal is aborted. The returned promise must settle soon
	 * afterwards, once all resources have been released. If the promise resolves or rejects earlier, the
	 * connection counts as lost, and the method is called again after a delay.
	 */
	monitor?(sink: SampleSink): Promise<void>
	/**
	 * Returns the current value, or a promise of the value. An error is counted, and the source is read again
	 * in the next period.
	 */
	read?(signal: AbortSignal): unknown
	/**
	 * Follows one extra field, in the same way as {@link monitor}. The newest value of the field is attached to
	 * each sample. Values are not throttled.
	 */
	monitorField?(field: string, sink: SampleSink): Promise<void>
	/**
	 * Releases the resources that `read` uses. Called when the source is paused, stopped or forgotten. A later
	 * `read` acquires them again.
	 */
	end?(): void
}

/** Checks a source. @throws {MeshChainError} `INVALID_SOURCE` */
export function checkSource(name: string, source: unknown, mode: SampleMode): Source {
	const monitor = propertyOf(source, 'monitor')
	const read = propertyOf(source, 'read')
	if (typeof monitor !== 'function' && typeof read !== 'function') {
		const wanted = 'an object with monitor(sink) or read(), such as the result of fromFunction()'
		const given = `the source passed for ${show(name)} is ${show(source)}`
		throw new MeshChainError('INVALID_SOURCE', `a source must be ${wanted}; ${given}`)
	}
	const [needed, has] = mode === 'monitor' ? ['monitor(sink)', typeof monitor] : ['read()', typeof read]
	if (has === 'function') return source as Source
	const text = `the mode of ${show(name)} is ${modeText(mode)}, but its source has no ${needed}`
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

/** Formats a mode as a string. */
export function modeText(mode: SampleMode): string {
	return mode === 'monitor' ? 'monitor' : `scan every ${mode.scanIntervalMs} ms`
}
