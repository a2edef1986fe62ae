/**
 * The seam between the loop and wherever records go next, and the helpers both sides of it share.
 */

import { hush } from './guard/hush.ts'
import { show } from './guard/show.ts'
import { attempt, isInstance, ownValueOf, propertyOf } from './guard/values.ts'
import { checkWholeNumber, readOption } from './model/check.ts'
import { isSoundError, LogAppendError, MeshChainError, messageOf } from './model/errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './model/limits.ts'
import type { LogRecord } from './model/record.ts'
import { processWide } from './platform/process-wide.ts'

/** From the least to the most durable. */
export const DURABILITIES = ['none', 'memory', 'os', 'disk'] as const
/** What a committed record survives: nothing, nothing but this process, a killed process, a power loss. */
export type Durability = (typeof DURABILITIES)[number]

/**
 * Where records go next. `append` takes custody: from then on the appender keeps the record until it is committed
 * or counted lost.
 *
 * A loop calls it with strictly increasing `seq`, `$gap` records for whatever the loop itself lost included, and
 * with one append at a time. Everything but `append` may be left out: without `committedSeq` a record is committed
 * when `append` returns or resolves; `nextSeq` and `epoch` default to 1.
 */
export interface LogChainAppender {
	/**
	 * Takes one record over. Throws or rejects when it cannot; the record then stays with the loop. Any error that is
	 * not marked `retryable: false` is retried, in order.
	 *
	 * @throws {LogAppendError}
	 */
	append(record: LogRecord): void | Promise<void>
	/** All of them or none. Without it the loop gives the records one by one. */
	appendBatch?(records: readonly LogRecord[]): void | Promise<void>
	/** The seq of the first record a loop should stamp. Read once, when the loop is made. */
	readonly nextSeq?: number
	/** Which opening of the chain this is. Read once, when the loop is made. */
	readonly epoch?: number
	/** Every record up to this seq is committed: it survives what {@link durability} names. */
	readonly committedSeq?: number
	readonly durability?: Durability
	/**
	 * How many asynchronous appends may be in flight at once, default 1. More than 1 declares the appender idempotent
	 * and ordered: after a failure the loop sends everything from the failed record on once more.
	 */
	readonly inFlightMax?: number
	/**
	 * Why nothing can be committed at present; undefined in health. An appender that has it announces its failure and
	 * its recovery to the process itself, so the loop does not say them again.
	 */
	readonly failure?: MeshChainError | undefined
	/** Gives everything taken over to the operating system, or throws. */
	flush?(): void
	/** Resolves when everything taken over is on disk. */
	sync?(): Promise<void>
	/** Commits, syncs and lets go. Idempotent; later appends are refused as not retryable. */
	close?(): Promise<void>
	/** How many milliseconds whoever closes this appender waits for its `sync`, and then for its `close`. Default: the loop's `closeTimeoutMs`. */
	readonly closeTimeoutMs?: number
	/** `close` syncs by itself, whatever hangs: `sync` is not called before it. Default false. */
	readonly closeSyncs?: boolean
}

/**
 * Where a loop over this appender starts.
 *
 * @throws {MeshChainError} `INVALID_OPTION` when the appender names a seq or an epoch that cannot be.
 */
export function startOf(appender: LogChainAppender): { readonly nextSeq: number; readonly epoch: number } {
	return {
		nextSeq: declaredBy(appender, 'nextSeq', SEQ_MAX + 1),
		epoch: declaredBy(appender, 'epoch', EPOCH_MAX),
	}
}

/**
 * A whole number from 1 that an appender states once; 1 where it states none.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, also where it cannot be read.
 */
export function declaredBy(
	appender: LogChainAppender,
	name: 'nextSeq' | 'epoch' | 'inFlightMax',
	max?: number,
): number {
	const what = `${name} of the appender`
	return checkWholeNumber(what, readOption(what, appender, name) ?? 1, 1, max)
}

/** Whether an error lets the record be tried again: all do that are not marked otherwise. */
export function isRetryable(error: unknown): boolean {
	return propertyOf(error, 'retryable') !== false
}

/**
 * Any thrown value as an append error that can be read at any time: one whose fields are plain is kept, of any other it becomes
 * the cause.
 */
export function toAppendError(thrown: unknown, seq: number): LogAppendError {
	const isKept =
		isSoundError(thrown) &&
		isInstance(thrown, LogAppendError) &&
		typeof ownValueOf(thrown, 'retryable') === 'boolean'
	if (isKept) return thrown
	return new LogAppendError(messageOf(thrown), { retryable: isRetryable(thrown), seq, cause: thrown })
}

/** What an appender promises; `memory` where it does not say. */
export function durabilityOf(appender: LogChainAppender): Durability {
	const durability = propertyOf(appender, 'durability')
	return DURABILITIES.find((name) => name === durability) ?? 'memory'
}

/** The seq that an appender says it has committed; undefined where it says nothing, NaN where it says what cannot be. */
export function committedSeqOf(appender: LogChainAppender): number | undefined {
	const seq: unknown = attempt(() => appender.committedSeq, Number.NaN)
	if (seq === undefined) return undefined
	hush(seq)
	return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : Number.NaN
}

/** Why an appender cannot commit, as far as it says so: also where it cannot even be asked. */
export function failureOf(appender: LogChainAppender): MeshChainError | undefined {
	try {
		const failure: unknown = appender.failure
		if (failure === undefined || failure === null) return undefined
		return isSoundError(failure) ? failure : toAppendError(failure, 0)
	} catch (thrown) {
		return toAppendError(thrown, 0)
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkAppender(appender: unknown): void {
	if (typeof appender === 'object' && typeof propertyOf(appender, 'append') === 'function') return
	const text = `an appender must be an object with an append(record) method, not ${show(appender)}: new FileChainAppender(path) is one`
	throw new MeshChainError('INVALID_OPTION', text)
}

const inUse = processWide('appenders-in-use', () => new WeakSet<LogChainAppender>())

/**
 * Marks an appender as owned by one loop or one parent appender.
 *
 * @throws {MeshChainError} `APPENDER_IN_USE` when another owns it, `INVALID_OPTION` when it is no appender.
 */
export function claimAppender(appender: LogChainAppender): void {
	checkAppender(appender)
	if (inUse.has(appender)) {
		throw new MeshChainError(
			'APPENDER_IN_USE',
			'this appender already belongs to a loop; give each loop its own, or use loop.child() to share one',
		)
	}
	inUse.add(appender)
}
