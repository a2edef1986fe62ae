/** `mesh-chain import`: JSON Lines as a chain, or at the end of one. */

import { detectedFormat } from '../jsonl/formats.ts'
import { type ImportSummary, importJsonl } from '../jsonl/import.ts'
import { type Command, usage } from './command.ts'
import { count } from './numbers.ts'
import { joined, type Printable, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { FORM_OPTION, formNamed } from './selected-source.ts'
import { chainNamed } from './targets.ts'
import { STATUS } from './terminal.ts'

export const importCommand: Command = {
	name: 'import',
	summary: 'make a chain of JSON Lines, or append them to one',
	usage: 'FILE -o CHAIN [options]',
	examples: [
		['mesh-chain import node.jsonl -o copy.chain', 'every record as it was: seq, epoch, time and origin'],
		['mesh-chain import events.jsonl --form events -o events.chain', "an event recorder's ts and ev lines"],
		['zcat old.log.gz | mesh-chain import - -o node.chain', 'from stdin; appended where the chain is there'],
	],
	options: [
		{
			long: 'output',
			short: 'o',
			value: 'PATH',
			help: 'the chain: made where it is not there, appended to otherwise',
		},
		FORM_OPTION,
		{
			long: 'source',
			value: 'NAME',
			help: 'what appended records say they were of: the name of FILE unless told',
		},
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const path = invocation.text('output')
		const form = invocation.text('form')
		const sourceId = invocation.text('source')
		if (path === undefined) throw usage('-o names the chain, as in -o node.chain')
		chainNamed(path)
		const line = new StatusLine(terminal)
		const interrupted = terminal.interrupted()
		if (file === '-') interrupted.addEventListener('abort', () => terminal.stdin.destroy())
		const summary = await importJsonl(file === '-' ? terminal.stdin : file, path, {
			format: form === undefined ? detectedFormat() : formNamed(form),
			...(sourceId === undefined ? {} : { sourceId }),
			onProgress: (records) => line.show(printed`${count(records)} records`),
			signal: interrupted,
		}).finally(() => line.end())
		terminal.stderr.write(printed`mesh-chain: ${told(summary, path)}\n`)
		return summary.outOfOrder > 0 ? STATUS.damage : STATUS.fine
	},
}

function told(
	{ restored, records, absent, altered, skipped, skippedLines, outOfOrder }: ImportSummary,
	path: string,
): Printable {
	const [first] = skippedLines
	const parts = [
		`${count(records)} records ${restored ? 'in' : 'appended to'} ${path}`,
		absent === 0 ? '' : `${count(absent)} absent`,
		altered === 0 ? '' : `${count(altered)} did not fit whole`,
		outOfOrder === 0 ? '' : `${count(outOfOrder)} out of order`,
		...Object.entries(skipped).map(([reason, lines]) =>
			lines === 0 ? '' : `${count(lines)} lines skipped (${reason})`,
		),
		first === undefined ? '' : `the first of them line ${count(first.line)}`,
	]
	return joined(parts, printed`, `)
}
