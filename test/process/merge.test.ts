/** Runs `mesh-chain merge` as a user does. */

import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, watch, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { ChainBuilder } from '../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type GapData, gapRecord, type LogRecord } from '../../src/model/record.ts'
import { nodeFileSystem } from '../../src/platform/file-system.ts'
import { readAll } from '../support/oracle.ts'
import { meshChain, ROOT, run, start } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const START_MS = 1_700_000_000_000
const PROGRAM = join(ROOT, 'dist', 'cli', 'main.js')

interface Nodes {
	readonly folder: string
	readonly a: string
	readonly b: string
	readonly output: string
}

/** Creates two chains whose records alternate in time. */
function twoNodes(count = 5): Nodes {
	const folder = temporaryFolder()
	const [a, b] = ['a', 'b'].map((nodeId, index) => {
		const path = join(folder, `${nodeId}.chain`)
		const builder = new ChainBuilder(path)
		for (let seq = 1; seq <= count; seq++) {
			const level = seq % 5 === 0 ? 'error' : 'info'
			const fields = { tsMs: START_MS + 2 * seq + index, message: `${nodeId} ${seq}` }
			builder.push(record(seq, { ...fields, nodeId, level, daemonId: BigInt(seq % 2) }))
		}
		builder.finish()
		return path
	})
	return { folder, a: a!, b: b!, output: join(folder, 'cluster.chain') }
}

test.each(['x.jsonl', 'x.ndjson', 'X.JSON'])('a chain cannot have the name %s', async (name) => {
	const { a, b, folder } = twoNodes()
	const path = join(folder, name)
	const jsonl = join(folder, 'in.lines')
	writeFileSync(jsonl, '{"ts":1,"ev":"a"}\n')
	for (const args of [
		['merge', a, b],
		['import', jsonl],
	]) {
		const { status, stderr } = await meshChain([...args, '--to', path])
		expect(status).toBe(2)
		expect(stderr).toContain(
			'.chain, and then write JSON Lines with mesh-chain export ' +
				`${path.replace(/\.\w+$/, '.chain')} --to ${path}`,
		)
		expect(existsSync(path)).toBe(false)
	}
})

/** Appends one gap, followed by a record that is later than all others. */
async function appendGap(path: string, cause: GapData['cause'], tsMs: number): Promise<void> {
	const appender = new FileChainAppender(path)
	const seq = appender.nextSeq
	const { epoch } = appender
	const gap = { fromSeq: seq, toSeq: seq + 3, count: 4, cause }
	appender.append(gapRecord(gap, { epoch, tsMs }))
	appender.append(record(seq + 4, { epoch, tsMs: START_MS + 2_000, message: 'late' }))
	await appender.close()
}

const lines = (stdout: string): LogRecord[] =>
	stdout
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line))
const messages = (records: readonly LogRecord[]) => records.map(({ message }) => message)

