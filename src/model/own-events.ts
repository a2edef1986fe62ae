/** Mesh-chain's own kinds and the data of their records. */
import type { GapData, LogLevel, PublisherId } from './record.ts'

/** The `data` of a `$crash` record, which describes the error that ended the process. */
export interface CrashData {
	/**
	 * Thrown value in canonical form. An `Error` becomes an object with its name, message, stack and own
	 * fields.
	 */
	readonly error?: unknown
	/** `'uncaughtException'` or `'unhandledRejection'`. */
	readonly origin: string
}

/** The `data` of an `$exit` record, which describes how a program that `mesh-chain record` ran has ended. */
export interface ExitData {
	/** The program, followed by its arguments. */
	readonly command: readonly string[]
	/** Process id of the program; null if it could not be started. */
	readonly pid: number | null
	/**
	 * Exit status: 128 plus the signal number if a signal terminated the program, 127 if the program was not
	 * found, 126 if it could not be executed.
	 */
	readonly status: number
	/** Name of the signal that terminated the program; null if it exited or was not started. */
	readonly signal: string | null
	/** Time from the start to the end of the program, in milliseconds. */
	readonly durationMs: number
	/** Reason why the program could not be started. */
	readonly error?: string
	/** Streams that another process still had open when the recording ended. */
	readonly open?: readonly ('stdout' | 'stderr')[]
}

interface Recorded {
	/** Id of the recorder. If several recorders record one loop, each recorder has its own session. */
	readonly recorder: string
	readonly session: string
}

/** The `data` of a `$session` record, which marks the start or stop of a session. */
export type SessionRecord =
	| (Recorded & { readonly action: 'start'; readonly firstIndex: number })
	| (Recorded & { readonly action: 'stop'; readonly nextIndex: number })

/** The `data` of a `$checkpoint` record, which contains the state of an application. */
export interface CheckpointRecord extends Recorded {
	readonly id: string
	readonly label: string | null
	readonly eventIndex: number
	readonly state: unknown
	/**
	 * Present if the record repeats an earlier checkpoint at the beginning of a file. `state` is then the
	 * state of that checkpoint, and `events` are all events between that checkpoint and this record.
	 */
	readonly repeats?: RepeatedCheckpoint
}

/** The checkpoint that a `$checkpoint` record repeats, and the events that follow it. */
export interface RepeatedCheckpoint {
	/** Seq of the repeated checkpoint. */
	readonly seq: number
	/** Records of the events between the repeated checkpoint and the record that repeats it, as JSON. */
	readonly events: readonly string[]
}

/** Kind of the records that contain the lines of a black box. */
export const BLACK_BOX_KIND = '$blackbox'

/** One line in a `$blackbox` record. */
export interface BlackBoxLine {
	/** Time of the line, in milliseconds since 1970. */
	readonly tsMs: number
	/** Level of the line. */
	readonly level: LogLevel
	/** Kind of the line. */
	readonly kind: string
	/** Message of the line. */
	readonly message: string
	/** Data of the line, if it has any. */
	readonly data?: unknown
	/** Id of the daemon that published the line. */
	readonly daemonId: PublisherId | null
	/** Id of the node that published the line. */
	readonly nodeId: PublisherId | null
}

/** The `data` of a `$blackbox` record. */
export interface BlackBoxData {
	/**
	 * Message of the record that triggered the write, or the argument passed to `trigger`; at most 200
	 * characters.
	 */
	readonly reason: string
	/** Seq of the record that triggered the write; null after a call to `trigger`. */
	readonly bySeq: number | null
	/** The lines, oldest first. */
	readonly lines: readonly BlackBoxLine[]
	/** Number of lines dropped since the previous `$blackbox` record. */
	readonly dropped: number
}

/** Kinds that exist in every loop, with the `data` of their records. */
export interface OwnEvents {
	/** Records published by the level methods. */
	readonly log: unknown
	/** In a loop, gaps come only from replays. Chain readers and subscriptions also return their own gaps. */
	readonly $gap: GapData
	readonly $crash: CrashData
	readonly $exit: ExitData
	readonly $session: SessionRecord
	readonly $checkpoint: CheckpointRecord
	readonly $blackbox: BlackBoxData
}
