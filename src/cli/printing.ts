/** Records on their way out: encoded as asked, counted, and what was lost among them remembered. */
import {
	answerFor,
	type Chain,
	type ChainQuery,
	heavier,
	type Severity,
	severityOfRecord,
} from '../chain/index.ts'
import { packDataBorrow } from '../codec/data-packer.ts'
import { interleave } from '../merge/interleave.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import type { Selection } from './filters.ts'
import { bytes } from './numbers.ts'
import { isStreamAddress, newcomersTo } from './open-source.ts'
import { prettyRecord } from './pretty.ts'
import { Printable, printableRecord, printed, together } from './printable.ts'
import { COLOR_OPTION } from './report-options.ts'
import { type Output, paintFor, STATUS, type Terminal } from './terminal.ts'

/** The options of every command that prints records. */
export const PRINT_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'output',
		short: 'o',
		value: 'FORMAT',
		choices: ['pretty', 'ndjson', 'msgpack'],
		help: 'pretty (on a terminal), ndjson (in a pipe), msgpack',
	},
	{ long: 'follow', short: 'f', help: 'go on with what is written from now on, until interrupted' },
	{ long: 'exit-status', help: 'end with status 1 when nothing matched' },
	STRICT_OPTION,
	COLOR_OPTION,
]

/** Text for people and programs, or bytes for programs only. */
type Encode = (record: LogRecord) => Printable | Uint8Array

export class Printer {
	readonly #encode: Encode
	readonly #output: Output
	readonly #selection: Selection
	readonly #terminal: Terminal
	readonly #invocation: Invocation
	#left: number
	#matched = 0
	#severity: Severity = 'note'

	/** @throws {MeshChainError} `INVALID_USAGE` for a format that does not go where stdout leads. */
	constructor(invocation: Invocation, terminal: Terminal, selection: Selection, limit: number) {
		this.#encode = encoderOf(invocation, terminal)
		this.#output = terminal.stdout
		this.#selection = selection
		this.#terminal = terminal
		this.#invocation = invocation
		this.#left = limit
	}

	/** Nothing more is wanted: the limit is reached, or nobody reads any more. */
	get isDone(): boolean {
		return this.#left === 0 || this.#output.isClosed
	}

	/** Prints those that are selected, up to the limit. */
	async print(records: readonly LogRecord[]): Promise<void> {
		const chosen: LogRecord[] = []
		for (const record of records) {
			if (!this.#selection.matches(record)) continue
			this.#severity = heavier(this.#severity, severityOfRecord(record))
			if (!isGap(record)) {
				if (this.#left === 0) break
				this.#left--
				this.#matched++
			}
			chosen.push(record)
		}
		if (chosen.length > 0) await this.#write(chosen.map(this.#encode))
	}

	async #write(encoded: readonly (Printable | Uint8Array)[]): Promise<void> {
		if (encoded[0] instanceof Printable) await this.#output.write(together(encoded as readonly Printable[]))
		else await this.#output.pass(Buffer.concat(encoded as readonly Uint8Array[]))
	}

	/** Prints what a chain holds, until the limit or the signal. */
	async printAll(chain: Chain, query: ChainQuery, signal?: AbortSignal): Promise<void> {
		if (this.isDone) return
		for await (const batch of chain.batches(query)) {
			await this.print(batch)
			if (this.isDone || signal?.aborted) return
		}
	}

	/** Prints what comes, until the limit or the signal. */
	async follow(chain: Chain, signal: AbortSignal): Promise<number> {
		const { limit: _limit, reverse: _reverse, ...query } = this.#selection.query
		const over = new AbortController()
		const asked = { ...query, signal: AbortSignal.any([signal, over.signal]) }
		const tails = [chain.tail(asked), await newcomersTo(this.#invocation.file, chain, asked)]
		for await (const record of interleave(tails, () => over.abort())) {
			await this.print([record])
			if (this.isDone) break
		}
		return this.#status
	}

	get #status(): number {
		return statusFor(answerFor([this.#severity]), this.#invocation)
	}

	/** Says how the chain ends, and gives the exit status. */
	async finish(chain: Chain): Promise<number> {
		if (this.#output.isClosed) return STATUS.fine
		if (await tellEnd(chain, this.#invocation.file, this.#terminal)) this.#severity = 'damage'
		if (this.#status !== STATUS.fine) return this.#status
		return this.#matched === 0 && this.#invocation.flag('exit-status') ? STATUS.nothingMatched : STATUS.fine
	}
}

/** Says on stderr how the file ends, where that needs saying; whether it ends in damage. */
export async function tellEnd(chain: Chain, file: string, terminal: Terminal): Promise<boolean> {
	const end = await chain.end()
	if (end.tornBytes > 0 && end.state !== 'open') {
		terminal.stderr.write(
			printed`mesh-chain: ${file}: ${bytes(end.tornBytes)} of a torn tail passed over (normal after a crash)\n`,
		)
	}
	if (end.damagedBytes > 0) {
		const what = isStreamAddress(file)
			? `${bytes(end.damagedBytes)} of its messages cannot be read`
			: `the last ${bytes(end.damagedBytes)} cannot be read; next: mesh-chain verify ${shellWord(file)}`
		terminal.stderr.write(printed`mesh-chain: ${file}: ${what}\n`)
	}
	return end.damagedBytes > 0
}

function encoderOf(invocation: Invocation, terminal: Terminal): Encode {
	const format = invocation.text('output') ?? (terminal.stdoutIsTerminal ? 'pretty' : 'ndjson')
	if (format === 'ndjson') return printableRecord
	if (format === 'msgpack') {
		if (terminal.stdoutIsTerminal) {
			throw usage(
				'msgpack is not for a terminal: send it to a file or a program, as in -o msgpack > records.msgpack',
			)
		}
		return ({ chainPending: _pending, ...record }) => Buffer.from(packDataBorrow(record))
	}
	return prettyFormat(invocation, terminal)
}

/** Records as text: for people on a terminal, JSON Lines for programs. */
export function textFormat(invocation: Invocation, terminal: Terminal): (record: LogRecord) => Printable {
	if (terminal.stdoutIsTerminal) return prettyFormat(invocation, terminal)
	return printableRecord
}

function prettyFormat(invocation: Invocation, terminal: Terminal): (record: LogRecord) => Printable {
	const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
	return (record) => prettyRecord(record, paint)
}
