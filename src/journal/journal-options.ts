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
 * Returns the parameters to record instead of the bound parameters, or undefined to record the bound
 * parameters unchanged. Parameters that are missing from the returned array are redacted.
 */
export type RedactParams = (
	text: string,
	params: readonly WireValue[],
) => readonly (WireValue | undefined)[] | undefined

/** Options of {@link journalPg}. */
export interface JournalOptions {
	/**
	 * Function that is called before a statement with parameters is recorded. It returns the parameters to
	 * record, with undefined in place of each secret. A statement with a redacted parameter can be read but not
	 * replayed. If the function throws, all parameters are redacted. Default: no redaction.
	 */
	readonly redact?: RedactParams | undefined
	/**
	 * Maximum total size of a statement's text and parameters, in bytes. A larger statement is cut and cannot
	 * be replayed. Default: 256 KiB. Maximum: 512 KiB.
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

/** Journal options with all defaults applied. */
export type ResolvedJournalOptions = ResolvedOptions<typeof JOURNAL_RULES>

/** Validates the options and applies the defaults. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJournalOptions(options: JournalOptions): ResolvedJournalOptions {
	return JOURNAL_OPTIONS.resolve(options)
}
