import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UnpackrStream } from 'msgpackr'
import { beforeAll, describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { meshChain, ROOT, run } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const LINES = 400

async function sampleChain(records = sampleRecords()): Promise<string> {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (const item of records) appender.append(item)
	await appender.close()
	return path
}

function sampleRecords(): LogRecord[] {
	const error = {
		name: 'TypeError',
		message: 'no\u001b[31m',
		stack: 'TypeError: no\u001b[31m\n    at f (a.js:1:2)',
	}
	return Array.from({ length: LINES }, (_unused, index) => {
		const seq = index + 1
		if (seq % 100 === 0)
			return record(seq, { level: 'error', kind: 'order.failed', message: 'failed', data: { error } })
		if (seq % 10 === 0) return record(seq, { level: 'warn', daemonId: 7n, nodeId: 'n1' })
		return record(seq)
	})
}

describe('mesh-chain dump', () => {
	test('in a pipe prints every record as a line of JSON', async () => {
		const { status, stdout, stderr } = await meshChain(['dump', await sampleChain()])
		expect([status, stderr]).toEqual([0, ''])
		const lines = stdout.trimEnd().split('\n')
		expect(lines).toHaveLength(LINES)
		expect(JSON.parse(lines[9] ?? '')).toMatchObject({ seq: 10, daemonId: { $bigint: '7' }, nodeId: 'n1' })
	})

	test('on a terminal escapes records, and shows errors with their stack', async () => {
		const { stdout } = await meshChain([
			'dump',
			await sampleChain(),
			'-o',
			'pretty',
			'-l',
			'error',
			'-n',
			'1',
		])
		expect(stdout).toContain('ERROR order.failed failed')
		expect(stdout).toContain('    TypeError: no\\x1b[31m\n      at f (a.js:1:2)\n')
		expect(stdout).not.toContain('\u001b')
	})

	test.each([
		[['-l', 'WARNING'], LINES / 10],
		[['-k', 'order.failed,nothing'], 4],
		[['--daemon', '7'], 36],
		[['--node', 'n1', '-n', '5'], 5],
		[['-g', 'message 1\\d$'], 10],
		[['-g', 'FAILED'], 0],
		[['-w', 'kind = order.failed and seq > 3'], 4],
		[['-w', 'daemonId = 7 and time > -1h'], 0],
		[['-w', 'time >= 1700000000399'], 2],
		[['-w', 'time >= "1700000000" and time < 1700000001'], 400],
		[['-w', 'message ~ "message 1\\d$" or data.none exists'], 10],
		[['--from-seq', '391'], 10],
		[['--to-seq', '3'], 3],
		[['-S', '1700000000399'], 2],
		[['-U', '1700000000003'], 3],
		[['-S', '-1h'], 0],
	])('with %j prints %i records', async (filter, expected) => {
		const { status, stdout, stderr } = await meshChain(['dump', await sampleChain(), ...filter])
		expect(stderr).toBe('')
		expect(status).toBe(0)
		expect(stdout.split('\n').filter(Boolean)).toHaveLength(expected)
	})

	test('in reverse with a limit prints the newest first', async () => {
		const { stdout } = await meshChain(['dump', await sampleChain(), '-r', '-n', '3'])
		const seqs = stdout
			.trimEnd()
			.split('\n')
			.map((line) => JSON.parse(line).seq)
		expect(seqs).toEqual([400, 399, 398])
	})

	test('as MessagePack is a sequence of maps that any reader accepts', async () => {
		const path = await sampleChain()
		const child = spawn(process.execPath, [
			join(ROOT, 'dist/cli/main.js'),
			'dump',
			path,
			'-o',
			'msgpack',
			'-n',
			'3',
		])
		const seen: unknown[] = []
		const stream = child.stdout.pipe(new UnpackrStream({ useRecords: false }))
		stream.on('data', (item: unknown) => seen.push(item))
		await once(stream, 'end')
		expect(seen).toHaveLength(3)
		expect(seen[0]).toMatchObject({ seq: 1, level: 'info', message: 'message 1' })
	})

	test('ends quietly when its reader goes away', async () => {
		const many = Array.from({ length: 20_000 }, (_unused, index) => record(index + 1))
		const path = await sampleChain(many)
		const dump = `"${process.execPath}" dist/cli/main.js dump "${path}"`
		const pipe = `${dump} | head -n 2; echo "status \${PIPESTATUS[0]}"`
		const { stdout, stderr } = await run('bash', ['-c', pipe])
		expect(stderr).toBe('')
		expect(stdout.trimEnd().split('\n')).toHaveLength(3)
		expect(stdout).toContain('status 0')
	})

	test.each([
		['dump', ['-o', 'ndjson']],
		['info', []],
		['verify', []],
		['export', []],
		['tail', []],
		['--help', undefined],
	])('%s reports unwritable output in one line', async (command, options) => {
		const args = options === undefined ? [] : [await sampleChain(), ...options]
		const full = ['-c', 'exec "$@" > /dev/full', 'sh', process.execPath, 'dist/cli/main.js', command, ...args]
		expect(await run('bash', full)).toMatchObject({
			status: 2,
			stderr: 'mesh-chain: OUTPUT_FAILED: cannot write to stdout: ENOSPC: no space left on device, write\n',
		})
	})

	test('with --exit-status ends with status 1 if nothing matched', async () => {
		const { status } = await meshChain(['dump', await sampleChain(), '-k', 'nothing', '--exit-status'])
		expect(status).toBe(1)
	})

	test('notes a torn tail on stderr and ends with status 0; damage ends with 3', async () => {
		const path = await sampleChain()
		const whole = readFileSync(path)
		truncateSync(path, whole.length - 3)
		const torn = await meshChain(['dump', path])
		expect(torn.status).toBe(0)
		expect(torn.stderr).toContain('torn tail were skipped (normal after a crash)')
		whole[2000]! ^= 1
		writeFileSync(path, whole)
		const damaged = await meshChain(['dump', path])
		expect(damaged.status).toBe(3)
		expect(damaged.stdout).toContain('"kind":"$gap"')
		expect((await meshChain(['verify', path])).status).toBe(3)
		expect((await meshChain(['info', path])).status).toBe(3)
	})
})

describe('mesh-chain info and verify', () => {
	test('show what the chain holds and how it ended', async () => {
		const path = await sampleChain()
		const info = await meshChain(['info', path])
		expect(info.status).toBe(0)
		expect(info.stdout).toMatch(/state +closed\n/)
		expect(info.stdout).toMatch(/records +400, seq 1 to 400\n/)
		expect(info.stdout).toMatch(/levels +info 360, warn 36, error 4\n/)
		const json = JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout)
		expect(json).toMatchObject({ state: 'closed', records: 400, lastSeq: 400 })
		const verify = await meshChain(['verify', path])
		expect(verify.status).toBe(0)
		expect(verify.stdout).toContain('ok: 400 records')
		expect(JSON.parse((await meshChain(['verify', path, '-o', 'json'])).stdout).head).toEqual(json.head)
		expect(info.stdout).not.toContain('not checked')
	})

	test('info of a larger chain says what it did not read, unless it is told to read everything', async () => {
		const message = 'x'.repeat(100)
		const path = await sampleChain(Array.from({ length: 20_000 }, (_, at) => record(at + 1, { message })))
		const found = await meshChain(['info', path])
		expect(found.status).toBe(0)
		expect(found.stdout).toMatch(/records +20,000, seq 1 to 20000\n/)
		expect(found.stdout).toMatch(/checked +anchors; not checked: frames between anchors/)
		const full = await meshChain(['info', path, '--full'])
		expect([full.status, full.stdout.includes('not checked')]).toEqual([0, false])
	})
})

