/** Where replay goes: anything that takes one record after the other. */

import { show } from '../guard/show.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { checkFunction, ifGiven, readOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'

/** Records that a target took and could not keep. */
export interface UndeliveredRecords {
	readonly records: number
	/** The first of them, by its seq in the source; undefined for none. */
	readonly seq: number | undefined
}

export interface ReplayTarget {
	/** What it is called in messages. */
	readonly name?: string
	/**
	 * Takes one record. A throw, or a rejection, means that the record has not arrived: it is tried again as often as the replay was
	 * told to. An error with the code `TARGET_GONE` means that none will arrive any more; so does a `LogAppendError` that is `retryable`
	 * after the last try.
	 */
	write(record: LogRecord): unknown
	/** Returns, or resolves, once everything written is where it should be. */
	flush?(): unknown
	/** After a flush that failed: what was written and is not where it should be. Unknown where it is left out: it may be all of it. */
	undelivered?(): UndeliveredRecords | undefined
	/** Lets go of what the target holds. Called by whoever made it, not by a replay. */
	close?(): unknown
	/** Whether it keeps history, and so wants the `$gap`s too; a replay only counts them otherwise. */
	readonly keepsGaps?: boolean
}

/**
 * A function, or a target, as a target.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function asTarget(target: ReplayTarget | ((record: LogRecord) => unknown)): ReplayTarget {
	if (typeof target === 'function') return { write: target }
	if (typeof propertyOf(target, 'write') === 'function' && !isStream(target)) {
		for (const name of ['flush', 'close'] as const) {
			const what = `${name} of the target`
			ifGiven(what, readOption(what, target, name) as ReplayTarget[typeof name], checkFunction)
		}
		return target
	}
	throw new MeshChainError(
		'INVALID_OPTION',
		`a target is a function or has write(record), not ${show(target)}: new LoopTarget(loop), new AppenderTarget(appender) and new StreamTarget(stream) make one`,
	)
}

/** Whether a target wants the gaps too; not, where it cannot say so. */
export function wantsGaps(target: ReplayTarget): boolean {
	return propertyOf(target, 'keepsGaps') === true
}

/** It has a `write` too, which takes something else. */
function isStream(target: object): boolean {
	return typeof propertyOf(target, 'pipe') === 'function' || attempt(() => 'writableEnded' in target, false)
}
