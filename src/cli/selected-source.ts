/** A chain, or a file of JSON Lines, as one source: what a command line selects of it. */
import { heavier, type Severity, severityOfRecord } from '../chain/index.ts'
import { detectedFormat, FORMATS } from '../jsonl/formats.ts'
import type { LineFormat } from '../jsonl/line-format.ts'
import { type JsonlRecords, readJsonl } from '../jsonl/read-jsonl.ts'
import { MeshChainError } from '../model/errors.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { GAP_KIND, type LogRecord } from '../model/record.ts'
import type { BatchSource } from '../replay/source.ts'
import { type OptionSpec, usage } from './command.ts'
import type { Selection } from './filters.ts'
import { openHistory } from './open-source.ts'
import type { Terminal } from './terminal.ts'

export const FORM_OPTION: OptionSpec = {
	long: 'form',
	value: 'FORM',
	help: `form of JSON Lines: ${FORMATS.map(({ name }) => name).join(', ')}; read as most of their first 64 lines look unless told`,
}

/** @throws {MeshChainError} `INVALID_USAGE` */
export function formNamed(name: string): LineFormat {
	const format = FORMATS.find((each) => each.name === name)
	if (format !== undefined) return format
	throw usage(`--form is one of ${FORMATS.map((each) => each.name).join(', ')}, not ${JSON.stringify(name)}`)
}

/** JSON Lines of a file, or of stdin where that is named `-`. */
export function linesFrom(file: string, form: string | undefined, terminal: Terminal): JsonlRecords {
	const format = form === undefined ? detectedFormat() : formNamed(form)
	return readJsonl(file === '-' ? terminal.stdin : file, { format })
}

/** Something that can be asked for batches of records. */
export interface Opened extends BatchSource {
	close(): Promise<void>
}

/** A chain where the file is one, and JSON Lines otherwise. */
export async function openAny(file: string, form: string | undefined, terminal: Terminal): Promise<Opened> {
	if (file !== '-' && form === undefined) {
		try {
			return await openHistory(file)
		} catch (error) {
			if (!(error instanceof MeshChainError && error.code === 'NOT_A_CHAIN')) throw error
		}
	}
	const lines = linesFrom(file, form, terminal)
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

/** What a command line selects of a source, and how whole that is. */
export class Selected implements BatchSource {
	readonly chainId: string
	readonly #source: BatchSource
	readonly #selection: Selection
	/** The severity of the heaviest gap among it. */
	severity: Severity = 'note'

	/** @param name stands for the chain where the source does not say which one it is. */
	constructor(source: BatchSource, selection: Selection, name: string) {
		this.#source = source
		this.#selection = selection
		this.chainId = source.chainId ?? name
	}

	get skipped(): Readonly<Record<string, number>> {
		return this.#source.skipped ?? {}
	}

	/** Up to the limit, in which gaps do not count; those of merged chains, which have an origin, are gaps too. */
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
