/** Formats the output of `mesh-chain sources report` for people. */

import { formatTime } from '../pretty/format-time.ts'
import type { Paint } from '../pretty/paint.ts'
import { type DroppedCounts, droppedTotal } from '../sources/counters.ts'
import type { SourceReport } from '../sources/source-report.ts'
import { bytes, count } from '../text/numbers.ts'
import { joined, type Printable, printed, together } from './printable.ts'
import { type Column, table } from './table.ts'

/** Maximum number of names and table rows in the pretty report; `-o json` lists all of them. */
const SHOWN_MAX = 20

/**
 * Formats the report: totals, sources that need attention, and tables of dropped samples and lost
 * connections.
 */
export function prettyReport(report: SourceReport, paint: Paint): Printable {
	const lines = sectionsOf(report, paint).flatMap(([name, text]) =>
		text === '' ? [] : [printed`${paint('bold', name.padEnd(15))} ${text}\n`],
	)
	const parts = [
		together(lines),
		...tableOf('samples dropped', LOSS_COLUMNS, report.losses, paint),
		...tableOf('connections lost', LOST_COLUMNS, report.lostConnections, paint),
	]
	return joined(parts, printed`\n`)
}

/** Formats the causes of dropped samples with their counts, such as `overflow 3, type 1`. */
export function causesText(dropped: Readonly<DroppedCounts>): string {
	const causes = Object.entries(dropped).filter(([, samples]) => samples > 0)
	return causes.map(([cause, samples]) => `${cause} ${count(samples)}`).join(', ')
}

function sectionsOf(report: SourceReport, paint: Paint): (readonly [string, string | Printable])[] {
	const dropped = droppedTotal(report)
	const since = (name: string, tsMs: number) => `${name} (since ${formatTime(tsMs)})`
	const warn = (names: readonly string[]) => (names.length === 0 ? '' : paint('yellow', listOf(names)))
	return [
		['sources', `${count(report.sources)}, ${count(report.active)} of them active`],
		['rate', `${report.rate.toFixed(1)} samples per second`],
		['received', `${count(report.received)}, ${count(report.stored)} stored`],
		['storage', `about ${bytes(report.storedBytes)}`],
		['paused', listOf(report.paused)],
		['inactive', listOf(report.inactive)],
		['never connected', warn(report.neverConnected)],
		['disconnected', warn(report.disconnected.map(({ name, lostMs }) => since(name, lostMs)))],
		['silent (1 h)', warn(report.silent.map(({ name, lastEventMs }) => since(name, lastEventMs)))],
		['dropped', dropped === 0 ? 'none' : paint('red', `${count(dropped)}: ${causesText(report.dropped)}`)],
	]
}

function listOf(names: readonly string[]): string {
	const shown = names.slice(0, SHOWN_MAX).join(', ')
	return names.length <= SHOWN_MAX ? shown : `${shown}, … and ${count(names.length - SHOWN_MAX)} more`
}

type Loss = SourceReport['losses'][number]
const CAUSES = [
	'overflow',
	'timestamp',
	'order',
	'type',
	'refused',
] as const satisfies (keyof DroppedCounts)[]

const LOSS_COLUMNS: readonly Column<Loss>[] = [
	{ head: 'source', cell: ({ name }) => name },
	{ head: 'dropped', isRight: true, cell: ({ total }) => count(total) },
	...CAUSES.map((cause) => ({
		head: cause,
		isRight: true,
		cell: (loss: Loss) => (loss[cause] === 0 ? '' : count(loss[cause])),
	})),
]

const LOST_COLUMNS: readonly Column<SourceReport['lostConnections'][number]>[] = [
	{ head: 'source', cell: ({ name }) => name },
	{ head: 'lost', isRight: true, cell: ({ disconnects }) => count(disconnects) },
	{
		head: 'last',
		cell: ({ lastDisconnectMs }) => (lastDisconnectMs === undefined ? '' : formatTime(lastDisconnectMs)),
	},
]

function tableOf<Row>(
	title: string,
	columns: readonly Column<Row>[],
	rows: readonly Row[],
	paint: Paint,
): Printable[] {
	if (rows.length === 0) return []
	const more = rows.length <= SHOWN_MAX ? '' : `… and ${count(rows.length - SHOWN_MAX)} more\n`
	return [printed`${paint('bold', title)}\n${table(columns, rows.slice(0, SHOWN_MAX), paint)}${more}`]
}
