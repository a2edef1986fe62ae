/** Validates the options for `SourceManager.archive` and applies the defaults. */
import { canonicalise } from '../codec/canonical.ts'
import { invalidOption } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	type ResolvedOptions,
	withDefault,
} from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import { NAME_LENGTH_MAX, SOURCE_NAMES_MAX } from '../model/limits.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

const DETAILS_BYTES_MAX = 16 * 1024

/** Options for `SourceManager.archive`. */
export interface ArchiveOptions {
	/**
	 * Mode of the source. A policy that matches the source's name overrides this mode. Default: `'monitor'`.
	 */
	readonly mode?: SampleMode | undefined
	/**
	 * Names of extra fields to attach to each sample, at most 256. Ignored if the source cannot follow fields.
	 * Default: none.
	 */
	readonly fields?: readonly string[] | undefined
	/**
	 * Plain data, such as an address, for the code that recreates the source after a restart. At most 16 KiB.
	 * Default: none.
	 */
	readonly details?: unknown
}

const ARCHIVE_RULES = {
	mode: withDefault<SampleMode>('monitor', (_name, mode) => checkSampleMode(mode as SampleMode)),
	fields: withDefault<readonly string[]>([], (_name, fields) => checkFields(fields)),
	details: withDefault<unknown>(null, checkDetails),
} satisfies OptionRules<ArchiveOptions>

const ARCHIVE_OPTIONS = defineOptions(ARCHIVE_RULES)

/** Archive options with all defaults applied. */
export type ResolvedArchiveOptions = ResolvedOptions<typeof ARCHIVE_RULES>

/** Validates the options and applies the defaults. @throws {MeshChainError} `INVALID_OPTION` */
export function checkArchiveOptions(options: ArchiveOptions): ResolvedArchiveOptions {
	return ARCHIVE_OPTIONS.resolve(options)
}

function checkDetails(_name: string, details: unknown): unknown {
	const { value, bytes, markers } = canonicalise(details)
	if (markers === 0 && bytes <= DETAILS_BYTES_MAX) return value
	const rule = `plain data of at most ${DETAILS_BYTES_MAX} bytes`
	throw new MeshChainError('INVALID_OPTION', `details must be ${rule}, because the registry stores them`)
}

/**
 * Returns the names of the extra fields, sorted and without duplicates.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkFields(fields: unknown): readonly string[] {
	if (Array.isArray(fields) && fields.length <= SOURCE_NAMES_MAX && fields.every(isFieldName)) {
		return [...new Set<string>(fields)].sort()
	}
	const allowed = `an array of at most ${SOURCE_NAMES_MAX} strings of 1 to ${NAME_LENGTH_MAX} characters`
	throw invalidOption('fields', fields, allowed)
}

function isFieldName(name: unknown): name is string {
	return typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX
}
