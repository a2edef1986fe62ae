/** Runs `mesh-chain record` in a pipeline, with real pipes and real signals. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { meshChain, ROOT, run } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CLI = join(ROOT, 'dist', 'cli', 'main.js')

function chainPath(): string {
	return join(temporaryFolder(), 'node.chain')
}

function start(args: readonly string[], nodeArgs: readonly string[] = []) {
	const child = spawn(process.execPath, [...nodeArgs, CLI, 'record', ...args], {
		stdio: ['pipe', 'pipe', 'pipe'],
	})
	onTestFinished(() => void child.kill('SIGKILL'))
	const out: Buffer[] = []
	const err: Buffer[] = []
	child.stdout.on('data', (piece: Buffer) => out.push(piece))
	child.stderr.on('data', (piece: Buffer) => err.push(piece))
	const ended = once(child, 'close').then(([status, signal]) => ({
		status,
		signal,
		stdout: Buffer.concat(out),
		stderr: Buffer.concat(err).toString(),
	}))
	return { child, ended, passedOn: () => Buffer.concat(out) }
}

async function recordBytes(input: Uint8Array, ...options: string[]) {
	const path = chainPath()
	const { child, ended } = start([path, ...options])
	child.stdin.end(input)
	return { path, ...(await ended) }
}

async function read(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return collect(chain.records())
}

/** Rebuilds the bytes of the input from plain records. */
function rebuild(records: readonly LogRecord[]): Buffer {
	return Buffer.concat(
		records.flatMap(({ message, data }) => {
			const notes = (data ?? {}) as {
				bytes?: Uint8Array
				part?: number
				last?: true
				eol?: string
				unterminated?: true
			}
			const isOpen = notes.unterminated === true || (notes.part !== undefined && notes.last !== true)
			return [Buffer.from(notes.bytes ?? message), Buffer.from(isOpen ? '' : (notes.eol ?? '\n'))]
		}),
	)
}

async function until(condition: () => boolean): Promise<void> {
	while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('plain lines, JSON lines and pino lines become records, and pass through unchanged', async () => {
	const input =
		'starting\n{"level":40,"time":1700000000000,"msg":"slow","ms":912}\n' +
		'\n{"level":"error","message":"no","code":7}\n'
	const { path, status, stdout, stderr } = await recordBytes(
		Buffer.from(input),
		'--node',
		'n1',
		'--level',
		'debug',
		'--kind',
		'out',
	)
	expect([status, stdout.toString(), stderr]).toEqual([0, input, ''])
	expect(await read(path)).toMatchObject([
		{ message: 'starting', level: 'debug', kind: 'out', nodeId: 'n1' },
		{ message: 'slow', level: 'warn', tsMs: 1_700_000_000_000, data: { ms: 912 } },
		{ message: '', level: 'debug' },
		{ message: 'no', level: 'error', data: { code: 7 } },
	])
	expect((await meshChain(['verify', path])).status).toBe(0)
	expect(JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout).state).toBe('closed')
})

test('no byte of any input is lost: binary, very long lines, no newline at the end', async () => {
	const long = Buffer.from('é'.repeat(300_000))
	const input = Buffer.concat([
		randomBytes(300_000),
		Buffer.from('\r\nplain\r\n\0\u001b[31m\n'),
		long,
		Buffer.from('\n'),
		randomBytes(70_000),
	])
	const { path, status, stdout, stderr } = await recordBytes(input)
	expect(status).toBe(0)
	expect(stdout.equals(input)).toBe(true)
	const parts = String.raw`[\d,]+ parts of lines that were interrupted by a pause or are longer than 64 KiB`
	const bytes = String.raw`[\d,]+ lines? recorded as bytes because of invalid UTF-8`
	expect(stderr).toMatch(new RegExp(`lines recorded; ${parts}; ${bytes}`))
	expect(rebuild(await read(path)).equals(input)).toBe(true)
})

test('a line of 64 MiB takes no more memory than a short one', async () => {
	const path = chainPath()
	const source = `
		let count = 0
		process.stdout.write(Buffer.alloc(1 << 20, 'x'), function next() {
			if (++count < 64) process.stdout.write(Buffer.alloc(1 << 20, 'x'), next)
		})
	`
	const measured = `"$0" -e "$1" | "$0" --max-old-space-size=48 "$2" record "$3" -q`
	const { status, stderr } = await run('bash', [
		'-o',
		'pipefail',
		'-c',
		measured,
		process.execPath,
		source,
		CLI,
		path,
	])
	expect(status, stderr).toBe(0)
	let characters = 0
	for (const { message } of await read(path)) characters += message.length
	expect(characters).toBe(64 << 20)
})

test('on Ctrl-C it continues until the program has printed its last lines', async () => {
	const path = chainPath()
	const { child, ended, passedOn } = start([path])
	child.stdin.write('before\n')
	await until(() => passedOn().toString() === 'before\n')
	child.kill('SIGINT')
	child.stdin.end('last words\n')
	expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from('before\nlast words\n') })
	expect((await read(path)).map(({ message }) => message)).toEqual(['before', 'last words'])
})

test.each(['SIGTERM', 'SIGHUP'] as const)(
	'%s ends it with everything recorded and the chain closed',
	async (signal) => {
		const path = chainPath()
		const { child, ended, passedOn } = start([path])
		child.stdin.write('whole\nhalf')
		await until(() => passedOn().toString() === 'whole\nhalf')
		child.kill(signal)
		expect(await ended).toMatchObject({ status: 0, signal: null })
		expect((await read(path)).map(({ message }) => message)).toEqual(['whole', 'half'])
		expect(JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout).state).toBe('closed')
	},
)