describe('bad input', () => {
	let path: string
	let foreign: string
	beforeAll(async () => {
		const { mkdtempSync } = await import('node:fs')
		const folder = mkdtempSync(join(ROOT, 'node_modules', '.mesh-chain-cli-'))
		path = join(folder, 'node.chain')
		foreign = join(folder, 'foreign')
		writeFileSync(foreign, 'no chain at all, but long enough to hold a header')
		const appender = new FileChainAppender(path)
		await appender.close()
		return async () => (await import('node:fs')).rmSync(folder, { recursive: true })
	})

	test.each([
		['no command', () => [], 'Usage'],
		['an unknown command', () => ['dmup'], 'did you mean dump?'],
		['an unknown option', () => ['dump', path, '--sinc', '1'], 'did you mean --since?'],
		['no file', () => ['dump'], 'dump requires a file'],
		['two files', () => ['verify', path, path], 'expected one file, not 2'],
		['an invalid level', () => ['dump', path, '-l', 'loud'], 'trace, debug, info, warn, error'],
		['an invalid time', () => ['dump', path, '-S', 'soonish'], 'INVALID_TIME'],
		['times in the wrong order', () => ['dump', path, '-S', '-1h', '-U', '-2h'], 'no time can match'],
		['an invalid pattern', () => ['dump', path, '-g', '('], 'not a valid regular expression'],
		[
			'a wrong condition',
			() => ['dump', path, '-w', 'level = loud'],
			'at column 9, "loud": expected a level',
		],
		['a condition with a wrong pattern', () => ['dump', path, '-w', 'kind ~ "(?=x)"'], 'lookaround'],
		['a count that is none', () => ['dump', path, '-n', 'ten'], 'a non-negative integer'],
		['a format that is none', () => ['dump', path, '-o', 'xml'], 'pretty, ndjson, msgpack'],
		['an option without its value', () => ['dump', path, '-S'], '-S requires a value'],
	])('%s ends with status 2, one clear message and nothing on stdout', async (_name, args, message) => {
		const { status, stdout, stderr } = await meshChain(args())
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	})

	test.each([
		['a missing file', () => ['dump', `${path}.none`], 'CHAIN_NOT_FOUND'],
		['a foreign file', () => ['dump', foreign], 'NOT_A_CHAIN'],
		['a folder', () => ['verify', ROOT], 'it is a directory'],
		['a folder without a chain', () => ['dump', join(ROOT, 'src')], 'there is no chain in the folder'],
	])('%s ends with status 2, one clear message and nothing on stdout', async (_name, args, message) => {
		const { status, stdout, stderr } = await meshChain(args())
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
	})

	test('is refused before any file is opened', async () => {
		const { stderr } = await meshChain(['dump', `${path}.none`, '-l', 'loud'])
		expect(stderr).toContain('INVALID_LEVEL')
	})
})

test('help shows examples first, for the program and for each command', async () => {
	for (const args of [['--help'], ['help', 'dump'], ['info', '--help'], ['verify', '-h']]) {
		const { status, stdout } = await meshChain(args)
		expect(status).toBe(0)
		expect(stdout).toMatch(/^Examples\n {2}mesh-chain /)
		expect(stdout).toContain('Exit status')
	}
	const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
	expect((await meshChain(['--version'])).stdout).toBe(`${version}\n`)
})

test('colour follows the option, NO_COLOR, FORCE_COLOR, then the terminal', async () => {
	const path = await sampleChain()
	const args = ['dump', path, '-o', 'pretty', '-n', '1']
	const hasColour = async (extra: string[], env: Record<string, string>) =>
		(await meshChain([...args, ...extra], { env })).stdout.includes('\u001b[')
	expect(await hasColour([], {})).toBe(false)
	expect(await hasColour(['--color', 'always'], { NO_COLOR: '1' })).toBe(true)
	expect(await hasColour([], { FORCE_COLOR: '1' })).toBe(true)
	expect(await hasColour([], { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
})