describe('mesh-chain merge', () => {
	test('merges several chains into one, by time, with the origin of each record', async () => {
		const { a, b, output, folder } = twoNodes()
		const { status, stdout, stderr } = await meshChain(['merge', a, b, '--to', output])
		expect([status, stdout]).toEqual([0, ''])
		expect(stderr).toBe(`mesh-chain: 10 records from 2 chains written to ${output}\n`)
		const found = await readAll(output, nodeFileSystem)
		expect(messages(found)).toEqual([1, 2, 3, 4, 5].flatMap((seq) => [`a ${seq}`, `b ${seq}`]))
		expect(found.map(({ seq, epoch }) => [seq, epoch])).toEqual(found.map((_each, index) => [index + 1, 1]))
		await using chain = await openChain(b)
		expect(found[3]?.origin).toEqual({ chainId: chain.chainId, epoch: 1, seq: 2 })
		expect(await verifyChain(output)).toMatchObject({ ok: true, findings: [] })
		expect(readdirSync(folder).sort()).toEqual(['a.chain', 'b.chain', 'cluster.chain'])
	})

	test('in a pipe prints every record as a line of JSON, as it is in a chain', async () => {
		const { a, b, output } = twoNodes()
		const { status, stdout, stderr } = await meshChain(['merge', b, a])
		expect([status, stderr]).toEqual([0, ''])
		await meshChain(['merge', a, b, '--to', output])
		expect((await meshChain(['dump', output])).stdout).toBe(stdout)
		expect(lines(stdout)).toHaveLength(10)
	})

	test('keeps the first origins when a merged chain is merged again', async () => {
		const { a, b, output, folder } = twoNodes(3)
		await meshChain(['merge', a, b, '--to', output])
		const c = join(folder, 'c.chain')
		const builder = new ChainBuilder(c)
		builder.push(record(1, { tsMs: START_MS, message: 'c 1' }))
		builder.finish()
		const found = lines((await meshChain(['merge', output, c])).stdout)
		expect(messages(found)).toEqual(['c 1', 'a 1', 'b 1', 'a 2', 'b 2', 'a 3', 'b 3'])
		await using chain = await openChain(a)
		expect(found[3]?.origin).toEqual({ chainId: chain.chainId, epoch: 1, seq: 2 })
	})

	test('writes each record of a merged chain and one of its inputs once, and reports repeats', async () => {
		const { a, b, output, folder } = twoNodes(3)
		await meshChain(['merge', a, b, '--to', output])
		const again = join(folder, 'again.chain')
		const made = await meshChain(['merge', output, a, '--to', again])
		expect(made.status).toBe(0)
		expect(made.stderr).toContain(
			'mesh-chain: 3 repeats skipped, because a record in several chains is written only once\n',
		)
		expect(messages(await readAll(again, nodeFileSystem))).toEqual(
			messages(await readAll(output, nodeFileSystem)),
		)
		const printed = await meshChain(['merge', output, a, '-n', '1'])
		expect([messages(lines(printed.stdout)), printed.status]).toEqual([['a 1'], 0])
	})

	test.each([
		[
			['-l', 'error'],
			['a 5', 'b 5'],
		],
		[['-k', 'nothing'], []],
		[
			['--node', 'b'],
			['b 1', 'b 2', 'b 3', 'b 4', 'b 5'],
		],
		[
			['--node', 'b', '-n', '2'],
			['b 1', 'b 2'],
		],
		[
			['--daemon', '0', '--node', 'a'],
			['a 2', 'a 4'],
		],
		[
			['-g', ' [12]$'],
			['a 1', 'b 1', 'a 2', 'b 2'],
		],
		[
			['-n', '3'],
			['a 1', 'b 1', 'a 2'],
		],
		[['-n', '0'], []],
		[
			['-S', String(START_MS + 10)],
			['a 5', 'b 5'],
		],
		[
			['-U', String(START_MS + 3)],
			['a 1', 'b 1'],
		],
	])('with %j selects %j', async (filter, expected) => {
		const { a, b, output } = twoNodes()
		const [printed, made] = await Promise.all([
			meshChain(['merge', a, b, ...filter]),
			meshChain(['merge', a, b, ...filter, '--to', output]),
		])
		expect([printed.status, printed.stderr, made.status]).toEqual([0, '', 0])
		expect(messages(lines(printed.stdout))).toEqual(expected)
		const found = await readAll(output, nodeFileSystem)
		expect(messages(found)).toEqual(expected)
		expect(found.map(({ seq }) => seq)).toEqual(expected.map((_message, index) => index + 1))
	})

	test('with --strict ends with status 3 after a loss to stdout or chain, not after retention', async () => {
		const { a, b, output, folder } = twoNodes()
		await appendGap(a, 'retained', START_MS + 1_000)
		expect((await meshChain(['merge', a, b, '--strict'])).status).toBe(0)
		await appendGap(b, 'evicted', START_MS + 1_001)
		expect((await meshChain(['merge', a, b])).status).toBe(0)
		const printed = await meshChain(['merge', a, b, '--strict'])
		expect([printed.status, printed.stderr]).toEqual([3, ''])
		const found = lines(printed.stdout)
		const gap = { fromSeq: 6, toSeq: 9, count: 4 }
		expect(found.filter(({ kind }) => kind === '$gap').map(({ data }) => data)).toEqual([
			{ ...gap, cause: 'retained' },
			{ ...gap, cause: 'evicted' },
		])
		const made = await meshChain(['merge', a, b, '--to', output, '--strict'])
		expect(made.status).toBe(3)
		expect(messages(await readAll(output, nodeFileSystem))).toEqual(messages(found))
		expect((await verifyChain(output)).ok).toBe(true)
		// Gaps pass every filter, and do not count towards the limit.
		expect((await meshChain(['merge', a, b, '-k', 'nothing', '--strict'])).status).toBe(3)
		const limited = lines((await meshChain(['merge', a, b, '-n', '11'])).stdout)
		expect(limited.map(({ kind }) => kind)).toEqual([...Array(10).fill('log'), '$gap', '$gap', 'log'])
		expect((await meshChain(['merge', a, b, '-n', '10', '--strict'])).status).toBe(0)
		expect(readdirSync(folder)).toContain(basename(output))
	})

	test('ends quietly when its reader goes away', async () => {
		const { a, b } = twoNodes(20_000)
		const pipe = `"$0" "$1" merge "$2" "$3" | head -n 1; echo "status \${PIPESTATUS[0]}"`
		const { stdout, stderr } = await run('bash', ['-c', pipe, process.execPath, PROGRAM, a, b])
		expect(stderr).toBe('')
		const [line, status] = stdout.trimEnd().split('\n')
		expect([JSON.parse(line!).message, status]).toEqual(['a 1', 'status 0'])
	})

	test.each(['SIGINT', 'SIGTERM'] as const)(
		'%s during a merge leaves nothing of the new chain',
		async (signal) => {
			const { a, b, output, folder } = twoNodes(60_000)
			const begun = new Promise<void>((resolve) => {
				const watcher = watch(folder, (_event, name) => {
					if (name?.endsWith('.tmp')) resolve()
				})
				onTestFinished(() => watcher.close())
			})
			const child = start(process.execPath, [PROGRAM, 'merge', a, b, '--to', output])
			let stderr = ''
			child.stderr!.on('data', (piece: Buffer) => {
				stderr += piece.toString()
			})
			await begun
			child.kill(signal)
			const [status] = await once(child, 'close')
			const expected = 128 + constants.signals[signal]
			expect([status, stderr]).toEqual([expected, `mesh-chain: interrupted: ${output} was not created\n`])
			expect(readdirSync(folder).sort()).toEqual(['a.chain', 'b.chain'])
		},
	)
})

