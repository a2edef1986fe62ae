/** Runs programs under `mesh-chain record`, with real processes, pipes and signals. */
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { meshChain, run } from '../support/process.ts'
import { CLI, chainPath, readRecords, startRecord, until } from '../support/recording.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { bytesOf } from '../support/text-records.ts'

const NODE = process.execPath

interface Recorded {
	readonly stdout: readonly LogRecord[]
	readonly stderr: readonly LogRecord[]
	/** Records about the end of the program. */
	readonly exits: readonly LogRecord[]
}

async function recorded(path: string): Promise<Recorded> {
	const all = await readRecords(path)
	const lines = all.filter(({ kind }) => kind !== '$exit')
	const isStderr = ({ data }: LogRecord) => (data as { stream?: unknown } | undefined)?.stream === 'stderr'
	return {
		stdout: lines.filter((line) => !isStderr(line)),
		stderr: lines.filter(isStderr),
		exits: all.filter(({ kind }) => kind === '$exit'),
	}
}

const messages = (records: readonly LogRecord[]) => records.map(({ message }) => message)

async function stateOf(path: string): Promise<string> {
	return JSON.parse((await meshChain(['info', path, '-o', 'json'])).stdout).state
}

async function recordShell(script: string, ...options: string[]) {
	const path = chainPath()
	const { child, ended } = startRecord([path, ...options, '--', 'sh', '-c', script])
	child.stdin.end()
	return { path, ...(await ended), chain: await recorded(path) }
}

/** Returns whether a process runs. One that has ended may still wait for its parent. */
function isAlive(pid: number): boolean {
	try {
		return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
	} catch {
		return false
	}
}

/** A program that prints what it receives, and ends after SIGTERM or when it is asked to. */
const LISTENER = `
	const counts = {}
	const last = () => { console.log('counts ' + JSON.stringify(counts)); clearInterval(timer) }
	for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2']) {
		process.on(signal, () => {
			counts[signal] = (counts[signal] ?? 0) + 1
			console.log('got ' + signal)
			if (counts[signal] === 1) setTimeout(last, 400)
		})
	}
	const timer = setInterval(() => {}, 1000)
	console.log('ready')
`

test('both streams and the exit are records, and the streams pass through unchanged', async () => {
	const script =
		'echo one; echo two; echo three >&2; echo \'{"level":"error","msg":"four","stream":7}\' >&2; exit 7'
	const { path, status, stdout, stderr, chain } = await recordShell(
		script,
		'--node',
		'n1',
		'--level',
		'debug',
	)
	expect([status, stdout.toString()]).toEqual([7, 'one\ntwo\n'])
	expect(stderr).toBe('three\n{"level":"error","msg":"four","stream":7}\n')
	expect(await readRecords(path)).toHaveLength(5)
	expect(chain.stdout).toMatchObject([
		{ message: 'one', level: 'debug', nodeId: 'n1' },
		{ message: 'two', level: 'debug', nodeId: 'n1' },
		{ message: 'four', level: 'error', data: { stream: 7 } },
	])
	expect(chain.stderr).toMatchObject([{ message: 'three', level: 'warn', data: { stream: 'stderr' } }])
	expect(chain.exits).toMatchObject([
		{
			level: 'error',
			message: 'sh exited with status 7',
			nodeId: 'n1',
			data: { command: ['sh', '-c', script], pid: expect.any(Number), status: 7, signal: null },
		},
	])
	expect((await readRecords(path)).at(-1)?.kind).toBe('$exit')
	expect([await stateOf(path), (await meshChain(['verify', path])).status]).toEqual(['closed', 0])
})

test('--stderr-level sets the level of stderr, and -q passes nothing on', async () => {
	const { status, stdout, stderr, chain } = await recordShell(
		'echo a; echo b >&2',
		'--stderr-level',
		'error',
		'-q',
	)
	expect([status, stdout.toString(), stderr]).toEqual([0, '', ''])
	expect([chain.stdout[0]?.level, chain.stderr[0]?.level, chain.exits[0]?.level]).toEqual([
		'info',
		'error',
		'info',
	])
})

