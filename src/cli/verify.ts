/** Implements `mesh-chain verify`, which checks every checksum, seq and link of a chain. */
import { type VerifyReport, verifyChain } from '../chain/index.ts'
import type { Paint } from '../pretty/paint.ts'
import { bytes, counted } from '../text/numbers.ts'
import { answerText, CHECK_STATUSES, headText, STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { statusTexts } from './exit-status.ts'
import { adviceFor, findingLine, notListedLines, printLines } from './findings.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { type Printable, printable, printableJson, printed } from './printable.ts'
import { ProgressLine } from './progress.ts'

export const verify: Command = {
	name: 'verify',
	summary: 'check a chain from start to end without changing it',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain verify node.chain', 'checks the chain, and prints each problem with its position'],
		['mesh-chain verify node.chain -o json', 'prints the same report as JSON'],
	],
	options: [
		{
			long: 'head',
			value: 'HEAD',
			help: 'head that the chain must still contain, from an earlier info --head',
		},
		STRICT_OPTION,
		...REPORT_OPTIONS,
	],
	statuses: statusTexts(CHECK_STATUSES),
	async run(invocation, terminal) {
		const { file } = invocation
		const paint = paintOf(invocation, terminal)
		const progress = new ProgressLine(terminal)
		const head = invocation.text('head')
		const options = { onProgress: progress.show, ...(head === undefined ? {} : { head }) }
		const report = await verifyChain(file, options).finally(() => progress.end())
		const { stdout } = terminal
		if (isJson(invocation)) await stdout.write(printableJson(`${JSON.stringify(report)}\n`))
		else await printLines(stdout, prettyReport(file, report, paint))
		return statusFor(report.answer, invocation)
	},
}

function prettyReport(file: string, report: VerifyReport, paint: Paint): Printable[] {
	const lines = report.findings.map((finding) => findingLine(finding, paint))
	lines.push(...notListedLines(report.findingsNotListed, ''))
	const sums = `${counted(report.records, 'record')}, ${bytes(report.bytes)}`
	lines.push(printed`${file}: ${answerText(report, paint)}: ${sums}`)
	if (report.head.link !== '') lines.push(paint('dim', `head ${headText(report.head)}`))
	return [...lines, ...adviceFor(file, report.findings).map(printable)]
}
