/**
 * Exit statuses: what each one means, and how a command, an error or an interruption arrives at one.
 *
 * The rule that separates 2 from 5: status 2 tells the caller to change the command line, and nothing was
 * opened, read or written. Status 5 tells that the command line was fine, and a file, a stream, a database or
 * an output was not.
 */
import { constants } from 'node:os'
import { isInstance, propertyOf } from '../guard/values.ts'
import { type ErrorCode, MeshChainError } from '../model/errors.ts'

/** The exit statuses by name. */
export const STATUS = { ok: 0, nothingMatched: 1, usage: 2, notOk: 3, unchecked: 4, failed: 5 } as const

/** What the help calls 128 plus the number of a signal. */
const BY_SIGNAL = '128+N'

/** A line of the help: a status, and what it says of the command. */
export type StatusText = readonly [status: number | typeof BY_SIGNAL, meaning: string]

/** The statuses of all commands, as the overview lists them. */
export const STATUS_TABLE: readonly StatusText[] = [
	[STATUS.ok, 'ok; also after a torn tail, and where the chain explains which records are lost'],
	[STATUS.nothingMatched, 'nothing matched'],
	[STATUS.usage, 'wrong usage; nothing was done'],
	[STATUS.notOk, 'not ok: data is damaged, incomplete or different from what was expected'],
	[STATUS.unchecked, 'cannot be checked: a repair or retention removed what a check needs'],
	[STATUS.failed, 'a file, a stream, a database or an output could not be opened, read or written'],
	[BY_SIGNAL, 'interrupted by the signal N before the work was complete: 130 is Ctrl-C'],
]

/** The statuses of one command, in its own words. Wrong usage means the same for each of them. */
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
		[STATUS.usage, 'wrong usage; nothing was done'],
		[STATUS.notOk, notOk],
		[STATUS.unchecked, unchecked],
		[STATUS.failed, failed],
		[BY_SIGNAL, interrupted],
	]
	return all.flatMap(([status, text]) => (text === undefined ? [] : [[status, text] as const]))
}

/** How far an interruption is searched among the causes of an error. */
const CAUSES_MAX = 8

/** Codes of errors that a command line causes, before anything is opened. */
const USAGE_CODES: readonly ErrorCode[] = [
	'INVALID_USAGE',
	'INVALID_OPTION',
	'INVALID_LEVEL',
	'INVALID_KIND',
	'INVALID_ID',
	'INVALID_TIME',
	'INVALID_FILTER',
	'INVALID_PATH',
]

/** Why a command was told to stop: the signal that its process received. */
export class Interruption extends Error {
	override readonly name = 'AbortError'
	readonly signal: NodeJS.Signals

	constructor(signal: NodeJS.Signals) {
		super(`interrupted by ${signal}`)
		this.signal = signal
	}

	/** As a shell reports a process that the signal ended. */
	get status(): number {
		return 128 + constants.signals[this.signal]
	}
}

/** The status of a command that was interrupted before its work was complete. */
export function interruptedStatus({ reason }: AbortSignal): number {
	return (reason instanceof Interruption ? reason : new Interruption('SIGINT')).status
}

/** The status of a command that threw. */
export function statusOf(error: unknown): number {
	// An error of a user's module may have any cause, also a circular one.
	let cause = error
	for (let depth = 0; depth < CAUSES_MAX; depth++) {
		if (isInstance(cause, Interruption)) return cause.status
		cause = propertyOf(cause, 'cause')
	}
	return isInstance(error, MeshChainError) && USAGE_CODES.includes(error.code) ? STATUS.usage : STATUS.failed
}
