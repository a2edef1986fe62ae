/** `mesh-chain verify`: every checksum, seq and link of a chain. */
import { type VerifyReport, verifyChain } from '../chain/index.ts'
import { answerText, STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { adviceFor, findingLine, notListedLines, printLines } from './findings.ts'
import { bytes, count } from './numbers.ts'
import { type Printable, printable, printableJson, printed } from './printable.ts'
import { ProgressLine } from './progress.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { type Paint, paintFor } from './terminal.ts'

export const verify: Command = {
	name: 'verify',
	summary: 'check a chain from end to end; never writes',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain verify node.chain', 'status 0: ok; 3: not ok, and where; 4: cannot be checked'],
		['mesh-chain verify node.chain -o json', 'the same for a program'],
	],
	options: [
		{ long: 'head', value: 'HEAD', help: 'what info --head printed once: the chain must still hold it' },
		STRICT_OPTION,
		...REPORT_OPTIONS,
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
		const progress = new ProgressLine(terminal)
		const head = invocation.text('head')
		const options = { onProgress: progress.show, ...(head === undefined ? {} : { head }) }
		const report = await verifyChain(file, options).finally(() => progress.end())
		const { stdout } = terminal
		if (invocation.text('output') === 'json') await stdout.write(printableJson(`${JSON.stringify(report)}\n`))
		else await printLines(stdout, prettyReport(file, report, paint))
		return statusFor(report.answer, invocation)
	},
}

function prettyReport(file: string, report: VerifyReport, paint: Paint): Printable[] {
	const lines = report.findings.map((finding) => findingLine(finding, paint))
	lines.push(...notListedLines(report.findingsNotListed, 'findings'))
	const sums = `${count(report.records)} records in ${count(report.frames)} frames, ${count(report.anchors)} anchors, ${bytes(report.bytes)}`
	lines.push(printed`${file}: ${answerText(report, paint)}: ${sums}`)
	if (report.head.link !== '') lines.push(paint('dim', `head ${report.head.link} at seq ${report.head.seq}`))
	return [...lines, ...adviceFor(file, report.findings).map(printable)]
}