test.each(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const)(
	'%s is passed on, and the last words of the program are recorded',
	async (signal) => {
		const path = chainPath()
		const { child, ended, passedOn } = startRecord([path, '--', NODE, '-e', LISTENER])
		await until(() => passedOn().toString() === 'ready\n')
		child.kill(signal)
		const text = `ready\ngot ${signal}\ncounts {"${signal}":1}\n`
		expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from(text), stderr: '' })
		const { stdout, exits } = await recorded(path)
		expect(bytesOf(stdout).toString()).toBe(text)
		expect(exits).toMatchObject([{ level: 'info', data: { status: 0, signal: null } }])
	},
)

test.each(['SIGINT', 'SIGTERM'] as const)(
	'%s to the process group reaches the program once',
	async (signal) => {
		const path = chainPath()
		const { child, ended, passedOn } = startRecord([path, '--', NODE, '-e', LISTENER], { detached: true })
		await until(() => passedOn().toString() === 'ready\n')
		process.kill(-child.pid!, signal)
		const text = `ready\ngot ${signal}\ncounts {"${signal}":1}\n`
		expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from(text) })
		expect(bytesOf((await recorded(path)).stdout).toString()).toBe(text)
	},
)

test('a program that a passed signal terminates has not failed, and has its status', async () => {
	const path = chainPath()
	const { child, ended, passedOn } = startRecord([path, '--', 'sh', '-c', 'echo ready; exec sleep 1000'])
	await until(() => passedOn().toString() === 'ready\n')
	child.kill('SIGTERM')
	expect(await ended).toMatchObject({ status: 143, signal: null })
	expect((await recorded(path)).exits).toMatchObject([
		{ level: 'info', message: 'sh was terminated by SIGTERM', data: { status: 143, signal: 'SIGTERM' } },
	])
})

test('a program that is killed has failed', async () => {
	const { status, stdout, chain } = await recordShell('echo before; kill -KILL $$')
	expect([status, stdout.toString()]).toEqual([137, 'before\n'])
	expect(messages(chain.stdout)).toEqual(['before'])
	expect(chain.exits).toMatchObject([
		{ level: 'error', message: 'sh was terminated by SIGKILL', data: { status: 137, signal: 'SIGKILL' } },
	])
})

test('after SIGKILL at any moment, the chain contains every byte that was passed on', async () => {
	const random = randomFrom(SEED)
	for (let run = 0; run < 5; run++) {
		const path = chainPath()
		const script = 'echo pid $$; i=0; while :; do i=$((i + 1)); echo out $i; echo err $i >&2; done'
		const { child, ended, passedOn } = startRecord([path, '--', 'sh', '-c', script])
		const bytes = 100 + Math.floor(random() * 50_000)
		await until(() => passedOn().length > bytes)
		child.kill('SIGKILL')
		const { stdout, stderr } = await ended
		const chain = await recorded(path)
		const context = `seed ${SEED}, run ${run}`
		expect(stdout.length, context).toBeGreaterThan(bytes)
		expect(bytesOf(chain.stdout).subarray(0, stdout.length).equals(stdout), context).toBe(true)
		const errors = Buffer.from(stderr)
		expect(bytesOf(chain.stderr).subarray(0, errors.length).equals(errors), context).toBe(true)
		// The program ends at its next write, because nothing reads its output.
		await until(() => !isAlive(Number(/^pid (\d+)/.exec(stdout.toString())?.[1])))
	}
})

