/** The kinds of mesh-chain's own, and what their records carry. */
import type { GapData, LogLevel, PublisherId } from './record.ts'

/** The `data` of a `$crash`: what a process died of. */
export interface CrashData {
	/** The thrown value in canonical form: for an `Error` an object with its name, message, stack and own fields. */
	readonly error?: unknown
	/** `'uncaughtException'` or `'unhandledRejection'`. */
	readonly origin: string
}

interface Marked {
	/** Identifies the recorder: each of several recorders on one loop has its own session. */
	readonly recorder: string
	readonly session: string
}

/** The `data` of a `$session`: a recorder began or ended a session. */
export type SessionMark =
	| (Marked & { readonly action: 'start'; readonly firstIndex: number })
	| (Marked & { readonly action: 'stop'; readonly nextIndex: number })

/** The `data` of a `$checkpoint`: state of an application. */
export interface CheckpointMark extends Marked {
	readonly id: string
	readonly label: string | null
	readonly eventIndex: number
	readonly state: unknown
}

/** A line in a `$blackbox` record. */
export interface BlackBoxLine {
	readonly tsMs: number
	readonly level: LogLevel
	readonly kind: string
	readonly message: string
	readonly data?: unknown
	readonly daemonId: PublisherId | null
	readonly nodeId: PublisherId | null
}

/** The `data` of a `$blackbox`: lines below the level of a loop, written when they were needed. */
export interface BlackBoxData {
	readonly reason: string
	/** Seq of the record that caused it; null after a call of `trigger`. */
	readonly bySeq: number | null
	readonly lines: readonly BlackBoxLine[]
	/** The number of lines since the last such record that were dropped. */
	readonly dropped: number
}

/** Kinds that every loop knows, with the `data` of their records. */
export interface OwnEvents {
	/** What the level methods publish. */
	readonly log: unknown
	/** In a loop only gaps that a replay brings; a reader of a chain and a subscription give their own. */
	readonly $gap: GapData
	readonly $crash: CrashData
	readonly $session: SessionMark
	readonly $checkpoint: CheckpointMark
	readonly $blackbox: BlackBoxData
}
