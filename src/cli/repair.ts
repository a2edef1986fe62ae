/** `mesh-chain repair`: puts a damaged chain right, keeping what it changes. */
import type { RepairAction, RepairReport } from '../chain/chain.ts'
import { repairChain } from '../chain/verify/repair.ts'
import { answerText, STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { escapeControls, shownPath } from './escape.ts'
import { findingLine } from './findings.ts'
import { bytes, count } from './numbers.ts'
import { ProgressLine } from './progress.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { Output, type Paint, paintFor } from './terminal.ts'

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
		const isJson = invocation.text('output') === 'json'
		const text = isJson ? `${JSON.stringify(report)}\n` : prettyReport(file, report, paint)
		await new Output(terminal.stdout).write(text)
		return statusFor(report.answer, invocation)
	},
}

function prettyReport(file: string, report: RepairReport, paint: Paint): string {
	const name = escapeControls(file)
	const lines = report.actions.map((action) => actionLine(action, report.dryRun, paint))
	lines.push(...report.left.map((finding) => `left as evidence: ${findingLine(finding, paint)}`))
	const answer = answerText(report, paint)
	if (report.dryRun) {
		lines.push(`${name}: ${answer}: ${count(report.records)} records; nothing was changed`)
		if (report.actions.length > 0) lines.push(`next: mesh-chain repair ${name}`)
	} else {
		const done = report.actions.length === 0 ? 'nothing to repair' : 'repaired'
		lines.push(`${name}: ${done}; ${answer}: ${count(report.records)} records`)
		if (!report.ok) lines.push(`next: mesh-chain verify ${name}`)
	}
	return `${lines.join('\n')}\n`
}

function actionLine(action: RepairAction, dryRun: boolean, paint: Paint): string {
	const { path, offset, lostRecords, keptAt } = action
	const name = shownPath(path)
	const unreadable = bytes(action.bytes)
	const kept = keptAt === undefined ? '' : `; what was there is kept at ${shownPath(keptAt)}`
	if (action.action === 'cut') {
		const what = dryRun ? 'would cut' : 'cut'
		return `${paint('yellow', what)} ${unreadable} off the end of ${name}, from offset ${count(offset)} on${kept}`
	}
	const what = dryRun ? 'would write anew' : 'wrote anew'
	const lost = `${unreadable} cannot be read, ${count(lostRecords)} ${lostRecords === 1 ? 'record is' : 'records are'} lost and a gap says so`
	return `${paint('yellow', what)} ${name} from offset ${count(offset)} on: ${lost}${kept}`
}
