/** Writes a chain as JSON Lines. */
import { type Chain, checkChain } from '../chain/index.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { checkPath, checkSignal } from '../model/check.ts'
import { defineOptions, type OptionRules, optional, optionalFunction } from '../model/define-options.ts'
import { asCoded, MeshChainError } from '../model/errors.ts'
import { FILTER_NAMES, filterIn, type LogFilter } from '../model/filter.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { ExportFile } from './export-file.ts'
import { JSONL_RULES, type JsonlOptions } from './jsonl-options.ts'
import { type LineFormat, lineBy } from './line-format.ts'

/** The result of an export. */
export interface ExportSummary {
	/** Number of lines written, including lines for gaps. */
	readonly lines: number
	/** Number of absent records that gaps represent, including gaps that the format cannot write. */
	readonly absent: number
	/** Number of records that the format cannot represent as a line. */
	readonly unsupported: number
}

/** Options of {@link exportJsonl}: a filter, and the format, mode and file system of the new file. */
export interface ExportOptions extends LogFilter, Omit<JsonlOptions, 'lineBytesMax'> {
	/** Called after each write to the file, with the summary so far. */
	readonly onProgress?: ((summary: ExportSummary) => void) | undefined
	/** Signal that ends the export without creating the file. */
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
 * Writes the records that match a filter to a new file, one per line. mesh-chain's own format is lossless: if
 * `importJsonl` creates a chain from the file, exporting that chain reproduces the file byte for byte. The
 * file appears under its name only after it is completely on disk.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `INVALID_FILTER`, `FILE_EXISTS`, or
 * `EXPORT_FAILED` if the file cannot be written or the signal ends the export. Also throws errors from
 * reading the chain. After an error, no new file is left behind, unless the message says that the file is
 * complete. In that case, only the sync of its folder failed.
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
	const file = new ExportFile(fs, path, mode)
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

/** Converts records to lines, in batches, and counts the results. */
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
		// Also counts gaps from a merged chain, which have an origin.
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
