/** The options of reading and writing JSON Lines, checked and in full. */

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

/** No record of a chain is a longer line of JSON. */
const LINE_BYTES_DEFAULT = 16 * 1024 * 1024

export interface JsonlOptions {
	/** What an event looks like as JSON. Default: mesh-chain's own form, in which a record loses nothing. */
	format?: LineFormat
	/** A longer line is skipped and counted; memory holds no more of it. Default 16 MiB. */
	lineBytesMax?: number
	/** Of a file that is made. Default `0o600`. */
	mode?: number
	fs?: FileSystem
}

/** Rules of the options, for components that accept them among their own. */
export const JSONL_RULES = {
	format: withDefault(recordFormat, checkFormat),
	lineBytesMax: withDefault(LINE_BYTES_DEFAULT, wholeNumber(1024)),
	mode: withDefault(0o600, checkMode),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<JsonlOptions>

const JSONL_OPTIONS = defineOptions(JSONL_RULES)

/** The options in full. */
export interface ResolvedJsonlOptions extends Omit<ResolvedOptions<typeof JSONL_RULES>, 'fs'> {
	readonly system: FileSystem
}

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJsonlOptions(options: JsonlOptions): ResolvedJsonlOptions {
	const { fs: system, ...resolved } = JSONL_OPTIONS.resolve(options)
	return { ...resolved, system }
}

function checkFormat(name: string, format: unknown): LineFormat {
	if (attempt(() => isForm(format as LineFormat), false)) return format as LineFormat
	throw invalidOption(name, format, 'a form with read and write, as eventFormat() gives one')
}

function isForm(format: LineFormat): boolean {
	if (typeof format.read !== 'function' || typeof format.write !== 'function') return false
	return !isUndecided(format) || [...format.forms, format.strongest].every(isForm)
}
