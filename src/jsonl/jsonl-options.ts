/** The options of reading and writing JSON Lines, checked and complete. */
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

/** No record of a chain makes a longer line. */
const LINE_BYTES_DEFAULT = 16 * 1024 * 1024

/** Options of reading and writing JSON Lines. */
export interface JsonlOptions {
	/** Format of the lines. Default: `recordFormat`, mesh-chain's own, in which a record loses nothing. */
	readonly format?: LineFormat
	/** Longest line, in bytes; longer lines are skipped and counted. Default: 16 MiB. */
	readonly lineBytesMax?: number
	/** File mode of a new file. Default: `0o600`. */
	readonly mode?: number
	/** File system. Default: that of Node. */
	readonly fs?: FileSystem
}

/** The options with their defaults. */
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
		throw invalidOption('format', format, 'a format with read and write, such as eventFormat()')
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
