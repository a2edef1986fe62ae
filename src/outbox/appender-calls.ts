/** Calls of an appender's `flush`, `sync` and `close`, whatever they give back. Closing waits for nothing without a bound. */
import type { LogChainAppender } from '../appender.ts'
import { follow, isThenable, settle, within } from '../guard/promises.ts'
import { propertyOf } from '../guard/values.ts'
import { asCoded, MeshChainError } from '../model/errors.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'

/**
 * @param rejected a flush has to be done when it returns: of one that gives a promise nothing but its failure is heard.
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

/** The appender's own promise, so that one sync that it gives to many is known as one. */
export function syncOf(appender: LogChainAppender): Promise<void> {
	try {
		return appender.sync?.() ?? Promise.resolve()
	} catch (thrown) {
		return Promise.reject(thrown)
	}
}

/**
 * Calls `sync` and then `close`, the latter whatever the former does. An appender that says how long to wait for it is waited for so long each time;
 * any other for `timeoutMs` in all, of which the sync gets half.
 *
 * @param keep hears of what went wrong, in order.
 */
export async function closeWithin(
	appender: LogChainAppender,
	timeoutMs: number,
	keep: (error: MeshChainError) => void,
): Promise<void> {
	const patienceMs = patienceMsOf(appender)
	let leftMs = timeoutMs
	if (propertyOf(appender, 'closeSyncs') !== true) {
		const answered = await waitFor('sync', () => syncOf(appender), patienceMs ?? leftMs / 2, keep)
		if (!answered) leftMs /= 2
	}
	await waitFor('close', () => appender.close?.(), patienceMs ?? leftMs, keep)
}

/** The longest that {@link closeWithin} takes. */
export function closeMsMax(appender: LogChainAppender, timeoutMs: number): number {
	return timeoutMs + 2 * (patienceMsOf(appender) ?? 0)
}

const CODES = { sync: 'SYNC_FAILED', close: 'CLOSE_FAILED' } as const

/** Whether it answered in time, with success or without. */
async function waitFor(
	verb: 'sync' | 'close',
	act: () => unknown,
	ms: number,
	keep: (error: MeshChainError) => void,
): Promise<boolean> {
	const outcome = await within((async () => void (await settle(act())))(), ms)
	if (outcome.is === 'rejected') keep(asCoded(outcome.thrown, CODES[verb], `the appender cannot ${verb}`))
	if (outcome.is !== 'late') return true
	const text = `the appender did not ${verb} within ${ms} ms, and is not waited for any longer`
	keep(new MeshChainError(CODES[verb], text))
	return false
}

function patienceMsOf(appender: LogChainAppender): number | undefined {
	const ms = propertyOf(appender, 'closeTimeoutMs')
	return typeof ms === 'number' && ms >= 0 ? Math.min(ms, TIMER_MS_MAX) : undefined
}
