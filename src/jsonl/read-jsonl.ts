/** Reads a file of JSON Lines as records, whatever else is in it. */
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

/** What is read at once. */
const READ_BYTES = 256 * 1024
/** Lines that are remembered by their number. */
const SKIPPED_LINES_MAX = 100

/** The records in JSON Lines. Each iteration reads a file anew; the counts are of the latest one. */
export interface JsonlRecords extends AsyncIterable<LogRecord> {
	readonly skipped: SkippedCounts
	/** The first hundred of them. */
	readonly skippedLines: readonly SkippedLine[]
	/**
	 * Records of which something did not fit (data above 1 MiB, a message above 262,144 characters): a marker
	 * or a note stands for it.
	 */
	readonly altered: number
}

/**
 * The records in JSON Lines, in their order. Blank lines, `#` comments and lines that are no records are
 * skipped and counted. The last line counts when its object is complete, with or without a newline: what a
 * killed writer left half-way is `torn`. Memory holds one line at a time.
 *
 * A record in mesh-chain's own format has the seq and epoch that it had; others are numbered from 1 as they
 * come.
 *
 * @param source a file's path, or bytes as they come: standard input, a socket.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH` at once; while iterating `FILE_UNREADABLE`, and
 * `INVALID_OPTION` where the source gives something other than bytes.
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
		const text = `the source of JSON Lines did not end within ${CLOSE_TIMEOUT_MS_DEFAULT} ms: it is left to itself`
		warn('SOURCE_LEFT', text)
	})
}

/** A stream that was told an encoding gives texts. */
function checkBytes(bytes: unknown): asserts bytes is Uint8Array {
	if (types.isUint8Array(bytes)) return
	throw invalidOption('what the source of JSON Lines gives', bytes, 'bytes: set no encoding on a stream')
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
		// A pipe has no positions.
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

/** A piece in memory of its own: lines that it begins are kept. */
async function readPiece(system: FileSystem, fd: number, position: number): Promise<Buffer> {
	const bytes = Buffer.allocUnsafeSlow(READ_BYTES)
	const count = await system.read(fd, bytes, 0, bytes.length, position)
	return bytes.subarray(0, count)
}

function unreadable(path: string, error: unknown): MeshChainError {
	const reason = systemCode(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
	return new MeshChainError('FILE_UNREADABLE', `cannot read ${show(path)}: ${reason}`, { path, cause: error })
}
