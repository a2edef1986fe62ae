/** Implements `mesh-chain info`, which shows what a chain contains and how it ended. */
import { basename } from 'node:path'
import {
	answerFor,
	type ChainAnswer,
	type ChainInfo,
	type EpochInfo,
	formatHead,
	heaviestAnswer,
} from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import { bytes, count, counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { answerText, headText, STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { statusTexts } from './exit-status.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { openHistories } from './open-histories.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { linesOf, type Printable, printableJson, printablePath, printed } from './printable.ts'
import type { Terminal } from './terminal.ts'

const EPOCHS_SHOWN_MAX = 20

export const info: Command = {
	name: 'info',
	summary: 'show what each chain contains and how it ended',
	usage: 'FILE... [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain info node.chain',
			'shows the records, times and openings, and whether the last writer closed the chain',
		],
		['mesh-chain info node.chain -o json | jq .state', 'prints one field of this report'],
		['mesh-chain info cluster/', 'shows each chain in a folder'],
	],
	options: [
		{
			long: 'head',
			help: 'print only the head; store it elsewhere so that verify --head can detect a truncation',
		},
		{
			long: 'full',
			help: 'read every frame of a chain of more than 1 MiB, and not only its anchors',
		},
		STRICT_OPTION,
		...REPORT_OPTIONS,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'ok; lost records that the chain accounts for are not errors',
		notOk: 'part of the chain is damaged or missing, or records are lost (with --strict)',
		failed: 'the file or stream cannot be read, or stdout cannot be written',
	}),
	async run(invocation, terminal) {
		const opened = await openHistories(invocation.someFiles, terminal)
		const answers: ChainAnswer[] = opened.failure === undefined ? [] : [answerFor(['damage'])]
		try {
			for (const [index, { name, chain }] of opened.histories.entries()) {
				const found = await chain.info({ full: invocation.flag('full') })
				const text = infoText(found, name, invocation, terminal)
				await terminal.stdout.write(index === 0 || isOneLine(invocation) ? text : printed`\n${text}`)
				answers.push(found.answer)
			}
			return statusFor(heaviestAnswer(answers), invocation)
		} finally {
			await opened.chain.close()
		}
	},
}

/** Returns whether the output of each chain is one line, for programs. */
function isOneLine(invocation: Invocation): boolean {
	return invocation.flag('head') || isJson(invocation)
}

function infoText(found: ChainInfo, file: string, invocation: Invocation, terminal: Terminal): Printable {
	if (!invocation.flag('head')) {
		return isJson(invocation)
			? printableJson(`${JSON.stringify(found)}\n`)
			: prettyInfo(found, file, paintOf(invocation, terminal))
	}
	if (found.head.link !== '') return printed`${formatHead(found.head)}\n`
	throw usage(
		'there is no head: a stream has none, and a file has one only if one of its anchors is readable',
	)
}

function prettyInfo(found: ChainInfo, file: string, paint: Paint): Printable {
	const levels = Object.entries(found.levels).filter(([, records]) => records > 0)
	const rows: [string, string | Printable | undefined][] = [
		['chain', `${found.chainId}, format ${found.formatVersion}${createdText(found)}`],
		['state', stateText(found, paint)],
		['records', recordsText(found)],
		['times', timesText(found)],
		['levels', levels.map(([level, records]) => `${level} ${count(records)}`).join(', ') || undefined],
		['size', sizeText(found)],
		['files', filesText(found)],
		['gaps', gapsText(found, paint)],
		['torn tail', found.tornBytes === 0 ? undefined : `${bytes(found.tornBytes)} (normal after a crash)`],
		[
			'damage',
			found.damagedPlaces === 0
				? undefined
				: paint('red', `${bytes(found.damagedBytes)} in ${damagedText(found.damagedPlaces, file)}`),
		],
		['checked', checkedText(found)],
		['answer', found.answer === 'ok' ? undefined : answerText(found, paint)],
		['head', found.head.link === '' ? undefined : headText(found.head)],
	]
	const lines = rows.flatMap(([name, text]) =>
		text === undefined ? [] : [printed`${paint('bold', name.padEnd(10))} ${text}`],
	)
	// The path of a merged stream is too long to print, because it contains an address for each of its chains.
	const path = isStreamAddress(file) ? file : found.path
	return linesOf([paint('bold', printablePath(path)), ...lines, ...epochLines(found, paint)])
}

