/** From a chain to JSON Lines. */
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

export interface ExportSummary {
	/** Lines written: a `$gap` is one too. */
	readonly lines: number
	/** Records that those gaps stand for. */
	readonly absent: number
	/** Records that the form has no place for. */
	readonly unsupported: number
}

export interface ExportOptions extends LogFilter, Omit<JsonlOptions, 'lineBytesMax'> {
	/** Called after each part, with what is done so far. */
	onProgress?: (summary: ExportSummary) => void
	signal?: AbortSignal
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
 * Writes the records that match to a new file, one a line. In mesh-chain's own form nothing is lost: `importJsonl` makes a chain of it
 * whose export has the same bytes. The file gets its name once all of it is on disk.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `INVALID_FILTER`; `FILE_EXISTS`; `EXPORT_FAILED` when it cannot be written, or the signal ended it; what reading
 * the chain throws. Nothing is left behind then, unless the message says that the file is there: only its folder could not be synced.
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
				throw new MeshChainError('EXPORT_FAILED', `it was interrupted: ${show(path)} was not made`, { path })
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

/** Records as text, some lines at a time, and the count of them. */
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
		// Those of merged chains, which have an origin, among them.
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