test('a prompt on either stream appears, and the program reads stdin', async () => {
	const path = chainPath()
	const script = 'printf "name? "; read name; printf "age? " >&2; read age; echo "$name is $age"'
	const { child, ended, passedOn, said } = startRecord([path, '--', 'sh', '-c', script])
	await until(() => passedOn().toString() === 'name? ')
	child.stdin.write('Ada\n')
	await until(() => said() === 'age? ')
	child.stdin.end('36\n')
	expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from('name? Ada is 36\n') })
	const { stdout, stderr } = await recorded(path)
	expect(stdout).toMatchObject([
		{ message: 'name? ', data: { part: 1 } },
		{ message: 'Ada is 36', data: { part: 2, last: true } },
	])
	expect(stderr).toMatchObject([{ message: 'age? ', data: { stream: 'stderr', part: 1 } }])
})

test('a process that keeps the streams open does not keep the recording open', async () => {
	const script = 'sleep 1000 & echo $!; head -c 60000 /dev/zero | tr "\\0" x; echo; echo last >&2'
	const { status, stdout, stderr, chain } = await recordShell(script)
	const sleeper = Number(stdout.toString().split('\n')[0])
	onTestFinished(() => void process.kill(sleeper, 'SIGKILL'))
	expect([status, isAlive(sleeper)]).toEqual([0, true])
	expect(messages(chain.stdout)).toEqual([String(sleeper), 'x'.repeat(60_000)])
	expect(messages(chain.stderr)).toEqual(['last'])
	expect(chain.exits).toMatchObject([{ data: { status: 0, open: ['stdout', 'stderr'] } }])
	expect(stderr).toMatch(/^last\n.*stdout: 2 lines recorded; another process had it open 1 s after the end/)
})

test('a process that keeps writing does not keep the recording open', async () => {
	const { status, stderr, chain } = await recordShell('yes & echo $! >&2', '-q')
	expect(status).toBe(0)
	expect(stderr).toContain('another process had it open')
	expect(chain.exits).toMatchObject([{ data: { open: expect.arrayContaining(['stdout']) } }])
	await until(() => !isAlive(Number(chain.stderr[0]?.message)))
})

test('what is written soon after the end of the program is recorded', async () => {
	const { status, stderr, chain } = await recordShell(
		'{ while kill -0 $$; do :; done 2> /dev/null; echo late; } & echo early',
	)
	expect([status, stderr, messages(chain.stdout)]).toEqual([0, '', ['early', 'late']])
	expect(chain.exits[0]?.data).not.toHaveProperty('open')
})

test('a program that closes its streams early runs to its end', async () => {
	const { status, stdout, stderr, chain } = await recordShell(
		'echo a; exec >&-; sleep 0.2; echo b >&2; exec 2>&-; sleep 0.2; exit 3',
	)
	expect([status, stdout.toString(), stderr]).toEqual([3, 'a\n', 'b\n'])
	expect([messages(chain.stdout), messages(chain.stderr)]).toEqual([['a'], ['b']])
	expect(chain.exits).toMatchObject([{ message: 'sh exited with status 3' }])
})

test('no byte of a binary output is lost', async () => {
	const bytes = randomBytes(300_000)
	const file = join(temporaryFolder(), 'bytes')
	writeFileSync(file, bytes)
	const path = chainPath()
	const { ended } = startRecord([path, '--', 'cat', file])
	const { status, stdout } = await ended
	expect([status, stdout.equals(bytes)]).toEqual([0, true])
	expect(bytesOf((await recorded(path)).stdout).equals(bytes)).toBe(true)
})

test('a reader that does not read makes the program wait, and memory stays bounded', async () => {
	const path = chainPath()
	const program = `
		const lines = Buffer.from(('x'.repeat(99) + '\\n').repeat(10_000))
		let written = 0
		const next = () => {
			if (written === 50) return
			const blocked = setTimeout(() => console.error('blocked at ' + written), 1000)
			process.stdout.write(lines, () => { clearTimeout(blocked); written++; next() })
		}
		next()
	`
	const { child, ended, said } = startRecord([path, '--', NODE, '-e', program])
	child.stdout.pause()
	await until(() => said().includes('blocked at'))
	expect(Number(/blocked at (\d+)/.exec(said())?.[1])).toBeLessThan(5)
	child.stdout.resume()
	await until(() => child.exitCode !== null || peakKib(child.pid!) > 0)
	const peak = peakKib(child.pid!)
	const { status, stdout } = await ended
	expect([status, stdout.length]).toEqual([0, 50_000_000])
	expect(peak).toBeLessThan(250_000)
	expect(bytesOf((await recorded(path)).stdout).equals(stdout)).toBe(true)
})

