/** The health of this process, as sources to scan: how late its event loop is, its garbage collection, its memory. */
import {
	constants,
	type IntervalHistogram,
	monitorEventLoopDelay,
	PerformanceObserver,
} from 'node:perf_hooks'
import { checkOptionNames, checkTimerMs } from '../../options.ts'
import type { Source } from '../source.ts'

/** Milliseconds that timers were late since the last time it was asked. */
export interface EventLoopDelay {
	readonly meanMs: number
	readonly p50Ms: number
	readonly p99Ms: number
	readonly maxMs: number
}

/** How late timers of this process are; a loop that was blocked for a second shows as a `maxMs` of about 1,000. */
export function eventLoopDelay(options: { readonly resolutionMs?: number } = {}): Source {
	checkOptionNames(options, ['resolutionMs'])
	const resolutionMs = checkTimerMs('resolutionMs', options.resolutionMs ?? 10)
	let histogram: IntervalHistogram | undefined
	return {
		read(): EventLoopDelay {
			if (histogram === undefined) {
				histogram = monitorEventLoopDelay({ resolution: resolutionMs })
				histogram.enable()
			}
			const delay = delayOf(histogram, resolutionMs)
			histogram.reset()
			return delay
		},
		end() {
			histogram?.disable()
			histogram = undefined
		},
	}
}

/** The histogram holds whole intervals in ns; the part of them that was waited for on purpose is no delay. */
function delayOf(histogram: IntervalHistogram, resolutionMs: number): EventLoopDelay {
	if (histogram.count === 0) return { meanMs: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
	const late = (ns: number) => Math.max(0, Math.round(ns / 1e3 - resolutionMs * 1e3) / 1e3)
	return {
		meanMs: late(histogram.mean),
		p50Ms: late(histogram.percentile(50)),
		p99Ms: late(histogram.percentile(99)),
		maxMs: late(histogram.max),
	}
}

/** Garbage collections since the last time it was asked. */
export interface GarbageCollection {
	readonly count: number
	readonly totalMs: number
	readonly maxMs: number
	/** Collections by kind. */
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

/** How often and how long the garbage collector of this process ran. */
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

/** What `process.memoryUsage()` says, in bytes. */
export function memoryUsage(): Source {
	return { read: () => ({ ...process.memoryUsage() }) }
}
