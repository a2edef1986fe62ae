/** What other programs print, read by `mesh-chain record` and `mesh-chain import`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { meshChain, ROOT } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { bytesOf } from '../support/text-records.ts'

const CLI = join(ROOT, 'dist', 'cli', 'main.js')
const AT = Date.UTC(2026, 0, 31, 13, 5, 9)
const TRACE =
	'2026-01-31 14:05:09 ERROR failed\njava.lang.IllegalStateException: x\n\tat a.B(C.java:1)\n' +
	'Caused by: y\n\t... 3 more\n'

async function read(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return collect(chain.records())
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
	while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

function startRecord(args: readonly string[]) {
	const child = spawn(process.execPath, [CLI, 'record', ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
	onTestFinished(() => void child.kill('SIGKILL'))
	const out: Buffer[] = []
	const err: Buffer[] = []
	child.stdout.on('data', (piece: Buffer) => out.push(piece))
	child.stderr.on('data', (piece: Buffer) => err.push(piece))
	const ended = once(child, 'close').then(([status]) => ({
		status,
		stdout: Buffer.concat(out).toString(),
		stderr: Buffer.concat(err).toString(),
	}))
	return { child, ended, passedOn: () => Buffer.concat(out).toString() }
}

async function recordText(text: string | Uint8Array, ...options: string[]) {
	const path = join(temporaryFolder(), 'node.chain')
	const { child, ended } = startRecord([path, ...options])
	child.stdin.end(text)
	return { ...(await ended), path, records: await read(path) }
}

async function importText(text: string | Uint8Array, ...options: string[]) {
	const folder = temporaryFolder()
	const [file, path] = [join(folder, 'app.log'), join(folder, 'app.chain')]
	writeFileSync(file, text)
	const { status, stderr } = await meshChain(['import', file, '--to', path, ...options])
	return { status, stderr, path, records: status === 0 ? await read(path) : [] }
}

describe('record', () => {
	test('takes over the time and the level of plain lines, and keeps every line', async () => {
		const text =
			'2026-01-31 14:05:09,000 - shop - WARNING - slow\n<34>1 2026-01-31T13:05:09Z h su - - - no\nplain\n'
		const options = ['--tz', 'Europe/Berlin', '--level', 'debug']
		const { status, stdout, stderr, records } = await recordText(text, ...options)
		expect([status, stdout]).toEqual([0, text])
		expect(records.slice(0, 2)).toMatchObject([
			{ tsMs: AT, level: 'warn' },
			{ tsMs: AT, level: 'error', data: { level: 'crit' } },
		])
		expect(records[2]).toMatchObject({ level: 'debug', message: 'plain' })
		expect(records[2]).not.toHaveProperty('data')
		expect(records[2]!.tsMs).toBeGreaterThan(AT)
		expect(bytesOf(records).toString()).toBe(text)
		expect(stderr).toBe(
			'mesh-chain: times without an offset are read in the time zone Europe/Berlin (--tz sets it)\n',
		)
	})

	test('says once what it assumes about times', async () => {
		const { stderr } = await recordText('Jan 31 14:05:09 h a: b\n'.repeat(3))
		expect(stderr.match(/without an offset/g)).toHaveLength(1)
		expect(stderr.match(/without a year/g)).toHaveLength(1)
	})

	test('joins a stack trace with --multiline, and passes it on only when it is in the chain', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const { child, ended, passedOn } = startRecord([path, '--multiline', '--tz', 'Europe/Berlin'])
		child.stdin.write(TRACE)
		// The next line would end the stack trace, but none arrives: a silence ends it.
		await until(() => passedOn() === TRACE)
		expect(await read(path)).toMatchObject([{ tsMs: AT, level: 'error', message: TRACE.slice(0, -1) }])
		child.stdin.end('next\n')
		expect((await ended).stdout).toBe(`${TRACE}next\n`)
		expect((await read(path)).map(({ message }) => message)).toEqual([TRACE.slice(0, -1), 'next'])
	})

	test('records held lines after a silence even if it prints nothing', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const { child } = startRecord([path, '--multiline', '-q'])
		child.stdin.write(TRACE)
		await until(async () => (await meshChain(['dump', path, '-o', 'ndjson'])).stdout.includes('3 more'))
	})

	test('loses no byte of any input with --multiline', async () => {
		const text = Buffer.concat([
			Buffer.from(`${TRACE}a {\r\n  b\r\n}\n\n\n\xff\n`, 'latin1'),
			Buffer.from(`${' x'.repeat(40_000)}\nlast`),
		])
		const { stdout, records } = await recordText(text, '--multiline')
		expect(stdout).toBe(text.toString())
		expect(bytesOf(records).equals(text)).toBe(true)
	})

	test('refuses an unknown time zone before it reads', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const { child, ended } = startRecord([path, '--tz', 'Mars/Olympus'])
		child.stdin.on('error', () => {})
		child.stdin.end('lost?\n')
		const { status, stderr } = await ended
		expect(status).toBe(2)
		expect(stderr).toContain('--tz must be a time zone')
	})
})

describe('import', () => {
	test('detects plain text, and keeps blank lines, comments, line ends and bytes', async () => {
		const text = Buffer.from(`# comment\n\n  ${TRACE}\xff\xfe\r\nlast`, 'latin1')
		const { status, stderr, records } = await importText(text, '--tz', 'Europe/Berlin')
		expect(status).toBe(0)
		expect(bytesOf(records).equals(text)).toBe(true)
		expect(records[2]).toMatchObject({ tsMs: AT, level: 'error' })
		expect(stderr).toContain('9 records written')
		expect(stderr).toContain('8 without a time')
		expect(stderr).not.toContain('skipped')
	})

	test('joins stack traces with --multiline', async () => {
		const { records } = await importText(`${TRACE}plain\n`, '--multiline', '--tz', '+01:00')
		expect(records).toMatchObject([
			{ tsMs: AT, level: 'error', message: TRACE.slice(0, -1) },
			{ message: 'plain', data: { noTime: true } },
		])
		expect(records[0]).not.toHaveProperty('data')
	})

	test('a line without a time has the time of the import, and says so', async () => {
		const beforeMs = Date.now()
		const { stderr, records } = await importText(
			'{"level":"error","msg":"no time 1"}\n{"level":"info","msg":"timed","time":1780300000392}\n' +
				'{"level":"info","msg":"no time 2","noTime":7}\n',
		)
		expect(records.map(({ message, data }) => [message, data])).toEqual([
			['no time 1', { noTime: true }],
			['timed', undefined],
			['no time 2', { noTime: true, data: { noTime: 7 } }],
		])
		expect(records[1]!.tsMs).toBe(1_780_300_000_392)
		for (const index of [0, 2]) {
			expect(records[index]!.tsMs).toBeGreaterThanOrEqual(beforeMs)
			expect(records[index]!.tsMs).toBeLessThanOrEqual(Date.now())
		}
		expect(stderr).toContain('2 without a time (time of the import, noTime in data)')
	})

	test('skips and counts text among JSON lines, and names the option that keeps it', async () => {
		const text = 'starting\n{"level":"info","msg":"a","time":1780300000392}\nnoise\n'
		const detected = await importText(text)
		expect(detected.records).toHaveLength(1)
		expect(detected.stderr).toContain('2 lines skipped (notJson)')
		expect(detected.stderr).toContain('--format text')
		const all = await importText(text, '--format', 'text')
		expect(all.records.map(({ message }) => message)).toEqual(['starting', 'a', 'noise'])
	})

	test.each([
		['a picture', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')],
		['broken JSON lines', '{"a":\n{"b":\n'],
		['only comments', '# a\n'],
	])('does not take %s for text', async (_name, bytes) => {
		const { records } = await importText(bytes)
		expect(records).toEqual([])
	})

	test('divides a line that is longer than a message', async () => {
		const text = `2026-01-31T13:05:09Z ERROR ${'é'.repeat(200_000)}\nnext\n`
		const { stderr, records } = await importText(text)
		expect(records[0]).toMatchObject({ tsMs: AT, level: 'error', data: { part: 1 } })
		expect(records.at(-2)).toMatchObject({ data: { last: true } })
		expect(bytesOf(records).toString()).toBe(text)
		expect(stderr).not.toContain('altered')
	})
})

test('JSON lines of known loggers have their level and time', async () => {
	const { path } = await recordText(
		[
			'{"@timestamp":"2026-06-01T06:40:00.123Z","log.level":"error","message":"flat"}',
			'{"@timestamp":"2026-06-01T06:40:00.123Z","log":{"level":"error"},"message":"nested"}',
			'{"0":"tslog","_meta":{"date":"2026-06-01T06:40:00.123Z","logLevelId":5,"logLevelName":"ERROR"}}',
			'{"level":"silly","message":"winston"}',
			'',
		].join('\n'),
	)
	const { stdout } = await meshChain(['dump', path, '-l', 'warn', '-o', 'ndjson'])
	const found = stdout
		.split('\n')
		.filter(Boolean)
		.map((line) => JSON.parse(line) as LogRecord)
	expect(found.map(({ message, level, tsMs }) => [message, level, tsMs])).toEqual(
		['flat', 'nested', 'tslog'].map((message) => [message, 'error', Date.UTC(2026, 5, 1, 6, 40, 0, 123)]),
	)
	expect(readFileSync(path).includes('winston')).toBe(true)
})
