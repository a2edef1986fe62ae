/** Defines the exit statuses, and maps commands, errors and interruptions to them. */
import { constants } from 'node:os'
import { isInstance, propertyOf } from '../guard/values.ts'

/** The exit statuses by name. */
export const STATUS = { ok: 0, nothingMatched: 1, failed: 2, notOk: 3, unchecked: 4 } as const

/** The name that the help uses for 128 plus the number of a signal. */
const BY_SIGNAL = '128+N'

/** A line of the help: a status and its meaning. */
export type StatusText = readonly [status: number | typeof BY_SIGNAL, meaning: string]

/** The statuses of all commands, as the overview lists them. */
export const STATUS_TABLE: readonly StatusText[] = [
	[STATUS.ok, 'ok; also after a torn tail, and where the chain explains which records are lost'],
	[STATUS.nothingMatched, 'nothing matched'],
	[STATUS.failed, 'wrong usage, or a file, a stream, a database or an output failed'],
	[STATUS.notOk, 'not ok: data is damaged, incomplete or different from what was expected'],
	[STATUS.unchecked, 'cannot be checked: a repair or retention removed what a check needs'],
	[BY_SIGNAL, 'interrupted by the signal N before the work was complete: 130 is Ctrl-C'],
]

/** Returns the statuses of one command, in its own words. */
export function statusTexts(meanings: {
	readonly ok: string
	readonly nothingMatched?: string
	readonly notOk?: string
	readonly unchecked?: string
	readonly failed: string
	readonly interrupted?: string
}): readonly StatusText[] {
	const { ok, nothingMatched, notOk, unchecked, failed, interrupted } = meanings
	const all: readonly (readonly [StatusText[0], string | undefined])[] = [
		[STATUS.ok, ok],
		[STATUS.nothingMatched, nothingMatched],
		[STATUS.failed, `wrong usage, or ${failed}`],
		[STATUS.notOk, notOk],
		[STATUS.unchecked, unchecked],
		[BY_SIGNAL, interrupted],
	]
	return all.flatMap(([status, text]) => (text === undefined ? [] : [[status, text] as const]))
}

/** Maximum number of causes of an error that are searched for an interruption. */
const CAUSES_MAX = 8

/** The reason why a command stops: its process received this signal. */
export class Interruption extends Error {
	override readonly name = 'AbortError'
	readonly signal: NodeJS.Signals

	constructor(signal: NodeJS.Signals) {
		super(`interrupted by ${signal}`)
		this.signal = signal
	}

	/** The status that a shell reports for a process that the signal ended. */
	get status(): number {
		return 128 + constants.signals[this.signal]
	}
}

/** Returns the status of a command that was interrupted before its work was complete. */
export function interruptedStatus({ reason }: AbortSignal): number {
	return (reason instanceof Interruption ? reason : new Interruption('SIGINT')).status
}

/** Returns the status of a command that threw. */
export function statusOf(error: unknown): number {
	// An error of a user's module may have any cause, even a circular one.
	let cause = error
	for (let depth = 0; depth < CAUSES_MAX; depth++) {
		if (isInstance(cause, Interruption)) return cause.status
		cause = propertyOf(cause, 'cause')
	}
	return STATUS.failed
}
