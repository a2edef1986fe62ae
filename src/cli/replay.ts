/**
 * Implements `mesh-chain replay`, which replays a window of history into a program, a chain, a file or
 * stdout, in real time or at another speed.
 */
import { basename } from 'node:path'
import { answerFor } from '../chain/index.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { formatTime } from '../pretty/format-time.ts'
import { replay as replayInto } from '../replay/replay.ts'
import type { ReplayOptions } from '../replay/replay-options.ts'
import type { ReplayProgress, ReplaySummary } from '../replay/replay-summary.ts'
import type { ReplayTarget } from '../replay/target.ts'
import { ProcessTarget } from '../replay/targets/process-target.ts'
import { count, counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { failureText } from './failure.ts'
import { filtersWithout, type Selection, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { openHistory } from './open-source.ts'
import { COLOR_OPTION } from './output-options.ts'
import { GAP_OPTION, gapOf, SPEED_OPTION, speedOf } from './pace-options.ts'
import { joined, type Printable, printed } from './printable.ts'
import { FOLLOW_OPTION } from './printing.ts'
import { StatusLine } from './progress.ts'
import {
	formatOf,
	type OpenedSource,
	openAny,
	READ_FORMAT_OPTION,
	SelectedSource,
} from './selected-source.ts'
import { TO_OPTION, targetOf } from './targets.ts'
import type { Terminal } from './terminal.ts'

export const replay: Command = {
	name: 'replay',
	summary: 'replay records into a program, a chain or a file, at any speed',
	usage: 'FILE [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain replay node.chain --speed 1 -S 14:00 -U 14:05',
			'prints the records from a window of five minutes in real time',
		],
		[
			"mesh-chain replay node.chain --speed 10 --to 'exec:node check.js'",
			'pipes the records to a program, ten times as fast as they were written',
		],
		[
			'mesh-chain replay node.chain -l warn --to warnings.chain',
			'appends warnings and errors to another chain',
		],
		['mesh-chain replay recorded.jsonl --dry-run', 'counts the records that a replay would deliver'],
	],
	options: [
		...filtersWithout('reverse'),
		TO_OPTION,
		SPEED_OPTION,
		GAP_OPTION,
		FOLLOW_OPTION,
		{
			long: 'retries',
			value: 'COUNT',
			defaultText: '2',
			help: 'number of retries for a record that the target does not accept',
		},
		{ long: 'stop-on-error', help: 'stop at the first record that the target does not accept' },
		{ long: 'dry-run', help: 'count the records without delivering them' },
		READ_FORMAT_OPTION,
		STRICT_OPTION,
		COLOR_OPTION,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'every record was delivered; lost records that the chain accounts for are not errors',
		notOk: 'part of the chain is damaged or missing, or records are lost (with --strict)',
		failed: 'the source cannot be read, a record was not delivered, or the target failed',
		interrupted: 'interrupted (without --follow); the summary includes the --from-seq value to resume with',
	}),
	async run(invocation, terminal) {
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const options = optionsOf(invocation, selection)
		const makeTarget = targetOf(invocation, terminal)
		const interrupted = terminal.interrupted()
		const opened = await openSource(invocation, terminal, interrupted)
		const selected = new SelectedSource(opened, selection, basename(file))
		const line = new StatusLine(terminal)
		let target: ReplayTarget = { write: () => {} }
		let isClosed = false
		try {
			if (!options.dryRun) target = makeTarget()
			const summary = await replayInto(selected, target, {
				...options,
				signal: interrupted,
				progressIntervalMs: 200,
				onProgress: (progress) => line.show(progressText(progress)),
			})
			line.end()
			if (terminal.stdout.isClosed) return STATUS.ok
			tell(summary, terminal)
			isClosed = true
			try {
				await close(target, summary)
			} catch (error) {
				// If the target is a program, Ctrl-C reaches the program too.
				if (!interrupted.aborted) throw error
				terminal.stderr.write(failureText(error))
				return interruptedStatus(interrupted)
			}
			const isWanted = invocation.flag('follow') && summary.ended === 'aborted'
			if (interrupted.aborted && summary.ended !== 'end' && !isWanted) return interruptedStatus(interrupted)
			if (summary.failed > 0 || (summary.ended !== 'end' && !isWanted)) return STATUS.failed
			return statusFor(answerFor([selected.severity]), invocation)
		} finally {
			line.end()
			// The error that ended the replay is more useful than a failure to close the target.
			if (!isClosed) await Promise.resolve(target.close?.()).catch(() => {})
			await opened.close()
		}
	},
}

