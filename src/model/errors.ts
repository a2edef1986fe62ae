/**
 * The error types and the complete list of error codes. Every code has a heading in
 * `docs/reference/errors.md`.
 *
 * There are four kinds of failure. Misuse throws immediately. A broken invariant throws and makes the chain
 * unusable. A failed operation rejects and is counted, and the loop continues. Damage is reported as data:
 * `verifyChain` returns findings.
 */
import { types } from 'node:util'
import { show } from '../guard/show.ts'
import { isInstance, messageOf, ownValueOf, propertyOf } from '../guard/values.ts'

export { messageOf }

/**
 * Every code that a {@link MeshChainError} can have. `docs/reference/errors.md` describes how to handle each
 * code.
 */
export const ERROR_CODES = [
	'INVALID_OPTION',
	'INVALID_LEVEL',
	'INVALID_KIND',
	'INVALID_ID',
	'INVALID_TIME',
	'INVALID_LINE',
	'INVALID_FILTER',
	'INVALID_PATH',
	'INVALID_USAGE',
	'APPENDER_IN_USE',
	'APPENDER_CLOSED',
	'APPEND_FAILED',
	'BATCH_TOO_LARGE',
	'SEQ_NOT_INCREASING',
	'PENDING_OVERFLOW',
	'FLUSH_FAILED',
	'SYNC_FAILED',
	'CLOSE_FAILED',
	'WRITE_FAILED',
	'ROTATION_FAILED',
	'WAIT_TIMEOUT',
	'CHAIN_NOT_FOUND',
	'CHAIN_EMPTY',
	'CHAIN_UNREADABLE',
	'CHAIN_UNWRITABLE',
	'CHAIN_CLOSED',
	'CHAIN_LOCKED',
	'CHAIN_GAP',
	'CHAIN_TRUNCATED',
	'CHAIN_REPLACED',
	'CHAIN_DAMAGED',
	'CHAIN_TAKEN_OVER',
	'CHAIN_SEALED',
	'CHAIN_EXISTS',
	'CHAIN_EXHAUSTED',
	'CHAIN_MISMATCH',
	'REPAIR_FAILED',
	'NOT_A_CHAIN',
	'HEADER_DAMAGED',
	'NEWER_VERSION',
	'INVALID_JSON',
	'FILE_UNREADABLE',
	'FILE_UNWRITABLE',
	'FILE_EXISTS',
	'EXPORT_FAILED',
	'OUTPUT_FAILED',
	'IMPORT_FAILED',
	'REPLAY_FAILED',
	'TARGET_GONE',
	'TARGET_TIMEOUT',
	'TARGET_FAILED',
	'TARGET_UNREACHABLE',
	'TARGET_FULL',
	'CURSOR_IN_USE',
	'CURSOR_MISMATCH',
	'CURSOR_DAMAGED',
	'CURSOR_FAILED',
	'CONSUMER_FAILED',
	'SESSION_ACTIVE',
	'SESSION_NOT_FOUND',
	'NO_SESSION',
	'CHECKPOINT_NOT_FOUND',
	'INVALID_SESSION',
	'INVALID_STATE',
	'FOLD_FAILED',
	'SOURCE_EXISTS',
	'SOURCE_BUSY',
	'SOURCE_NOT_FOUND',
	'SOURCE_UNAVAILABLE',
	'INVALID_SOURCE',
	'INVALID_POLICY',
	'SOURCES_CLOSED',
	'CLUSTER_UNREACHABLE',
	'STREAM_NOT_FOUND',
	'STREAM_REPLACED',
	'STREAM_UNFIT',
	'STREAM_REFUSED',
	'FORWARD_FAILED',
	'CHAIN_FORKED',
] as const

/** The code of an error. Codes are stable, unlike messages. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Details of an error: its location and cause. */
export interface ErrorDetails {
	/** Path of the file. */
	readonly path?: string | undefined
	/** Byte offset in the file. */
	readonly offset?: number | undefined
	/** Seq of the first record affected. */
	readonly seq?: number | undefined
	/** Thrown value that caused the error. */
	readonly cause?: unknown
}

