/** Runs `mesh-chain record` in a pipeline, with real pipes and real signals. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { meshChain, run } from '../support/process.ts'
import { CLI, chainPath, readRecords as read, startRecord as start, until } from '../support/recording.ts'
import { bytesOf } from '../support/text-records.ts'

async function recordBytes(input: Uint8Array, ...options: string[]) {
	const path = chainPath()
	const { child, ended } = start([path, ...options])
	child.stdin.end(input)
	return { path, ...(await ended) }
}

async function stateOf(path: string): Promise<string> {
	return JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout).state
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
	expect(await stateOf(path)).toBe('closed')
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
	expect(bytesOf(await read(path)).equals(input)).toBe(true)
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

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
	'on the first %s it continues until the program has printed its last lines',
	async (signal) => {
		const path = chainPath()
		const { child, ended, passedOn } = start([path])
		child.stdin.write('before\n')
		await until(() => passedOn().toString() === 'before\n')
		child.kill(signal)
		child.stdin.end('last words\n')
		expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from('before\nlast words\n') })
		expect((await read(path)).map(({ message }) => message)).toEqual(['before', 'last words'])
	},
)

test.each([
	['SIGINT', 130],
	['SIGTERM', 143],
] as const)(
	'a second %s ends it with everything that was read recorded and the chain closed',
	async (signal, expected) => {
		const path = chainPath()
		const { child, ended, passedOn, said } = start([path])
		child.stdin.write('whole\nhalf')
		await until(() => passedOn().toString() === 'whole\nhalf')
		child.kill(signal)
		await until(() => said().includes(`${signal}: waiting for the end of the input`))
		child.kill(signal)
		const { status, stderr } = await ended
		expect([status, stderr]).toEqual([
			expected,
			expect.stringContaining('a second signal ended the recording before the input ended'),
		])
		expect((await read(path)).map(({ message }) => message)).toEqual(['whole', 'half'])
		expect(await stateOf(path)).toBe('closed')
	},
)

test('a second signal ends it even if the reader of stdout has stopped reading', async () => {
	const path = chainPath()
	const { child, ended, passedOn, said } = start([path])
	child.stdin.on('error', () => {})
	child.stdin.write('ready\n')
	await until(() => passedOn().toString() === 'ready\n')
	child.stdout.pause()
	child.stdin.write('x'.repeat(4 << 20))
	child.kill('SIGTERM')
	await until(() => said().includes('waiting for the end of the input'))
	child.kill('SIGTERM')
	await until(() => child.exitCode !== null)
	child.stdout.resume()
	expect((await ended).status).toBe(143)
	expect(await stateOf(path)).toBe('closed')
})

test('a stop of the process group loses none of the last words of the program', async () => {
	const path = chainPath()
	const program = `
		process.stdout.on('error', () => {})
		console.log('ready')
		const timer = setInterval(() => console.log('tick'), 50)
		process.on('SIGTERM', () => {
			console.log('draining')
			setTimeout(() => { clearInterval(timer); console.log('last words') }, 200)
		})
	`
	const pipeline = `trap : TERM; "$0" -e "$1" | "$0" "$2" record "$3"; echo "statuses: \${PIPESTATUS[*]}"`
	const group = spawn('bash', ['-c', pipeline, process.execPath, program, CLI, path], {
		detached: true,
		stdio: ['ignore', 'pipe', 'inherit'],
	})
	onTestFinished(() => void group.kill('SIGKILL'))
	let text = ''
	group.stdout.on('data', (piece: Buffer) => {
		text += piece.toString()
	})
	await until(() => text.includes('tick'))
	process.kill(-group.pid!, 'SIGTERM')
	await once(group, 'close')
	expect(text).toMatch(/draining\n(?:tick\n)*last words\nstatuses: 0 0\n$/)
	expect((await read(path)).at(-1)).toMatchObject({ message: 'last words' })
	expect(await stateOf(path)).toBe('closed')
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
	const { child, ended } = start([path], {
		nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(spy)}`],
	})
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
			bytesOf(await read(path))
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
	expect(bytesOf(records).toString()).toBe(written)
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

test('a reader that ends does not end the recording', async () => {
	const path = chainPath()
	const pipeline = `seq 1 200000 | "$0" "$1" record "$2" | head -n 3; echo "statuses: \${PIPESTATUS[*]}"`
	const { stdout, stderr } = await run('bash', ['-c', pipeline, process.execPath, CLI, path])
	expect(stdout).toBe('1\n2\n3\nstatuses: 0 0 0\n')
	expect(stderr).toMatch(
		/: 200,000 lines recorded; [\d.]+ MiB \([\d,]+ bytes\) not passed on because stdout was closed\n$/,
	)
	const records = await read(path)
	expect(records.map(({ message }) => Number(message))).toEqual(
		Array.from({ length: 200_000 }, (_unused, index) => index + 1),
	)
	expect(await stateOf(path)).toBe('closed')
})

test('an output that fails does not end the recording, and is a failure', async () => {
	const path = chainPath()
	const pipeline = 'seq 1 1000 | "$0" "$1" record "$2" > /dev/full'
	const { status, stderr } = await run('bash', ['-c', pipeline, process.execPath, CLI, path])
	expect([status, stderr]).toEqual([
		2,
		expect.stringContaining('OUTPUT_FAILED: cannot write to stdout: ENOSPC'),
	])
	expect(await read(path)).toHaveLength(1000)
})

test('usage errors are reported before any input is read', async () => {
	const path = chainPath()
	for (const options of [
		[path, '--level', 'loud'],
		[path, '-l', 'info'],
		[path, '--kind', '$gap'],
		[path, '--nodes', 'x'],
		[path, '--stderr-level', 'warn'],
		[path, '--rotate', '64MX'],
		[path, '--retain', '1year'],
		[path, '--durability', 'memory'],
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
