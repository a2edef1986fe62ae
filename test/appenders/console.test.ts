/** ConsoleAppender against a scripted pipe and scripted streams. */
import { PassThrough, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ConsoleAppender, type ConsoleOptions } from '../../src/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { gapRecord } from '../../src/model/record.ts'
import { heardWarnings } from '../support/warnings.ts'
import { FakePipe } from './fake-pipe.ts'

const coded = (code: string) => expect.objectContaining({ code })
const seqs = (pipe: FakePipe) => pipe.lines.map(({ seq }) => seq)
const turn = () => new Promise((resolve) => setImmediate(resolve))

function open(options: ConsoleOptions = {}) {
	const pipe = new FakePipe()
	const appender = new ConsoleAppender({ fs: pipe.system, ...options })
	return { pipe, appender, loop: new MeshLoop(appender) }
}

/** A stream whose writes wait until the test answers them. */
class ManualStream {
	readonly waiting: { readonly text: string; readonly done: (error?: Error | null) => void }[] = []

	write(bytes: Uint8Array, done: (error?: Error | null) => void): boolean {
		this.waiting.push({ text: Buffer.from(bytes).toString(), done })
		return true
	}
}

describe('options', () => {
	test('refuse a misspelt name and a wrong value, and name it', () => {
		for (const [name, value] of Object.entries({
			stream: 'stdin',
			pretty: 'yes',
			format: 'ecs',
			color: 1,
			queueBytesMax: 1023,
			closeTimeoutMs: 0,
			fs: {},
			colour: true,
		})) {
			expect(() => new ConsoleAppender({ [name]: value } as never)).toThrow(
				expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(name) }),
			)
		}
		expect(() => new ConsoleAppender({ level: 'loud' })).toThrow(coded('INVALID_LEVEL'))
		for (const stream of [null, 5, {}, Promise.reject(new Error('no stream'))])
			expect(() => new ConsoleAppender({ stream: stream as never })).toThrow(coded('INVALID_OPTION'))
		expect(new ConsoleAppender({ level: undefined, format: undefined }).stats().written).toBe(0)
	})
})

