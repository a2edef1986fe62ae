/**
 * `npm run test:soak`: runs at full size the tests that `npm test` keeps small. The variable
 * MESH_CHAIN_<name> sets each size, and a failure names the seed that repeats it. At the end, a table shows
 * the results of each row.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
const FILES = [
	'test/crash',
	'test/large',
	'test/properties',
	'test/golden',
	'test/oracle',
	'test/codec/shapes.test.ts',
	'test/chain/read/query-oracle.test.ts',
	'test/chain/verify/hostile-file.test.ts',
	'test/loop/hard-appenders.test.ts',
	'test/merge/split-and-merge.test.ts',
	'test/journal/replay-statements.test.ts',
]

const sizes = JSON.parse(readFileSync(join(import.meta.dirname, 'sizes.json'), 'utf8'))
const env = { ...process.env }
for (const [name, { soak, what }] of Object.entries(sizes)) {
	const variable = `MESH_CHAIN_${name}`
	env[variable] ??= String(soak)
	console.log(`${variable}=${env[variable]}  ${what}`)
}
const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-soak-'))
env['MESH_CHAIN_COUNTS'] = join(folder, 'counts')
try {
	const vitest = join('node_modules', 'vitest', 'vitest.mjs')
	const given = process.argv.slice(2)
	// Runs the given files instead of all of them.
	const files = given.some((arg) => !arg.startsWith('-')) ? [] : FILES
	const args = [vitest, 'run', '--testTimeout=7200000', '--maxWorkers=2', ...given, ...files]
	const { status } = spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' })
	process.exitCode = status ?? 1
	const counts = readFileSync(env['MESH_CHAIN_COUNTS'], 'utf8')
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line))
	counts.sort((a, b) => a.row - b.row)
	console.log('\n| row | test | reached |\n| --- | --- | --- |')
	for (const { row, test, text } of counts) console.log(`| ${row} | ${test} | ${text} |`)
} finally {
	rmSync(folder, { recursive: true, force: true })
}
