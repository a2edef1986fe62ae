/** Defines the interface between a source and its manager, independently of the queue and the chain. */
import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** One value that a source produced. */
export interface Sample {
	/**
	 * Value of the sample: any data of the same type as the first value from the source. `null` means that
	 * there is currently no value, and is always allowed. Functions, symbols and `undefined` are not values.
	 * Samples that break these rules are dropped and counted under `type`.
	 */
	readonly value: unknown
	/** Time from the source's own clock, in ms since 1970. Default: the time of receipt. */
	readonly tsMs?: number
}

/**
 * How the manager obtains samples. With `'monitor'`, the source pushes samples. With `{ scanIntervalMs }`,
 * the manager reads the source once per interval.
 */
export type SampleMode = 'monitor' | { readonly scanIntervalMs: number }

/**
 * Receives samples from a source that pushes them. Each attempt to subscribe uses a new sink, which ignores
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
	 * Reports that the connection was lost and that the source will restore it by itself. The connection is
	 * regained when the next sample arrives.
	 */
	lost(cause: unknown): void
}

/** A producer of samples. It implements `monitor`, `read` or both. */
export interface Source {
	/**
	 * Pushes samples into the sink until the sink's signal is aborted. The returned promise must settle soon
	 * afterwards, once all resources have been released. If the promise settles earlier, the connection counts
	 * as lost, and the method is called again after a delay.
	 */
	monitor?(sink: SampleSink): Promise<void>
	/**
	 * Returns the current value, or a promise of the value. If the read fails, the error is counted, the
	 * connection counts as lost, and the source is read again in the next period.
	 */
	read?(signal: AbortSignal): unknown
	/**
	 * Follows one extra field, in the same way as {@link monitor}. The newest value of the field is attached to
	 * each sample. The manager does not limit the rate of these values.
	 */
	monitorField?(field: string, sink: SampleSink): Promise<void>
	/**
	 * Releases the resources that `read` uses. Called when the source is paused, stopped or forgotten, or when
	 * the manager is closed. A later `read` acquires them again.
	 */
	end?(): void
}

/** Checks that a source has the method that its mode requires. @throws {MeshChainError} `INVALID_SOURCE` */
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

/** Validates a mode and returns a copy. @throws {MeshChainError} `INVALID_OPTION` */
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
