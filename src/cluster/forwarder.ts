/** The interface of a running forwarder. */
import type { ConsumerCursor } from '../consume/cursor-file.ts'

/** State of a forwarder; `waiting` means that the stream has every record of the chain. */
export type ForwarderState = 'connecting' | 'forwarding' | 'waiting' | 'closed'

/** State of a forwarder, and its counters since it started. */
export interface ForwarderStats {
	readonly state: ForwarderState
	/**
	 * Last record that the stream has confirmed, possibly to an earlier forwarder; epoch and seq are 0 if there
	 * is none, or if the stream has not answered yet.
	 */
	readonly acknowledged: ConsumerCursor
	/** Number of acknowledged records, including gaps. */
	readonly records: number
	/** Number of acknowledged messages. */
	readonly messages: number
	/** Total size of the acknowledged messages, in bytes. */
	readonly bytes: number
	/** Number of records that were too large for any message. In the stream, a `$gap` replaces each of them. */
	readonly tooLarge: number
	/**
	 * Number of seqs by which the stream was ahead of the file, because a power loss removed records or because
	 * the file was truncated or replaced with an older copy.
	 */
	readonly ahead: number
	/** Number of failures that were retried. */
	readonly failures: number
	/** Number of recoveries from failures. */
	readonly recoveries: number
	/**
	 * Number of times that the forwarder asked the stream where to continue: once at the start, and once after
	 * each failure.
	 */
	readonly resumes: number
	/** Message of the last failure; undefined before the first failure, and after a recovery. */
	readonly lastError: string | undefined
}

/** A running forwarder. */
export interface Forwarder extends AsyncDisposable {
	readonly path: string
	/** Resolves when the forwarder is closed; rejects if the forwarder ends because of an error. */
	readonly done: Promise<void>
	/** Returns the current counters. */
	stats(): ForwarderStats
	/** Returns the number of seqs in the chain after the last acknowledged one. */
	lag(): Promise<number>
	/**
	 * Resolves when the stream has confirmed every record that was in the chain at the time of the call.
	 *
	 * @throws {MeshChainError} The error that `done` rejects with, if the forwarder ends first, or
	 * `FORWARD_FAILED` if the forwarder is closed first.
	 */
	flushed(): Promise<void>
	/**
	 * Waits for the messages that are queued or in flight, and disconnects. Idempotent.
	 *
	 * @throws {MeshChainError} The error that `done` rejects with.
	 */
	close(): Promise<void>
}
