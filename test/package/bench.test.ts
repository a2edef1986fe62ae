/** No bench rots: each runs once, small, without the peers. */
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ROOT, run } from '../support/process.ts'

const RESULTS = join(ROOT, 'bench', 'results')
const WORKS = [
	'append/turn=1000/durability=os',
	'append/turn=10/durability=os',
	'append/turn=1/durability=os',
	'append/tasks=1000/durability=disk',
	'read/everything',
	'read/errors=bursts',
	'read/errors=spread',
	'large/1GiB',
	'growth',
	'event-loop',
	'follow',
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

test('every bench runs and checks its work; a smoke run leaves no results', {
	timeout: 120_000,
}, async () => {
	const before = resultsAsTheyAre()
	const { status, stdout, stderr } = await bench('--smoke')
	expect(status, stderr).toBe(0)
	expect(headings(stdout)).toEqual(WORKS)
	expect(stdout).toMatch(/\| mesh-chain +\| [\d,]+/)
	expect(resultsAsTheyAre()).toEqual(before)
})

test('--only picks by name', async () => {
	const { status, stdout, stderr } = await bench('--smoke', '--only', 'turn=10/')
	expect(status, stderr).toBe(0)
	expect(headings(stdout)).toEqual(['append/turn=10/durability=os'])
})

test('an option or a name that does not exist ends with status 2', async () => {
	expect((await bench('--fast')).status).toBe(2)
	expect((await bench('--only', 'nothing')).status).toBe(2)
})

test('two benches at once are refused, because they would measure each other', async () => {
	const mark = join(ROOT, 'bench', '.running')
	writeFileSync(mark, String(process.pid))
	onTestFinished(() => rmSync(mark, { force: true }))
	const { status, stderr } = await bench('--only', 'follow')
	expect(status).toBe(1)
	expect(stderr).toContain(`another bench is running (process ${process.pid})`)
})