/** Formats the creation time. Returns an empty string for a stream without a readable message. */
function createdText({ createdMs }: ChainInfo): string {
	return createdMs === undefined ? '' : `, created ${formatTime(createdMs)}`
}

function damagedText(places: number, file: string): string {
	if (isStreamAddress(file)) return counted(places, 'message')
	return `${counted(places, 'place')}; next: mesh-chain verify ${shellWord(file)}`
}

/** Describes how the last writer ended, or which process is writing. */
export function stateText(found: ChainInfo, paint: Paint): Printable {
	const { state, exitCode, holder, unwritten, unknownBecause } = found
	if (state === 'closed') return paint('green', 'closed')
	if (state === 'exited') return paint(exitCode === 0 ? 'green' : 'yellow', `exited with ${exitCode}`)
	if (state === 'crashed') return paint('red', howItCrashed(unwritten))
	if (state === 'unknown') {
		return paint('yellow', `not closed; it is unknown whether a writer has it open (${unknownBecause})`)
	}
	const by = holder ? ` by process ${holder.pid} on ${holder.host} since ${formatTime(holder.sinceMs)}` : ''
	return paint('cyan', `open${by}`)
}

function howItCrashed(unwritten: number | undefined): string {
	if (unwritten === undefined) return 'crashed: the last writer was killed, or the machine lost power'
	const lost = unwritten === 0 ? '' : `; ${counted(unwritten, 'record')} could not be written`
	return `not closed: the last writer failed to close it${lost}`
}

function recordsText({ records, firstSeq, lastSeq }: ChainInfo): string {
	return records === 0 ? 'none' : `${count(records)}, seq ${firstSeq} to ${lastSeq}`
}

function timesText({ minTsMs, maxTsMs }: ChainInfo): string | undefined {
	if (minTsMs === undefined || maxTsMs === undefined) return undefined
	return `${formatTime(minTsMs)} to ${formatTime(maxTsMs)}`
}

function sizeText(found: ChainInfo): string {
	const each = found.records === 0 ? '' : `, ${(found.bytes / found.records).toFixed(1)} bytes per record`
	return `${bytes(found.bytes)}${each}`
}

function filesText({ segments }: ChainInfo): string | undefined {
	return segments.length <= 1
		? undefined
		: `${count(segments.length)}, the oldest ${basename(segments[0]!.path)}`
}

function checkedText({ notChecked }: ChainInfo): string | undefined {
	return notChecked === undefined
		? undefined
		: `anchors; not checked: ${notChecked} (info --full checks them)`
}

function gapsText({ gaps }: ChainInfo, paint: Paint): Printable | undefined {
	if (gaps.count === 0) return undefined
	const causes = Object.entries(gaps.byCause).map(([cause, records]) => `${cause} ${count(records)}`)
	return paint(
		'yellow',
		`${counted(gaps.records, 'record')} absent in ${counted(gaps.count, 'gap')}: ${causes.join(', ')}`,
	)
}

function epochLines({ epochs, path }: ChainInfo, paint: Paint): (string | Printable)[] {
	// A stream has no openings.
	if (epochs.length === 0 && isStreamAddress(path)) return []
	const shown = epochs.slice(-EPOCHS_SHOWN_MAX)
	const left = epochs.length - shown.length
	const more = left === 0 ? [] : [paint('dim', `  … and ${counted(left, 'earlier one')}`)]
	return [paint('bold', `openings   ${count(epochs.length)}`), ...more, ...shown.map(epochLine)]
}

function epochLine(epoch: EpochInfo): string {
	const range = epoch.firstSeq === undefined ? 'no records' : `seq ${epoch.firstSeq} to ${epoch.lastSeq}`
	const end = epoch.state === 'exited' ? `exited with ${epoch.exitCode}` : epoch.state
	const cut = epoch.cutBytes === 0 ? '' : `, ${bytes(epoch.cutBytes)} cut from the tail on opening`
	return `  ${String(epoch.epoch).padStart(4)}  ${formatTime(epoch.openedMs)}  ${range}, ${end}${cut}`
}
