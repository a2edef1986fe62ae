/** What can be told of a source when it is archived, checked and in full. */
import { canonicalise } from '../codec/canonical.ts'
import { invalidOption } from '../model/check.ts'
import { defineOptions, type OptionRules, withDefault } from '../model/define-options.ts'
import { MeshChainError } from '../model/errors.ts'
import { NAME_LENGTH_MAX, SOURCE_NAMES_MAX } from '../model/limits.ts'

const DETAILS_BYTES_MAX = 16 * 1024

export interface ArchiveOptions {
	/** Extra fields to attach to each sample, where the source can follow them. At most 256. */
	readonly fields?: readonly string[]
	/** Plain data for whoever makes the source anew after a restart: an address, say. At most 16 KiB. */
	readonly details?: unknown
}

const ARCHIVE_OPTIONS = defineOptions({
	fields: withDefault<readonly string[]>([], (_name, fields) => checkFields(fields)),
	details: withDefault<unknown>(null, checkDetails),
} satisfies OptionRules<ArchiveOptions>)

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION` */
export function checkArchiveOptions(options: ArchiveOptions): Required<ArchiveOptions> {
	return ARCHIVE_OPTIONS.resolve(options)
}

function checkDetails(_name: string, details: unknown): unknown {
	const { value, bytes, markers } = canonicalise(details)
	if (markers === 0 && bytes <= DETAILS_BYTES_MAX) return value
	const text = `details must be plain data of at most ${DETAILS_BYTES_MAX} bytes: they are kept in the registry`
	throw new MeshChainError('INVALID_OPTION', text)
}

/** Sorted, each once. @throws {MeshChainError} `INVALID_OPTION` */
export function checkFields(fields: unknown): readonly string[] {
	if (Array.isArray(fields) && fields.length <= SOURCE_NAMES_MAX && fields.every(isFieldName)) {
		return [...new Set<string>(fields)].sort()
	}
	const allowed = `an array of at most ${SOURCE_NAMES_MAX} texts of 1 to ${NAME_LENGTH_MAX} characters`
	throw invalidOption('fields', fields, allowed)
}

function isFieldName(name: unknown): name is string {
	return typeof name === 'string' && name !== '' && name.length <= NAME_LENGTH_MAX
}
