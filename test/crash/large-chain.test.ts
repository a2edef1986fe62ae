/**
 * A large chain: seeking is cheap, and writing and reading take no more memory than for a small chain.
 * MESH_CHAIN_LARGE_MIB sets the size, default: a quarter of a GiB. `npm run test:soak` uses the full size.
 */
import { mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ChainQuery } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { sizeOf } from '../support/counts.ts'
import { meshChain, ROOT, run, runModule } from '../support/process.ts'
import { collect } from '../support/records.ts'

const MIB = 1024 * 1024
const LARGE_BYTES = sizeOf('LARGE_MIB') * MIB
const SMALL_BYTES = 32 * MIB
const START_MS = 1_700_000_000_000
const GROWTH_BYTES_MAX = 32 * MIB

/** Publishes until the file has a given size, then prints the number of records and the memory used. */
const WRITER = `
	import { FileChainAppender, MeshLoop } from 'mesh-chain'
	const [, path, bytes] = process.argv
	const appender = new FileChainAppender(path)
	let tsMs = ${START_MS}
	const loop = new MeshLoop(appender, { nodeId: 'node-1', clock: () => tsMs })
	let index = 0
	while (appender.stats().bytes < Number(bytes)) {
		for (let left = 1000; left > 0; left--) {
			tsMs = ${START_MS} + ++index
			const text = 'request ' + index + ' for order ' + ((index * 7919) % 1e6) + ' answered'
			loop.info(text, undefined, { daemonId: 'api' })
		}
		await new Promise(setImmediate)
	}
	await loop.close()
	console.log(JSON.stringify({ records: index, maxRssBytes: process.resourceUsage().maxRSS * 1024 }))
`

/** Runs the CLI and prints its memory on the last line of stderr. */
const MEASURED = `
	process.on('exit', () => process.stderr.write(String(process.resourceUsage().maxRSS * 1024)))
	process.argv.splice(1, 0, 'mesh-chain')
	await import('${join(ROOT, 'dist', 'cli', 'main.js')}')
`

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'mesh-chain-large-')))
const small = join(folder, 'small.chain')
const large = join(folder, 'large.chain')
const written = { small: { records: 0, maxRssBytes: 0 }, large: { records: 0, maxRssBytes: 0 } }

beforeAll(async () => {
	for (const [name, path, bytes] of [
		['small', small, SMALL_BYTES],
		['large', large, LARGE_BYTES],
	] as const) {
		const { status, stdout, stderr } = await runModule(WRITER, [path, String(bytes)])
		expect(status, stderr).toBe(0)
		written[name] = JSON.parse(stdout)
	}
	return () => rmSync(folder, { recursive: true, force: true })
}, 600_000)

async function cost(query: ChainQuery) {
	const { system, counts } = countingFileSystem()
	const chain = await openChain(large, { fs: system })
	onTestFinished(() => chain.close())
	const found = await collect(chain.records(query))
	return { ...counts, seqs: found.map(({ seq }) => seq) }
}

describe(`a chain of ${LARGE_BYTES / MIB} MiB`, () => {
	test('has the expected size', () => {
		expect(statSync(large).size).toBeGreaterThanOrEqual(LARGE_BYTES)
	})

	test('finds any record by seq or time in at most 64 reads and 2 MiB', async () => {
		const { records } = written.large
		for (const seq of [1, 2, Math.floor(records / 3), Math.floor(records / 2), records - 10_000, records]) {
			for (const query of [{ fromSeq: seq }, { since: START_MS + seq }]) {
				const { reads, bytes, seqs } = await cost({ ...query, limit: 1 })
				expect(seqs).toEqual([seq])
				expect(reads).toBeLessThanOrEqual(64)
				expect(bytes).toBeLessThanOrEqual(2 * MIB)
			}
		}
	})

	test('returns its newest records, and its first ones to `head`, without reading the rest', async () => {
		const { records } = written.large
		const newest = await cost({ reverse: true, limit: 5 })
		expect(newest.seqs[0]).toBe(records)
		expect(newest.bytes).toBeLessThanOrEqual(2 * MIB)
		const first = await cost({ limit: 5 })
		expect(first.seqs).toEqual([1, 2, 3, 4, 5])
		expect(first.bytes).toBeLessThanOrEqual(2 * MIB)
		const pipeline = `"$0" "$1" dump "$2" | head -n 5 | wc -l`
		const { stdout, stderr } = await run('bash', [
			'-c',
			pipeline,
			process.execPath,
			join(ROOT, 'dist', 'cli', 'main.js'),
			large,
		])
		expect([stdout.trim(), stderr]).toEqual(['5', ''])
		const since = new Date(START_MS + records - 2).toISOString()
		expect((await meshChain(['dump', large, '-S', since])).stdout.trimEnd().split('\n')).toHaveLength(3)
	})

	test('takes no more memory to write or dump than a small one', async () => {
		expect(written.large.maxRssBytes - written.small.maxRssBytes).toBeLessThanOrEqual(GROWTH_BYTES_MAX)
		const memoryOf = async (path: string) => {
			const { status, stderr } = await run('bash', [
				'-c',
				`"$0" --input-type=module -e "$1" dump "$2" > /dev/null`,
				process.execPath,
				MEASURED,
				path,
			])
			expect(status).toBe(0)
			return Number(stderr)
		}
		const growth = (await memoryOf(large)) - (await memoryOf(small))
		expect(growth).toBeLessThanOrEqual(GROWTH_BYTES_MAX)
	})
})
