/**
 * Calls an appender's `flush`, `sync` and `close`, and accepts any result. All waits during closing are
 * bounded.
 */
import type { LogChainAppender } from '../appender.ts'
import { follow, isThenable, settle, within } from '../guard/promises.ts'
import { propertyOf } from '../guard/values.ts'
import { asCoded, MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/**
 * Flushes an appender.
 *
 * @param rejected Receives the failure if `flush` returns a promise that rejects. The promise is not awaited,
 * because a flush is synchronous.
 * @throws {MeshChainError} `FLUSH_FAILED`
 */
export function flushAppender(appender: LogChainAppender, rejected: (thrown: unknown) => void): void {
	try {
		const flushed: unknown = appender.flush?.()
		if (isThenable(flushed)) follow(flushed, () => {}, rejected)
	} catch (thrown) {
		throw asCoded(thrown, 'FLUSH_FAILED', 'the appender cannot flush')
	}
}

/**
 * Syncs an appender. Returns the appender's own promise, so that callers can recognise a sync that several
 * calls share.
 */
export function syncOf(appender: LogChainAppender): Promise<void> {
	try {
		return appender.sync?.() ?? Promise.resolve()
	} catch (thrown) {
		return Promise.reject(thrown)
	}
}

/**
 * Calls `sync`, unless `close` also syncs, and then `close`, even if the sync failed. Each wait lasts at most
 * the appender's `closeTimeoutMs`. If the appender has no such property, the two waits together last at most
 * `timeoutMs`, and the wait for the sync lasts at most half of that time.
 *
 * @param keep Receives the failures, in order.
 */
export async function closeWithin(
	appender: LogChainAppender,
	timeoutMs: number,
	keep: (error: MeshChainError) => void,
): Promise<void> {
	const patienceMs = patienceMsOf(appender)
	const startMs = performance.now()
	let leftMs = timeoutMs
	if (propertyOf(appender, 'closeSyncs') !== true) {
		const answered = await waitFor('sync', () => syncOf(appender), patienceMs ?? timeoutMs / 2, keep)
		leftMs = answered ? Math.ceil(timeoutMs - (performance.now() - startMs)) : timeoutMs / 2
	}
	// A busy event loop must not use up the time for close.
	leftMs = Math.max(leftMs, timeoutMs / 2)
	await waitFor('close', () => appender.close?.(), patienceMs ?? leftMs, keep)
}

/**
 * Returns the maximum time for closing an appender that does not respond, including the wait for its appends.
 */
export function closeMsMax(appender: LogChainAppender, timeoutMs: number): number {
	return timeoutMs + 2 * (patienceMsOf(appender) ?? 0)
}

/**
 * Waits for a promise as long as the number of answers increases at least once every `stallMs`. Resolves
 * with true if the promise settles, and with false if the number stops increasing first.
 */
export async function settledUnlessStalled(
	promise: Promise<void>,
	answersSoFar: () => number,
	stallMs: number,
): Promise<boolean> {
	for (;;) {
		const answers = answersSoFar()
		if ((await within(promise, stallMs)).is !== 'late') return true
		if (answers === answersSoFar()) return false
	}
}

const CODES = { sync: 'SYNC_FAILED', close: 'CLOSE_FAILED' } as const

/** Resolves with true if the appender responds in time, successfully or not. */
async function waitFor(
	verb: 'sync' | 'close',
	act: () => unknown,
	ms: number,
	keep: (error: MeshChainError) => void,
): Promise<boolean> {
	const outcome = await within((async () => void (await settle(act())))(), ms)
	if (outcome.is === 'rejected') keep(asCoded(outcome.thrown, CODES[verb], `the appender cannot ${verb}`))
	if (outcome.is !== 'late') return true
	const text = `the appender did not ${verb} within ${ms} ms, and the wait was abandoned`
	keep(new MeshChainError(CODES[verb], text))
	return false
}

function patienceMsOf(appender: LogChainAppender): number | undefined {
	const ms = propertyOf(appender, 'closeTimeoutMs')
	return typeof ms === 'number' && ms >= 0 ? Math.min(ms, TIMER_MS_MAX) : undefined
}
