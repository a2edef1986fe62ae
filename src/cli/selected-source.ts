/** Opens a chain or JSON Lines as a source, and selects the records that a command line specifies. */
import { heavier, type Severity, severityOfRecord } from '../chain/index.ts'
import { detectedFormat, FORMATS } from '../jsonl/formats.ts'
import type { LineFormat } from '../jsonl/line-format.ts'
import { type JsonlRecords, readJsonl } from '../jsonl/read-jsonl.ts'
import { MeshChainError } from '../model/errors.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { GAP_KIND, type LogRecord } from '../model/record.ts'
import type { BatchSource } from '../replay/source.ts'
import type { Invocation, OptionSpec } from './command.ts'
import type { Selection } from './filters.ts'
import { openHistory } from './open-source.ts'
import type { Terminal } from './terminal.ts'

/** The option that names a JSON Lines format. */
export const FORMAT_OPTION = {
	long: 'format',
	value: 'FORMAT',
	choices: FORMATS.map(({ name }) => name),
	help: 'JSON Lines format',
} as const satisfies OptionSpec

/** The format option for commands that read JSON Lines. */
export const READ_FORMAT_OPTION: OptionSpec = {
	...FORMAT_OPTION,
	defaultText: 'detected from the first 64 lines',
}

/** Returns the format given by `--format`. */
export function formatOf(invocation: Invocation): LineFormat | undefined {
	const name = invocation.text(FORMAT_OPTION.long)
	return FORMATS.find((format) => format.name === name)
}

/** A source that a command has opened and must close. */
export interface OpenedSource extends BatchSource {
	close(): Promise<void>
}

/**
 * Opens a source as a chain, or as JSON Lines if it is not a chain, if a format is given, or if it is stdin
 * (`-`).
 */
export async function openAny(
	file: string,
	format: LineFormat | undefined,
	terminal: Terminal,
): Promise<OpenedSource> {
	if (file !== '-' && format === undefined) {
		try {
			return await openHistory(file, terminal)
		} catch (error) {
			if (!(error instanceof MeshChainError && error.code === 'NOT_A_CHAIN')) throw error
		}
	}
	const lines = readJsonl(file === '-' ? terminal.stdin : file, { format: format ?? detectedFormat() })
	return {
		batches: (query?: LogFilter) => matching(lines, query),
		get skipped() {
			return lines.skipped
		},
		close: async () => {},
	}
}

async function* matching(lines: JsonlRecords, query: LogFilter = {}): AsyncGenerator<LogRecord[]> {
	const filter = resolveFilter(query)
	for await (const record of lines) if (matches(record, filter)) yield [record]
}

/** The records that a command line selects from a source, and the severity of their gaps. */
export class SelectedSource implements BatchSource {
	readonly chainId: string
	readonly #source: BatchSource
	readonly #selection: Selection
	/** Highest severity of the gaps so far. */
	severity: Severity = 'note'

	/** @param name Name to use as the chain id if the source has no chain id. */
	constructor(source: BatchSource, selection: Selection, name: string) {
		this.#source = source
		this.#selection = selection
		this.chainId = source.chainId ?? name
	}

	get skipped(): Readonly<Record<string, number>> {
		return this.#source.skipped ?? {}
	}

	/**
	 * Yields records up to the limit. Gaps never count toward the limit, even gaps from merged chains, which
	 * have an origin.
	 */
	async *batches(query: LogFilter = {}): AsyncGenerator<LogRecord[]> {
		let left = this.#selection.limit
		if (left === 0) return
		for await (const batch of this.#source.batches(query)) {
			const selected: LogRecord[] = []
			for (const record of batch) {
				const isAbsence = record.kind === GAP_KIND
				if (left === 0 || !(isAbsence || this.#selection.matches(record))) continue
				this.severity = heavier(this.severity, severityOfRecord(record))
				if (!isAbsence) left--
				selected.push(record)
			}
			if (selected.length > 0) yield selected
			if (left === 0) return
		}
	}
}
