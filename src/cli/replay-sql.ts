/**
 * Implements `mesh-chain replay-sql`, which replays journaled statements into another Postgres server and
 * compares the results.
 */
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
import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import { count, counted } from '../text/numbers.ts'
import { parseDuration } from './amounts.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { filtersWithout, type Selection, selectionOf } from './filters.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { GAP_OPTION, gapOf, SPEED_OPTION, speedOf } from './pace-options.ts'
import { linesOf, type Printable, printableJson, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { SelectedSource } from './selected-source.ts'

/** Maximum number of entries in each list of the pretty report. */
const SHOWN_MAX = 20

export const replaySql: Command = {
	name: 'replay-sql',
	summary: 'replay journaled SQL into another Postgres server, and compare the results',
	usage: 'FILE --target URL [options]',
	examples: [
		[
			'mesh-chain replay-sql node.chain -S 10:00 -U 11:00 --target ' +
				'postgres://mesh@staging/shop --compare',
			'replays one hour into another database, and shows which statements return different results',
		],
		[
			'mesh-chain replay-sql node.chain -S 10:00 --target ' +
				"'postgres://mesh@staging/shop?options=-c%20search_path%3Dshop'",
			'applies the search path that the sessions had set before 10:00',
		],
		['mesh-chain replay-sql node.chain --dry-run', 'counts the statements that a replay would execute'],
	],
	options: [
		{
			long: 'target',
			value: 'URL',
			help: 'target database, postgres://USER@HOST:5432/DATABASE, without a password',
		},
		{ long: 'host', value: 'HOST', help: 'target host, instead of the host in the URL' },
		{ long: 'port', value: 'PORT', help: 'target port, instead of the port in the URL' },
		{ long: 'user', value: 'USER', help: 'target user, instead of the user in the URL' },
		{ long: 'database', value: 'NAME', help: 'target database, instead of the database in the URL' },
		{
			long: 'password-file',
			value: 'FILE',
			defaultText: 'PGPASSWORD, or ~/.pgpass',
			help: 'file that contains the target password',
		},
		...filtersWithout('reverse', 'limit', 'kind'),
		{
			long: 'compare',
			help: 'compare rows, checksums and errors with the recording, and also replay reads',
		},
		{
			long: 'mode',
			value: 'MODE',
			choices: ['commit', 'as-recorded'],
			default: 'commit',
			help: 'one transaction at a time in commit order, or transactions interleaved as recorded',
		},
		{ long: 'include-rolled-back', help: 'also replay transactions that were rolled back' },
		SPEED_OPTION,
		GAP_OPTION,
		{
			long: 'connect-timeout',
			value: 'DURATION',
			defaultText: '10s',
			help:
				'maximum time to open a connection; with --mode as-recorded, also the maximum wait ' +
				'for a free connection',
		},
		{
			long: 'retries',
			value: 'COUNT',
			defaultText: '10',
			help: 'number of retries after a lost connection, a deadlock or a serialization failure',
		},
		{ long: 'stop-on-error', help: 'stop after the first transaction that fails' },
		{ long: 'dry-run', help: 'count the statements without connecting to the target' },
		...REPORT_OPTIONS,
	],
	environment: [['PGPASSWORD', 'target password']],
	statuses: statusTexts({
		ok: 'every statement was replayed and, with --compare, returned the recorded result',
		nothingMatched: 'no statement was replayed',
		notOk: 'a statement failed, returned a different result or is not replayable, or records are lost',
		failed: 'the chain cannot be read, the target is unreachable, or the replay ended early',
		interrupted: 'interrupted; later statements were not replayed',
	}),
	async run(invocation, terminal) {
		for (const name of invocation.files)
			if (name.includes('://')) throw usage('FILE must be a chain: name the database with --target')
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const options = optionsOf(invocation, selection)
		const target = targetOf(invocation, options.dryRun === true)
		const paint = paintOf(invocation, terminal)
		const replayStatements = await loadReplay()
		const signal = terminal.interrupted()
		const chain = await openChain(file)
		const selected = new SelectedSource(chain, selection, basename(file))
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
			// Lost records count as not replayed, even if the chain accounts for them.
			const isLossy = selected.severity !== 'note'
			const text = isJson(invocation)
				? printableJson(`${JSON.stringify(report)}\n`)
				: prettyReport(report, paint, { isLossy, isDryRun: options.dryRun === true })
			await terminal.stdout.write(text)
			if (report.ended === 'aborted') return interruptedStatus(signal)
			return statusForReport(report, isLossy)
		} finally {
			line.end()
			await chain.close()
		}
	},
}

