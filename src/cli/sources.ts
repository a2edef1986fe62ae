/**
 * Implements `mesh-chain sources`, which shows the archived sources and their state. The registry can be read
 * while a manager writes to it.
 */
import { toJson } from '../codec/json-dialect.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import { droppedTotal } from '../sources/counters.ts'
import type { SourceEntry } from '../sources/entry.ts'
import { modeText } from '../sources/source.ts'
import { sourceReport } from '../sources/source-report.ts'
import { count } from '../text/numbers.ts'
import { type Command, nearest, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { isJson, paintOf, REPORT_OPTIONS } from './output-options.ts'
import { type Printable, printableJson, printed } from './printable.ts'
import {
	asOfMs,
	type RegistryFile,
	readRegistryFile,
	registryFields,
	registryHead,
	tellDamage,
	withNulls,
} from './registry-file.ts'
import { causesText, prettyReport } from './sources-report.ts'
import { type Cell, type Column, table } from './table.ts'

const WORDS = ['status', 'report'] as const

export const sources: Command = {
	name: 'sources',
	summary: 'show the state of the sources that a SourceManager archives',
	usage: 'status DIR [NAME...] | report DIR [options]',
	words: WORDS,
	filesFollow: true,
	examples: [
		[
			'mesh-chain sources status vitals',
			'prints one line for each source in the registry vitals/sources.chain',
		],
		['mesh-chain sources status vitals event-loop', 'prints the line for one source'],
		[
			'mesh-chain sources report vitals',
			'prints totals, and lists silent sources, disconnected sources and sources with dropped samples',
		],
	],
	options: REPORT_OPTIONS,
	statuses: statusTexts({
		ok: 'the registry was read',
		notOk: 'part of the registry is damaged or missing',
		failed: 'the registry cannot be read or contains no source with this name',
	}),
	async run(invocation, terminal) {
		const [word, target, ...names] = invocation.files
		checkWord(word)
		if (target === undefined)
			throw usage(`${word} requires the registry folder, as in sources ${word} vitals`)
		if (word === 'report' && names.length > 0)
			throw usage('report always covers all sources: use status to select sources by name')
		const paint = paintOf(invocation, terminal)
		const registry = await readRegistryFile(target)
		const fields = registryFields(registry)
		let text: Printable
		if (word === 'status') {
			const chosen = chosenOf(registry, names)
			text = isJson(invocation)
				? printableJson(`${toJson(withNulls({ registry: fields, sources: chosen }))}\n`)
				: printed`${registryHead(registry, terminal, paint)}${prettyStatus(chosen, paint)}`
		} else {
			const report = sourceReport(registry.entries, asOfMs(registry, terminal.now()))
			text = isJson(invocation)
				? printableJson(`${toJson(withNulls({ registry: fields, report }))}\n`)
				: printed`${registryHead(registry, terminal, paint)}${prettyReport(report, paint)}`
		}
		await terminal.stdout.write(text)
		if (registry.entries.length === 0)
			terminal.stderr.write(printed`mesh-chain: the registry contains no sources\n`)
		return tellDamage(registry, terminal) ? STATUS.notOk : STATUS.ok
	},
}

function checkWord(word: string | undefined): asserts word is (typeof WORDS)[number] {
	if (word === undefined) throw usage(`sources requires one of ${WORDS.join(', ')}`)
	if ((WORDS as readonly string[]).includes(word)) return
	const meant = nearest(word, WORDS)
	const hint = meant === undefined ? `use ${WORDS.join(' or ')}` : `did you mean ${meant}?`
	throw usage(`sources does not accept ${show(word)}; ${hint}`)
}

/** Returns the sources with these names or aliases. Without names, returns all sources. */
function chosenOf({ entries }: RegistryFile, names: readonly string[]): readonly SourceEntry[] {
	if (names.length === 0) return entries
	return names.map((name) => {
		const found =
			entries.find((entry) => entry.name === name) ?? entries.find(({ aliases }) => aliases.includes(name))
		if (found !== undefined) return found
		const known = entries.flatMap((entry) => [entry.name, ...entry.aliases])
		const meant = nearest(name, known)
		const hint = meant === undefined ? 'omit the name to list all sources' : `did you mean ${show(meant)}?`
		throw new MeshChainError('SOURCE_NOT_FOUND', `no source is archived under ${show(name)}; ${hint}`)
	})
}

const COLUMNS: readonly Column<SourceEntry>[] = [
	{ head: 'name', cell: ({ name, aliases }) => [name, ...aliases].join(' = ') },
	{ head: 'state', cell: stateCell },
	{ head: 'mode', cell: ({ mode }) => modeText(mode) },
	{ head: 'policy', cell: ({ policy }) => policy ?? '' },
	{ head: 'connection', cell: connectionCell },
	{ head: 'received', isRight: true, cell: ({ counts }) => count(counts.received) },
	{ head: 'stored', isRight: true, cell: ({ counts }) => count(counts.stored) },
	{ head: 'dropped', cell: droppedCell },
	{
		head: 'queued',
		isRight: true,
		cell: ({ counts }) => positive(counts.received - counts.stored - droppedTotal(counts)),
	},
	{ head: 'waits', isRight: true, cell: ({ counts }) => positive(counts.waits) },
	{ head: 'missed scans', isRight: true, cell: ({ counts }) => positive(counts.missedScans) },
	{ head: 'per second', isRight: true, cell: ({ rate }) => rate.toFixed(1) },
	{ head: 'type', cell: ({ counts }) => counts.latestType ?? '' },
	{ head: 'last error', cell: ({ counts }) => counts.lastError ?? '' },
]

function prettyStatus(entries: readonly SourceEntry[], paint: Paint): Printable | '' {
	return entries.length === 0 ? '' : table(COLUMNS, entries, paint)
}

function stateCell({ state }: SourceEntry): Cell {
	return state === 'active' ? ['green', state] : ['yellow', state]
}

function connectionCell({ connection, connectedSinceMs, lostMs }: SourceEntry): Cell {
	if (connection === 'connected')
		return connectedSinceMs === undefined ? connection : `${connection} since ${formatTime(connectedSinceMs)}`
	if (lostMs === undefined) return connection
	const lost = formatTime(lostMs)
	return connection === 'disconnected'
		? ['red', `${connection} since ${lost}`]
		: `${connection}, lost ${lost}`
}

function droppedCell({ counts }: SourceEntry): Cell {
	return droppedTotal(counts) === 0 ? '' : ['red', causesText(counts.dropped)]
}

function positive(value: number): string {
	return value === 0 ? '' : count(value)
}
