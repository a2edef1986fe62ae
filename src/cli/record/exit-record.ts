/** Builds the record about the end of a recorded program. */
import type { ExitData } from '../../model/own-events.ts'
import type { LogLevel, LogLine } from '../../model/record.ts'
import { statusOfSignal } from '../exit-status.ts'
import type { ProgramEnd } from './program.ts'

const EXIT_KIND = '$exit'

/** What the record states in addition to the end itself. */
export interface ExitFacts {
	readonly command: readonly string[]
	readonly pid: number | undefined
	/** Signals that this process received while the program was running. */
	readonly received: ReadonlySet<NodeJS.Signals>
	/** Streams that another process kept open when the recording ended. */
	readonly open: readonly ('stdout' | 'stderr')[]
}

/** Returns the line of the `$exit` record. */
export function exitLine(end: ProgramEnd, { command, pid, received, open }: ExitFacts): LogLine {
	const data: ExitData = {
		command,
		pid: pid ?? null,
		status: end.status,
		signal: end.signal,
		durationMs: end.durationMs,
		...(end.error === undefined ? {} : { error: end.error }),
		...(open.length === 0 ? {} : { open }),
	}
	return { kind: EXIT_KIND, level: levelOf(end, received), message: `${command[0]} ${endText(end)}`, data }
}

/** Describes the end: `exited with status 1`. */
export function endText({ status, signal, error }: ProgramEnd): string {
	if (error !== undefined) return `cannot be started: ${error}`
	return signal === null ? `exited with status ${status}` : `was terminated by ${signal}`
}

/** A program that ends because it was asked to has not failed. */
function levelOf({ status }: ProgramEnd, received: ReadonlySet<NodeJS.Signals>): LogLevel {
	const isAsked = [...received].some((signal) => status === statusOfSignal(signal))
	return status === 0 || isAsked ? 'info' : 'error'
}
