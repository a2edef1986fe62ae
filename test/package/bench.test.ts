/** Keeps the benchmarks working: each runs once, at a small size and without the peers. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ROOT, run } from '../support/process.ts'

const RESULTS = join(ROOT, 'bench', 'results')
const WORKS = [
	'append/request/turn=1000',
	'append/request/turn=10',
	'append/request/turn=1',
	'append/error/turn=1000',
	'append/wide/turn=1000',
	'append/plain/turn=1000',
	'append/plain/turn=10',
	'append/plain/turn=1',
	'append/tasks=1000/durability=disk',
	'read/request/turn=1000',
	'read/request/turn=10',
	'read/request/turn=1',
	'read/error/turn=1000',
	'read/wide/turn=1000',
	'read/plain',
	'read/errors=bursts',
	'read/errors=spread',
	'http',
	'large/1GiB',
	'growth',
	'event-loop',
	'follow',
	'sources/paced',
	'sources/fast',
	'sources/restore',
	'journal/clients=1',
	'journal/clients=8',
	'cluster/publish',
	'cluster/publish/replicas=3',
	'cluster/catch-up',
	'cluster/small-messages',
	'cluster/many-chains',
	'cluster/up',
	'cluster/down',
	'start',
	'stages',
]

function bench(...args: string[]) {
	return run(process.execPath, ['bench/run.mjs', ...args], { cwd: ROOT })
}

function headings(markdown: string): string[] {
	return [...markdown.matchAll(/^## (.+)$/gm)].map(([, title]) => title ?? '')
}

function resultsAsTheyAre() {
	return readdirSync(RESULTS).map((name) => [name, statSync(join(RESULTS, name)).mtimeMs])
}

test('every bench runs and checks its work; a smoke run leaves no results', async () => {
	const before = resultsAsTheyAre()
	const { status, stdout, stderr } = await bench('--smoke')
	expect(status, stderr).toBe(0)
	expect(headings(stdout)).toEqual([...WORKS, 'Settings'])
	expect(stdout).toMatch(/\| mesh-chain +\| [\d,]+/)
	expect(resultsAsTheyAre()).toEqual(before)
})

test('--only selects benchmarks by name', async () => {
	const { status, stdout, stderr } = await bench('--smoke', '--only', 'plain/turn=10')
	expect(status, stderr).toBe(0)
	expect(headings(stdout)).toEqual(['append/plain/turn=1000', 'append/plain/turn=10', 'Settings'])
})

test('an unknown option or name ends with status 2', async () => {
	expect((await bench('--fast')).status).toBe(2)
	expect((await bench('--only', 'nothing')).status).toBe(2)
	const compare = (...args: string[]) => run(process.execPath, ['bench/compare.mjs', ...args], { cwd: ROOT })
	for (const wrong of [[], ['.', '--work', 'nothing'], ['.', '--turn', '0'], ['.', '--seconds', 'x']])
		expect((await compare(...wrong)).status).toBe(2)
})

test('two benches at once are refused, because they would measure each other', async () => {
	const mark = join(ROOT, 'bench', '.running')
	writeFileSync(mark, String(process.pid))
	onTestFinished(() => rmSync(mark, { force: true }))
	const { status, stderr } = await bench('--only', 'follow')
	expect(status).toBe(1)
	expect(stderr).toContain(`another bench is running (process ${process.pid})`)
})

test('two builds are compared in every workload, with every record', async () => {
	const small = ['--records', '200', '--turn', '100', '--seconds', '0.1', '--runs', '1']
	const { status, stdout, stderr } = await run(process.execPath, ['bench/compare.mjs', '.', ...small], {
		cwd: ROOT,
	})
	// The run is so small that either build may win.
	expect([0, 1], stderr).toContain(status)
	const compared = [...stdout.matchAll(/^(?:ok|LOSS) +(\w+ \w+), 100 per turn .* ratio \d\.\d{3}/gm)]
	const works = ['append', 'read', 'publish']
	const wanted = works.flatMap((work) =>
		['plain', 'request', 'error', 'wide'].map((shape) => `${work} ${shape}`),
	)
	expect(compared.map(([, name]) => name)).toEqual(wanted)
})

test('the stored picture and table match the stored figures', async () => {
	const draw = `
		import { readFileSync } from 'node:fs'
		const { markdown } = await import('./bench/lib/report.mjs')
		const { svg } = await import('./bench/lib/picture.mjs')
		const results = JSON.parse(readFileSync('bench/results/full.json', 'utf8'))
		process.stdout.write(JSON.stringify({ md: markdown(results), svg: svg(results) }))
	`
	const { status, stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', draw], {
		cwd: ROOT,
	})
	expect(status, stderr).toBe(0)
	const drawn = JSON.parse(stdout)
	expect(drawn.md).toBe(readFileSync(join(RESULTS, 'full.md'), 'utf8'))
	expect(drawn.svg).toBe(readFileSync(join(RESULTS, 'full.svg'), 'utf8'))
})

/** Returns the rows of tables that the benchmark printed, which their headings identify. */
function quotedRows(text: string): string[] {
	const rows: string[] = []
	let isQuoted = false
	for (const line of text.split('\n')) {
		if (!line.startsWith('|')) isQuoted = false
		else if (/^\| (work|contender|who) +\|/.test(line)) isQuoted = true
		if (isQuoted) rows.push(line)
	}
	return rows
}

test.each(['docs/explanation/performance.md', 'docs/explanation/scale.md'])(
	'%s quotes only what the stored run printed, on its machine',
	(name) => {
		const printed = readFileSync(join(RESULTS, 'full.md'), 'utf8').split('\n')
		const text = readFileSync(join(ROOT, name), 'utf8')
		const cells = (row: string) =>
			row
				.split(/ *\| */)
				.join('|')
				.replaceAll(/-+/g, '-')
		const allowed = new Set(printed.map(cells))
		const rows = quotedRows(text)
		expect(rows.length).toBeGreaterThan(5)
		for (const row of rows) expect(allowed).toContain(cells(row))
		const machine = printed.find((line) => line.includes(' cores, '))?.split(';')[0]
		// Lines of the docs are wrapped.
		expect(text.replaceAll(/\s+/g, ' ')).toContain(machine)
	},
)

test('README.md quotes medians that the stored run printed, on its machine', () => {
	const printed = readFileSync(join(RESULTS, 'full.md'), 'utf8').split('\n')
	const text = readFileSync(join(ROOT, 'README.md'), 'utf8')
	const [, table = ''] = /^\| task .*\n\| -.*\n((?:\|.*\n)+)/m.exec(text) ?? []
	const medians = printed.filter((line) => line.includes(' ÷ ')).map((line) => line.split('|')[4]?.trim())
	const quoted = [...table.matchAll(/ ([\d.]+)× +\|$/gm)].map(([, figure]) => figure)
	expect(quoted).toHaveLength(9)
	for (const figure of quoted) expect(medians).toContain(figure)
	const machine = printed.find((line) => line.includes(' cores, '))?.split(';')[0]
	expect(text.replaceAll(/\s+/g, ' ')).toContain(machine)
})