function optionsOf(invocation: Invocation, { query, limit }: Selection): ReplayOptions {
	const { limit: _limit, reverse: _reverse, gaps: _gaps, ...filter } = query
	const retries = invocation.count('retries')
	return {
		...(filter as LogFilter),
		...(limit === Number.POSITIVE_INFINITY ? {} : { limit }),
		speed: speedOf(invocation),
		...gapOf(invocation),
		...(retries === undefined ? {} : { retries }),
		stopOnError: invocation.flag('stop-on-error'),
		dryRun: invocation.flag('dry-run'),
	}
}

/** Opens the source. With `--follow`, the source continues with new records. */
async function openSource(
	invocation: Invocation,
	terminal: Terminal,
	signal: AbortSignal,
): Promise<OpenedSource> {
	const { file } = invocation
	const format = formatOf(invocation)
	if (!invocation.flag('follow')) return openAny(file, format, terminal)
	if (file === '-' || format !== undefined) throw noFollowing(file)
	const chain = await openHistory(file, terminal).catch((error) => {
		throw error instanceof MeshChainError && error.code === 'NOT_A_CHAIN' ? noFollowing(file) : error
	})
	return {
		chainId: chain.chainId,
		batches: async function* (query = {}) {
			for await (const record of chain.tail({ ...query, signal })) yield [record]
		},
		close: () => chain.close(),
	}
}

function noFollowing(file: string): MeshChainError {
	const lines =
		file === '-'
			? 'omit --follow for stdin'
			: `to follow JSON Lines, run tail -f ${shellWord(file)} | mesh-chain replay -`
	return usage(`--follow requires a chain, and ${file} is not one: ${lines}`)
}

function progressText({ replayed, failed, seq, tsMs, waitsFor }: ReplayProgress): Printable {
	const done = `${count(replayed)} replayed, ${count(failed)} failed`
	if (waitsFor === undefined) return printed`${done}, at seq ${seq} (${formatTime(tsMs)})`
	const wait = `${count(Math.ceil(waitsFor.waitMs / 1000))} s`
	return printed`${done}, waiting ${wait} for seq ${waitsFor.seq} (${formatTime(waitsFor.tsMs)})`
}

/**
 * Closes the target. If the target is already gone, a failure to close it is ignored. A program is the
 * exception, because its exit status is new information.
 */
async function close(target: ReplayTarget, { ended }: ReplaySummary): Promise<void> {
	try {
		await target.close?.()
	} catch (error) {
		if (ended !== 'targetGone' || target instanceof ProcessTarget) throw error
	}
}

/** Reports on stderr what happened and where to resume. */
function tell(summary: ReplaySummary, terminal: Terminal): void {
	const { replayed, failed, ended, firstError, nextSeq, gaps, shortened, lateMsMax } = summary
	const notes = [
		`${counted(replayed, 'record')} replayed in ${(summary.elapsedMs / 1000).toFixed(1)} s`,
		failed === 0 ? '' : `${count(failed)} failed`,
		...Object.entries(summary.skipped).map(([reason, lines]) =>
			lines === 0 ? '' : `${count(lines)} skipped (${reason})`,
		),
		gaps.count === 0 ? '' : `${count(gaps.records)} absent in ${counted(gaps.count, 'gap')}`,
		shortened.count === 0 ? '' : `${counted(shortened.count, 'long silence')} shortened`,
		lateMsMax < 1 ? '' : `at most ${count(Math.round(lateMsMax))} ms late`,
	]
	terminal.stderr.write(printed`mesh-chain: ${joined(notes, printed`, `)}\n`)
	if (firstError !== undefined) {
		const where = firstError.seq === undefined ? '' : ` at seq ${firstError.seq}`
		terminal.stderr.write(printed`  first error${where}: ${firstError.message}\n`)
	}
	if (ended !== 'end' && nextSeq !== undefined) {
		const why = { aborted: 'interrupted', error: 'stopped', targetGone: 'the target is gone' }[ended]
		terminal.stderr.write(printed`  ${why}: resume with --from-seq ${nextSeq}\n`)
	}
}
