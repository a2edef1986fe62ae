/** What a journal can be told, checked and in full. */
import { checkFunction, checkOptionNames, checkWholeNumber, ifGiven } from '../model/check.ts'
import type { WireValue } from './statement.ts'

/** The parameters to keep in place of those that were bound; undefined keeps them. What is not in the result is redacted. */
export type RedactParams = (
	text: string,
	params: readonly WireValue[],
) => readonly (WireValue | undefined)[] | undefined

export interface JournalOptions {
	/**
	 * Looks at each statement before it is recorded: gives the parameters to keep, with undefined for each that nobody may see. A statement that lost
	 * one can be read, and not be replayed. One that throws redacts them all.
	 */
	readonly redact?: RedactParams
	/** A longer text, or parameters that are longer together, is cut, and cannot be replayed. Default 256 KiB, at most 512 KiB. */
	readonly statementBytesMax?: number
}

export interface ResolvedJournalOptions {
	readonly redact: RedactParams | undefined
	readonly statementBytesMax: number
}

const KIB = 1024

/** @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJournalOptions(options: JournalOptions): ResolvedJournalOptions {
	checkOptionNames(options, ['redact', 'statementBytesMax'])
	const { statementBytesMax = 256 * KIB } = options
	return {
		redact: ifGiven('redact', options.redact, checkFunction),
		statementBytesMax: Math.min(512 * KIB, checkWholeNumber('statementBytesMax', statementBytesMax, 1)),
	}
}
