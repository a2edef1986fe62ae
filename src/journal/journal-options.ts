/** Options of a journal. */
import { checkWholeNumber } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	optionalFunction,
	type ResolvedOptions,
	withDefault,
} from '../model/define-options.ts'
import type { WireValue } from './statement.ts'

/**
 * Returns the parameters to record in place of those that were bound; undefined keeps them. Missing ones are
 * redacted.
 */
export type RedactParams = (
	text: string,
	params: readonly WireValue[],
) => readonly (WireValue | undefined)[] | undefined

/** Options of {@link journalPg}. */
export interface JournalOptions {
	/**
	 * Called for each statement before it is recorded. Returns the parameters to record, with undefined for
	 * each secret one. A statement with a redacted parameter can be read but not replayed. When the function
	 * throws, all parameters are redacted.
	 */
	readonly redact?: RedactParams | undefined
	/**
	 * Longest text and parameters of a statement together. A longer statement is cut and cannot be replayed.
	 * Default: 256 KiB; at most 512 KiB.
	 */
	readonly statementBytesMax?: number | undefined
}

const KIB = 1024

const JOURNAL_RULES = {
	redact: optionalFunction<RedactParams>(),
	statementBytesMax: withDefault(256 * KIB, (name, value) =>
		Math.min(512 * KIB, checkWholeNumber(name, value, 1)),
	),
} satisfies OptionRules<JournalOptions>

const JOURNAL_OPTIONS = defineOptions(JOURNAL_RULES)

/** The options in full. */
export type ResolvedJournalOptions = ResolvedOptions<typeof JOURNAL_RULES>

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJournalOptions(options: JournalOptions): ResolvedJournalOptions {
	return JOURNAL_OPTIONS.resolve(options)
}
