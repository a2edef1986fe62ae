/** `mesh-chain replay`: a window of history into a program, another chain, a file, or on stdout; in real time or any other. */
import { basename } from 'node:path'
import { answerFor } from '../chain/index.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogFilter } from '../model/filter.ts'
import { replay as replayInto } from '../replay/replay.ts'
import type { ReplayOptions } from '../replay/replay-options.ts'
import type { ReplayProgress, ReplaySummary } from '../replay/replay-summary.ts'
import type { ReplayTarget } from '../replay/target.ts'
import { ProcessTarget } from '../replay/targets/process-target.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { FILTER_OPTIONS, type Selection, selectionOf } from './filters.ts'
import { count } from './numbers.ts'
import { openHistory } from './open-source.ts'
import { joined, type Printable, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { COLOR_OPTION } from './report-options.ts'
import { FORM_OPTION, type Opened, openAny, Selected } from './selected-source.ts'
import { GAP_OPTION, gapOf, SPEED_OPTION, speedOf } from './speed.ts'
import { TO_OPTION, targetOf } from './targets.ts'
import { STATUS, type Terminal } from './terminal.ts'
import { formatTime } from './times.ts'

export const replay: Command = {
	name: 'replay',
	summary: 'replay records at their own pace, or any other',
	usage: 'FILE [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain replay node.chain --speed 1 -S 14:00 -U 14:05', 'five minutes as they went, on stdout'],
		[
			"mesh-chain replay node.chain --speed 10 --to 'exec:node check.js'",
			'into a program, ten times as fast',
		],
		['mesh-chain replay node.chain -l warn --to warnings.chain', 'a part of it into another chain'],
		['mesh-chain replay recorded.jsonl --dry-run', 'only count what would be replayed'],
	],
	options: [
		...FILTER_OPTIONS.filter(({ long }) => long !== 'reverse'),
		TO_OPTION,
		SPEED_OPTION,
		GAP_OPTION,
		{ long: 'follow', short: 'f', help: 'go on with what is written from now on, until interrupted' },
		{
			long: 'retries',
			value: 'COUNT',
			help: 'how often a record is tried again that the target did not take: 2',
		},
		{ long: 'stop-on-error', help: 'end with the first record that the target did not take' },
		{ long: 'dry-run', help: 'hand nothing over: only count' },
		FORM_OPTION,
		STRICT_OPTION,
		COLOR_OPTION,
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const options = optionsOf(invocation, selection)
		const makeTarget = targetOf(invocation, terminal)
		const interrupted = terminal.interrupted()
		const opened = await openSource(invocation, terminal, interrupted)
		const selected = new Selected(opened, selection, basename(file))
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
			// A reader like head has what it wanted.
			if (terminal.stdout.isClosed) return STATUS.fine
			// First: a Ctrl-C ends a program that is the target too, which is then an error of its own.
			const status = tell(summary, selected, invocation, terminal)
			isClosed = true
			await close(target, summary)
			return status
		} finally {
			line.end()
			// What ended it says more than what closing says then.
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

/** What is written from now on too, where that is asked for. */
async function openSource(invocation: Invocation, terminal: Terminal, signal: AbortSignal): Promise<Opened> {
	const { file } = invocation
	const form = invocation.text('form')
	if (!invocation.flag('follow')) return openAny(file, form, terminal)
	if (file === '-' || form !== undefined) throw noFollowing(file)
	const chain = await openHistory(file).catch((error) => {
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
		file === '-' ? 'leave it out' : `tail -f ${shellWord(file)} | mesh-chain replay - follows JSON Lines`
	return usage(`--follow needs a chain, which ${file} is not: ${lines}`)
}

function progressText({ replayed, failed, seq, tsMs, waitsFor }: ReplayProgress): Printable {
	const done = `${count(replayed)} replayed, ${count(failed)} failed`
	if (waitsFor === undefined) return printed`${done}, at seq ${seq} of ${formatTime(tsMs)}`
	const wait = `${count(Math.ceil(waitsFor.waitMs / 1000))} s`
	return printed`${done}, waiting ${wait} for seq ${waitsFor.seq} of ${formatTime(waitsFor.tsMs)}`
}

/** A file that takes no more cannot be closed as it should be either, which is no news; how a program ended is. */
async function close(target: ReplayTarget, { ended }: ReplaySummary): Promise<void> {
	try {
		await target.close?.()
	} catch (error) {
		if (ended !== 'targetGone' || target instanceof ProcessTarget) throw error
	}
}

/** Says on stderr what happened, and where to go on. */
function tell(
	summary: ReplaySummary,
	selected: Selected,
	invocation: Invocation,
	terminal: Terminal,
): number {
	const { replayed, failed, ended, firstError, nextSeq, gaps, shortened, lateMsMax } = summary
	const notes = [
		`${count(replayed)} ${replayed === 1 ? 'record' : 'records'} replayed in ${(summary.elapsedMs / 1000).toFixed(1)} s`,
		failed === 0 ? '' : `${count(failed)} failed`,
		...Object.entries(summary.skipped).map(([reason, lines]) =>
			lines === 0 ? '' : `${count(lines)} skipped (${reason})`,
		),
		gaps.count === 0 ? '' : `${count(gaps.records)} absent in ${count(gaps.count)} gaps`,
		shortened.count === 0 ? '' : `${count(shortened.count)} long gaps in time not waited for in full`,
		lateMsMax < 1 ? '' : `at the most ${count(Math.round(lateMsMax))} ms late`,
	]
	terminal.stderr.write(printed`mesh-chain: ${joined(notes, printed`, `)}\n`)
	if (firstError !== undefined) {
		const where = firstError.seq === undefined ? '' : ` at seq ${firstError.seq}`
		terminal.stderr.write(printed`  first error${where}: ${firstError.message}\n`)
	}
	if (ended !== 'end' && nextSeq !== undefined) {
		const why = { aborted: 'interrupted', error: 'stopped', targetGone: 'the target takes no more' }[ended]
		terminal.stderr.write(printed`  ${why}: go on with --from-seq ${nextSeq}\n`)
	}
	if (failed > 0 || ended !== 'end') return STATUS.usage
	return statusFor(answerFor([selected.severity]), invocation)
}
