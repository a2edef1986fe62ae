/** The interface that every appender implements, and helpers that read an appender's properties. */
import { hush } from './guard/hush.ts'
import { show } from './guard/show.ts'
import { attempt, isInstance, ownValueOf, propertyOf } from './guard/values.ts'
import { checkWholeNumber, readOption } from './model/check.ts'
import { isSoundError, LogAppendError, MeshChainError, messageOf } from './model/errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './model/limits.ts'
import type { LogRecord } from './model/record.ts'
import { processWide } from './platform/process-wide.ts'

/** All durabilities, weakest first. */
export const DURABILITIES = ['none', 'memory', 'os', 'disk'] as const
/**
 * What a committed record survives: nothing (`none`), anything except the end of its process (`memory`), the
 * end of its process (`os`), or a power loss (`disk`).
 */
export type Durability = (typeof DURABILITIES)[number]

/**
 * Receives the records of a loop. After `append` accepts a record, the appender keeps the record until it is
 * committed or counted as lost.
 *
 * A loop appends records in strictly increasing order of `seq`, by default one append at a time. A `$gap`
 * record replaces records that the loop itself lost. Only `append` is required. To test an implementation,
 * run `appenderContract` from `mesh-chain/testing`.
 */
export interface LogChainAppender {
	/**
	 * Accepts one record. On failure, throws or rejects. After an error, the record stays in the loop, which
	 * retries appends in order. If the error has `retryable: false`, the loop does not retry, and replaces the
	 * record with a counted gap.
	 *
	 * @throws {LogAppendError}
	 */
	append(record: LogRecord): void | Promise<void>
	/** Accepts all of the records or none. Without this method, the loop appends records one by one. */
	appendBatch?(records: readonly LogRecord[]): void | Promise<void>
	/**
	 * Seq of the first record that the loop stamps. Minimum: 1. Default: 1. Read once, when the loop is
	 * created.
	 */
	readonly nextSeq?: number | undefined
	/**
	 * Number of the epoch that this opening of the chain starts. Minimum: 1. Default: 1. Read once, when the
	 * loop is created.
	 */
	readonly epoch?: number | undefined
	/**
	 * Seq up to which every record is committed, with the {@link durability} that the appender promises.
	 * Without this property, a record is committed when `append` returns or resolves.
	 */
	readonly committedSeq?: number | undefined
	/** Durability of a committed record. Default: `memory`. */
	readonly durability?: Durability | undefined
	/**
	 * Maximum number of asynchronous appends in flight, at least 1. A value above 1 declares that appends are
	 * idempotent and ordered: after a failure, the loop appends the failed record and all later records again.
	 * Default: 1.
	 */
	readonly inFlightMax?: number | undefined
	/**
	 * Error that currently prevents the appender from committing records; undefined if there is none. An
	 * appender with this property issues its own warnings about failure and recovery, so the loop issues none.
	 */
	readonly failure?: MeshChainError | undefined
	/**
	 * Returns after every accepted record has reached the operating system. Throws if a record cannot reach it.
	 */
	flush?(): void
	/** Resolves when every accepted record is on disk. */
	sync?(): Promise<void>
	/**
	 * Calls a listener with the first seq of a new file each time the appender has begun one, in a later
	 * microtask. Files that begin in the same write cause one call, with the lowest seq. Records that the
	 * listener publishes are in that file or a later one. Returns a function that ends the calls. A
	 * `Recorder` uses this method to repeat its newest checkpoint in each file.
	 */
	onNewFile?(listener: (firstSeq: number) => void): () => void
	/** Whether any write can begin a new file, because the size of a file has a bound. Default: false. */
	readonly rotates?: boolean | undefined
	/**
	 * Commits and syncs every record, and releases all resources. Idempotent. Later appends fail with
	 * `retryable: false`.
	 */
	close?(): Promise<void>
	/**
	 * Maximum time to wait for each of `sync` and `close`, in milliseconds. Default: `sync` and `close` share
	 * the loop's `closeTimeoutMs`.
	 */
	readonly closeTimeoutMs?: number | undefined
	/** Whether `close` also syncs. If true, the loop does not call `sync` before `close`. Default: false. */
	readonly closeSyncs?: boolean | undefined
}

/**
 * Returns the first seq and the epoch for a loop that uses this appender.
 *
 * @throws {MeshChainError} `INVALID_OPTION` when the appender declares an invalid value.
 */
