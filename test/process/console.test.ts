/**
 * A service whose stdout is a pipe or a socket, as in a container: the reader reads, then slows, then
 * closes. The service never waits, its chain has everything, and what stdout did not take is counted.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type ConsoleStats, openChain, verifyChain } from '../../src/index.ts'
import { ROOT, run, runModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** For each number on stdin, publishes as many records, and reports on stderr when they are committed. */
const SERVICE = `
import { createInterface } from 'node:readline'
import { ConsoleAppender, FileChainAppender, MeshLoop, TeeAppender } from './dist/index.js'
const terminal = new ConsoleAppender({ queueBytesMax: 128 * 1024, closeTimeoutMs: 100 })
const loop = new MeshLoop(new TeeAppender(new FileChainAppender(process.argv[1]), terminal))
const tell = () => {
	const told = { committed: loop.committedSeq, ...terminal.stats() }
	process.stderr.write(JSON.stringify(told) + '\\n')
}
process.stderr.write('ready\\n')
let index = 0
for await (const line of createInterface({ input: process.stdin })) {
	const pad = 'x'.repeat(100)
	for (let left = Number(line); left > 0; left--) loop.info('request', { index: index++, pad })
	await loop.sync()
	tell()
}
await loop.close()
tell()
`

type Told = ConsoleStats & { readonly committed: number }

/** A service with a given stdout. */
class Service {
	readonly child: ChildProcess
	readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>
	readonly #lines: AsyncIterator<string>

	constructor(path: string, stdout: number | 'pipe') {
		this.child = spawn(process.execPath, ['--input-type=module', '-e', SERVICE, '--', path], {
			cwd: ROOT,
			stdio: ['pipe', stdout, 'pipe'],
		})
		onTestFinished(() => void this.child.kill('SIGKILL'))
		this.ended = once(this.child, 'exit') as never
		this.#lines = createInterface({ input: this.child.stderr! })[Symbol.asyncIterator]()
	}

	async line(): Promise<string> {
		for (;;) {
			const { value, done } = await this.#lines.next()
			if (done) throw new Error('the service ended')
			if (value === 'ready' || value.startsWith('{')) return value
		}
	}

	/** Lets the service publish, and resolves when the chain has committed the records. */
	async publish(count: number): Promise<Told> {
		this.child.stdin!.write(`${count}\n`)
		return JSON.parse(await this.line())
	}

	async end(): Promise<Told> {
		this.child.stdin!.end()
		return JSON.parse(await this.line())
	}
}

/** A pipe whose other end only the test reads. */
class Pipe {
	readonly #readFd: number
	readonly writeFd: number
	text = ''

	constructor() {
		const path = join(temporaryFolder(), 'pipe')
		execFileSync('mkfifo', [path])
		this.#readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
		this.writeFd = openSync(path, constants.O_WRONLY)
	}

