/**
 * Sources that measure the health of this process, for use in scan mode: event-loop delay, garbage collection
 * and memory.
 */
import {
	constants,
	createHistogram,
	PerformanceObserver,
	performance,
	type RecordableHistogram,
} from 'node:perf_hooks'
import { checkOptionNames, checkTimerMs } from '../../model/check.ts'
import type { Source } from '../source.ts'

/** Timer delays since the last read. */
export interface EventLoopDelay {
	/** Mean delay. */
	readonly meanMs: number
	/** Median delay. */
	readonly p50Ms: number
	/** 99th percentile of the delays. */
	readonly p99Ms: number
	/** Longest delay. */
	readonly maxMs: number
}

/**
 * Returns a source that measures timer delays in this process. If the event loop was blocked for one second,
 * `maxMs` is about 1,000. The time since the last tick also counts, so even a read before the delayed tick
 * reports the block. In contrast, Node's `monitorEventLoopDelay` misses a block that starts before its first
 * tick after `reset`.
 *
 * @param options `resolutionMs`: interval of the timer. Default: 10 ms.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function eventLoopDelay(options: { readonly resolutionMs?: number } = {}): Source {
	checkOptionNames(options, ['resolutionMs'])
	const { resolutionMs = 10 } = options
	checkTimerMs('resolutionMs', resolutionMs)
	const histogram = createHistogram()
	let timer: NodeJS.Timeout | undefined
	let lastMs = 0
	const tick = () => {
		const nowMs = performance.now()
		histogram.record(Math.max(1, Math.round(1e6 * (nowMs - lastMs - resolutionMs))))
		lastMs = nowMs
	}
	return {
		read(): EventLoopDelay {
			if (timer === undefined) {
				lastMs = performance.now()
				timer = setInterval(tick, resolutionMs).unref()
			} else if (performance.now() - lastMs > resolutionMs) tick()
			const delay = delayOf(histogram)
			histogram.reset()
			return delay
		},
		end() {
			clearInterval(timer)
			timer = undefined
			histogram.reset()
		},
	}
}

/** Returns the delays from a histogram, which records values in ns and does not accept 0. */
function delayOf(histogram: RecordableHistogram): EventLoopDelay {
	if (histogram.count === 0) return { meanMs: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
	const ms = (ns: number) => Math.round(ns / 1e3) / 1e3
	return {
		meanMs: ms(histogram.mean),
		p50Ms: ms(histogram.percentile(50)),
		p99Ms: ms(histogram.percentile(99)),
		maxMs: ms(histogram.max),
	}
}

/** Garbage collections since the last read. */
export interface GarbageCollection {
	/** Number of collections. */
	readonly count: number
	/** Total duration of the collections. */
	readonly totalMs: number
	/** Duration of the longest collection. */
	readonly maxMs: number
	/** Number of collections by kind. */
	readonly kinds: {
		readonly minor: number
		readonly major: number
		readonly incremental: number
		readonly weak: number
	}
}

const KINDS = [
	['minor', constants.NODE_PERFORMANCE_GC_MINOR],
	['major', constants.NODE_PERFORMANCE_GC_MAJOR],
	['incremental', constants.NODE_PERFORMANCE_GC_INCREMENTAL],
	['weak', constants.NODE_PERFORMANCE_GC_WEAKCB],
] as const

/** Returns a source that measures the number and duration of garbage collections in this process. */
export function garbageCollection(): Source {
	let observer: PerformanceObserver | undefined
	let seen = newCollections()
	return {
		read(): GarbageCollection {
			if (observer === undefined) {
				observer = new PerformanceObserver((list) => {
					for (const entry of list.getEntries())
						seen.add(entry.duration, (entry as { detail?: unknown }).detail)
				})
				observer.observe({ entryTypes: ['gc'] })
			}
			const { collections } = seen
			seen = newCollections()
			return collections
		},
		end() {
			observer?.disconnect()
			observer = undefined
			seen = newCollections()
		},
	}
}

function newCollections() {
	const collections = {
		count: 0,
		totalMs: 0,
		maxMs: 0,
		kinds: { minor: 0, major: 0, incremental: 0, weak: 0 },
	}
	return {
		collections,
		add(durationMs: number, detail: unknown): void {
			collections.count++
			collections.totalMs += durationMs
			collections.maxMs = Math.max(collections.maxMs, durationMs)
			const { kind } = (detail ?? {}) as { readonly kind?: number }
			const name = KINDS.find(([, number]) => number === kind)?.[0]
			if (name !== undefined) collections.kinds[name]++
		},
	}
}

/** Returns a source that reads `process.memoryUsage()`, in bytes. */
export function memoryUsage(): Source {
	return { read: () => ({ ...process.memoryUsage() }) }
}