export function startOf(appender: LogChainAppender): { readonly nextSeq: number; readonly epoch: number } {
	return {
		nextSeq: declaredBy(appender, 'nextSeq', SEQ_MAX + 1),
		epoch: declaredBy(appender, 'epoch', EPOCH_MAX),
	}
}

/**
 * Returns the value that an appender declares for a property. The value must be a whole number from 1 to
 * `max`. Default: 1.
 *
 * @throws {MeshChainError} `INVALID_OPTION` when the value is invalid or cannot be read.
 */
export function declaredBy(
	appender: LogChainAppender,
	name: 'nextSeq' | 'epoch' | 'inFlightMax',
	max?: number,
): number {
	const what = `${name} of the appender`
	return checkWholeNumber(what, readOption(what, appender, name) ?? 1, 1, max)
}

/** Returns whether an append is retried after this error: true unless the error has `retryable: false`. */
export function isRetryable(error: unknown): boolean {
	return propertyOf(error, 'retryable') !== false
}

/**
 * Converts any thrown value to a `LogAppendError`. A `LogAppendError` with only plain values in its fields is
 * returned unchanged. Any other value becomes the cause of a new error.
 */
export function toAppendError(thrown: unknown, seq: number): LogAppendError {
	const isKept =
		isSoundError(thrown) &&
		isInstance(thrown, LogAppendError) &&
		typeof ownValueOf(thrown, 'retryable') === 'boolean'
	if (isKept) return thrown
	return new LogAppendError(messageOf(thrown), { retryable: isRetryable(thrown), seq, cause: thrown })
}

/**
 * Calls a listener each time an appender has begun a new file. Returns a function that ends the calls. Does
 * nothing if the appender does not write files.
 */
export function onNewFileOf(appender: LogChainAppender, listener: (firstSeq: number) => void): () => void {
	const undo: unknown = attempt(() => appender.onNewFile?.(listener), undefined)
	hush(undo)
	return () => {
		if (typeof undo === 'function') hush(attempt<unknown>(() => undo(), undefined))
	}
}

/** Returns the durability that an appender declares. Default: `memory`. */
export function durabilityOf(appender: LogChainAppender): Durability {
	const durability = propertyOf(appender, 'durability')
	return DURABILITIES.find((name) => name === durability) ?? 'memory'
}

/**
 * Returns an appender's `committedSeq`; undefined if the appender has none, and NaN if the value is invalid
 * or cannot be read.
 */
export function committedSeqOf(appender: LogChainAppender): number | undefined {
	const seq: unknown = attempt(() => appender.committedSeq, Number.NaN)
	if (seq === undefined) return undefined
	hush(seq)
	return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : Number.NaN
}

/**
 * Returns an appender's `failure`. If reading the property throws, returns the error, converted if necessary.
 */
export function failureOf(appender: LogChainAppender): MeshChainError | undefined {
	try {
		const failure: unknown = appender.failure
		if (failure === undefined || failure === null) return undefined
		return isSoundError(failure) ? failure : toAppendError(failure, 0)
	} catch (thrown) {
		return toAppendError(thrown, 0)
	}
}

/** Checks that a value is an object with an `append` method. @throws {MeshChainError} `INVALID_OPTION` */
export function checkAppender(appender: unknown): void {
	if (typeof appender === 'object' && typeof propertyOf(appender, 'append') === 'function') return
	const text =
		`an appender must be an object with an append(record) method, not ${show(appender)}; ` +
		'to write a chain file, use new FileChainAppender(path)'
	throw new MeshChainError('INVALID_OPTION', text)
}

const inUse = processWide('appenders-in-use', () => new WeakSet<LogChainAppender>())

/**
 * Marks appenders as owned by one loop or one parent appender: all of them, or none if this throws.
 *
 * @throws {MeshChainError} `APPENDER_IN_USE` if an appender already has an owner or is passed twice, or
 * `INVALID_OPTION` if a value is not an appender.
 */
export function claimAppenders(appenders: readonly LogChainAppender[]): void {
	for (const appender of appenders) checkAppender(appender)
	if (appenders.some((appender) => inUse.has(appender)) || new Set(appenders).size < appenders.length) {
		throw new MeshChainError(
			'APPENDER_IN_USE',
			'this appender already belongs to a loop or to another appender: ' +
				'create a new appender, or share its loop with loop.child()',
		)
	}
	for (const appender of appenders) inUse.add(appender)
}
