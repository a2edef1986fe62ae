/**
 * Formats results as Markdown tables that are also readable as plain text. The targets and their results come
 * first, followed by the works.
 */

import { settings } from './settings.mjs'

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/**
 * The columns of a work's table, in order: title and digits. A figure has a column if at least one contender
 * reports it.
 */
const COLUMNS = {
	recordsPerSecond: ['records/s', 0],
	readRecordsPerSecond: ['read, records/s', 0],
	bytesPerRecord: ['bytes/record', 1],
	gzipBytesPerRecord: ['gzip -6', 1],
	closeMs: ['close, ms', 1],
	ms: ['ms', 2],
	firstMs: ['first record, ms', 0],
	allMs: ['all records, ms', 0],
	reads: ['reads', 0],
	mebibytesRead: ['MiB read', 2],
	growthRatio: ['large ÷ small', 2],
	appendRssMiB: ['added memory, MiB', 1],
	readGrowthRatio: ['read: large ÷ small', 2],
	readRssMiB: ['read: added memory, MiB', 1],
	publishP50Us: ['publish p50, µs', 2],
	publishP999Us: ['publish p99.9, µs', 1],
	appendMaxMs: ['longest append, ms', 2],
	pauseMaxMs: ['longest pause, ms', 2],
	p50Ms: ['p50, ms', 2],
	p99Ms: ['p99, ms', 2],
	maxMs: ['max, ms', 2],
	offered: ['offered', 0],
	stored: ['stored', 0],
	dropped: ['dropped', 0],
	cpuPercent: ['processor, %', 1],
	messagesPerSecond: ['messages/s', 0],
	serverCpuPercent: ['servers: processor, %', 1],
	queriesPerSecond: ['queries/s', 0],
	requestsPerSecond: ['requests/s', 0],
	cpuUsPerRequest: ['processor, µs/request', 1],
	cpuUsPerQuery: ['processor, µs/query', 1],
	ns: ['ns/record', 0],
	gigabytesPerSecond: ['GB/s', 2],
}

export function markdown({ machine, versions, mode, works }) {
	const { cpu, cores, memoryGiB, node, os, fileSystem } = machine
	// The names of contenders are among the values.
	const measured = JSON.stringify(works)
	return [
		'# Benchmark',
		'',
		`${cpu}, ${cores} cores, ${memoryGiB} GiB; Node ${node}; ${os}, ${fileSystem}`,
		'',
		Object.entries(versions)
			.map(([name, version]) => `${name} ${version}`)
			.join(', '),
		'',
		`Mode \`${mode}\`. Medians of interleaved rounds; a ratio is taken within each round. ` +
			'Spread: minimum to maximum.',
		'',
		...targets(works),
		...works.flatMap(workTables),
		'## Settings',
		'',
		...Object.entries(settings)
			.filter(([name]) => measured.includes(`"${name}"`))
			.map(([name, text]) => `- ${name}: ${text}`),
		'',
	].join('\n')
}

function targets(works) {
	const rows = works.flatMap(({ name, checks }) =>
		checks
			.filter(({ met }) => met !== undefined)
			.map((check) => [
				name,
				subject(check),
				check.what,
				...valueCells(check),
				targetOf(check),
				check.met ? 'met' : 'missed',
			]),
	)
	if (rows.length === 0) return []
	return [
		'## Targets',
		'',
		...table(['work', 'who', 'of', 'median', 'spread', 'target', 'verdict'], rows),
		'',
	]
}

function workTables({ name, records, rounds, contenders, checks }) {
	const other = checks.filter(({ met }) => met === undefined)
	return [
		`## ${name}`,
		'',
		`${whole.format(records)} records, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
		'',
		...contenderTable(contenders),
		'',
		...(other.length === 0
			? []
			: [
					...table(
						['who', 'of', 'median', 'spread'],
						other.map((check) => [subject(check), check.what, ...valueCells(check)]),
					),
					'',
				]),
	]
}

function contenderTable(contenders) {
	const keys = Object.keys(COLUMNS).filter((key) =>
		contenders.some(({ figures }) => figures[key] !== undefined),
	)
	const rows = contenders.map(({ name, figures }) => {
		const main = Object.values(figures)[0]
		return [
			name,
			...keys.map((key) => (figures[key] === undefined ? '' : number(figures[key].median, COLUMNS[key][1]))),
			`${whole.format(main.spread * 100)} %`,
		]
	})
	return table(['contender', ...keys.map((key) => COLUMNS[key][0]), 'spread'], rows)
}

function subject({ ours, peer }) {
	return peer === undefined ? ours : `${ours} ÷ ${peer}`
}

function valueCells({ median, min, max }) {
	const digits = max >= 100 ? 0 : 2
	return [number(median, digits), `${number(min, digits)} to ${number(max, digits)}`]
}

function targetOf({ atLeast, atMost }) {
	return atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`
}

function number(value, digits) {
	return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function table(head, rows) {
	const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)))
	const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
	return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)]
}
