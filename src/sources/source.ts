/** What a source is: the contract between whatever produces samples and the pipeline. Knows neither queue nor chain. */

import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/** One value that a source produced. */
export interface Sample {
	/**
	 * Any data. `null` means that there is none at present; it is of every type. Functions, symbols and `undefined` are no values: such
	 * a sample is dropped as `type`.
	 */
	readonly value: unknown
	/** When it came about by the source's own clock, in ms since 1970. Default: when it was received. */
	readonly tsMs?: number
}

/** How a source is archived: it pushes, or it is asked once in so many milliseconds. */
export type SampleMode = 'monitor' | { readonly scanMs: number }

/** Where a source that pushes puts its samples. Made anew for each attempt to subscribe; one that is over takes nothing any more. */
export interface SampleSink {
	/** Aborted when the source has to end: it was paused, stopped, or took too long to subscribe. */
	readonly signal: AbortSignal
	/** The subscription stands. A first sample says the same; without either, the attempt ends after `connectTimeoutMs`. */
	opened(): void
	/** For a source that cannot wait: where there is no room, a sample is dropped by the source's policy, and counted. */
	push(sample: Sample): void
	/** For a source that can wait: a promise where there is no room, undefined where there was. One at a time. */
	put(sample: Sample): Promise<void> | undefined
	/** The connection was lost, and the source goes on trying by itself: the next sample says that it is back. */
	lost(cause: unknown): void
}

/** Something out there that produces samples. One of `monitor` and `read` at the least. */
export interface Source {
	/**
	 * Pushes into the sink until its signal is aborted. Settling before that, either way, is a lost connection, and this is called again
	 * after a while. Settles soon after the signal, with everything let go.
	 */
	monitor?(sink: SampleSink): Promise<void>
	/** The value at this moment, or a promise of it. A throw is counted; the next period asks again. */
	read?(signal: AbortSignal): unknown
	/** As {@link monitor}, for one of the extra fields that are attached to each sample. Never throttled: its newest value is kept. */
	monitorField?(field: string, sink: SampleSink): Promise<void>
	/** It was paused, stopped or forgotten: lets go of what `read` holds. A later `read` begins anew. */
	end?(): void
}

/** @throws {MeshChainError} `INVALID_SOURCE` */
export function checkSource(name: string, source: unknown, mode: SampleMode): Source {
	const monitor = propertyOf(source, 'monitor')
	const read = propertyOf(source, 'read')
	if (typeof monitor !== 'function' && typeof read !== 'function') {
		const text = `a source must be an object with monitor(sink) or read(), such as fromFunction() makes; ${show(name)} was given ${show(source)}`
		throw new MeshChainError('INVALID_SOURCE', text)
	}
	const [needed, has] = mode === 'monitor' ? ['monitor(sink)', typeof monitor] : ['read()', typeof read]
	if (has === 'function') return source as Source
	const text = `${show(name)} is to be archived by ${modeText(mode)}, and its source has no ${needed}`
	throw new MeshChainError('INVALID_SOURCE', text)
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkSampleMode(mode: unknown): SampleMode {
	if (mode === 'monitor') return mode
	const { scanMs } = (mode ?? {}) as { readonly scanMs?: unknown }
	const isPeriod = typeof scanMs === 'number' && scanMs >= 1 && scanMs <= TIMER_MS_MAX
	if (isPeriod && typeof mode === 'object') return { scanMs }
	throw invalidOption('a mode', mode, `'monitor' or { scanMs: 1 to ${TIMER_MS_MAX} }`)
}

export function modeText(mode: SampleMode): string {
	return mode === 'monitor' ? 'monitor' : `scan every ${mode.scanMs} ms`
}
