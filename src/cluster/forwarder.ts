/** A running forwarder, as its caller sees it. */
import type { ConsumerCursor } from '../consume/cursor-file.ts'

/** State of a forwarder; `waiting` means that the stream has everything that is in the chain. */
export type ForwarderState = 'connecting' | 'forwarding' | 'waiting' | 'closed'

/** Counters of a forwarder since it was started. */
export interface ForwarderStats {
	readonly state: ForwarderState
	/**
	 * Last record that the stream is known to have; epoch and seq are 0 without one, and before the stream was
	 * asked.
	 */
	readonly acknowledged: ConsumerCursor
	/** Records that were acknowledged, gaps included. */
	readonly records: number
	/** Messages that were acknowledged. */
	readonly messages: number
	/** Bytes of these messages. */
	readonly bytes: number
	/** Records that no message can hold: a `$gap` stands for each of them in the stream. */
	readonly tooLarge: number
	/**
	 * Seqs by which the stream was ahead of the file: a power loss took them, or the file was cut or replaced
	 * by an older copy.
	 */
	readonly ahead: number
	/** Failures that were retried. */
	readonly failures: number
	/** Recoveries from failures. */
	readonly recoveries: number
	/** Requests for the position in the stream: one at each start, and one after each failure. */
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
	/** Resolves when the forwarder was closed; rejects when it ended by itself. */
	readonly done: Promise<void>
	/** Returns the current counters. */
	stats(): ForwarderStats
	/** Returns the number of seqs by which the chain is ahead of what is acknowledged. */
	lag(): Promise<number>
	/**
	 * Resolves when the stream was asked and has everything that is in the chain at the time of the call.
	 *
	 * @throws {MeshChainError} what `done` rejects with, when the forwarder ends first; `FORWARD_FAILED` when
	 * it is closed first.
	 */
	flushed(): Promise<void>
	/**
	 * Waits for the message in flight and disconnects. Idempotent.
	 *
	 * @throws {MeshChainError} what `done` rejects with.
	 */
	close(): Promise<void>
}
