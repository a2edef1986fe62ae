/**
 * Implements `mesh-chain import`, which writes JSON Lines to a new chain or appends them to an existing one.
 */
import { detectedFormat } from '../jsonl/formats.ts'
import { type ImportSummary, importJsonl } from '../jsonl/import.ts'
import { count, counted } from '../text/numbers.ts'
import { chainPath } from './chain-path.ts'
import { type Command, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { joined, type Printable, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { formatOf, READ_FORMAT_OPTION } from './selected-source.ts'

export const importCommand: Command = {
	name: 'import',
	summary: 'create a chain from JSON Lines, or append them to a chain',
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
	],
	options: [
		{ long: 'to', value: 'CHAIN', help: 'path of the chain to create or to append to' },
		READ_FORMAT_OPTION,
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
		const line = new StatusLine(terminal)
		const interrupted = terminal.interrupted()
		if (file === '-') interrupted.addEventListener('abort', () => terminal.stdin.destroy())
		const summary = await importJsonl(file === '-' ? terminal.stdin : file, path, {
			format: formatOf(invocation) ?? detectedFormat(),
			...(sourceId === undefined ? {} : { sourceId }),
			onProgress: (records) => line.show(printed`${counted(records, 'record')}`),
			signal: interrupted,
		}).finally(() => line.end())
		terminal.stderr.write(printed`mesh-chain: ${summaryText(summary, path)}\n`)
		return summary.outOfOrder > 0 ? STATUS.notOk : STATUS.ok
	},
}

function summaryText(
	{ restored, records, absent, altered, skipped, skippedLines, outOfOrder }: ImportSummary,
	path: string,
): Printable {
	const [first] = skippedLines
	const parts = [
		`${counted(records, 'record')} ${restored ? 'written' : 'appended'} to ${path}`,
		absent === 0 ? '' : `${count(absent)} absent`,
		altered === 0 ? '' : `${count(altered)} altered, because a chain cannot store them as they are`,
		outOfOrder === 0 ? '' : `${count(outOfOrder)} out of order`,
		...Object.entries(skipped).map(([reason, lines]) =>
			lines === 0 ? '' : `${counted(lines, 'line')} skipped (${reason})`,
		),
		first === undefined ? '' : `the first skipped line is line ${count(first.line)}`,
	]
	return joined(parts, printed`, `)
}
