/**
 * Implements `mesh-chain repair`, which repairs a damaged chain and keeps a copy of each file that it
 * changes.
 */
import { type RepairAction, type RepairReport, repairChain } from '../chain/index.ts'
import type { Paint } from '../pretty/paint.ts'
import { bytes, count, counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { answerText, CHECK_STATUSES, STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { statusTexts } from './exit-status.ts'
import { findingLine, notListedLines, printLines } from './findings.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { type Printable, printableJson, printablePath, printed } from './printable.ts'
import { ProgressLine } from './progress.ts'

export const repair: Command = {
	name: 'repair',
	summary: 'repair a damaged chain, and keep a copy of each changed file',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain repair --dry-run node.chain', 'shows what a repair would do, without changing anything'],
		['mesh-chain repair node.chain', 'repairs the chain, and keeps a copy next to each changed file'],
	],
	options: [
		{ long: 'dry-run', help: 'show what a repair would do, without changing anything' },
		STRICT_OPTION,
		...REPORT_OPTIONS,
	],
	statuses: statusTexts(CHECK_STATUSES),
	async run(invocation, terminal) {
		const { file } = invocation
		const paint = paintOf(invocation, terminal)
		const progress = new ProgressLine(terminal)
		const dryRun = invocation.flag('dry-run')
		const report = await repairChain(file, { dryRun, onProgress: progress.show }).finally(() =>
			progress.end(),
		)
		const { stdout } = terminal
		if (isJson(invocation)) await stdout.write(printableJson(`${JSON.stringify(report)}\n`))
		else await printLines(stdout, prettyReport(file, report, paint))
		return statusFor(report.answer, invocation)
	},
}

function prettyReport(file: string, report: RepairReport, paint: Paint): Printable[] {
	const lines = report.actions.map((action) => actionLine(action, report.dryRun, paint))
	lines.push(...report.left.map((finding) => printed`left as evidence: ${findingLine(finding, paint)}`))
	lines.push(...notListedLines(report.leftNotListed, ' left as evidence'))
	const answer = answerText(report, paint)
	if (report.dryRun) {
		lines.push(printed`${file}: ${answer}: ${counted(report.records, 'record')}; nothing was changed`)
		if (report.actions.length > 0) lines.push(printed`next: mesh-chain repair ${shellWord(file)}`)
	} else {
		const done = report.actions.length === 0 ? 'nothing to repair' : 'repaired'
		lines.push(printed`${file}: ${done}; now ${answer}: ${counted(report.records, 'record')}`)
		if (!report.ok) lines.push(printed`next: mesh-chain verify ${shellWord(file)}`)
	}
	return lines
}

function actionLine(action: RepairAction, dryRun: boolean, paint: Paint): Printable {
	const { path, offset, lostRecords, keptAt } = action
	const name = printablePath(path)
	const unreadable = bytes(action.bytes)
	const kept = keptAt === undefined ? '' : printed`; the original is kept at ${printablePath(keptAt)}`
	if (action.action === 'cut') {
		const what = dryRun ? 'would cut' : 'cut'
		const where = printed`off the end of ${name}, from offset ${count(offset)}`
		return printed`${paint('yellow', what)} ${unreadable} ${where}${kept}`
	}
	const what = dryRun ? 'would rewrite' : 'rewrote'
	const records =
		lostRecords === 0
			? 'no records are lost'
			: `${counted(lostRecords, 'record is', 'records are')} lost and covered by a gap`
	const lost = `${unreadable} cannot be read; ${records}`
	return printed`${paint('yellow', what)} ${name} from offset ${count(offset)}: ${lost}${kept}`
}