describe('the form', () => {
	const formOf = (options: ConsoleOptions, stream: object = {}) => {
		let text = ''
		const write = (bytes: Uint8Array, done: () => void) => {
			text += Buffer.from(bytes).toString()
			done()
		}
		const appender = new ConsoleAppender({ ...options, stream: { write, ...stream } as never })
		const loop = new MeshLoop(appender, { clock: () => 0, nodeId: 'n' })
		loop.warn('a\u001b[31mb', { a: 1 })
		loop.flush()
		return text
	}
	beforeEach(() => {
		for (const name of ['NO_COLOR', 'FORCE_COLOR']) vi.stubEnv(name, undefined)
		vi.stubEnv('TERM', 'xterm')
	})
	afterEach(() => void vi.unstubAllEnvs())

	test('is JSON Lines unless the stream is a terminal', () => {
		expect(JSON.parse(formOf({}))).toMatchObject({ seq: 1, level: 'warn', message: 'a\u001b[31mb' })
		expect(JSON.parse(formOf({ format: 'pino' }))).toEqual({
			level: 40,
			time: 0,
			nodeId: 'n',
			a: 1,
			msg: 'a\u001b[31mb',
		})
		expect(JSON.parse(formOf({ pretty: false }, { isTTY: true }))).toMatchObject({ seq: 1 })
	})

	test('is pretty on a terminal, with colours, and always escaped', () => {
		const dim = (text: string) => `\u001b[2m${text}\u001b[22m`
		const text = formOf({ format: 'pino' }, { isTTY: true })
		expect(text).toContain(`\u001b[33mWARN \u001b[39m a\\x1b[31mb ${dim('{a: 1}')} ${dim('node=n #1')}\n`)
		expect(formOf({ color: false }, { isTTY: true })).not.toContain('\u001b')
		expect(formOf({ pretty: true })).not.toContain('\u001b')
	})

	test.each([
		[{ NO_COLOR: '1' }, true, false],
		[{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
		[{ NO_COLOR: '' }, true, true],
		[{ FORCE_COLOR: '1' }, false, true],
		[{ FORCE_COLOR: '0' }, true, false],
		[{ TERM: 'dumb' }, true, false],
	])('obeys %j on a terminal: %s', (env, isTTY, isColored) => {
		for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
		expect(formOf({ pretty: true }, { isTTY }).includes('\u001b[33m')).toBe(isColored)
	})
})

describe('writing', () => {
	test('happens at the end of the turn, in one write, and at once for an error', async () => {
		const { pipe, loop, appender } = open()
		for (let index = 0; index < 100; index++) loop.info('hello')
		expect(pipe.calls).toBe(0)
		await turn()
		expect([pipe.calls, seqs(pipe).length]).toEqual([1, 100])
		loop.info('before')
		loop.error('failed')
		expect([pipe.calls, seqs(pipe).length]).toEqual([2, 102])
		expect(appender.stats()).toMatchObject({ written: 102, queued: 0, queuedBytes: 0 })
		await loop.close()
	})

	test('opens the pipe a second time, and closes only this descriptor', async () => {
		const { pipe, loop } = open()
		expect(pipe.isOpen).toBe(true)
		await loop.close()
		expect(pipe.isOpen).toBe(false)
	})

	test('omits records below the level, but never a gap', async () => {
		const { pipe, appender } = open({ level: 'error' })
		const loop = new MeshLoop()
		appender.append(loop.info('quiet')!)
		appender.append(gapRecord({ fromSeq: 2, toSeq: 3, count: 2, cause: 'evicted' }, { epoch: 1, tsMs: 0 }))
		appender.flush()
		expect(pipe.lines).toMatchObject([{ kind: '$gap', seq: 3 }])
		expect(appender.stats()).toMatchObject({ belowLevel: 1, written: 0, queued: 0 })
		await appender.close()
	})

	test.each([
		['WARN', 3],
		[40, 3],
		['fatal', 1],
		['silent', 0],
		[undefined, 4],
	])('accepts the level %s in the forms that a loop accepts', async (level, count) => {
		const { pipe, loop } = open({ level })
		loop.info('one')
		loop.warn('two')
		loop.error('three')
		loop.fatal('four')
		await loop.close()
		expect(pipe.lines).toHaveLength(count)
	})

	test('continues a partial write where it stopped', async () => {
		const { pipe, loop, appender } = open()
		pipe.writeBytesMax = 7
		for (let index = 0; index < 20; index++) loop.info('hello', { index })
		await loop.close()
		expect(seqs(pipe)).toEqual(Array.from({ length: 20 }, (_unused, index) => index + 1))
		expect(appender.stats().written).toBe(20)
	})

	test('waits while the pipe is full, and then continues within a line', async () => {
		const said = heardWarnings()
		const { pipe, loop, appender } = open()
		pipe.roomBytes = 150
		for (let index = 0; index < 20; index++) loop.info('hello', { index })
		loop.flush()
		expect(pipe.text).toHaveLength(150)
		expect(appender.stats()).toMatchObject({ failures: 0, lastError: undefined })
		pipe.roomBytes = Number.POSITIVE_INFINITY
		await expect.poll(() => seqs(pipe).length).toBe(20)
		expect(said).toEqual([])
		await loop.close()
	})

	test('retries after other errors, and says so once', async () => {
		const said = heardWarnings()
		const { pipe, loop, appender } = open()
		pipe.refusal = 'ENOSPC'
		loop.info('hello')
		loop.flush()
		loop.flush()
		pipe.refusal = undefined
		await expect.poll(() => seqs(pipe)).toEqual([1])
		expect(said.map(({ code }) => code)).toEqual(['MESH_CHAIN_APPENDER_FAILING'])
		expect(appender.stats()).toMatchObject({ failures: 2, lastError: 'ENOSPC: refused', isClosed: false })
		await loop.close()
	})
})

describe('losses', () => {
	test('a full queue drops the oldest lines, counts them, says so once, and shows a gap', async () => {
		const said = heardWarnings()
		const { pipe, loop, appender } = open({ queueBytesMax: 4096 })
		pipe.roomBytes = 0
		for (let index = 0; index < 500; index++) {
			loop.info('hello', { index })
			if (index % 10 === 0) loop.flush()
			expect(appender.stats().queuedBytes).toBeLessThanOrEqual(4096)
		}
		expect(loop.committedSeq).toBe(500)
		const { overflow } = appender.stats().lost
		expect(overflow).toBeGreaterThan(400)
		pipe.roomBytes = Number.POSITIVE_INFINITY
		await loop.close()
		const gap = pipe.lines.find(({ kind }) => kind === '$gap')
		expect(gap?.data).toMatchObject({ count: overflow, cause: 'overflow' })
		expect(pipe.lines.at(-1)?.seq).toBe(500)
		expect(appender.stats().written + overflow).toBe(500)
		await expect.poll(() => said.map(({ code }) => code)).toEqual(['MESH_CHAIN_RECORDS_LOST'])
		expect(said[0]?.message).toContain('stdout is read too slowly')
	})

	test('after EPIPE nothing more is written, every record is counted, and the loop continues', async () => {
		const said = heardWarnings()
		const { pipe, loop, appender } = open()
		loop.info('written')
		await turn()
		pipe.roomBytes = 10
		loop.info('cut')
		loop.flush()
		pipe.refusal = 'EPIPE'
		for (let index = 0; index < 10; index++) loop.error('lost')
		loop.flush()
		const { calls } = pipe
		for (let index = 0; index < 10; index++) loop.error('lost')
		loop.flush()
		expect(pipe.calls).toBe(calls)
		expect(pipe.isOpen).toBe(false)
		expect(appender.stats()).toMatchObject({
			written: 1,
			queued: 0,
			isClosed: true,
			lost: { overflow: 0, closed: 21, atClose: 0 },
		})
		expect(loop.stats().appender.failing).toBe(false)
		await loop.close()
		await expect.poll(() => said.map(({ code }) => code)).toEqual(['MESH_CHAIN_CONSOLE_CLOSED'])
	})

	test('close gives up on a reader that never reads, counts the lines, and says how many', async () => {
		const said = heardWarnings()
		const { pipe, loop, appender } = open({ closeTimeoutMs: 20 })
		pipe.roomBytes = 0
		loop.info('one')
		loop.info('two')
		await loop.close()
		expect(appender.stats()).toMatchObject({ written: 0, queued: 0, isClosed: false, lost: { atClose: 2 } })
		await expect
			.poll(() => said.map(({ message }) => message))
			.toEqual(['ConsoleAppender: stdout did not accept 2 records within 20 ms at close'])
		expect(() => appender.append(loop.snapshot()[0]!)).toThrow(coded('APPENDER_CLOSED'))
	})

	test('flush and sync never wait for the reader', async () => {
		const { pipe, loop, appender } = open({ closeTimeoutMs: 1 })
		pipe.roomBytes = 0
		loop.info('hello')
		loop.flush()
		await loop.sync()
		expect(appender.stats()).toMatchObject({ queued: 1, written: 0 })
		await loop.close()
	})
})

describe('a stream of the application', () => {
	test('has one write in flight', async () => {
		const stream = new ManualStream()
		const appender = new ConsoleAppender({ stream: stream as never })
		const loop = new MeshLoop(appender)
		loop.info('one')
		loop.flush()
		for (let index = 0; index < 5; index++) {
			loop.error('more')
			loop.flush()
			await turn()
		}
		expect(stream.waiting).toHaveLength(1)
		stream.waiting[0]!.done()
		await turn()
		expect(stream.waiting).toHaveLength(2)
		expect(stream.waiting[1]!.text.split('\n')).toHaveLength(6)
		expect(appender.stats()).toMatchObject({ written: 1, queued: 5 })
		stream.waiting[1]!.done()
		await loop.close()
		expect(appender.stats().written).toBe(6)
	})

	test('that is destroyed ends the writing', async () => {
		heardWarnings()
		const stream = new PassThrough()
		const appender = new ConsoleAppender({ stream })
		const loop = new MeshLoop(appender)
		stream.destroy(new Error('the reader is gone'))
		await turn()
		loop.info('lost')
		loop.flush()
		await expect.poll(() => appender.stats().isClosed).toBe(true)
		expect(appender.stats().lost.closed).toBe(1)
		await loop.close()
	})

	test.each([
		[
			'throws',
			() => {
				throw new Error('broken')
			},
		],
		[
			'returns a promise that rejects',
			(_bytes: Uint8Array, done: (error: Error) => void) => {
				done(new Error('broken'))
				return Promise.reject(new Error('broken'))
			},
		],
		[
			'fails with a value that cannot be shown',
			(_bytes: Uint8Array, done: (error: unknown) => void) =>
				done({
					get code() {
						throw new Error('unreadable')
					},
				}),
		],
	])('that %s never makes a publisher throw', async (_name, write) => {
		heardWarnings()
		const appender = new ConsoleAppender({ stream: { write } as never, closeTimeoutMs: 1 })
		const loop = new MeshLoop(appender)
		loop.error('lost')
		loop.flush()
		await loop.close()
		expect(appender.stats()).toMatchObject({ written: 0, lost: { atClose: 1 } })
	})

	test('receives the lines of a slow consumer in order', async () => {
		const texts: string[] = []
		const stream = new Writable({
			write(chunk, _encoding, done) {
				texts.push(String(chunk))
				setImmediate(done)
			},
		})
		const loop = new MeshLoop(new ConsoleAppender({ stream }))
		for (let index = 0; index < 1000; index++) {
			loop.info('hello', { index })
			if (index % 100 === 0) await turn()
		}
		await loop.close()
		const lines = texts.join('').split('\n').slice(0, -1)
		expect(lines.map((line) => JSON.parse(line).data.index)).toEqual(
			Array.from({ length: 1000 }, (_unused, index) => index),
		)
	})
})
