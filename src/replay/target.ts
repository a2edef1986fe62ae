/** The target of a replay, which takes one record after the other. */
import { show } from '../guard/show.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { checkFunction, ifGiven, readOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'

/** Records that a target accepted and could not keep. */
export interface UndeliveredRecords {
	/** Number of those records. */
	readonly records: number
	/** Seq of the first of them in the source; undefined if there are none. */
	readonly seq: number | undefined
}

/** Takes the records of a replay, a recording or a copy. */
export interface ReplayTarget {
	/** Name of the target in messages. */
	readonly name?: string
	/**
	 * Takes one record. An error or a rejection means that the record was not delivered; it is retried as
	 * often as `retries` allows. An error with the code `TARGET_GONE` means that the target takes no more
	 * records, and so does a `retryable` `LogAppendError` after the last retry.
	 */
	write(record: LogRecord): unknown
	/** Returns, or resolves, once every accepted record has arrived at its destination. */
	flush?(): unknown
	/**
	 * Returns, after a failed flush, the accepted records that have not arrived. Without this method, all of
	 * them may be missing.
	 */
	undelivered?(): UndeliveredRecords | undefined
	/** Releases the resources of the target. Called by the code that created the target, not by a replay. */
	close?(): unknown
	/**
	 * Whether the target keeps history, and therefore also gets `$gap` records. Default: false, gaps are only
	 * counted.
	 */
	readonly keepsGaps?: boolean
}

/**
 * Turns a function into a target, and checks a target.
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
	const what = `a target is a function or has write(record), not ${show(target)}`
	const advice = 'use new LoopTarget(loop), new AppenderTarget(appender) or new StreamTarget(stream)'
	throw new MeshChainError('INVALID_OPTION', `${what}: ${advice}`)
}

/** Tells whether a target wants gaps; false if that cannot be read. */
export function wantsGaps(target: ReplayTarget): boolean {
	return propertyOf(target, 'keepsGaps') === true
}

/** Tells whether a target is a Node stream, whose `write` takes something else. */
function isStream(target: object): boolean {
	return typeof propertyOf(target, 'pipe') === 'function' || attempt(() => 'writableEnded' in target, false)
}