test('a second Ctrl-C ends it', async () => {
	const { child, ended, passedOn } = start([chainPath()])
	child.stdin.write('x\n')
	await until(() => passedOn().length > 0)
	child.kill('SIGINT')
	await new Promise((resolve) => setTimeout(resolve, 50))
	child.kill('SIGINT')
	expect(await ended).toMatchObject({ status: 0, signal: null })
})

test('after SIGKILL, every line that was passed on is in the chain', async () => {
	const path = chainPath()
	const { child, ended, passedOn } = start([path])
	let sent = 0
	const sending = setInterval(() => {
		for (let left = 200; left > 0; left--) child.stdin.write(`line ${++sent}\n`)
	}, 1)
	child.stdin.on('error', () => {})
	await until(() => passedOn().length > 100_000)
	child.kill('SIGKILL')
	await ended
	clearInterval(sending)
	const lines = passedOn().toString().split('\n').slice(0, -1)
	const recorded = (await read(path)).map(({ message }) => message)
	expect(lines.length).toBeGreaterThan(1_000)
	expect(recorded.slice(0, lines.length)).toEqual(lines)
})

test('a line is in the file before it is passed on', async () => {
	const path = chainPath()
	// Reads the file at each write to stdout, before the write.
	const spy = `
		import { readFileSync } from 'node:fs'
		const write = process.stdout.write
		process.stdout.write = function (bytes) {
			const chain = readFileSync(${JSON.stringify(path)}).toString('latin1')
			const missing = bytes.toString().trim().split('\\n').filter((line) => !chain.includes(line))
			if (missing.length > 0) process.stderr.write('not in the chain yet: ' + missing.length)
			return write.apply(this, arguments)
		}
	`
	const lines = Array.from({ length: 300 }, (_unused, index) => `line ${index} of the program\n`).join('')
	const { child, ended } = start([path], ['--import', `data:text/javascript,${encodeURIComponent(spy)}`])
	child.stdin.end(lines)
	const { status, stdout, stderr } = await ended
	expect([status, stderr, stdout.toString()]).toEqual([0, '', lines])
})

test('an unfinished line is recorded and passed on after a silence', async () => {
	const path = chainPath()
	const { child, ended, passedOn } = start([path])
	const pieces = ['whole\npassword: ', 'again', ': ', 'ü'.slice(0, 1), '\nnext\r', '\n', 'last']
	let written = ''
	for (const piece of pieces) {
		child.stdin.write(piece)
		written += piece
		// The first half of a line break may wait for the second one.
		await until(() => passedOn().toString() === written.replace(/\r$/, ''))
		expect(
			rebuild(await read(path))
				.toString()
				.replace(/[\r\n]+$/, ''),
		).toBe(written.replace(/[\r\n]+$/, ''))
	}
	child.kill('SIGKILL')
	await ended
	const records = await read(path)
	expect(records.map(({ message, data }) => [message, data])).toEqual([
		['whole', undefined],
		['password: ', { part: 1 }],
		['again', { part: 2 }],
		[': ', { part: 3 }],
		['ü', { part: 4 }],
		['', { part: 5, last: true }],
		['next', { part: 1 }],
		['', { part: 2, last: true, eol: '\r\n' }],
		['last', { part: 1 }],
	])
	expect(rebuild(records).toString()).toBe(written)
})

test('an incomplete character waits for its remaining bytes', async () => {
	const path = chainPath()
	const { child, ended, passedOn } = start([path])
	const bytes = Buffer.from('name? 🙂')
	child.stdin.write(bytes.subarray(0, -1))
	await until(() => passedOn().toString() === 'name? ')
	child.stdin.end(bytes.subarray(-1))
	expect((await ended).stdout).toEqual(bytes)
	expect((await read(path)).map(({ message }) => message)).toEqual(['name? ', '🙂'])
})

test.each([
	['a line of JSON', []],
	['an undisplayed line', ['-q']],
])('%s stays one record, however slowly it arrives', async (name, options) => {
	const path = chainPath()
	const { child, ended } = start([path, ...options])
	const line = name === 'a line of JSON' ? '{"level":"warn","message":"a message"}' : 'a message'
	child.stdin.write(line.slice(0, 5))
	await new Promise((resolve) => setTimeout(resolve, 500))
	child.stdin.end(`${line.slice(5)}\n`)
	expect((await ended).stdout.toString()).toBe(options.length === 0 ? `${line}\n` : '')
	expect((await read(path)).map(({ message, data }) => [message, data])).toEqual([['a message', undefined]])
})

test('a reader that goes away ends it quietly, and everything read is recorded', async () => {
	const path = chainPath()
	const pipeline = `seq 1 200000 | "$0" "$1" record "$2" | head -n 3`
	const { status, stdout, stderr } = await run('bash', ['-c', pipeline, process.execPath, CLI, path])
	expect([status, stdout, stderr]).toEqual([0, '1\n2\n3\n', ''])
	const records = await read(path)
	expect(records.slice(0, 3).map(({ message }) => message)).toEqual(['1', '2', '3'])
	expect(JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout).state).toBe('closed')
})

test('usage errors are reported before any input is read', async () => {
	const path = chainPath()
	for (const options of [
		[path, '--level', 'loud'],
		[path, '-l', 'info'],
		[path, '--kind', '$gap'],
		[path, '--nodes', 'x'],
		[`${path}.jsonl`],
	]) {
		const { child, ended } = start(options)
		child.stdin.end('lost?\n')
		const { status, stdout } = await ended
		expect([status, stdout.length]).toEqual([2, 0])
	}
	const inTerminal = await run('script', [
		'-qec',
		`"${process.execPath}" "${CLI}" record "${path}"`,
		'/dev/null',
	])
	expect(inTerminal.stdout).toContain('pipe the output of a program into record')
	expect(inTerminal.status).toBe(2)
})
