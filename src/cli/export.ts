/** Implements `mesh-chain export`, which writes a chain as JSON Lines. */
import { answerFor } from '../chain/index.ts'
import { type ExportSummary, exportJsonl, LinesOf } from '../jsonl/export.ts'
import { recordFormat } from '../jsonl/record-format.ts'
import { counted } from '../text/numbers.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { filtersWithout, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { openHistories } from './open-histories.ts'
import { joined, type Printable, printableJson, printed } from './printable.ts'
import { tellEnds } from './printing.ts'
import { StatusLine } from './progress.ts'
import { FORMAT_OPTION, formatOf, SelectedSource } from './selected-source.ts'
import type { Terminal } from './terminal.ts'

export const exportCommand: Command = {
	name: 'export',
	summary: 'write a chain as JSON Lines',
	usage: 'FILE... [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain export node.chain --to node.jsonl',
			'writes a file from which import restores the same chain',
		],
		[
			'mesh-chain export node.chain --format pino | pino-pretty',
			'writes pino log lines and formats them with pino-pretty',
		],
		[
			'mesh-chain export node.chain --format otel -S today --to today.jsonl',
			"writes today's records in the format that the OpenTelemetry Collector reads",
		],
	],
	options: [
		...filtersWithout('reverse'),
		{ long: 'to', value: 'PATH', defaultText: 'stdout', help: 'path of the new file' },
		{ ...FORMAT_OPTION, default: recordFormat.name },
		STRICT_OPTION,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'the records were written; lost records that the chain accounts for are not errors',
		notOk: 'part of the chain is damaged or missing, or records are lost (with --strict)',
		failed: 'the chain or stream cannot be read, or the lines cannot be written',
		interrupted: 'interrupted; no file was created (with --to)',
	}),
	async run(invocation, terminal) {
		const selection = selectionOf(invocation, terminal.now())
		if (selection.limit === 0) throw usage('-n 0 exports nothing')
		const format = formatOf(invocation) ?? recordFormat
		const path = invocation.text('to')
		const opened = await openHistories(invocation.someFiles, terminal)
		const { chain } = opened
		const line = new StatusLine(terminal)
		try {
			const selected = new SelectedSource(chain, selection, chain.chainId)
			const { reverse: _reverse, gaps: _gaps, limit: _limit, ...query } = selection.query
			const summary =
				path === undefined
					? await toStdout(new LinesOf(selected.batches(query), format), terminal)
					: await exportJsonl(selected, path, {
							...query,
							format,
							signal: terminal.interrupted(),
							onProgress: ({ lines }) => line.show(printed`${counted(lines, 'line')}`),
						})
			line.end()
			if (summary === undefined) return STATUS.ok
			if (path !== undefined || summary.unsupported > 0)
				terminal.stderr.write(printed`mesh-chain: ${summaryText(summary, path)}\n`)
			const isDamaged = await tellEnds(opened, terminal)
			return statusFor(answerFor([isDamaged ? 'damage' : selected.severity]), invocation)
		} finally {
			line.end()
			await chain.close()
		}
	},
}

/** Exports to stdout. Resolves to undefined if the reader has closed stdout. */
async function toStdout(lines: LinesOf, terminal: Terminal): Promise<ExportSummary | undefined> {
	for await (const text of lines) {
		await terminal.stdout.write(printableJson(text))
		if (terminal.stdout.isClosed) return undefined
	}
	return lines.summary
}

function summaryText({ lines, absent, unsupported }: ExportSummary, path: string | undefined): Printable {
	const parts = [
		`${counted(lines, 'line')} written${path === undefined ? '' : ` to ${path}`}`,
		absent === 0 ? '' : `${counted(absent, 'record')} absent`,
		unsupported === 0
			? ''
			: `${counted(unsupported, 'record')} left out because the format cannot represent them`,
	]
	return joined(parts, printed`, `)
}