/** Returns the peak memory of a process, or 0 if it has ended. */
function peakKib(pid: number): number {
	try {
		return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
	} catch {
		return 0
	}
}

test('a reader of stdout that ends does not end the program', async () => {
	const path = chainPath()
	const pipeline = `"$0" "$1" record "$2" -- seq 1 200000 | head -n 3; echo "statuses: \${PIPESTATUS[*]}"`
	const { stdout, stderr } = await run('bash', ['-c', pipeline, NODE, CLI, path])
	expect(stdout).toBe('1\n2\n3\nstatuses: 0 0\n')
	expect(stderr).toMatch(/: stdout: 200,000 lines recorded; .* not passed on because stdout was closed\n$/)
	expect((await recorded(path)).stdout).toHaveLength(200_000)
})

test('a program can open its streams by name', async () => {
	const { status, stdout, stderr } = await recordShell('echo a > /dev/stdout; echo b > /dev/stderr')
	expect([status, stdout.toString(), stderr]).toEqual([0, 'a\n', 'b\n'])
})

test('without mkfifo and cat, programs are recorded and signals are passed on', async () => {
	const path = chainPath()
	const env = { PATH: temporaryFolder() }
	const { child, ended, passedOn } = startRecord([path, '--', NODE, '-e', LISTENER], { env })
	await until(() => passedOn().toString() === 'ready\n')
	child.kill('SIGTERM')
	const text = 'ready\ngot SIGTERM\ncounts {"SIGTERM":1}\n'
	expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from(text) })
	expect(bytesOf((await recorded(path)).stdout).toString()).toBe(text)
})

test('a program that cannot be started is reported, with the status of a shell, and recorded', async () => {
	const folder = temporaryFolder()
	const file = join(folder, 'not-executable')
	writeFileSync(file, '#!/bin/sh\n')
	chmodSync(file, 0o644)
	mkdirSync(join(folder, 'folder'))
	const script = join(folder, 'script')
	writeFileSync(script, '#!/no/such/interpreter\n')
	chmodSync(script, 0o755)
	for (const [program, expected, reason] of [
		['no-such-program', 127, 'does not exist (ENOENT)'],
		[script, 127, 'does not exist (ENOENT)'],
		[file, 126, 'do not allow it to be executed (EACCES)'],
		[join(folder, 'folder'), 126, 'it is a folder'],
	] as const) {
		const path = chainPath()
		const { ended } = startRecord([path, '--', program, 'argument'])
		const { status, stdout, stderr } = await ended
		expect([status, stdout.length]).toEqual([expected, 0])
		expect(stderr).toMatch(/^mesh-chain: .*cannot be started: .*\n$/)
		expect(stderr).toContain(reason)
		expect((await recorded(path)).exits).toMatchObject([
			{
				level: 'error',
				message: expect.stringContaining(reason),
				data: { command: [program, 'argument'], pid: null, status: expected, signal: null },
			},
		])
		expect(await stateOf(path)).toBe('closed')
	}
})

