/** Options for reading and writing JSON Lines. */
import { attempt } from '../guard/values.ts'
import { checkFileSystem, checkMode, invalidOption } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	type ResolvedOptions,
	wholeNumber,
	withDefault,
} from '../model/define-options.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { isUndecided, type LineFormat } from './line-format.ts'
import { recordFormat } from './record-format.ts'

/** Longer than any line for a record from a chain. */
const LINE_BYTES_DEFAULT = 16 * 1024 * 1024

/** Options for reading and writing JSON Lines. */
export interface JsonlOptions {
	/** Format of the lines. Default: `recordFormat`, mesh-chain's own lossless format. */
	readonly format?: LineFormat | undefined
	/** Maximum line length in bytes. Longer lines are skipped and counted. Default: 16 MiB. */
	readonly lineBytesMax?: number | undefined
	/** Permissions of a new file. Default: `0o600`. */
	readonly mode?: number | undefined
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

/** Option rules for components that combine these options with their own. */
export const JSONL_RULES = {
	format: withDefault(recordFormat, checkFormat),
	lineBytesMax: withDefault(LINE_BYTES_DEFAULT, wholeNumber(1024)),
	mode: withDefault(0o600, checkMode),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<JsonlOptions>

const JSONL_OPTIONS = defineOptions(JSONL_RULES)

/** JSON Lines options with all defaults applied. */
export interface ResolvedJsonlOptions extends Omit<ResolvedOptions<typeof JSONL_RULES>, 'fs'> {
	readonly system: FileSystem
}

/** Validates the options and applies the defaults. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJsonlOptions(options: JsonlOptions): ResolvedJsonlOptions {
	const { fs: system, ...resolved } = JSONL_OPTIONS.resolve(options)
	return { ...resolved, system }
}

function checkFormat(name: string, format: unknown): LineFormat {
	if (attempt(() => isLineFormat(format as LineFormat), false)) return format as LineFormat
	throw invalidOption(name, format, 'a format with read and write, such as eventFormat()')
}

function isLineFormat(format: LineFormat): boolean {
	if (typeof format.read !== 'function' || typeof format.write !== 'function') return false
	return !isUndecided(format) || [...format.formats, format.strongest].every(isLineFormat)
}
