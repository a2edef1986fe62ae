/** Options of a journal. */
import { checkFunction, checkOptionNames, checkWholeNumber, ifGiven } from '../model/check.ts'
import type { WireValue } from './statement.ts'

/** Returns the parameters to record in place of those that were bound; undefined keeps them. Missing ones are redacted. */
export type RedactParams = (
	text: string,
	params: readonly WireValue[],
) => readonly (WireValue | undefined)[] | undefined

/** Options of {@link journalPg}. */
export interface JournalOptions {
	/**
	 * Called for each statement before it is recorded. Returns the parameters to record, with undefined for each secret one. A
	 * statement with a redacted parameter can be read but not replayed. When the function throws, all parameters are redacted.
	 */
	readonly redact?: RedactParams
	/** Longest text and parameters of a statement together. A longer statement is cut and cannot be replayed. Default: 256 KiB; at most 512 KiB. */
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