/**
 * The error that all functions in mesh-chain throw or reject with. Branch on `code`, never on the message.
 */
export class MeshChainError extends Error {
	/** Also recognises errors from the other build (ES modules or CommonJS) in the same process. */
	static override [Symbol.hasInstance](value: unknown): boolean {
		// biome-ignore lint/complexity/noThisInStatic: a subclass must test for itself.
		return isErrorOf(this, value)
	}

	override name = 'MeshChainError'
	/** One of {@link ERROR_CODES}. */
	readonly code: ErrorCode
	/** Path of the file, if the error concerns a file. */
	declare readonly path?: string
	/** Byte offset in that file. */
	declare readonly offset?: number
	/** Seq of the first record affected. */
	declare readonly seq?: number

	constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
		super(message, details.cause === undefined ? undefined : { cause: details.cause })
		this.code = code
		if (details.path !== undefined) this.path = details.path
		if (details.offset !== undefined) this.offset = details.offset
		if (details.seq !== undefined) this.seq = details.seq
	}
}

/**
 * Thrown when an appender cannot accept a record. If `retryable` is true, the loop keeps the record and
 * retries the append. Otherwise, the loop replaces the record with a counted gap.
 */
export class LogAppendError extends MeshChainError {
	override name = 'LogAppendError'
	/** Whether the loop retries the append. Default: true. */
	readonly retryable: boolean
	/** Reason for the failure; identical to the message. */
	readonly reason: string

	constructor(
		reason: string,
		options: ErrorDetails & {
			readonly retryable?: boolean | undefined
			readonly code?: ErrorCode | undefined
		} = {},
	) {
		super(options.code ?? 'APPEND_FAILED', reason, options)
		this.reason = reason
		this.retryable = options.retryable ?? true
	}
}

/** Brands by which the error classes of both builds recognise each other's instances. */
const BRANDS = new Map<unknown, symbol>([
	[MeshChainError, Symbol.for('mesh-chain.MeshChainError')],
	[LogAppendError, Symbol.for('mesh-chain.LogAppendError')],
])
for (const [type, brand] of BRANDS) {
	Object.defineProperty((type as typeof MeshChainError).prototype, brand, { value: true })
}

function isErrorOf(type: unknown, value: unknown): boolean {
	if (Function.prototype[Symbol.hasInstance].call(type, value)) return true
	const brand = BRANDS.get(type)
	return brand !== undefined && types.isNativeError(value) && propertyOf(value, brand) === true
}

/**
 * Returns whether a value is a `MeshChainError` whose message and code are plain strings and therefore safe
 * to read.
 */
export function isSoundError(thrown: unknown): thrown is MeshChainError {
	if (!isInstance(thrown, MeshChainError)) return false
	return typeof ownValueOf(thrown, 'message') === 'string' && typeof ownValueOf(thrown, 'code') === 'string'
}

/**
 * Converts any thrown value to an error with a code. A `MeshChainError` that is safe to read is returned
 * unchanged. Any other value becomes the cause of a new error.
 */
export function asCoded(thrown: unknown, code: ErrorCode, what: string): MeshChainError {
	if (isSoundError(thrown)) return thrown
	return new MeshChainError(code, `${what}: ${messageOf(thrown)}`, { cause: thrown })
}

/**
 * Creates the error for a new file that is complete, but whose directory entry might not be on disk yet. The
 * message states that the file exists, so that the user does not create it again.
 */
export function unsyncedName(
	code: 'CHAIN_UNWRITABLE' | 'EXPORT_FAILED',
	path: string,
	unsynced: unknown,
): MeshChainError {
	const text =
		`${show(path)} exists and is complete, but its folder could not be synced ` +
		`(${messageOf(unsynced)}): until the folder is synced, a power loss may remove the file's name`
	return new MeshChainError(code, text, { path, cause: unsynced })
}
