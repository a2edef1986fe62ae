/** Writes a chain as JSON Lines. */
import { type Chain, checkChain } from '../chain/index.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { checkPath, checkSignal } from '../model/check.ts'
import { defineOptions, type OptionRules, optional, optionalFunction } from '../model/define-options.ts'
import { asCoded, MeshChainError } from '../model/errors.ts'
import { FILTER_NAMES, filterIn, type LogFilter } from '../model/filter.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { AtomicFile } from './atomic-file.ts'
import { JSONL_RULES, type JsonlOptions } from './jsonl-options.ts'
import { type LineFormat, lineBy } from './line-format.ts'

/** The result of an export. */
export interface ExportSummary {
	/** Number of lines written, including those of gaps. */
	readonly lines: number
	/** Number of absent records that these gaps represent. */
	readonly absent: number
	/** Number of records that the format cannot represent as a line. */
	readonly unsupported: number
}

/** Options of {@link exportJsonl}: a filter, and the format, mode and file system of the new file. */
export interface ExportOptions extends LogFilter, Omit<JsonlOptions, 'lineBytesMax'> {
	/** Called after each write to the file, with the summary so far. */
	readonly onProgress?: ((summary: ExportSummary) => void) | undefined
	/** Signal that ends the export, in which case no file is created. */
	readonly signal?: AbortSignal | undefined
}

const { lineBytesMax: _, ...FILE_RULES } = JSONL_RULES

const EXPORT_OPTIONS = defineOptions(
	{
		...FILE_RULES,
		onProgress: optionalFunction<(summary: ExportSummary) => void>(),
		signal: optional(checkSignal),
	} satisfies OptionRules<Omit<ExportOptions, keyof LogFilter>>,
	FILTER_NAMES,
)

/**
 * Writes the records that match a filter to a new file, one per line. mesh-chain's own format is lossless:
 * from the file, `importJsonl` creates a chain whose export is identical, byte by byte. The file appears
 * under its name only when it is completely on disk.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `INVALID_FILTER`; `FILE_EXISTS`; `EXPORT_FAILED`
 * if the file cannot be written or the signal ends the export; errors from reading the chain. After an error,
 * no file remains unless the message states that it exists, which means that only its folder could not be
 * synced.
 *
 * @example
 * ```ts
 * import { exportJsonl, openChain } from 'mesh-chain'
 *
 * await using chain = await openChain('node.chain')
 * const { lines } = await exportJsonl(chain, 'warnings.jsonl', { level: 'warn' })
 * console.log(lines)
 * ```
 */
export async function exportJsonl(
	chain: Pick<Chain, 'batches'>,
	path: string,
	options: ExportOptions = {},
): Promise<ExportSummary> {
	checkChain('an export needs a chain', chain, ['batches'])
	checkPath('the file to export to', path)
	const { format, mode, fs, onProgress, signal } = EXPORT_OPTIONS.resolve(options)
	const query = filterIn(options)
	const lines = new LinesOf(chain.batches(query), format)
	const file = new AtomicFile(fs, path, mode)
	try {
		for await (const text of lines) {
			if (signal?.aborted)
				throw new MeshChainError(
					'EXPORT_FAILED',
					`the export was interrupted: ${show(path)} was not created`,
					{
						path,
						cause: signal.reason,
					},
				)
			file.write(text)
			discard(onProgress?.(lines.summary))
		}
		file.finish()
	} catch (error) {
		throw asCoded(error, 'EXPORT_FAILED', 'the export failed')
	} finally {
		file.discard()
	}
	return lines.summary
}

/** Converts records to lines, several at a time, and counts them. */
export class LinesOf implements AsyncIterable<string> {
	readonly #batches: AsyncIterable<readonly LogRecord[]>
	readonly #format: LineFormat
	#lines = 0
	#absent = 0
	#unsupported = 0

	constructor(batches: AsyncIterable<readonly LogRecord[]>, format: LineFormat) {
		this.#batches = batches
		this.#format = format
	}

	get summary(): ExportSummary {
		return { lines: this.#lines, absent: this.#absent, unsupported: this.#unsupported }
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<string> {
		for await (const batch of this.#batches) {
			let text = ''
			for (const record of batch) text += this.#lineOf(record)
			if (text !== '') yield text
		}
	}

	#lineOf(record: LogRecord): string {
		// Includes the gaps of a merged chain, which have an origin.
		if (record.kind === GAP_KIND) this.#absent += gapDataOf(record.data)?.count ?? 0
		const line = lineBy(this.#format, record)
		if (line === undefined) {
			this.#unsupported++
			return ''
		}
		this.#lines++
		return `${line}\n`
	}
}
