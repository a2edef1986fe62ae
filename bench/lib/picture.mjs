/**
 * The results as a picture: bars with the records per second of each contender, for the most relevant works.
 */

const SHOWN = [
	'append/request/turn=1000',
	'append/request/turn=1',
	'read/request/turn=1000',
	'append/plain/turn=1000',
	'append/plain/turn=1',
	'read/plain',
	'read/errors=bursts',
]
const WIDTH = 860
const LABEL_WIDTH = 190
const VALUE_WIDTH = 110
const ROW_HEIGHT = 22
const TITLE_HEIGHT = 44

const STYLE = [
	'text { fill: #24292f } .other { fill: #8c959f } .ours { fill: #1a7f64 }',
	'.small { font-size: 12px; fill: #6e7781 }',
	'@media (prefers-color-scheme: dark)',
	'{ text { fill: #e6edf3 } .small { fill: #9198a1 } .ours { fill: #3fb994 } }',
].join(' ')

/** Returns an SVG drawing that is readable on light and dark pages. */
export function svg({ machine, works }) {
	const shown = works.filter(({ name }) => SHOWN.includes(name))
	const parts = []
	let top = 34
	for (const work of shown) {
		parts.push(...panel(work, top))
		top += TITLE_HEIGHT + work.contenders.length * ROW_HEIGHT
	}
	const height = top + 16
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
			`viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">`,
		`<style>${STYLE}</style>`,
		text(
			16,
			24,
			`Records per second, medians. ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`,
			'small',
		),
		...parts,
		'</svg>',
		'',
	].join('\n')
}

function panel({ name, contenders }, top) {
	const rates = contenders.map((contender) => contender.figures.recordsPerSecond.median)
	const most = Math.max(...rates)
	const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
	return [
		`<text x="16" y="${top + 28}" font-weight="600">${escaped(name)}</text>`,
		...contenders.flatMap((contender, row) => {
			const y = top + TITLE_HEIGHT - 4 + row * ROW_HEIGHT
			const width = Math.max(1, (rates[row] / most) * room)
			const kind = contender.name.startsWith('mesh-chain') ? 'ours' : 'other'
			return [
				`<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escaped(contender.name)}</text>`,
				`<rect class="${kind}" x="${LABEL_WIDTH}" y="${y + 2}" ` +
					`width="${width.toFixed(1)}" height="${ROW_HEIGHT - 6}" rx="2"/>`,
				text(
					(LABEL_WIDTH + width + 8).toFixed(1),
					y + 13,
					Math.round(rates[row]).toLocaleString('en-US'),
					'small',
				),
			]
		}),
	]
}

function text(x, y, content, kind) {
	return `<text x="${x}" y="${y}" class="${kind}">${escaped(content)}</text>`
}

function escaped(content) {
	return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
