/** The options of `SourceManager.archive`, checked and complete. */
import { canonicalise } from '../codec/canonical.ts'
import { checkOptionNames, invalidOption } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { NAME_LENGTH_MAX, SOURCE_NAMES_MAX } from '../model/limits.ts'
import { checkSampleMode, type SampleMode } from './source.ts'

const DETAILS_BYTES_MAX = 16 * 1024

/** How a source is archived. */
export interface ArchiveOptions {
	/**
	 * How samples are obtained; a policy that matches the name of the source overrides it. Default:
	 * `'monitor'`.
	 */
	readonly mode?: SampleMode
	/** Extra fields to attach to each sample, if the source can follow them. At most 256. */
	readonly fields?: readonly string[]
	/**
	 * Plain data for the code that recreates the source after a restart, such as an address. At most 16 KiB.
	 */
	readonly details?: unknown
}

/** The options of `archive`, with every default in place. */
export interface ResolvedArchiveOptions {
	readonly mode: SampleMode
	readonly fields: readonly string[]
	readonly details: unknown
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkArchiveOptions(options: ArchiveOptions): ResolvedArchiveOptions {
	checkOptionNames(options, ['mode', 'fields', 'details'])
	const mode = checkSampleMode(options.mode ?? 'monitor')
	const { value, bytes, markers } = canonicalise(options.details)
	if (markers === 0 && bytes <= DETAILS_BYTES_MAX)
		return { mode, fields: checkFields(options.fields ?? []), details: value }
	const text = `details must be plain data of at most ${DETAILS_BYTES_MAX} bytes: they are kept in the registry`
	throw new MeshChainError('INVALID_OPTION', text)
}

/**
 * The names of extra fields, sorted and without duplicates.
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
