/** `mesh-chain dump`: the records of a chain, for people or for programs. */
import { Packr } from 'msgpackr'
import type { Chain } from '../chain/chain.ts'
import { openChain } from '../chain/open-chain.ts'
import { recordToJson } from '../codec/json-dialect.ts'
import { isGap, type LogRecord } from '../record.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { escapeControls } from './escape.ts'
import { FILTER_OPTIONS, type Selection, selectionOf } from './filters.ts'
import { bytes, isLossy } from './numbers.ts'
import { prettyRecord } from './pretty.ts'
import { COLOR_OPTION } from './report-options.ts'
import { Output, paintFor, STATUS, type Terminal } from './terminal.ts'

export const dump: Command = {
	name: 'dump',
	summary: 'print the records of a chain',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain dump node.chain', 'everything, oldest first'],
		['mesh-chain dump node.chain -l warn -S -1h', 'warnings and errors of the last hour'],
		['mesh-chain dump node.chain -k order.created,order.failed -g u-17', 'two kinds, of one user'],
		['mesh-chain dump node.chain -r -n 20', 'the last 20 records, newest first'],
		[
			'mesh-chain dump node.chain -o ndjson | jq \'select(.level == "error")\'',
			'JSON lines for another program',
		],
	],
	options: [
		...FILTER_OPTIONS,
		{
			long: 'output',
			short: 'o',
			value: 'FORMAT',
			choices: ['pretty', 'ndjson', 'msgpack'],
			help: 'pretty (on a terminal), ndjson (in a pipe), msgpack',
		},
		{ long: 'exit-status', help: 'end with status 1 when nothing matched' },
		COLOR_OPTION,
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const encode = encoderOf(invocation, terminal)
		const chain = await openChain(file)
		try {
			return await dumpChain(chain, selection, encode, invocation, terminal)
		} finally {
			await chain.close()
		}
	},
}

type Encode = (record: LogRecord) => string | Uint8Array

async function dumpChain(
	chain: Chain,
	selection: Selection,
	encode: Encode,
	invocation: Invocation,
	terminal: Terminal,
): Promise<number> {
	const output = new Output(terminal.stdout)
	let left = selection.limit
	let matched = 0
	let lossy = false
	for await (const batch of left === 0 ? [] : chain.batches(selection.query)) {
		const chosen: LogRecord[] = []
		for (const record of batch) {
			if (!selection.matches(record)) continue
			if (isGap(record)) lossy ||= isLossy(record.data?.cause)
			else {
				if (left === 0) break
				left--
				matched++
			}
			chosen.push(record)
		}
		await output.write(encodeAll(chosen, encode))
		if (output.isClosed) return STATUS.fine
		if (left === 0) break
	}
	if (await tellEnd(chain, invocation.file, terminal)) lossy = true
	if (lossy) return STATUS.damage
	return matched === 0 && invocation.flag('exit-status') ? STATUS.nothingMatched : STATUS.fine
}

/** Says on stderr how the file ends, where that needs saying; whether it ends in damage. */
async function tellEnd(chain: Chain, file: string, terminal: Terminal): Promise<boolean> {
	const end = await chain.end()
	const name = escapeControls(file)
	if (end.tornBytes > 0 && end.state !== 'open') {
		terminal.stderr.write(
			`mesh-chain: ${name}: ${bytes(end.tornBytes)} of a torn tail passed over (normal after a crash)\n`,
		)
	}
	if (end.damagedBytes > 0) {
		terminal.stderr.write(
			`mesh-chain: ${name}: the last ${bytes(end.damagedBytes)} cannot be read; next: mesh-chain verify ${name}\n`,
		)
	}
	return end.damagedBytes > 0
}

function encodeAll(records: readonly LogRecord[], encode: Encode): string | Uint8Array {
	const encoded = records.map(encode)
	return typeof encoded[0] === 'string' || encoded.length === 0
		? encoded.join('')
		: Buffer.concat(encoded as Uint8Array[])
}

function encoderOf(invocation: Invocation, terminal: Terminal): Encode {
	const format = invocation.text('output') ?? (terminal.stdoutIsTerminal ? 'pretty' : 'ndjson')
	if (format === 'ndjson') return (record) => `${recordToJson(record)}\n`
	if (format === 'msgpack') {
		if (terminal.stdoutIsTerminal) {
			throw usage(
				'msgpack is not for a terminal: send it to a file or a program, as in -o msgpack > records.msgpack',
			)
		}
		const packr = new Packr({ useRecords: false, useBigIntExtension: true })
		return ({ chainPending: _pending, ...record }) => Buffer.from(packr.pack(record))
	}
	const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
	return (record) => prettyRecord(record, paint)
}
