/** Prints records: encodes them, counts them, and tracks the severity of their gaps. */
import {
	answerFor,
	type Chain,
	type ChainQuery,
	heavier,
	type Severity,
	severityOfRecord,
} from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { packDataBorrow } from '../codec/data-packer.ts'
import { interleave } from '../merge/interleave.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { prettyRecord } from '../pretty/pretty-record.ts'
import { bytes } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import type { Selection } from './filters.ts'
import type { OpenedHistories } from './open-histories.ts'
import { newChainsOf } from './open-source.ts'
import { COLOR_OPTION, paintOf } from './output-options.ts'
import { Printable, printableRecord, printableRecords, printed, together } from './printable.ts'
import type { Output, Terminal } from './terminal.ts'

/** The option for following a chain. */
export const FOLLOW_OPTION: OptionSpec = {
	long: 'follow',
	short: 'f',
	help: 'continue with new records as they are written, until interrupted',
}

/** The options of all commands that print records. */
export const PRINT_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'output',
		short: 'o',
		value: 'FORMAT',
		choices: ['pretty', 'ndjson', 'msgpack'],
		defaultText: 'pretty on a terminal, ndjson otherwise',
		help: 'output format',
	},
	FOLLOW_OPTION,
	{ long: 'exit-status', help: 'exit with status 1 if no record matches' },
	STRICT_OPTION,
	COLOR_OPTION,
]

/** The exit statuses of all commands that print records. */
export const PRINT_STATUSES = statusTexts({
	ok: 'the records were printed; a torn tail and lost records that the chain accounts for are not errors',
	nothingMatched: 'no record matched (--exit-status)',
	notOk: 'part of the chain is damaged or missing, or records are lost (with --strict)',
	failed: 'the file or stream cannot be read, or stdout cannot be written',
})

/** Encodes records as text for people or programs, or as bytes for programs. */
type Encode = (records: readonly LogRecord[]) => Printable | Uint8Array

/** Prints selected records to stdout and counts them. */
export class Printer {
	readonly #encode: Encode
	readonly #output: Output
	readonly #selection: Selection
	readonly #terminal: Terminal
	readonly #invocation: Invocation
	#left: number
	#matched = 0
	#severity: Severity = 'note'

	/**
	 * Chooses the encoding of the records.
	 *
	 * @throws {MeshChainError} `INVALID_USAGE` for MessagePack on a terminal.
	 */
	constructor(invocation: Invocation, terminal: Terminal, selection: Selection, limit: number) {
		this.#encode = encoderOf(invocation, terminal)
		this.#output = terminal.stdout
		this.#selection = selection
		this.#terminal = terminal
		this.#invocation = invocation
		this.#left = limit
	}

	/** Whether the limit has been reached or the reader has closed stdout. */
	get isDone(): boolean {
		return this.#left === 0 || this.#output.isClosed
	}

	/** Prints the selected records of a batch, up to the limit. */
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
		if (chosen.length === 0) return
		const encoded = this.#encode(chosen)
		await (encoded instanceof Printable ? this.#output.write(encoded) : this.#output.pass(encoded))
	}

	/** Prints the records of a chain until the limit is reached or the signal aborts. */
	async printAll(chain: Chain, query: ChainQuery, signal?: AbortSignal): Promise<void> {
		if (this.isDone) return
		for await (const batch of chain.batches(query)) {
			await this.print(batch)
			if (this.isDone || signal?.aborted) return
		}
	}

	/** Prints new records until the limit is reached or the signal aborts. */
	async follow(chain: Chain, { histories }: OpenedHistories, signal: AbortSignal): Promise<number> {
		const { limit: _limit, reverse: _reverse, ...query } = this.#selection.query
		const over = new AbortController()
		const asked = { ...query, signal: AbortSignal.any([signal, over.signal]) }
		const added = histories.map(({ name }) => newChainsOf(name, chain, asked, this.#terminal))
		const tails = [chain.tail(asked), ...(await Promise.all(added))]
		for await (const record of interleave(tails, () => over.abort())) {
			await this.print([record])
			if (this.isDone) break
		}
		return this.#status
	}

	get #status(): number {
		return statusFor(answerFor([this.#severity]), this.#invocation)
	}

	/** Reports how the chains end and returns the exit status. */
	async finish(opened: OpenedHistories): Promise<number> {
		if (this.#output.isClosed) return STATUS.ok
		if (await tellEnds(opened, this.#terminal)) this.#severity = 'damage'
		if (this.#status !== STATUS.ok) return this.#status
		return this.#matched === 0 && this.#invocation.flag('exit-status') ? STATUS.nothingMatched : STATUS.ok
	}
}

/** Reports how each chain ends. Returns whether a chain ends in damage or was skipped. */
export async function tellEnds(
	{ histories, failure }: OpenedHistories,
	terminal: Terminal,
): Promise<boolean> {
	let isDamaged = failure !== undefined
	for (const { name, chain } of histories) if (await tellEnd(chain, name, terminal)) isDamaged = true
	return isDamaged
}

/**
 * Reports on stderr any torn tail or damage at the end of a chain. Returns whether the chain ends in damage.
 */
export async function tellEnd(chain: Chain, file: string, terminal: Terminal): Promise<boolean> {
	const end = await chain.end()
	if (end.tornBytes > 0 && end.state !== 'open') {
		const what = `${bytes(end.tornBytes)} in a torn tail were skipped (normal after a crash)`
		terminal.stderr.write(printed`mesh-chain: ${file}: ${what}\n`)
	}
	if (end.damagedBytes > 0) {
		const what = isStreamAddress(file)
			? `${bytes(end.damagedBytes)} of message data cannot be read`
			: `the last ${bytes(end.damagedBytes)} cannot be read; next: mesh-chain verify ${shellWord(file)}`
		terminal.stderr.write(printed`mesh-chain: ${file}: ${what}\n`)
	}
	return end.damagedBytes > 0
}

function encoderOf(invocation: Invocation, terminal: Terminal): Encode {
	const format = invocation.text('output') ?? (terminal.stdoutIsTerminal ? 'pretty' : 'ndjson')
	if (format === 'ndjson') return printableRecords
	if (format === 'msgpack') {
		if (terminal.stdoutIsTerminal) {
			throw usage(
				'msgpack cannot be printed to a terminal: redirect it to a file or a program, ' +
					'as in -o msgpack > records.msgpack',
			)
		}
		return (records) =>
			Buffer.concat(
				records.map(({ chainPending: _pending, ...record }) => Buffer.from(packDataBorrow(record))),
			)
	}
	const pretty = prettyFormat(invocation, terminal)
	return (records) => together(records.map(pretty))
}

/** Returns the text format for records: pretty on a terminal, otherwise JSON Lines. */
export function textFormat(invocation: Invocation, terminal: Terminal): (record: LogRecord) => Printable {
	if (terminal.stdoutIsTerminal) return prettyFormat(invocation, terminal)
	return printableRecord
}

function prettyFormat(invocation: Invocation, terminal: Terminal): (record: LogRecord) => Printable {
	const paint = paintOf(invocation, terminal)
	return (record) => prettyRecord(record, paint)
}
