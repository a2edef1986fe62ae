/**
 * The seam between the loop and wherever records go next, and the helpers both sides of it share.
 */
import { LogAppendError, MeshChainError, messageOf } from './errors.ts'
import { EPOCH_MAX, SEQ_MAX } from './limits.ts'
import { checkWholeNumber } from './options.ts'
import { type LogRecord, show } from './record.ts'

/** What a committed record survives: nothing, nothing but this process, a killed process, a power loss. */
export type Durability = 'none' | 'memory' | 'os' | 'disk'

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
}

/**
 * Where a loop over this appender starts.
 *
 * @throws {MeshChainError} `INVALID_OPTION` when the appender names a seq or an epoch that cannot be.
 */
export function startOf(appender: LogChainAppender): { readonly nextSeq: number; readonly epoch: number } {
	return {
		nextSeq: checkWholeNumber('nextSeq of the appender', appender.nextSeq ?? 1, 1, SEQ_MAX + 1),
		epoch: checkWholeNumber('epoch of the appender', appender.epoch ?? 1, 1, EPOCH_MAX),
	}
}

/** Whether an error lets the record be tried again: all do that are not marked otherwise. */
export function isRetryable(error: unknown): boolean {
	return !(typeof error === 'object' && error !== null && 'retryable' in error && error.retryable === false)
}

/** Any thrown value as an append error, the original kept as its cause. */
export function toAppendError(thrown: unknown, seq: number): LogAppendError {
	if (thrown instanceof LogAppendError) return thrown
	return new LogAppendError(messageOf(thrown), { retryable: isRetryable(thrown), seq, cause: thrown })
}

/** Whether something a caller's code returned has to be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
	if (typeof value !== 'object' || value === null) return false
	try {
		return 'then' in value && typeof value.then === 'function'
	} catch {
		return false
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkAppender(appender: unknown): void {
	const { append } = (appender ?? {}) as Partial<LogChainAppender>
	if (typeof appender === 'object' && typeof append === 'function') return
	const text = `an appender must be an object with an append(record) method, not ${show(appender)}: new FileChainAppender(path) is one`
	throw new MeshChainError('INVALID_OPTION', text)
}

const inUse = new WeakSet<LogChainAppender>()

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
