/** `mesh-chain verify`: every checksum, seq and link of a chain. */
import type { Finding, VerifyReport } from '../chain/chain.ts'
import { verifyChain } from '../chain/verify.ts'
import type { Command } from './command.ts'
import { escapeControls } from './escape.ts'
import { bytes, count } from './numbers.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { Output, type Paint, paintFor, STATUS, type Style } from './terminal.ts'

const SEVERITY_STYLES: Readonly<Record<Finding['severity'], Style>> = {
	note: 'dim',
	loss: 'yellow',
	damage: 'red',
}

export const verify: Command = {
	name: 'verify',
	summary: 'check a chain from end to end; never writes',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain verify node.chain', 'status 0: as its writers left it; 3: damage or loss, and where'],
		['mesh-chain verify node.chain -o json', 'the same for a program'],
	],
	options: REPORT_OPTIONS,
	async run(invocation, terminal) {
		const { file } = invocation
		const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
		const report = await verifyChain(file)
		const isJson = invocation.text('output') === 'json'
		await new Output(terminal.stdout).write(
			isJson ? `${JSON.stringify(report)}\n` : prettyReport(file, report, paint),
		)
		return report.findings.some(({ severity }) => severity !== 'note') ? STATUS.damage : STATUS.fine
	},
}

function prettyReport(file: string, report: VerifyReport, paint: Paint): string {
	const name = escapeControls(file)
	const lines = report.findings.map((finding) => findingLine(finding, paint))
	const sums = `${count(report.records)} records in ${count(report.frames)} frames, ${count(report.anchors)} anchors, ${bytes(report.bytes)}`
	const verdict = report.ok ? paint('green', 'ok') : paint('red', 'DAMAGED')
	lines.push(`${name}: ${verdict}: ${sums}`)
	if (report.head.link !== '') lines.push(paint('dim', `head ${report.head.link} at seq ${report.head.seq}`))
	if (!report.ok)
		lines.push(`everything else is readable; next: mesh-chain dump ${name} shows it, gaps included`)
	return `${lines.join('\n')}\n`
}

function findingLine(finding: Finding, paint: Paint): string {
	const range = finding.fromSeq === undefined ? '' : `, seq ${finding.fromSeq} to ${finding.toSeq}`
	const compared =
		finding.expected === undefined ? '' : `; expected ${finding.expected}, found ${finding.found}`
	const head = paint(SEVERITY_STYLES[finding.severity], `${finding.severity} ${finding.kind}`)
	return `${head} at offset ${count(finding.offset)}${range}: ${escapeControls(finding.message + compared)}`
}
