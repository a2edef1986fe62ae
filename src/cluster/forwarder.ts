/** The interface of a running forwarder. */
import type { ConsumerCursor } from '../consume/cursor-file.ts'

/** State of a forwarder; `waiting` means that the stream has every record of the chain. */
export type ForwarderState = 'connecting' | 'forwarding' | 'waiting' | 'closed'

/** Counters of a forwarder since its start. */
export interface ForwarderStats {
	readonly state: ForwarderState
	/**
	 * Last record that is known to be in the stream; epoch and seq are 0 if there is none, and before the
	 * stream was asked.
	 */
	readonly acknowledged: ConsumerCursor
	/** Number of acknowledged records, including gaps. */
	readonly records: number
	/** Number of acknowledged messages. */
	readonly messages: number
	/** Total bytes of these messages. */
	readonly bytes: number
	/** Number of records too large for any message; in the stream, a `$gap` stands for each. */
	readonly tooLarge: number
	/**
	 * Number of seqs by which the stream was ahead of the file: a power loss removed the records, or the file
	 * was cut or replaced by an older copy.
	 */
	readonly ahead: number
	/** Number of failures that were retried. */
	readonly failures: number
	/** Number of recoveries from failures. */
	readonly recoveries: number
	/** Number of requests for the position in the stream: one at each start, and one after each failure. */
	readonly resumes: number
	/**
	 * Message of the last failure; undefined once something was acknowledged, or the stream is known to have
	 * everything.
	 */
	readonly lastError: string | undefined
}

/** A running forwarder. */
export interface Forwarder extends AsyncDisposable {
	readonly path: string
	/** Resolves when the forwarder is closed; rejects if it ends by itself. */
	readonly done: Promise<void>
	/** Returns the current counters. */
	stats(): ForwarderStats
	/** Returns the number of seqs in the chain after the last acknowledged one. */
	lag(): Promise<number>
	/**
	 * Resolves when the stream was asked and has everything that is in the chain at the time of the call.
	 *
	 * @throws {MeshChainError} The error of `done` if the forwarder ends first; `FORWARD_FAILED` if it is
	 * closed first.
	 */
	flushed(): Promise<void>
	/**
	 * Waits for the message in flight and disconnects. Idempotent.
	 *
	 * @throws {MeshChainError} The error of `done`.
	 */
	close(): Promise<void>
}
