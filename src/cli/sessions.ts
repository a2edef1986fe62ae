/** Implements `mesh-chain sessions`, which lists the sessions in a chain and their checkpoints. */
import { type Chain, type ChainAnswer, openChain, severityOfCause } from '../chain/index.ts'
import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import type { Checkpoint, SessionInfo } from '../recorder/session.ts'
import { ChainSession, listSessions, sessionRecordsFromElsewhere } from '../recorder/sessions.ts'
import { count, counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { statusTexts } from './exit-status.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { type Printable, printableJson, printed, together } from './printable.ts'
import { tellEnd } from './printing.ts'
import type { Terminal } from './terminal.ts'

interface Row extends SessionInfo {
	readonly events: number
	readonly checkpoints: readonly Omit<Checkpoint, 'state'>[]
}

export const sessions: Command = {
	name: 'sessions',
	summary: "list a chain's sessions and their checkpoints",
	usage: 'FILE [options]',
	examples: [
		['mesh-chain sessions node.chain', 'lists the sessions with their start, end and checkpoints'],
		['mesh-chain dump node.chain --session checkout', 'prints the records of one session'],
		['mesh-chain dump node.chain --between before after', 'prints the records between two checkpoints'],
	],
	options: [STRICT_OPTION, ...REPORT_OPTIONS],
	statuses: statusTexts({
		ok: 'the sessions were listed; lost records that the chain accounts for are not errors',
		notOk: 'part of the chain is damaged or missing, or records are lost (with --strict)',
		failed: 'the chain cannot be read, or stdout cannot be written',
	}),
	async run(invocation, terminal) {
		const paint = paintOf(invocation, terminal)
		const chain = await openChain(invocation.file)
		try {
			const rows: Row[] = []
			for (const info of await listSessions(chain)) {
				const session = new ChainSession(chain, info)
				const checkpoints = (await session.checkpoints()).map(({ state: _state, ...rest }) => rest)
				rows.push({ ...info, events: await session.count(), checkpoints })
			}
			const text = isJson(invocation)
				? printableJson(
						`${JSON.stringify(rows.map((row) => ({ ...row, stoppedMs: row.stoppedMs ?? null })))}\n`,
					)
				: together(rows.map((row) => shown(row, paint)))
			await terminal.stdout.write(text)
			if (rows.length === 0) terminal.stderr.write(printed`mesh-chain: the chain contains no session\n`)
			const elsewhere = await sessionRecordsFromElsewhere(chain)
			if (elsewhere !== undefined) terminal.stderr.write(printed`mesh-chain: ${elsewhere}\n`)
			const answer = await tellLoss(chain, invocation.file, terminal)
			const isDamaged = await tellEnd(chain, invocation.file, terminal)
			return statusFor(isDamaged ? 'not ok' : answer, invocation)
		} finally {
			await chain.close()
		}
	},
}

/** Reports lost records on stderr, because they may include sessions and checkpoints. */
async function tellLoss(chain: Chain, file: string, terminal: Terminal): Promise<ChainAnswer> {
	const { gaps, answer } = await chain.info({ full: true })
	const losses = Object.entries(gaps.byCause).filter(([cause]) => severityOfCause(cause) === 'loss')
	if (losses.length === 0) return answer
	const absent = losses
		.map(([cause, records]) => `${counted(records, 'record is', 'records are')} absent (${cause})`)
		.join(', ')
	const text = `${absent}; sessions and checkpoints among them are not listed`
	const next = `mesh-chain info ${shellWord(file)}`
	terminal.stderr.write(printed`mesh-chain: ${file}: ${text}; next: ${next}\n`)
	return answer
}

function shown(
	{ id, startedMs, stoppedMs, startSeq, endSeq, events, checkpoints }: Row,
	paint: Paint,
): Printable {
	const end = stoppedMs === undefined ? paint('yellow', 'not stopped') : `to ${formatTime(stoppedMs)}`
	const span = printed`${formatTime(startedMs)} ${end}, seq ${startSeq} to ${endSeq}`
	const head = printed`${paint('bold', id)}  ${span}, ${counted(events, 'event')}\n`
	const lines = checkpoints.map(({ id: name, label, eventIndex, tsMs, seq }) => {
		const text = label === undefined || label === name ? '' : ` ${label}`
		const at = `before event ${count(eventIndex)} #${seq}`
		return printed`  ${formatTime(tsMs)} ${paint('cyan', name)}${text} ${at}\n`
	})
	return together([head, ...lines])
}
