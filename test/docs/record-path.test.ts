/**
 * Checks the list in docs/explanation/architecture.md of the files that a record passes on its way to the
 * disk, with the counters that V8 keeps for each function.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT, run, TYPESCRIPT } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const RECORDS = 1_000
const FILES_MAX = 16

/** Publishes records, and prints the number of calls of each function in src/ that they caused, by file. */
const COUNT_CALLS = `
	import { Session } from 'node:inspector/promises'
	import { join } from 'node:path'
	import { pathToFileURL } from 'node:url'
	const [root, path, records] = process.argv.slice(1)
	const src = pathToFileURL(join(root, 'src')).href + '/'
	const { FileChainAppender, MeshLoop } = await import(src + 'index.ts')
	const loop = new MeshLoop(new FileChainAppender(path))
	const publish = (ms) => loop.info('request', { method: 'GET', ms, user: { plan: 'pro' } })
	for (let index = 0; index < 100; index++) publish(index)
	await loop.sync()
	const session = new Session()
	session.connect()
	await session.post('Profiler.enable')
	await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
	for (let index = 0; index < records; index++) publish(index)
	await loop.sync()
	const { result } = await session.post('Profiler.takePreciseCoverage')
	const scripts = result.filter(({ url }) => url.startsWith(src))
	const calls = scripts.map(({ url, functions }) => [
		url.slice(src.length),
		Math.max(...functions.map(({ ranges }) => ranges[0].count)),
	])
	console.log(JSON.stringify(Object.fromEntries(calls)))
	await loop.close()
`

test('a record with data passes at most 16 files, which architecture.md lists', async () => {
	const page = readFileSync(join(ROOT, 'docs/explanation/architecture.md'), 'utf8')
	const table = /A record with `data` passes[\s\S]*?\n\n(\|[\s\S]*?)\n\n/.exec(page)![1]!
	const rows = table
		.split('\n')
		.slice(2)
		.map((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, file]) => file!))
	const perFrame = rows.at(-1)!
	const perRecord = rows.slice(0, -1).flat()
	expect(perRecord.length + perFrame.length).toBeLessThanOrEqual(FILES_MAX)

	const chain = join(temporaryFolder(), 'node.chain')
	const args = ['--input-type=module', '-e', COUNT_CALLS, ROOT, chain, String(RECORDS)]
	const { stdout } = await run(process.execPath, [...TYPESCRIPT, ...args])
	const calls: Record<string, number> = JSON.parse(stdout)
	expect(perRecord.filter((file) => !(calls[file]! >= RECORDS))).toEqual([])
	expect(perFrame.filter((file) => !(calls[file]! > 0))).toEqual([])
})
