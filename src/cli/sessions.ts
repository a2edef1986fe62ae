/** `mesh-chain sessions`: the named spans of history that a chain holds. */
import { type Chain, type ChainAnswer, openChain, severityOfCause } from '../chain/index.ts'
import type { Checkpoint, SessionInfo } from '../recorder/session.ts'
import { ChainSession, listSessions, sessionRecordsFromElsewhere } from '../recorder/sessions.ts'
import { shellWord } from '../text/shell-word.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import type { Command } from './command.ts'
import { count } from './numbers.ts'
import { type Printable, printableJson, printed, together } from './printable.ts'
import { tellEnd } from './printing.ts'
import { REPORT_OPTIONS } from './report-options.ts'
import { type Paint, paintFor, type Terminal } from './terminal.ts'
import { formatTime } from './times.ts'

interface Row extends SessionInfo {
	readonly events: number
	readonly checkpoints: readonly Omit<Checkpoint, 'state'>[]
}

export const sessions: Command = {
	name: 'sessions',
	summary: 'list the sessions of a chain, and their checkpoints',
	usage: 'FILE [options]',
	examples: [
		['mesh-chain sessions node.chain', 'when each began and ended, and its checkpoints'],
		['mesh-chain dump node.chain --session checkout', 'the records of one'],
		['mesh-chain dump node.chain --between before after', 'what came between two checkpoints'],
	],
	options: [STRICT_OPTION, ...REPORT_OPTIONS],
	async run(invocation, terminal) {
		const paint = paintFor(invocation.text('color') ?? 'auto', terminal)
		const chain = await openChain(invocation.file)
		try {
			const rows: Row[] = []
			for (const info of await listSessions(chain)) {
				const session = new ChainSession(chain, info)
				const checkpoints = (await session.checkpoints()).map(({ state: _state, ...rest }) => rest)
				rows.push({ ...info, events: await session.count(), checkpoints })
			}
			const isJson = invocation.text('output') === 'json'
			const text = isJson
				? printableJson(
						`${JSON.stringify(rows.map((row) => ({ ...row, stoppedMs: row.stoppedMs ?? null })))}\n`,
					)
				: together(rows.map((row) => shown(row, paint)))
			await terminal.stdout.write(text)
			if (rows.length === 0) terminal.stderr.write(printed`mesh-chain: the chain holds no session\n`)
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

/** Says on stderr what is missing from the chain, and so may be from the list. */
async function tellLoss(chain: Chain, file: string, terminal: Terminal): Promise<ChainAnswer> {
	const { gaps, answer } = await chain.info()
	const losses = Object.entries(gaps.byCause).filter(([cause]) => severityOfCause(cause) === 'loss')
	if (losses.length === 0) return answer
	const text = losses.map(([cause, records]) => `${count(records)} records are absent (${cause})`).join(', ')
	terminal.stderr.write(
		printed`mesh-chain: ${file}: ${text}, and what they said of sessions is not listed; next: mesh-chain info ${shellWord(file)}\n`,
	)
	return answer
}

function shown(
	{ id, startedMs, stoppedMs, startSeq, endSeq, events, checkpoints }: Row,
	paint: Paint,
): Printable {
	const end = stoppedMs === undefined ? paint('yellow', 'not stopped') : `to ${formatTime(stoppedMs)}`
	const head = printed`${paint('bold', id)}  ${formatTime(startedMs)} ${end}, seq ${startSeq} to ${endSeq}, ${count(events)} events\n`
	const lines = checkpoints.map(({ id: name, label, eventIndex, tsMs, seq }) => {
		const text = label === undefined || label === name ? '' : ` ${label}`
		return printed`  ${formatTime(tsMs)} ${paint('cyan', name)}${text} before event ${count(eventIndex)} #${seq}\n`
	})
	return together([head, ...lines])
}
