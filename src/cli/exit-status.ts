/** Defines the exit statuses, and maps errors and interruptions to them. */
import { constants } from 'node:os'
import { isInstance, propertyOf } from '../guard/values.ts'

/** The exit statuses by name. */
export const STATUS = {
	ok: 0,
	nothingMatched: 1,
	failed: 2,
	notOk: 3,
	unchecked: 4,
	notExecutable: 126,
	notFound: 127,
} as const

/** Notation in the help for an exit status of 128 plus the signal number. */
const BY_SIGNAL = '128+N'

/** A line of the help: an exit status and its meaning. */
export type StatusText = readonly [status: number | typeof BY_SIGNAL, meaning: string]

/** The statuses of all commands, for the overview. */
export const STATUS_TABLE: readonly StatusText[] = [
	[STATUS.ok, 'ok, even with a torn tail or with lost records that the chain accounts for'],
	[STATUS.nothingMatched, 'nothing matched'],
	[STATUS.failed, 'invalid usage, or a file, stream, database or output failed'],
	[STATUS.notOk, 'not ok: data is damaged or incomplete, or differs from what was expected'],
	[STATUS.unchecked, 'cannot be checked: a repair or retention removed data that the check needs'],
	[STATUS.notExecutable, 'the program of record cannot be executed'],
	[STATUS.notFound, 'the program of record was not found'],
	[BY_SIGNAL, 'interrupted by signal N before the work was complete; 130 means Ctrl-C'],
]

/** Returns the exit statuses of one command, with their meanings for this command. */
export function statusTexts(meanings: {
	readonly ok: string
	readonly nothingMatched?: string
	readonly notOk?: string
	readonly unchecked?: string
	readonly failed: string
	readonly notExecutable?: string
	readonly notFound?: string
	readonly interrupted?: string
}): readonly StatusText[] {
	const { ok, nothingMatched, notOk, unchecked, failed, notExecutable, notFound, interrupted } = meanings
	const all: readonly (readonly [StatusText[0], string | undefined])[] = [
		[STATUS.ok, ok],
		[STATUS.nothingMatched, nothingMatched],
		[STATUS.failed, `invalid usage, or ${failed}`],
		[STATUS.notOk, notOk],
		[STATUS.unchecked, unchecked],
		[STATUS.notExecutable, notExecutable],
		[STATUS.notFound, notFound],
		[BY_SIGNAL, interrupted],
	]
	return all.flatMap(([status, text]) => (text === undefined ? [] : [[status, text] as const]))
}

/** Returns the status that a shell reports for a process that is terminated by the signal. */
export function statusOfSignal(signal: NodeJS.Signals): number {
	return 128 + constants.signals[signal]
}

/** Maximum number of nested error causes to search for an interruption. */
const CAUSES_MAX = 8

/** Reason for an abort after the process has received a signal. */
export class Interruption extends Error {
	override readonly name = 'AbortError'
	readonly signal: NodeJS.Signals

	constructor(signal: NodeJS.Signals) {
		super(`interrupted by ${signal}`)
		this.signal = signal
	}

	/** Exit status of a command that ends because of the signal. */
	get status(): number {
		return statusOfSignal(this.signal)
	}
}

/** Returns the exit status of a command that was interrupted before its work was complete. */
export function interruptedStatus({ reason }: AbortSignal): number {
	return (reason instanceof Interruption ? reason : new Interruption('SIGINT')).status
}

/** Returns the exit status for an error that a command threw. */
export function statusOf(error: unknown): number {
	// An error from a user's module can have any cause, even a circular one.
	let cause = error
	for (let depth = 0; depth < CAUSES_MAX; depth++) {
		if (isInstance(cause, Interruption)) return cause.status
		cause = propertyOf(cause, 'cause')
	}
	return STATUS.failed
}