	/** Reads at most `bytesMax` bytes, or what is there. */
	read(bytesMax: number): void {
		const bytes = Buffer.alloc(bytesMax)
		try {
			this.text += bytes.subarray(0, readSync(this.#readFd, bytes)).toString()
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
		}
	}

	close(): void {
		closeSync(this.#readFd)
	}

	get records(): {
		readonly kind: string
		readonly data: { readonly index: number; readonly count: number }
	}[] {
		return this.text
			.slice(0, this.text.lastIndexOf('\n') + 1)
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line))
	}
}

async function expectInChain(path: string, count: number): Promise<void> {
	expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
	await using chain = await openChain(path)
	let next = 0
	for await (const { data } of chain.records()) expect((data as { index: number }).index).toBe(next++)
	expect(next).toBe(count)
}

describe('stdout as in a container', () => {
	test('is read, then slowly, then closed: nothing waits, and every loss is counted', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const pipe = new Pipe()
		const service = new Service(path, pipe.writeFd)
		closeSync(pipe.writeFd)
		await service.line()

		// The reader keeps up.
		expect(await service.publish(100)).toMatchObject({ committed: 100, lost: { overflow: 0, closed: 0 } })
		await expect
			.poll(() => {
				pipe.read(65_536)
				return pipe.records.length
			})
			.toBe(100)

		// The reader stops, and the service does not wait for it.
		const stopped = await service.publish(5_000)
		expect(stopped.committed).toBe(5_100)
		expect(stopped.queuedBytes).toBeLessThanOrEqual(128 * 1024)
		expect(stopped.lost.overflow).toBeGreaterThan(3_000)
		expect(stopped.written + stopped.queued + stopped.lost.overflow).toBe(5_100)
		const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/${service.child.pid}/fdinfo/1`, 'utf8'))?.[1]
		expect(Number.parseInt(flags ?? '', 8) & constants.O_NONBLOCK).toBe(0)

		// The reader is slow: it receives whole lines in order, and a gap for what was dropped.
		await expect
			.poll(
				() => {
					pipe.read(3_000)
					return pipe.records.at(-1)?.data.index
				},
				{ interval: 1 },
			)
			.toBe(5_099)
		const gaps = pipe.records.filter(({ kind }) => kind === '$gap')
		const indexes = pipe.records.flatMap(({ data }) => data.index ?? [])
		expect(gaps.reduce((sum, { data }) => sum + data.count, 0)).toBe(stopped.lost.overflow)
		expect(indexes).toEqual(indexes.toSorted((a, b) => a - b))
		expect(indexes.length + stopped.lost.overflow).toBe(5_100)

		// The reader closes the pipe, and the service continues.
		pipe.close()
		const closed = await service.publish(1_000)
		expect(closed).toMatchObject({ committed: 6_100, isClosed: true, lost: { closed: 1_000 } })
		const ended = await service.end()
		expect(ended.written + ended.lost.overflow + ended.lost.closed).toBe(6_100)
		expect(await service.ended).toEqual([0, null])
		await expectInChain(path, 6_100)
	})

	test.each(['pipe', 'socket'] as const)(
		'a reader of a %s that never reads delays neither the service nor its end',
		async (kind) => {
			const path = join(temporaryFolder(), 'node.chain')
			const pipe = kind === 'pipe' ? new Pipe() : undefined
			const service = new Service(path, pipe?.writeFd ?? 'pipe')
			await service.line()
			const told = await service.publish(10_000)
			expect(told.committed).toBe(10_000)
			expect(told.lost.overflow).toBeGreaterThan(0)
			const ended = await service.end()
			expect(ended.lost.atClose).toBeGreaterThan(0)
			expect(ended.written + ended.lost.overflow + ended.lost.atClose).toBe(10_000)
			expect(await service.ended).toEqual([0, null])
			await expectInChain(path, 10_000)
		},
	)

	const EXITING = `
		import { ConsoleAppender, MeshLoop } from './dist/index.js'
		const loop = new MeshLoop(new ConsoleAppender())
		for (let index = 0; index < Number(process.argv[1]); index++) loop.info('m' + index)
		setTimeout(() => {
			loop.info('last')
			process.exit(3)
		}, Number(process.argv[2]))
	`

	test.each([
		['a socket', []],
		['a pipe', ['sh', '-c', '{ "$@"; echo "status $?"; } | cat', 'sh']],
		['a file', ['sh', '-c', '"$@" > "$OUT"; echo "status $?"; cat "$OUT"', 'sh']],
	])('process.exit() writes what is waiting to %s', async (_name, within) => {
		for (const delayMs of [0, 20]) {
			const OUT = join(temporaryFolder(), 'out')
			const { status, stdout } = await runModule(EXITING, ['1000', String(delayMs)], { within, env: { OUT } })
			expect(within.length > 0 ? stdout.includes('status 3') : status === 3).toBe(true)
			const messages = stdout.split('\n').flatMap((line) => /"message":"(\w+)"/.exec(line)?.[1] ?? [])
			expect(messages).toEqual([...Array.from({ length: 1000 }, (_unused, index) => `m${index}`), 'last'])
		}
	})

	test.each(['pipe', 'socket'] as const)(
		'process.exit() ends with its status if the reader of a %s never reads',
		async (kind) => {
			const pipe = kind === 'pipe' ? new Pipe() : undefined
			const child = spawn(process.execPath, ['--input-type=module', '-e', EXITING, '--', '20000', '50'], {
				cwd: ROOT,
				stdio: ['ignore', pipe?.writeFd ?? 'pipe', 'inherit'],
			})
			onTestFinished(() => void child.kill('SIGKILL'))
			expect(await once(child, 'exit')).toEqual([3, null])
		},
	)

	test('a terminal shows records for people, with colours', async () => {
		const source = `
			import { ConsoleAppender, MeshLoop } from './dist/index.js'
			const loop = new MeshLoop(new ConsoleAppender({ format: 'pino' }))
			loop.warn('slow')
			await loop.close()
		`
		const command = `"${process.execPath}" --input-type=module -e "$SOURCE"`
		const env = { SOURCE: source, TERM: 'xterm', NO_COLOR: '', FORCE_COLOR: '1' }
		const { stdout, stderr } = await run('script', ['-qec', command, '/dev/null'], { env })
		expect([stdout, stderr]).toEqual([expect.stringContaining('\u001b[33mWARN \u001b[39m slow'), ''])
	})

	test('stdout that is not open loses only the lines', async () => {
		const source = `
			import { ConsoleAppender, MeshLoop } from './dist/index.js'
			const terminal = new ConsoleAppender()
			const loop = new MeshLoop(terminal)
			loop.error('lost')
			await new Promise(setImmediate)
			loop.error('lost')
			await loop.close()
			process.stderr.write(String(terminal.stats().lost.closed + terminal.stats().written))
		`
		const within = ['sh', '-c', '"$@" >&-', 'sh']
		const { stderr, status } = await runModule(source, [], { within })
		expect(stderr.endsWith('2')).toBe(true)
		expect(status).toBe(0)
	})
})