describe('mesh-chain merge refuses', () => {
	const refused = async (args: readonly string[], message: string) => {
		const { status, stdout, stderr } = await meshChain(['merge', ...args])
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	}

	test('too few chains, duplicates, and things other than chains', async () => {
		const { folder, a, b, output } = twoNodes()
		await refused([], 'merge requires at least two chains')
		await refused([a], 'merge requires at least two chains')
		await refused([a, '--to', output], 'merge requires at least two chains')
		await refused([a, a, '--to', output], 'merge requires at least two chains')
		await refused([a, join(folder, 'none.chain'), '--to', output], 'CHAIN_NOT_FOUND')
		writeFileSync(join(folder, 'foreign'), 'no chain at all, but long enough to hold a header')
		await refused([a, join(folder, 'foreign'), '--to', output], 'NOT_A_CHAIN')
		await refused([a, b, '--from-seq', '3'], 'no option --from-seq')
		await refused([a, b, '--reverse'], 'no option --reverse')
		await refused([a, b, '-l', 'loud'], 'INVALID_LEVEL')
		expect(readdirSync(folder).sort()).toEqual(['a.chain', 'b.chain', 'foreign'])
	})

	test('an existing output, even one of the inputs, and changes nothing', async () => {
		const { folder, a, b, output } = twoNodes()
		writeFileSync(output, 'somebody else')
		const before = [a, b, output].map((path) => readFileSync(path))
		for (const path of [output, a]) await refused([a, b, '--to', path], 'CHAIN_EXISTS')
		expect([a, b, output].map((path) => readFileSync(path))).toEqual(before)
		expect(readdirSync(folder).sort()).toEqual(['a.chain', 'b.chain', 'cluster.chain'])
		await refused([a, b, '--to', join(folder, 'none', 'cluster.chain')], 'create it first')
	})

	test('an output that a writer has open', async () => {
		const { a, b, output } = twoNodes()
		const appender = new FileChainAppender(output)
		await refused([a, b, '--to', output], 'CHAIN_LOCKED')
		await appender.close()
		expect(existsSync(`${output}.lock`)).toBe(false)
	})

	test('reports the chain that ends in a torn tail', async () => {
		const { a, b, output } = twoNodes()
		truncateSync(a, statSync(a).size - 100)
		const { status, stderr } = await meshChain(['merge', a, b, '--to', output])
		expect(status).toBe(0)
		expect(stderr).toContain(`${a}: 163 bytes in a torn tail were skipped`)
	})
})
