/** Where replay goes: anything that takes one record after the other. */
import type { LogRecord } from '../record.ts'

export interface ReplayTarget {
	/** What it is called in messages. */
	readonly name?: string
	/**
	 * Takes one record. A throw, or a rejection, means that the record has not arrived: it is tried again as often as the replay was
	 * told to. An error with the code `TARGET_GONE` means that none will arrive any more.
	 */
	write(record: LogRecord): unknown
	/** Returns, or resolves, once everything written is where it should be. */
	flush?(): unknown
	/** Lets go of what the target holds. Called by whoever made it, not by a replay. */
	close?(): unknown
	/** Whether it keeps history, and so wants the `$gap`s too; a replay only counts them otherwise. */
	readonly keepsGaps?: boolean
}

/** A function, or a target, as a target. */
export function asTarget(target: ReplayTarget | ((record: LogRecord) => unknown)): ReplayTarget {
	return typeof target === 'function' ? { write: target } : target
}
