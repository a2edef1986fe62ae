/** Reads JSON Lines as records, and skips lines that are not records. */
import { types } from 'node:util'
import { ForeignItems } from '../guard/items.ts'
import { show } from '../guard/show.ts'
import { checkPath, invalidOption } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { CLOSE_TIMEOUT_MS_DEFAULT } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { warn } from '../platform/diagnostics.ts'
import { closeQuietly, type FileSystem, O_RDONLY, systemCode } from '../platform/file-system.ts'
import { type JsonlOptions, type ResolvedJsonlOptions, resolveJsonlOptions } from './jsonl-options.ts'
import { LineReader, type SkippedCounts, type SkippedLine } from './line-reader.ts'

/** Number of bytes per read. */
const READ_BYTES = 256 * 1024
/** Maximum number of skipped lines to list. */
const SKIPPED_LINES_MAX = 100

/**
 * The records in a file or a stream of JSON Lines. Each iteration reads a file from the beginning, and the
 * counts cover only the latest iteration.
 */
export interface JsonlRecords extends AsyncIterable<LogRecord> {
	/** Number of skipped lines, by reason. */
	readonly skipped: SkippedCounts
	/** First 100 skipped lines. */
	readonly skippedLines: readonly SkippedLine[]
	/**
	 * Number of records that could not be stored unchanged. Data that is too large (over 1 MiB) or too deep is
	 * replaced by a marker, a message that is too long (over 262,144 UTF-16 units) is truncated and ends with a
	 * note, and lone surrogates are replaced by U+FFFD.
	 */
	readonly altered: number
	/**
	 * Number of records whose lines have no time. Such a record has the time at which its line was read, and
	 * `noTime: true` in its data.
	 */
	readonly noTime: number
	/** Number of joined lines that were ended because they reached 2,000 lines or 256 KiB. */
	readonly cut: number
}

/**
 * Reads JSON Lines as records, in file order. Blank lines, `#` comments and other lines that are not records
 * are skipped and counted. A last line without a newline is read if its object is complete. Otherwise, it is
 * skipped as `torn`, because its writer was killed or is still writing. Memory use does not depend on the
 * size of the file.
 *
 * A record in mesh-chain's own format keeps its seq and epoch. Records in other formats are numbered from 1.
 *
 * @param source Path of a file, or a stream of bytes such as stdin or a socket.
 * @throws {MeshChainError} Immediately: `INVALID_OPTION`, `INVALID_PATH`. During iteration:
 * `FILE_UNREADABLE`, or `INVALID_OPTION` if the source yields anything other than bytes.
 *
 * @example
 * ```ts
 * import { readJsonl } from 'mesh-chain'
 *
 * const lines = readJsonl('node.jsonl')
 * for await (const record of lines) console.log(record.message)
 * console.log(lines.skipped.torn, lines.skippedLines)
 * ```
 */
export function readJsonl(
	source: string | AsyncIterable<Uint8Array>,
	options: JsonlOptions = {},
): JsonlRecords {
	checkSource(source)
	return new JsonlReading(source, resolveJsonlOptions(options))
}

function checkSource(source: unknown): void {
	if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) return
	if (typeof source === 'string') checkPath('a file of JSON Lines', source)
	else throw invalidOption('the source of JSON Lines', source, 'the path of a file, or a stream of bytes')
}

class JsonlReading implements JsonlRecords {
	readonly #source: string | AsyncIterable<Uint8Array>
	readonly #options: ResolvedJsonlOptions
	#reader: LineReader
	#skippedLines: SkippedLine[] = []

	constructor(source: string | AsyncIterable<Uint8Array>, options: ResolvedJsonlOptions) {
		this.#source = source
		this.#options = options
		this.#reader = this.#newReader()
	}

	get skipped(): SkippedCounts {
		return this.#reader.skipped
	}

	get altered(): number {
		return this.#reader.altered
	}

	get noTime(): number {
		return this.#reader.noTime
	}

	get cut(): number {
		return this.#reader.cut
	}

	get skippedLines(): readonly SkippedLine[] {
		return this.#skippedLines
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<LogRecord> {
		this.#reader = this.#newReader()
		const reader = this.#reader
		const source = this.#source
		for await (const bytes of typeof source === 'string'
			? bytesOf(this.#options.system, source)
			: given(source)) {
			checkBytes(bytes)
			yield* reader.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
		}
		yield* reader.end()
	}

	#newReader(): LineReader {
		const skippedLines: SkippedLine[] = []
		this.#skippedLines = skippedLines
		const { format, lineBytesMax } = this.#options
		return new LineReader(format, lineBytesMax, (skipped) => {
			if (skippedLines.length < SKIPPED_LINES_MAX) skippedLines.push(skipped)
		})
	}
}

function given(source: AsyncIterable<Uint8Array>): AsyncIterable<unknown> {
	return new ForeignItems(source, CLOSE_TIMEOUT_MS_DEFAULT, () => {
		const text =
			`the source of JSON Lines did not close within ${CLOSE_TIMEOUT_MS_DEFAULT} ms, so the reader ` +
			'stopped waiting for it'
		warn('SOURCE_LEFT', text)
	})
}

/** Checks that a source yields bytes. A stream with an encoding yields strings. */
function checkBytes(bytes: unknown): asserts bytes is Uint8Array {
	if (types.isUint8Array(bytes)) return
	throw invalidOption(
		'an item from the source of JSON Lines',
		bytes,
		'bytes (from a stream without an encoding)',
	)
}

async function* bytesOf(system: FileSystem, path: string): AsyncGenerator<Buffer> {
	const readable = async <T>(read: () => Promise<T>) => {
		try {
			return await read()
		} catch (error) {
			throw unreadable(path, error)
		}
	}
	const fd = await readable(() => system.open(path, O_RDONLY))
	try {
		// A pipe cannot be read at an offset.
		const isFile = (await readable(() => system.fstat(fd))).isFile()
		for (let position = 0; ; ) {
			const bytes = await readable(() => readPiece(system, fd, isFile ? position : -1))
			if (bytes.length === 0) return
			position += bytes.length
			yield bytes
		}
	} finally {
		closeQuietly(system, fd)
	}
}

/** Reads into new memory, because incomplete lines refer to bytes in earlier pieces. */
async function readPiece(system: FileSystem, fd: number, position: number): Promise<Buffer> {
	const bytes = Buffer.allocUnsafeSlow(READ_BYTES)
	const count = await system.read(fd, bytes, 0, bytes.length, position)
	return bytes.subarray(0, count)
}

function unreadable(path: string, error: unknown): MeshChainError {
	const reason = systemCode(error) === 'ENOENT' ? 'the file does not exist' : messageOf(error)
	return new MeshChainError('FILE_UNREADABLE', `cannot read ${show(path)}: ${reason}`, { path, cause: error })
}
