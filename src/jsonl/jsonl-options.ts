/** The options of reading and writing JSON Lines, checked and in full. */

import { attempt } from '../guard/values.ts'
import {
	checkFileSystem,
	checkMode,
	checkOptionNames,
	checkWholeNumber,
	invalidOption,
} from '../model/check.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { isUndecided, type LineFormat } from './line-format.ts'
import { recordFormat } from './record-format.ts'

/** No record of a chain is a longer line of JSON. */
const LINE_BYTES_DEFAULT = 16 * 1024 * 1024

export interface JsonlOptions {
	/** What an event looks like as JSON. Default: mesh-chain's own format, in which a record loses nothing. */
	format?: LineFormat
	/** A longer line is skipped and counted; memory holds no more of it. Default 16 MiB. */
	lineBytesMax?: number
	/** Of a file that is made. Default `0o600`. */
	mode?: number
	fs?: FileSystem
}

export interface ResolvedJsonlOptions {
	readonly format: LineFormat
	readonly lineBytesMax: number
	readonly mode: number
	readonly system: FileSystem
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function resolveJsonlOptions(options: JsonlOptions): ResolvedJsonlOptions {
	checkOptionNames(options, ['format', 'lineBytesMax', 'mode', 'fs'])
	const { format = recordFormat, mode = 0o600, fs = nodeFileSystem } = options
	if (!attempt(() => isLineFormat(format), false)) {
		throw invalidOption('format', format, 'a format with read and write, as eventFormat() gives one')
	}
	return {
		format,
		lineBytesMax: checkWholeNumber('lineBytesMax', options.lineBytesMax ?? LINE_BYTES_DEFAULT, 1024),
		mode: checkMode('mode', mode),
		system: checkFileSystem('fs', fs),
	}
}

function isLineFormat(format: LineFormat): boolean {
	if (typeof format.read !== 'function' || typeof format.write !== 'function') return false
	return !isUndecided(format) || [...format.formats, format.strongest].every(isLineFormat)
}
