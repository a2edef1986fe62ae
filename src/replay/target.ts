/** The target of a replay, which accepts one record at a time. */
import { show } from '../guard/show.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { checkFunction, ifGiven, readOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'

/** Records that a target accepted but could not keep. */
export interface UndeliveredRecords {
	/** Number of records. */
	readonly records: number
	/** Seq of the first record in the source; undefined if there are none. */
	readonly seq: number | undefined
}

/** Receives the records of a replay. */
export interface ReplayTarget {
	/** Name of the target in messages. */
	readonly name?: string
	/**
	 * Accepts one record. If this method throws or rejects, the record was not delivered, and the delivery is
	 * retried up to `retries` times. An error with the code `TARGET_GONE` means that the target accepts no more
	 * records. A `retryable` `LogAppendError` after the last retry has the same meaning.
	 */
	write(record: LogRecord): unknown
	/** Waits until every accepted record has reached its destination. May return a promise. */
	flush?(): unknown
	/**
	 * Describes the accepted records that did not reach their destination because a flush failed. If this
	 * method is absent, all accepted records may be missing.
	 */
	undelivered?(): UndeliveredRecords | undefined
	/**
	 * Releases the target's resources. The code that created the target calls this method; a replay never does.
	 */
	close?(): unknown
	/**
	 * Whether the target keeps history and therefore also receives `$gap` records. If false, gaps are only
	 * counted. Default: false.
	 */
	readonly keepsGaps?: boolean
}

/**
 * Converts a function to a target, or checks a target.
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
	const what = `a target must be a function or an object with write(record), not ${show(target)}`
	const advice = 'use new LoopTarget(loop), new AppenderTarget(appender) or new StreamTarget(stream)'
	throw new MeshChainError('INVALID_OPTION', `${what}: ${advice}`)
}

/** Returns whether a target receives gaps; false if `keepsGaps` cannot be read. */
export function wantsGaps(target: ReplayTarget): boolean {
	return propertyOf(target, 'keepsGaps') === true
}

/** Returns whether a target is a Node stream, whose `write` does not accept records. */
function isStream(target: object): boolean {
	return typeof propertyOf(target, 'pipe') === 'function' || attempt(() => 'writableEnded' in target, false)
}
