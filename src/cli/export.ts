/** `mesh-chain export`: a chain as JSON Lines, for the rest of the world. */
import { answerFor } from '../chain/index.ts'
import { type ExportSummary, exportJsonl, LinesOf } from '../jsonl/export.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, usage } from './command.ts'
import { FILTER_OPTIONS, selectionOf } from './filters.ts'
import { count } from './numbers.ts'
import { openHistory } from './open-source.ts'
import { joined, type Printable, printableJson, printed } from './printable.ts'
import { tellEnd } from './printing.ts'
import { StatusLine } from './progress.ts'
import { FORM_OPTION, formNamed, Selected } from './selected-source.ts'
import { STATUS, type Terminal } from './terminal.ts'

export const exportCommand: Command = {
	name: 'export',
	summary: 'write a chain as JSON Lines',
	usage: 'FILE [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain export node.chain -o node.jsonl', 'nothing is lost: import makes a chain of it again'],
		['mesh-chain export node.chain --form pino | pino-pretty', 'as pino writes it'],
		[
			'mesh-chain export node.chain --form otel -S today -o today.jsonl',
			"as OpenTelemetry's collector reads it",
		],
	],
	options: [
		...FILTER_OPTIONS.filter(({ long }) => long !== 'reverse'),
		{ long: 'output', short: 'o', value: 'PATH', help: 'a file that is not there yet; stdout unless told' },
		{ ...FORM_OPTION, help: 'mesh-chain (unless told), events, pino, otel' },
		STRICT_OPTION,
	],
	async run(invocation, terminal) {
		const selection = selectionOf(invocation, terminal.now())
		if (selection.limit === 0) throw usage('-n 0 exports nothing')
		const format = formNamed(invocation.text('form') ?? 'mesh-chain')
		const path = invocation.text('output')
		const chain = await openHistory(invocation.file)
		const line = new StatusLine(terminal)
		try {
			const selected = new Selected(chain, selection, chain.chainId)
			const { reverse: _reverse, gaps: _gaps, limit: _limit, ...query } = selection.query
			const summary =
				path === undefined
					? await toStdout(new LinesOf(selected.batches(query), format), terminal)
					: await exportJsonl(selected, path, {
							...query,
							format,
							signal: terminal.interrupted(),
							onProgress: ({ lines }) => line.show(printed`${count(lines)} lines`),
						})
			line.end()
			if (summary === undefined) return STATUS.fine
			if (path !== undefined || summary.unsupported > 0)
				terminal.stderr.write(printed`mesh-chain: ${told(summary, path)}\n`)
			const isDamaged = await tellEnd(chain, invocation.file, terminal)
			return statusFor(answerFor([isDamaged ? 'damage' : selected.severity]), invocation)
		} finally {
			line.end()
			await chain.close()
		}
	},
}

/** Undefined when nobody reads any more. */
async function toStdout(lines: LinesOf, terminal: Terminal): Promise<ExportSummary | undefined> {
	for await (const text of lines) {
		await terminal.stdout.write(printableJson(text))
		if (terminal.stdout.isClosed) return undefined
	}
	return lines.summary
}

function told({ lines, absent, unsupported }: ExportSummary, path: string | undefined): Printable {
	const parts = [
		`${count(lines)} lines written${path === undefined ? '' : ` to ${path}`}`,
		absent === 0 ? '' : `${count(absent)} records absent`,
		unsupported === 0 ? '' : `${count(unsupported)} records have no place in this form`,
	]
	return joined(parts, printed`, `)
}
