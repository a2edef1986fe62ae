/** `mesh-chain repair`: puts a damaged chain right, keeping what it changes. */
import { type RepairAction, type RepairReport, repairChain } from '../chain/index.ts'
import { shellWord } from '../text/shell-word.ts'
import { answerText, STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { findingLine, notListedLines, printLines } from './findings.ts'
import { bytes, count } from './numbers.ts'
import { type Printable, printableJson, printablePath, printed } from './printable.ts'
import { ProgressLine } from './progress.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { type Paint, paintFor } from './terminal.ts'

export const repair: Command = {
	name: 'repair',
	summary: 'put a damaged chain right, keeping what is changed',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain repair --dry-run node.chain', 'what would be done; nothing is changed'],
		['mesh-chain repair node.chain', 'do it: files that change are kept beside the chain'],
	],
	options: [
		{ long: 'dry-run', short: 'n', help: 'only say what would be done' },
		STRICT_OPTION,
		...REPORT_OPTIONS,
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
		const progress = new ProgressLine(terminal)
		const dryRun = invocation.flag('dry-run')
		const report = await repairChain(file, { dryRun, onProgress: progress.show }).finally(() =>
			progress.end(),
		)
		const { stdout } = terminal
		if (invocation.text('output') === 'json') await stdout.write(printableJson(`${JSON.stringify(report)}\n`))
		else await printLines(stdout, prettyReport(file, report, paint))
		return statusFor(report.answer, invocation)
	},
}

function prettyReport(file: string, report: RepairReport, paint: Paint): Printable[] {
	const lines = report.actions.map((action) => actionLine(action, report.dryRun, paint))
	lines.push(...report.left.map((finding) => printed`left as evidence: ${findingLine(finding, paint)}`))
	lines.push(...notListedLines(report.leftNotListed, 'findings left as evidence'))
	const answer = answerText(report, paint)
	if (report.dryRun) {
		lines.push(printed`${file}: ${answer}: ${count(report.records)} records; nothing was changed`)
		if (report.actions.length > 0) lines.push(printed`next: mesh-chain repair ${shellWord(file)}`)
	} else {
		const done = report.actions.length === 0 ? 'nothing to repair' : 'repaired'
		lines.push(printed`${file}: ${done}; ${answer}: ${count(report.records)} records`)
		if (!report.ok) lines.push(printed`next: mesh-chain verify ${shellWord(file)}`)
	}
	return lines
}

function actionLine(action: RepairAction, dryRun: boolean, paint: Paint): Printable {
	const { path, offset, lostRecords, keptAt } = action
	const name = printablePath(path)
	const unreadable = bytes(action.bytes)
	const kept = keptAt === undefined ? '' : printed`; what was there is kept at ${printablePath(keptAt)}`
	if (action.action === 'cut') {
		const what = dryRun ? 'would cut' : 'cut'
		return printed`${paint('yellow', what)} ${unreadable} off the end of ${name}, from offset ${count(offset)} on${kept}`
	}
	const what = dryRun ? 'would write anew' : 'wrote anew'
	const lost = `${unreadable} cannot be read, ${count(lostRecords)} ${lostRecords === 1 ? 'record is' : 'records are'} lost and a gap says so`
	return printed`${paint('yellow', what)} ${name} from offset ${count(offset)} on: ${lost}${kept}`
}
