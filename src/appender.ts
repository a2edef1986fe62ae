/** The contract of an appender, the one interface that users implement, and the helpers that read one. */
import { hush } from './guard/hush.ts'
import { show } from './guard/show.ts'
import { attempt, isInstance, ownValueOf, propertyOf } from './guard/values.ts'
import { checkWholeNumber, readOption } from './model/check.ts'
import { isSoundError, LogAppendError, MeshChainError, messageOf } from './model/errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './model/limits.ts'
import type { LogRecord } from './model/record.ts'
import { processWide } from './platform/process-wide.ts'

/** All durabilities, from the least to the most durable. */
export const DURABILITIES = ['none', 'memory', 'os', 'disk'] as const
/**
 * What a committed record survives: nothing (`none`), as long as its process lives (`memory`), a killed
 * process (`os`), a power loss (`disk`).
 */
export type Durability = (typeof DURABILITIES)[number]

/**
 * Where the records of a loop go. From `append` on, the appender keeps a record until it is committed or
 * counted lost.
 *
 * A loop calls it with strictly increasing `seq`, including `$gap` records for what the loop itself lost, and
 * with one append at a time. Only `append` is required. `appenderContract` of `mesh-chain/testing` tests an
 * implementation.
 */
export interface LogChainAppender {
	/**
	 * Takes one record. Throws or rejects when it cannot; the record then stays with the loop. Every error is
	 * retried, in order, but one with `retryable: false`: its record becomes a counted gap.
	 *
	 * @throws {LogAppendError}
	 */
	append(record: LogRecord): void | Promise<void>
	/** Takes all of the records or none. Without it the loop appends them one by one. */
	appendBatch?(records: readonly LogRecord[]): void | Promise<void>
	/**
	 * Seq of the first record that a loop should stamp, from 1. Read once, when the loop is made. Default: 1.
	 */
	readonly nextSeq?: number | undefined
	/** Number of this opening of the chain, from 1. Read once, when the loop is made. Default: 1. */
	readonly epoch?: number | undefined
	/**
	 * Seq up to which every record is committed: it survives what {@link durability} names. Default: a record is
	 * committed when `append` returns or resolves.
	 */
	readonly committedSeq?: number | undefined
	/** What a committed record survives. Default: `memory`. */
	readonly durability?: Durability | undefined
	/**
	 * Most asynchronous appends in flight at once, from 1. More than 1 declares the appender idempotent and
	 * ordered: after a failure the loop repeats everything from the failed record on. Default: 1.
	 */
	readonly inFlightMax?: number | undefined
	/**
	 * Why nothing can be committed at present; undefined in health. An appender with this property reports its
	 * failure and its recovery to people itself: the loop does not repeat them.
	 */
	readonly failure?: MeshChainError | undefined
	/** Returns once the operating system has everything taken, or throws. */
	flush?(): void
	/** Resolves once everything taken is on disk. */
	sync?(): Promise<void>
	/** Commits, syncs and releases everything. Idempotent; later appends are refused as not retryable. */
	close?(): Promise<void>
	/**
	 * Longest wait for `sync`, and then for `close`, in milliseconds. Default: the `closeTimeoutMs` of the loop.
	 */
	readonly closeTimeoutMs?: number | undefined
	/** Whether `close` syncs by itself, so that `sync` is not called before it. Default: false. */
	readonly closeSyncs?: boolean | undefined
}

/**
 * The first seq and the epoch of a loop over this appender.
 *
 * @throws {MeshChainError} `INVALID_OPTION` when the appender declares an invalid one.
 */
export function startOf(appender: LogChainAppender): { readonly nextSeq: number; readonly epoch: number } {
	return {
		nextSeq: declaredBy(appender, 'nextSeq', SEQ_MAX + 1),
		epoch: declaredBy(appender, 'epoch', EPOCH_MAX),
	}
}

/**
 * A whole number from 1 that an appender declares once. Default: 1.
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

/** Whether an append is retried after this error: after every one without `retryable: false`. */
export function isRetryable(error: unknown): boolean {
	return propertyOf(error, 'retryable') !== false
}

/**
 * Makes an append error of any thrown value. One whose fields are plain values is kept; any other becomes the
 * cause.
 */
export function toAppendError(thrown: unknown, seq: number): LogAppendError {
	const isKept =
		isSoundError(thrown) &&
		isInstance(thrown, LogAppendError) &&
		typeof ownValueOf(thrown, 'retryable') === 'boolean'
	if (isKept) return thrown
	return new LogAppendError(messageOf(thrown), { retryable: isRetryable(thrown), seq, cause: thrown })
}

/** The durability that an appender declares. Default: `memory`. */
export function durabilityOf(appender: LogChainAppender): Durability {
	const durability = propertyOf(appender, 'durability')
	return DURABILITIES.find((name) => name === durability) ?? 'memory'
}

/** The `committedSeq` of an appender; undefined where it has none, NaN where it is not a seq. */
export function committedSeqOf(appender: LogChainAppender): number | undefined {
	const seq: unknown = attempt(() => appender.committedSeq, Number.NaN)
	if (seq === undefined) return undefined
	hush(seq)
	return typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : Number.NaN
}

/** The `failure` of an appender; an error too where reading it throws. */
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
 * @throws {MeshChainError} `APPENDER_IN_USE` when another owns it, `INVALID_OPTION` when it is not an
 * appender.
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