test('usage errors are reported before the program starts', async () => {
	for (const [args, message] of [
		[['PATH', '--'], '-- must be followed by a program'],
		[['PATH', '--', ''], '-- must be followed by a program'],
		[['--', 'touch', 'MARK'], 'record requires a file'],
		[['PATH', 'other', '--', 'touch', 'MARK'], 'expected one file'],
		[['PATH', '--stderr-level', 'loud', '--', 'touch', 'MARK'], '--stderr-level: no such level: "loud"'],
		[['PATH', '--rotate', '1', '--', 'touch', 'MARK'], '--rotate must be at least 4096 bytes, not "1"'],
		[['PATH', '--retain', '1year', '--', 'touch', 'MARK'], '--retain must be a size'],
		[['PATH', '--durability', 'memory', '--', 'touch', 'MARK'], 'not "memory"'],
		[['PATH', '--rotate', '1MiB', '--retain', '64KiB', '--', 'touch', 'MARK'], '--rotate must be at most'],
	] as const) {
		const path = chainPath()
		const mark = join(dirname(path), 'mark')
		const { ended } = startRecord(args.map((arg) => arg.replace('PATH', path).replace('MARK', mark)))
		const { status, stderr } = await ended
		expect([status, stderr]).toEqual([2, expect.stringContaining(message)])
		expect([existsSync(path), existsSync(mark)]).toEqual([false, false])
	}
})

test('a program whose chain cannot be opened is not started', async () => {
	const path = chainPath()
	const mark = join(dirname(path), 'mark')
	writeFileSync(path, 'not a chain')
	const { ended } = startRecord([path, '--', 'touch', mark])
	expect(await ended).toMatchObject({ status: 2, stderr: expect.stringContaining('NOT_A_CHAIN') })
	expect(existsSync(mark)).toBe(false)
})

test('options after -- belong to the program', async () => {
	const { ended } = startRecord([chainPath(), '-q', '--', 'echo', '--help', '-q', '--', 'x'])
	expect(await ended).toMatchObject({ status: 0, stdout: Buffer.from('') })
	const path = chainPath()
	await startRecord([path, '--', 'echo', '--help', '-q', '--', 'x']).ended
	expect(messages((await recorded(path)).stdout)).toEqual(['--help -q -- x'])
})

test('--rotate and --retain bound the chain, and --durability accepts every form', async () => {
	const path = chainPath()
	const { ended } = startRecord([
		path,
		'-q',
		'--rotate',
		'64KiB',
		'--retain',
		'256KiB,7d',
		'--',
		'seq',
		'1',
		'200000',
	])
	expect(await ended).toMatchObject({ status: 0, stderr: '' })
	const { stdout } = await meshChain(['info', path, '-o', 'json'])
	const info = JSON.parse(stdout) as { bytes: number; segments: unknown[] }
	expect(info.segments.length).toBeGreaterThan(2)
	expect(info.bytes).toBeLessThanOrEqual(256 * 1024)
	// A fast program does not make a file so large that retention removes it at once.
	expect((await recorded(path)).stdout.at(-1)?.message).toBe('200000')
	expect(info.bytes).toBeGreaterThan(128 * 1024)
	for (const durability of ['os', 'disk', '100records', '1s,1MiB']) {
		const other = chainPath()
		const { status, stdout: text } = await startRecord([other, '--durability', durability, '--', 'echo', 'a'])
			.ended
		expect([durability, status, text.toString()]).toEqual([durability, 0, 'a\n'])
		expect(messages((await recorded(other)).stdout)).toEqual(['a'])
	}
})

test('with --durability disk, a line is synced before it is passed on', async () => {
	const spy = `
		import fs from 'node:fs'
		import { syncBuiltinESMExports } from 'node:module'
		let synced = 0
		const { fdatasync } = fs
		fs.fdatasync = (fd, done) => fdatasync(fd, (error) => { synced++; done(error) })
		syncBuiltinESMExports()
		const write = process.stdout.write
		process.stdout.write = function (bytes) {
			if (synced === 0) process.stderr.write('not synced')
			synced = 0
			return write.apply(this, arguments)
		}
	`
	const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(spy)}`]
	const path = chainPath()
	const { child, ended, passedOn } = startRecord([path, '--durability', 'disk'], { nodeArgs })
	for (let line = 1; line <= 5; line++) {
		child.stdin.write(`line ${line}\n`)
		await until(() => passedOn().toString().endsWith(`line ${line}\n`))
	}
	child.stdin.end()
	expect(await ended).toMatchObject({ status: 0, stderr: '' })
})