/** Loads the code that depends on node-postgres, which is an optional dependency. */
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

/**
 * Returns the target that the options describe. Error messages never quote a value, because it may be a
 * secret.
 */
function targetOf(invocation: Invocation, isDryRun: boolean): PgTargetOptions {
	const url = invocation.text('target')
	if (url !== undefined) {
		if (hasPassword(url))
			throw usage(
				'--target contains a password, which every user of this machine can see: ' +
					'use PGPASSWORD, ~/.pgpass or --password-file',
			)
		if (!/^postgres(?:ql)?:\/\//.test(url))
			throw usage('--target must be a URL such as postgres://user@host:5432/database')
	}
	const port = invocation.count('port')
	if (port !== undefined && (port === 0 || port > 65_535))
		throw usage('--port must be an integer from 1 to 65535')
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
		throw usage('--target is missing: name the database, as in --target postgres://user@host/database')
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
	throw usage(`--password-file is empty: ${path}`)
}

function progressText({ replayed, failures, differences, seq, tsMs }: StatementProgress): Printable {
	const counts = `${count(replayed)} replayed, ${count(failures)} failed, ${count(differences)} differed`
	return printed`${counts}, at seq ${seq} (${formatTime(tsMs)})`
}

function statusForReport(report: StatementReport, isLossy: boolean): number {
	if (report.endedBy !== null) return STATUS.failed
	const { failures, differences, unreplayables } = report
	if (failures + differences + unreplayables > 0 || isLossy) return STATUS.notOk
	return report.replayed === 0 ? STATUS.nothingMatched : STATUS.ok
}

function prettyReport(
	report: StatementReport,
	paint: Paint,
	{ isLossy, isDryRun }: { readonly isLossy: boolean; readonly isDryRun: boolean },
): Printable {
	const lines = [
		...listed(report.differed, report.differences, ({ what, expected, actual }) => {
			const values = printed`recorded ${expected ?? 'none'}, replayed ${actual ?? 'none'}`
			return printed`${paint('yellow', 'differed')} in ${what}: ${values}`
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
		lines.push(printed`  ${ENDINGS[report.ended]}: later statements were not replayed`)
	return linesOf(lines)
}

const ENDINGS = {
	aborted: 'interrupted',
	error: 'stopped by the error',
	targetGone: 'the target could not be reached again',
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
	readOnly: 'read-only',
	filtered: 'filtered out',
	rolledBack: 'rolled back',
	unknownEnd: 'recorded without an end',
	unfinished: 'not ended within the window',
	incomplete: 'started before the window, or partly lost',
	unreplayable: 'not replayable',
	afterError: 'after a failed statement',
	notAStatement: 'damaged, or not a journaled statement',
}

function summaryOf(report: StatementReport, isDryRun: boolean): string {
	const { replayed, transactions, failures, unknown, differences, unreplayables, gaps } = report
	const seconds = (report.elapsedMs / 1000).toFixed(1)
	const done = isDryRun ? 'would be replayed' : `replayed in ${seconds} s`
	return [
		`${counted(replayed, 'statement')} of ${counted(transactions, 'transaction')} ${done}`,
		failures === 0 ? '' : `${count(failures)} failed`,
		unknown === 0 ? '' : `${count(unknown)} of them with an unknown outcome`,
		differences === 0 ? '' : `${count(differences)} differed`,
		unreplayables === 0 ? '' : `${count(unreplayables)} not replayable`,
		...Object.entries(report.skipped).map(
			([reason, statements]) => `${count(statements)} skipped (${REASONS[reason as StatementSkipReason]})`,
		),
		gaps.count === 0 ? '' : `${count(gaps.records)} absent in ${counted(gaps.count, 'gap')}`,
		report.retries === 0 ? '' : counted(report.retries, 'retry', 'retries'),
		report.reconnects === 0 ? '' : counted(report.reconnects, 'reconnect'),
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
	if (total > SHOWN_MAX) yield printed`  and ${count(total - SHOWN_MAX)} more; -o json lists up to 1,000`
}
