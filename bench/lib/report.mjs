/** Results as Markdown tables that also read well as plain text. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function markdown({ machine, versions, mode, works }) {
	const { cpu, cores, memoryGiB, node, os, fileSystem } = machine
	return [
		'# Benchmark',
		'',
		`${cpu}, ${cores} cores, ${memoryGiB} GiB; Node ${node}; ${os}, ${fileSystem}`,
		'',
		Object.entries(versions)
			.map(([name, version]) => `${name} ${version}`)
			.join(', '),
		'',
		`Mode \`${mode}\`. Medians of interleaved rounds; a ratio is taken within each round. Spread: from the least to the greatest.`,
		'',
		...works.flatMap((work) => workTables(work)),
	].join('\n')
}

export function workTables(work) {
	const lines = [
		`## ${work.name}`,
		'',
		`${whole.format(work.records)} records, ${work.rounds} ${work.rounds === 1 ? 'round' : 'rounds'}`,
		'',
		...contenderTable(work.contenders),
		'',
	]
	if (work.ratios.length > 0) lines.push(...ratioTable(work.ratios), '')
	return lines
}

function contenderTable(contenders) {
	const written = contenders.some(({ bytesPerRecord }) => bytesPerRecord !== undefined)
	const head = ['contender', 'records/s', 'spread', ...(written ? ['bytes/record', 'close, ms'] : [])]
	const rows = contenders.map(({ name, recordsPerSecond, bytesPerRecord, closeMs }) => [
		name,
		whole.format(recordsPerSecond.median),
		`${whole.format(recordsPerSecond.spread * 100)} %`,
		...(written ? [bytesPerRecord.toFixed(1), closeMs.toFixed(1)] : []),
	])
	return table(head, rows)
}

function ratioTable(ratios) {
	const rows = ratios.map((ratio) => [
		`${ratio.ours} ÷ ${ratio.peer}`,
		ratio.of,
		ratio.median.toFixed(2),
		`${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)}`,
		targetOf(ratio),
		ratio.met === undefined ? '–' : ratio.met ? 'met' : 'missed',
	])
	return table(['ratio', 'of', 'median', 'spread', 'target', 'verdict'], rows)
}

function targetOf({ atLeast, bytesAtMost }) {
	if (atLeast !== undefined) return `≥ ${atLeast}`
	return bytesAtMost === undefined ? '–' : `≤ ${bytesAtMost}`
}

function table(head, rows) {
	const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)))
	const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
	return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)]
}
