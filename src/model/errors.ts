/**
 * The one error type and the closed list of its codes. Every code has a heading in `docs/reference/errors.md`.
 *
 * Four kinds, four routes: misuse throws at once; a broken invariant throws and poisons that chain; a failed
 * operation rejects, is counted, and the loop continues; damage is data (`verifyChain` returns findings).
 */
import { types } from 'node:util'
import { isInstance, messageOf, ownValueOf, propertyOf } from '../guard/values.ts'

export { messageOf }

/** Every code a {@link MeshChainError} can carry. `docs/reference/errors.md` says what to do about each. */
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

/** The code of an error: stable, unlike its message. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Where an error happened, and why. */
export interface ErrorDetails {
	/** Path of the file. */
	readonly path?: string | undefined
	/** Byte position in the file. */
	readonly offset?: number | undefined
	/** Seq of the first record concerned. */
	readonly seq?: number | undefined
	/** What was thrown first. */
	readonly cause?: unknown
}

/**
 * The error with which everything in mesh-chain throws or rejects. Branch on `code`, never on the message.
 */
export class MeshChainError extends Error {
	/** An error of the other build (ES modules, CommonJS) in the same process is an instance too. */
	static override [Symbol.hasInstance](value: unknown): boolean {
		// biome-ignore lint/complexity/noThisInStatic: a subclass asks for itself.
		return isErrorOf(this, value)
	}

	override name = 'MeshChainError'
	/** One of {@link ERROR_CODES}. */
	readonly code: ErrorCode
	/** Path of the file, where one is concerned. */
	declare readonly path?: string
	/** Byte position in that file. */
	declare readonly offset?: number
	/** Seq of the first record concerned. */
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
 * An appender could not take a record. The loop keeps the record and retries it when `retryable`, and turns
 * it into a counted gap otherwise.
 */
export class LogAppendError extends MeshChainError {
	override name = 'LogAppendError'
	/** Default: true. */
	readonly retryable: boolean
	/** Why the append failed; the same text as the message. */
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

/** What the classes of both builds are known by. */
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
 * Whether a value is a `MeshChainError` whose fields are plain values, which are safe to read at any time.
 */
export function isSoundError(thrown: unknown): thrown is MeshChainError {
	if (!isInstance(thrown, MeshChainError)) return false
	return typeof ownValueOf(thrown, 'message') === 'string' && typeof ownValueOf(thrown, 'code') === 'string'
}

/**
 * Makes an error with a code of any thrown value. A sound `MeshChainError` is kept; any other value becomes
 * the cause.
 */
export function asCoded(thrown: unknown, code: ErrorCode, what: string): MeshChainError {
	if (isSoundError(thrown)) return thrown
	return new MeshChainError(code, `${what}: ${messageOf(thrown)}`, { cause: thrown })
}
