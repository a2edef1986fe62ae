/** `mesh-chain replay-sql`: journaled statements into another Postgres, and which of them answer differently there. */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { openChain } from '../chain/index.ts'
import type { PgTargetOptions } from '../journal/pg-target.ts'
import type { ReplayStatementsOptions } from '../journal/replay-statements-options.ts'
import type {
	StatementPosition,
	StatementProgress,
	StatementReport,
	StatementSkipReason,
} from '../journal/statement-report.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { FILTER_OPTIONS, type Selection, selectionOf } from './filters.ts'
import { count } from './numbers.ts'
import { linesOf, type Printable, printableJson, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { Selected } from './selected-source.ts'
import { GAP_OPTION, gapOf, SPEED_OPTION, speedOf } from './speed.ts'
import { type Paint, paintFor, STATUS } from './terminal.ts'
import { formatTime, parseDuration } from './times.ts'

const NOT_HERE = ['reverse', 'limit', 'kind']
/** So many of each list are shown to people. */
const SHOWN_MAX = 20

export const replaySql: Command = {
	name: 'replay-sql',
	summary: 'replay journaled SQL into another Postgres, and compare',
	usage: 'FILE --target URL [options]',
	examples: [
		[
			'mesh-chain replay-sql node.chain -S 10:00 -U 11:00 --target postgres://mesh@staging/shop --compare',
			'an hour of it into another database: what answers differently there?',
		],
		[
			"mesh-chain replay-sql node.chain -S 10:00 --target 'postgres://mesh@staging/shop?options=-c%20search_path%3Dshop'",
			'with a setting that its sessions were given before 10:00',
		],
		['mesh-chain replay-sql node.chain --dry-run', 'only count what would be replayed'],
	],
	options: [
		{ long: 'target', value: 'URL', help: 'postgres://user@host:5432/database, without a password' },
		{ long: 'host', value: 'HOST', help: 'these stand in place of what the URL says' },
		{ long: 'port', value: 'PORT', help: 'of the target' },
		{ long: 'user', value: 'USER', help: 'of the target' },
		{ long: 'database', value: 'NAME', help: 'of the target' },
		{
			long: 'password-file',
			value: 'FILE',
			help: 'a file that holds the password; PGPASSWORD and ~/.pgpass are read too',
		},
		...FILTER_OPTIONS.filter(({ long }) => !NOT_HERE.includes(long)),
		{ long: 'compare', help: 'compare rows, checksums and errors with the recording, reads included' },
		{
			long: 'mode',
			value: 'MODE',
			choices: ['commit', 'as-recorded'],
			help: 'commit: one transaction after the other; as-recorded: interleaved as they were',
		},
		{ long: 'include-rolled-back', help: 'replay what was rolled back too' },
		SPEED_OPTION,
		GAP_OPTION,
		{
			long: 'connect-timeout',
			value: 'DURATION',
			help: 'how long a new connection may take, such as 30s: 10s; as-recorded, also how long one may be lacking',
		},
		{ long: 'retries', value: 'COUNT', help: 'how often a lost connection is tried to be made again: 10' },
		{ long: 'stop-on-error', help: 'end after the first transaction that failed' },
		{ long: 'dry-run', help: 'connect to nothing: only count' },
		...REPORT_OPTIONS,
	],
	async run(invocation, terminal) {
		for (const name of invocation.files)
			if (name.includes('://')) throw usage('which database to replay into is named with --target')
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const options = optionsOf(invocation, selection)
		const target = targetOf(invocation, options.dryRun === true)
		const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
		const replayStatements = await loadReplay()
		const signal = terminal.interrupted()
		const chain = await openChain(file)
		const selected = new Selected(chain, selection, basename(file))
		const line = new StatusLine(terminal)
		try {
			const onProgress = (progress: StatementProgress) => line.show(progressText(progress))
			const report = await replayStatements(selected, target, {
				...options,
				signal,
				onProgress,
				progressIntervalMs: 200,
			})
			line.end()
			// What the chain has lost cannot have been replayed, whatever explains it.
			const isLossy = selected.severity !== 'note'
			const isJson = invocation.text('output') === 'json'
			const text = isJson
				? printableJson(`${JSON.stringify(report)}\n`)
				: prettyReport(report, paint, isLossy, options.dryRun === true)
			await terminal.stdout.write(text)
			return statusOf(report, isLossy)
		} finally {
			line.end()
			await chain.close()
		}
	},
}

/** What needs node-postgres is loaded here only: everything else works without it. */
async function loadReplay() {
	try {
		return (await import('../journal/replay-statements.ts')).replayStatements
	} catch (error) {
		const { code } = error as { readonly code?: unknown }
		if (code !== 'ERR_MODULE_NOT_FOUND' || !messageOf(error).includes("'pg'")) throw error
		throw new MeshChainError(
			'TARGET_UNREACHABLE',
			'replay-sql needs node-postgres, which is not installed: npm install pg',
		)
	}
}

function optionsOf(invocation: Invocation, { query }: Selection): ReplayStatementsOptions {
	const { limit: _limit, reverse: _reverse, gaps: _gaps, ...filter } = query
	const retries = invocation.count('retries')
	const connect = invocation.text('connect-timeout')
	return {
		...filter,
		mode: invocation.text('mode') === 'as-recorded' ? 'asRecorded' : 'commit',
		compare: invocation.flag('compare'),
		includeRolledBack: invocation.flag('include-rolled-back'),
		speed: speedOf(invocation),
		...gapOf(invocation),
		...(retries === undefined ? {} : { retries }),
		...(connect === undefined ? {} : { connectMs: parseDuration('--connect-timeout', connect) }),
		stopOnError: invocation.flag('stop-on-error'),
		dryRun: invocation.flag('dry-run'),
	}
}

/** No message of this says what was given: it may be a secret. */
function targetOf(invocation: Invocation, isDryRun: boolean): PgTargetOptions {
	const url = invocation.text('target')
	if (url !== undefined) {
		if (hasPassword(url))
			throw usage(
				'--target has a password in it, which the list of processes shows to everyone: leave it out, and set PGPASSWORD, put it into ~/.pgpass, or name a file that holds it with --password-file',
			)
		if (!/^postgres(?:ql)?:\/\//.test(url))
			throw usage('--target takes a URL such as postgres://user@host:5432/database')
	}
	const port = invocation.count('port')
	if (port !== undefined && (port === 0 || port > 65_535))
		throw usage('--port takes a number from 1 to 65535')
	const given = {
		url,
		host: invocation.text('host'),
		port,
		user: invocation.text('user'),
		database: invocation.text('database'),
	}
	const target = Object.fromEntries(
		Object.entries(given).filter(([, value]) => value !== undefined && value !== ''),
	)
	if (Object.keys(target).length === 0 && !isDryRun)
		throw usage('replay into which database? --target postgres://user@host/database names it')
	const path = invocation.text('password-file')
	return path === undefined ? target : { ...target, password: passwordIn(path) }
}

function hasPassword(url: string): boolean {
	if (/:\/\/[^@]*:[^@]*@/.test(url) || /[?&]password=/i.test(url)) return true
	return URL.canParse(url) && (new URL(url).password !== '' || new URL(url).searchParams.has('password'))
}

function passwordIn(path: string): string {
	let text: string
	try {
		text = readFileSync(path, 'utf8')
	} catch (error) {
		throw usage(`--password-file cannot be read: ${messageOf(error)}`)
	}
	const password = text.replace(/\r?\n$/, '')
	if (password !== '') return password
	throw usage(`--password-file names a file with nothing in it: ${path}`)
}

function progressText({ replayed, failures, differences, seq, tsMs }: StatementProgress): Printable {
	return printed`${count(replayed)} replayed, ${count(failures)} failed, ${count(differences)} differed, at seq ${seq} of ${formatTime(tsMs)}`
}

function statusOf(report: StatementReport, isLossy: boolean): number {
	if (report.ended === 'aborted' || report.endedBy !== null) return STATUS.usage
	const { failures, differences, unreplayables } = report
	if (failures + differences + unreplayables > 0 || isLossy) return STATUS.damage
	return report.replayed === 0 ? STATUS.nothingMatched : STATUS.fine
}

function prettyReport(report: StatementReport, paint: Paint, isLossy: boolean, isDryRun: boolean): Printable {
	const lines = [
		...listed(report.differed, report.differences, ({ what, expected, actual }) => {
			return printed`${paint('yellow', 'differed')} in ${what}: ${expected ?? 'none'} was recorded, ${actual ?? 'none'} now`
		}),
		...listed(report.failed, report.failures, ({ error }) => printed`${paint('red', 'failed')}: ${error}`),
		...listed(
			report.unreplayable,
			report.unreplayables,
			({ why }) => printed`${paint('yellow', 'not replayable')}: ${why}`,
		),
		printed`${verdictOf(report, paint, isLossy)}: ${summaryOf(report, isDryRun)}`,
	]
	if (report.firstError !== null) lines.push(printed`  first error: ${report.firstError}`)
	if (report.endedBy !== null) lines.push(printed`  ${report.endedBy.code}: ${report.endedBy.message}`)
	if (report.ended !== 'end')
		lines.push(printed`  ${ENDINGS[report.ended]}: what comes behind was not replayed`)
	return linesOf(lines)
}

const ENDINGS = {
	aborted: 'interrupted',
	error: 'stopped by the error',
	targetGone: 'the target does not come back',
	targetFull: 'the target has too few connections',
} as const

function verdictOf(
	{ replayed, failures, differences, unreplayables, ended }: StatementReport,
	paint: Paint,
	isLossy: boolean,
) {
	if (failures + differences + unreplayables > 0) return paint('red', 'NOT THE SAME')
	if (ended !== 'end' || isLossy) return paint('red', 'NOT ALL')
	return replayed === 0 ? paint('yellow', 'NOTHING REPLAYED') : paint('green', 'ok')
}

const REASONS: Readonly<Record<StatementSkipReason, string>> = {
	readOnly: 'only reading',
	filtered: 'filtered out',
	rolledBack: 'rolled back',
	unknownEnd: 'recorded without their end',
	unfinished: 'not ended within the window',
	incomplete: 'begun before the window, or lost in part',
	unreplayable: 'not replayable',
	afterError: 'behind a failed one',
	notAStatement: 'damaged, or no statement of a journal',
}

function summaryOf(report: StatementReport, isDryRun: boolean): string {
	const { replayed, transactions, failures, unknown, differences, unreplayables, gaps } = report
	const seconds = (report.elapsedMs / 1000).toFixed(1)
	const done = isDryRun ? 'would be replayed' : `replayed in ${seconds} s`
	return [
		`${count(replayed)} ${replayed === 1 ? 'statement' : 'statements'} of ${count(transactions)} ${transactions === 1 ? 'transaction' : 'transactions'} ${done}`,
		failures === 0 ? '' : `${count(failures)} failed`,
		unknown === 0 ? '' : `${count(unknown)} of them perhaps not`,
		differences === 0 ? '' : `${count(differences)} differed`,
		unreplayables === 0 ? '' : `${count(unreplayables)} not replayable`,
		...Object.entries(report.skipped).map(
			([reason, statements]) => `${count(statements)} skipped (${REASONS[reason as StatementSkipReason]})`,
		),
		gaps.count === 0 ? '' : `${count(gaps.records)} absent in ${count(gaps.count)} gaps`,
		report.retries === 0 ? '' : `${count(report.retries)} retries`,
		report.reconnects === 0 ? '' : `${count(report.reconnects)} reconnects`,
	]
		.filter(Boolean)
		.join(', ')
}

function* listed<T extends StatementPosition>(
	list: readonly T[],
	total: number,
	text: (entry: T) => Printable,
) {
	for (const entry of list.slice(0, SHOWN_MAX)) {
		const { tx, seq, recordSeq } = entry
		yield printed`${text(entry)}\n  tx ${tx} seq ${seq}, record ${recordSeq}: ${entry.text}`
	}
	if (total > SHOWN_MAX) yield printed`  and ${count(total - SHOWN_MAX)} more: -o json lists up to 1,000`
}
