/**
 * Implements `mesh-chain import`, which writes JSON Lines or plain text to a new chain, or appends them to an
 * existing one.
 */
import { detectedFormat, type LogReading, readableFormats } from '../jsonl/formats.ts'
import { type ImportSummary, importJsonl } from '../jsonl/import.ts'
import type { LineFormat } from '../jsonl/line-format.ts'
import { count, counted } from '../text/numbers.ts'
import { chainPath } from './chain-path.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { joined, type Printable, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { READ_FORMAT_OPTION } from './selected-source.ts'
import { logReadingOf, TEXT_OPTIONS } from './text-options.ts'

const IMPORT_FORMAT_OPTION = {
	...READ_FORMAT_OPTION,
	choices: [...(READ_FORMAT_OPTION.choices ?? []), 'text'],
	defaultText: 'detected from the first lines',
	help: 'format of the lines',
}

export const importCommand: Command = {
	name: 'import',
	summary: 'create a chain from JSON Lines or plain text, or append them to a chain',
	usage: 'FILE --to CHAIN [options]',
	examples: [
		[
			'mesh-chain import node.jsonl --to copy.chain',
			'restores every record of an export with its seq, epoch, time and origin',
		],
		[
			'mesh-chain import events.jsonl --format events --to events.chain',
			'reads the lines of an event recorder, which have the fields ts and ev',
		],
		[
			'zcat old.log.gz | mesh-chain import - --to node.chain',
			'reads stdin, and appends to the chain if it exists',
		],
		[
			'mesh-chain import app.log --to app.chain --tz Europe/Berlin --multiline',
			'reads the plain text log of another program, with its times, levels and stack traces',
		],
	],
	options: [
		{ long: 'to', value: 'CHAIN', help: 'path of the chain to create or to append to' },
		IMPORT_FORMAT_OPTION,
		...TEXT_OPTIONS,
		{
			long: 'source',
			value: 'NAME',
			defaultText: 'the name of FILE',
			help: 'source name to store in the origin of appended records',
		},
	],
	statuses: statusTexts({
		ok: 'the records were imported; lines that are not records were skipped and counted',
		notOk: 'some records were out of order and were left out',
		failed: 'FILE cannot be read or contains no records, or the chain cannot be written',
		interrupted: 'interrupted; no new chain was created, but records appended to an existing chain remain',
	}),
	async run(invocation, terminal) {
		const { file } = invocation
		const path = invocation.text('to')
		const sourceId = invocation.text('source')
		if (path === undefined) throw usage('--to is missing: name the chain, as in --to node.chain')
		chainPath(path)
		const reading = logReadingOf(invocation, terminal)
		const line = new StatusLine(terminal)
		const interrupted = terminal.interrupted()
		if (file === '-') interrupted.addEventListener('abort', () => terminal.stdin.destroy())
		const summary = await importJsonl(file === '-' ? terminal.stdin : file, path, {
			format: formatOf(invocation, reading),
			...(sourceId === undefined ? {} : { sourceId }),
			onProgress: (records) => line.show(printed`${counted(records, 'record')}`),
			signal: interrupted,
		}).finally(() => line.end())
		terminal.stderr.write(printed`mesh-chain: ${summaryText(summary, path)}\n`)
		return summary.outOfOrder > 0 ? STATUS.notOk : STATUS.ok
	},
}

function formatOf(invocation: Invocation, reading: LogReading): LineFormat {
	const given = invocation.text(IMPORT_FORMAT_OPTION.long)
	return readableFormats(reading).find(({ name }) => name === given) ?? detectedFormat(reading)
}

function summaryText(summary: ImportSummary, path: string): Printable {
	const { restored, records, absent, altered, noTime, cut, skipped, skippedLines, outOfOrder } = summary
	const [first] = skippedLines
	const parts = [
		`${counted(records, 'record')} ${restored ? 'written' : 'appended'} to ${path}`,
		absent === 0 ? '' : `${count(absent)} absent`,
		altered === 0 ? '' : `${count(altered)} altered, because a chain cannot store them as they are`,
		noTime === 0 ? '' : `${count(noTime)} without a time (time of the import, noTime in data)`,
		cut === 0 ? '' : `${counted(cut, 'joined line')} cut at the size limit`,
		outOfOrder === 0 ? '' : `${count(outOfOrder)} out of order`,
		...Object.entries(skipped).map(([reason, lines]) =>
			lines === 0 ? '' : `${counted(lines, 'line')} skipped (${reason})`,
		),
		first === undefined ? '' : `the first skipped line is line ${count(first.line)}`,
		skipped.notJson === 0 ? '' : '--format text would also import lines that are not JSON',
	]
	return joined(parts, printed`, `)
}
