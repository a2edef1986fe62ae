/**
 * Calls every seam to foreign code with every oddity, returned and thrown. Afterwards the loop delivers, the
 * chain grows, every record is accounted for, and no error has reached the publisher or was left unhandled.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { LogChainAppender } from '../../src/appender.ts'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { ConsoleAppender } from '../../src/appenders/console-appender.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { consume } from '../../src/consume/consume.ts'
import { project } from '../../src/consume/projection.ts'
import { discard, settle, within } from '../../src/guard/promises.ts'
import { attempt } from '../../src/guard/values.ts'
import { redactStatement } from '../../src/journal/redact-statement.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import type { LineFormat, UndecidedFormat } from '../../src/jsonl/line-format.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { recordFormat } from '../../src/jsonl/record-format.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { otelContext } from '../../src/loop/otel-context.ts'
import { errorSerializer, requestSerializer, responseSerializer } from '../../src/loop/web-serializers.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { systemClock } from '../../src/replay/clock.ts'
import { replay } from '../../src/replay/replay.ts'
import {
	fromEmitter,
	fromFunction,
	fromIterable,
	fromStream,
	type SampleSink,
	type Source,
	SourceManager,
} from '../../src/sources/index.ts'
import { sourceFiles } from '../support/layers.ts'
import { ODDITIES, WAYS } from '../support/oddities.ts'
import { ROOT } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** Returns or throws something odd. */
type Act = () => unknown

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const CLOSE_MS = { closeTimeoutMs: 40 }

/** Returns a function that is odd for its first few calls, and sound afterwards. */
function odd<T>(act: Act, otherwise: T, times = 2): () => T {
	let calls = 0
	return () => (calls++ < times ? (act() as T) : otherwise)
}

/**
 * Publishes before, during and after, with a listener for every record. Each record is appended, pending, or
 * counted as lost.
 */
async function survives(loop: MeshLoop, healthy?: BufferingAppender): Promise<void> {
	const heard: number[] = []
	loop.on('*', ({ seq }) => void heard.push(seq))
	for (let count = 0; count < 6; count++) {
		expect(loop.info('hello', { count })?.seq).toBe(count + 1)
		if (count % 2 === 1) await turn()
	}
	loop.publishBatch([{ kind: 'batch' }, { kind: 'batch' }])
	await turn()
	expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
	expect(loop.snapshot()).toHaveLength(8)
	const { appended, pending, lost } = loop.stats().appender
	expect(appended + pending + lost.appendFailed + lost.evicted).toBe(8)
	expect(JSON.stringify(loop.stats())).toContain('"lastSeq":8')
	if (healthy !== undefined) expect(healthy.captured()).toHaveLength(8)
	for (const call of [() => loop.flush(), () => void loop.sync().catch(() => {})]) {
		try {
			call()
		} catch (error) {
			expect(error).toHaveProperty('code')
		}
	}
	const closed = await loop.close().catch((error: unknown) => error)
	if (closed !== undefined) expect(closed).toHaveProperty('code')
	expect(loop.stats().appender.pending).toBe(0)
}

const withAppender = (fields: (act: Act) => object) => async (act: Act) => {
	const appender = { append() {}, ...fields(act) } as LogChainAppender
	await survives(new MeshLoop(appender, CLOSE_MS))
	const healthy = new BufferingAppender()
	const child = { append() {}, ...fields(act) } as LogChainAppender
	await survives(new MeshLoop(new TeeAppender(healthy, child, CLOSE_MS), CLOSE_MS), healthy)
}

const withProperty = (name: string) => async (act: Act) => {
	const appender = { append() {}, close: async () => {} }
	const loop = new MeshLoop(appender as LogChainAppender, CLOSE_MS)
	const child = { append() {}, close: async () => {} }
	const healthy = new BufferingAppender()
	const tee = new MeshLoop(new TeeAppender(healthy, child as LogChainAppender, CLOSE_MS), CLOSE_MS)
	for (const each of [appender, child]) Object.defineProperty(each, name, { get: () => act() })
	await survives(loop)
	await survives(tee, healthy)
}

/** An invalid value throws a coded error at its caller. */
const codedOrMade = <T>(make: () => T): T | undefined => {
	try {
		return make()
	} catch (error) {
		expect(attempt(() => (error as { code?: unknown }).code, undefined)).toMatch(/^[A-Z_]+$/)
		return undefined
	}
}

const getterFor = <T extends object>(target: T, name: string, act: Act): T =>
	Object.defineProperty(target, name, { get: act, enumerable: true })

const withDeclared = (name: string) => async (act: Act) => {
	const make = () => getterFor({ append() {} }, name, act) as unknown as LogChainAppender
	const loop = codedOrMade(() => new MeshLoop(make(), CLOSE_MS))
	codedOrMade(() => new MeshLoop(new TeeAppender(make(), new BufferingAppender(), CLOSE_MS)))
	if (loop === undefined) return
	loop.info('hello')
	await codedOr(loop.close())
}

const withOption = (name: 'clock' | 'context' | 'transform') => async (act: Act) => {
	const healthy = new BufferingAppender()
	const otherwise = { clock: 5, context: undefined, transform: null }[name]
	const hook =
		name === 'transform' ? (line: unknown) => odd(act, undefined, 1)() ?? line : odd(act, otherwise)
	const loop = new MeshLoop(healthy, { [name]: hook })
	if (name !== 'transform') await survives(loop, healthy)
	else {
		for (let count = 0; count < 3; count++) loop.info('hello')
		const { published, transformDropped } = loop.stats()
		expect(published + transformDropped).toBe(3)
	}
	for (const { tsMs, level } of healthy.captured()) {
		expect([Number.isSafeInteger(tsMs) && tsMs >= 0, level]).toEqual([true, 'info'])
	}
}

/** A source that is odd at first, and sound afterwards. */
const withSource =
	(make: (act: Act) => Source, mode: 'monitor' | { scanIntervalMs: number }) => async (act: Act) => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const manager = new SourceManager(loop, { retryIntervalMs: 5, connectTimeoutMs: 20, closeTimeoutMs: 20 })
		await manager.archive('odd', make(act), { mode })
		await manager.archive(
			'good',
			fromFunction(() => 1),
			{ mode: { scanIntervalMs: 1 } },
		)
		await appender.waitFor({ daemonId: 'good' }, { timeoutMs: 30_000 })
		await turn()
		await manager.close()
		for (const status of await Promise.all(['odd', 'good'].map((name) => statusAfterClose(manager, name)))) {
			const { received, stored, dropped } = status
			expect(received).toBe(stored + Object.values(dropped).reduce((sum, count) => sum + count, 0))
		}
		await loop.close()
	}

/** Returns the counters of a manager, which a closed manager no longer returns. */
async function statusAfterClose(manager: SourceManager, name: string) {
	const status = await manager.status(name).catch(() => undefined)
	return status?.counts ?? { received: 0, stored: 0, dropped: {} as Record<string, number> }
}

const replayInto =
	(target: (act: Act) => object, options: (act: Act) => object = () => ({})) =>
	async (act: Act) => {
		const records = [record(1), record(2), record(3)]
		const into = { write() {}, ...target(act) }
		const summary = await replay(records, into as never, { retries: 0, timeoutMs: 20, ...options(act) })
		const { replayed, failed } = summary
		expect([replayed, failed].every((count) => Number.isSafeInteger(count) && count >= 0)).toBe(true)
	}

async function* endless(): AsyncGenerator<number> {
	for (;;) {
		yield 1
		await new Promise((resolve) => setTimeout(resolve, 1))
	}
}

const oddMonitor = (act: Act) => {
	let calls = 0
	return (sink: SampleSink) => (calls++ < 2 ? (act() as Promise<void>) : forward(sink))
}

/** A source that keeps its subscription until its signal aborts. */
const forward = async (sink: SampleSink) => {
	sink.push({ value: 1 })
	await new Promise<void>((resolve) => sink.signal.addEventListener('abort', () => resolve()))
}

/** Requires a result or a coded error, within a bound. */
async function codedOr(promise: Promise<unknown>): Promise<void> {
	const outcome = await within(promise, 30_000)
	expect(outcome.is).not.toBe('late')
	if (outcome.is === 'rejected') expect(outcome.thrown).toHaveProperty('code')
}

/** Follows a chain of three records, and closes it. */
async function following(
	follow: (chain: Chain) => { readonly done: Promise<void>; close(): Promise<void> },
	isThere: (chain: Chain) => Promise<unknown>,
): Promise<void> {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= 3; seq++) appender.append(record(seq))
	await appender.close()
	await using chain = await openChain(path)
	const follower = follow(chain)
	await Promise.race([isThere(chain), follower.done.catch(() => {})])
	await codedOr(follower.close())
}

/** Waits for a promise, but only briefly if it never settles. */
const shortly = (promise: Promise<unknown>) => within(promise, 40)

/**
 * Sources of these items, each odd at one place. A source that never yields anything is left out, because
 * waiting for it is intended.
 */
async function sourcesOf(
	items: readonly unknown[],
	act: Act,
): Promise<Readonly<Record<string, () => unknown>>> {
	const iterator = (fields: object) => {
		const own = items[Symbol.iterator]()
		return { [Symbol.asyncIterator]: () => ({ next: async () => own.next(), ...fields }) }
	}
	const given = within(settle(attempt(() => act(), undefined)), 20)
	const neverSettles = (await given).is === 'late'
	return {
		return: () => iterator({ return: act }),
		...(neverSettles
			? {}
			: {
					open: () => ({ [Symbol.asyncIterator]: act }),
					next: () => iterator({ next: act }),
					value: () => iterator({ next: async () => ({ done: false, value: act() }) }),
				}),
	}
}

const LINES = [1, 2, 3, 4].map((seq) => `${recordFormat.write(record(seq))}\n`).join('')

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
	yield Buffer.from(text)
}

async function* oneBatch() {
	yield [record(1), record(2), record(3)]
}

/** Results of a format for a line: odd as a whole, or in one part. */
const READINGS: readonly ((act: Act) => unknown)[] = [
	(act) => act(),
	(act) => ({ skipped: act() }),
	(act) => ({ record: act() }),
	(act) => ({ lines: act() }),
	(act) => ({ lines: [act(), { message: 'good' }] }),
	...['seq', 'epoch', 'tsMs', 'level', 'kind', 'message', 'data', 'daemonId', 'origin', 'then'].flatMap(
		(name) => [
			(act: Act) => ({ record: Object.defineProperty({ ...record(1) }, name, oddField(act)) }),
			(act: Act) => ({ lines: [Object.defineProperty({ message: 'good' }, name, oddField(act))] }),
		],
	),
]

const oddField = (act: Act) => ({ enumerable: true, get: () => act() })

/** Reads four lines, of which the first three are odd; each of them is a record, or counted. */
const withReading =
	(take: (format: LineFormat) => Promise<number>) =>
	async (act: Act): Promise<void> => {
		for (const reading of READINGS) {
			let calls = 0
			const read: LineFormat['read'] = (fields, text) =>
				calls++ < 3 ? (reading(act) as never) : recordFormat.read(fields, text)
			expect(await take({ name: 'odd', read, write: recordFormat.write })).toBeGreaterThanOrEqual(4)
		}
	}

const sum = (counts: Readonly<Record<string, number>>) =>
	Object.values(counts).reduce((all, each) => all + each, 0)

/** All seams: the names that each one covers, and how it is tested. */
const SEAMS: Readonly<
	Record<string, { readonly covers: readonly string[]; readonly run: (act: Act) => Promise<void> }>
> = {
	'a listener': {
		covers: ['listener'],
		run: async (act) => {
			const healthy = new BufferingAppender()
			const loop = new MeshLoop(healthy)
			loop.on('log', act).on('*', act).once('log', act)
			await survives(loop, healthy)
			expect(loop.stats().listenerErrors).toBeLessThanOrEqual(6 + 8 + 1)
		},
	},
	'a clock': { covers: ['clock'], run: withOption('clock') },
	'a context': { covers: ['context'], run: withOption('context') },
	'a transform': { covers: ['transform'], run: withOption('transform') },
	'a serializer': {
		covers: ['serializer'],
		run: async (act) => {
			const healthy = new BufferingAppender()
			await survives(new MeshLoop(healthy, { serializers: { count: odd(act, 1) } }), healthy)
		},
	},
	'the value of a serializer': {
		covers: [],
		run: async (act) => {
			const loop = new MeshLoop(new BufferingAppender(), {
				serializers: {
					req: requestSerializer(),
					res: responseSerializer({ headers: ['a'] }),
					err: errorSerializer(),
				},
			})
			const odd = (name: string) => getterFor(Object.create({ headers: {}, method: 'GET' }), name, act)
			for (const name of ['url', 'headers', 'method', 'status', 'socket', 'cause', 'errors', 'getHeader']) {
				const value = odd(name)
				expect(loop.info('hello', { req: value, res: value, err: value, plain: value })?.seq).toBeGreaterThan(
					0,
				)
				expect(
					loop.info('hello', Object.assign(new Error('odd'), { headers: value, req: value })),
				).toBeDefined()
			}
			await loop.close()
		},
	},
	'a censor': {
		covers: ['censor'],
		run: async (act) => {
			const healthy = new BufferingAppender()
			const redact = { paths: ['count'], censor: odd(act, 'x') }
			await survives(new MeshLoop(healthy, { redact }), healthy)
		},
	},
	'the API of OpenTelemetry': {
		covers: ['getActiveSpan', 'spanContext'],
		run: async (act) => {
			for (const getActiveSpan of [odd(act, undefined), () => ({ spanContext: act })]) {
				const healthy = new BufferingAppender()
				await survives(new MeshLoop(healthy, { context: otelContext({ getActiveSpan } as never) }), healthy)
			}
		},
	},
	'an append': { covers: ['append'], run: withAppender((act) => ({ append: odd(act, undefined) })) },
	'an appendBatch': {
		covers: ['appendBatch'],
		run: withAppender((act) => ({ appendBatch: odd(act, undefined) })),
	},
	'a flush': { covers: ['flush'], run: withAppender((act) => ({ flush: act })) },
	'an onNewFile': {
		covers: ['onNewFile'],
		run: async (act) => {
			for (const onNewFile of [act, () => act]) {
				const appender = { append() {}, onNewFile } as unknown as LogChainAppender
				const loop = new MeshLoop(new TeeAppender(appender, new BufferingAppender()), CLOSE_MS)
				const recorder = new Recorder(loop)
				recorder.start()
				loop.info('hello')
				expect(recorder.stop()?.events).toHaveLength(1)
				await loop.close()
			}
		},
	},
	'a filter of a child': {
		covers: ['filter'],
		run: async (act) => {
			const [healthy, child] = [new BufferingAppender(), new BufferingAppender()]
			const tee = new TeeAppender(healthy, { appender: child, filter: act as never }, CLOSE_MS)
			await survives(new MeshLoop(tee, CLOSE_MS), healthy)
			const { filtered, filterErrors } = tee.stats().children[1]!
			expect(child.captured().length + filtered).toBe(8)
			expect(filterErrors).toBeLessThanOrEqual(8)
		},
	},
	'a stream of a ConsoleAppender': {
		covers: ['write', 'on', 'off'],
		run: async (act) => {
			for (const stream of [
				{ write: act },
				{ write: odd(act, undefined), on: act, off: act },
				getterFor({}, 'write', act),
			]) {
				const appender = codedOrMade(
					() => new ConsoleAppender({ stream: stream as never, closeTimeoutMs: 1 }),
				)
				if (appender === undefined) continue
				await survives(new MeshLoop(appender, CLOSE_MS))
				const { written, lost } = appender.stats()
				expect(written + lost.overflow + lost.closed + lost.atClose).toBe(8)
			}
		},
	},
	'a sync': { covers: ['sync'], run: withAppender((act) => ({ sync: act })) },
	'a close': { covers: ['close'], run: withAppender((act) => ({ close: act })) },
	'the clock of a chain': {
		covers: ['clock'],
		run: async (act) => {
			const path = join(temporaryFolder(), 'node.chain')
			const appender = new FileChainAppender(path, { clock: act as () => number, rotateAgeMs: 1000 })
			await survives(new MeshLoop(appender))
			await using chain = await openChain(path)
			expect(await chain.info()).toMatchObject({ lastSeq: 8, state: 'closed' })
		},
	},
	'a predicate': {
		covers: ['waitFor'],
		run: async (act) => {
			const appender = new BufferingAppender()
			const loop = new MeshLoop(appender)
			const waited = appender.waitFor(act as () => boolean, { timeoutMs: 20 }).catch(() => {})
			loop.info('hello')
			await waited
			expect(appender.captured()).toHaveLength(1)
		},
	},
	'the when of a black box': {
		covers: ['when'],
		run: async (act) => {
			const healthy = new BufferingAppender()
			const loop = new MeshLoop(healthy, { level: 'info' })
			const box = new BlackBox(loop, { when: act as () => boolean, level: 'none' })
			loop.debug('held')
			loop.info('seen')
			expect(box.stats().kept).toBe(1)
			expect(healthy.captured({ kind: 'log' })).toHaveLength(1)
		},
	},
	'the write of a target': { covers: ['write'], run: replayInto((act) => ({ write: odd(act, undefined) })) },
	'the flush of a target': { covers: ['flush'], run: replayInto((act) => ({ flush: act })) },
	'the undelivered of a target': {
		covers: ['undelivered'],
		run: replayInto((act) => ({ flush: () => Promise.reject(new Error('mine')), undelivered: act })),
	},
	'the progress of a replay': {
		covers: ['onProgress'],
		run: replayInto(
			() => ({}),
			(act) => ({ onProgress: act, progressIntervalMs: 1, speed: 1000 }),
		),
	},
	'the clock of a replay': {
		covers: ['clock'],
		run: replayInto(
			() => ({}),
			(act) => {
				const [now, after] = [odd(act, undefined, 3), odd(act, undefined, 1)]
				return {
					clock: {
						now: () => now() ?? performance.now(),
						after: (ms: number, callback: () => void) => after() ?? systemClock.after(ms, callback),
					},
				}
			},
		),
	},
	'the read of a source': {
		covers: ['read'],
		run: withSource((act) => fromFunction(odd(act, 1)), { scanIntervalMs: 1 }),
	},
	'the monitor of a source': {
		covers: ['connection.subscribe'],
		run: (act) => withSource((each) => ({ monitor: oddMonitor(each) }), 'monitor')(act),
	},
	'the end of a source': {
		covers: ['end'],
		run: withSource((act) => ({ monitor: forward, end: act as () => void }), 'monitor'),
	},
	'the push, put and lost of a sink': {
		covers: ['push'],
		run: withSource(
			(act) => ({
				async monitor(sink) {
					const give = (take: (given: never) => unknown) => discard(take(act() as never))
					give((sample) => sink.push(sample))
					give((sample) => sink.put(sample))
					give((value) => sink.push({ value }))
					give((tsMs) => sink.push({ value: 1, tsMs }))
					give((cause) => sink.lost(cause))
					await forward(sink)
				},
			}),
			'monitor',
		),
	},
	'the sample of a mapping': {
		covers: ['sample'],
		run: withSource((act) => fromIterable(() => endless(), { sample: odd(act, { value: 1 }) }), 'monitor'),
	},
	'an emitter': {
		covers: ['emitter.on', 'emitter.off'],
		run: withSource((act) => fromEmitter({ on: act, off: act } as never, 'event'), 'monitor'),
	},
	'the open of an iterable': {
		covers: ['open'],
		run: withSource((act) => fromIterable(odd(act, endless(), 2) as () => AsyncIterable<number>), 'monitor'),
	},
	'an iterable': {
		covers: ['iterable'],
		run: withSource(
			(act) => fromIterable(() => ({ [Symbol.asyncIterator]: act }) as AsyncIterable<unknown>),
			'monitor',
		),
	},
	'an iterator': {
		covers: ['next', 'return'],
		run: withSource(
			(act) => fromIterable(() => ({ [Symbol.asyncIterator]: () => ({ next: act, return: act }) as never })),
			'monitor',
		),
	},
	'the open of a stream': {
		covers: ['open'],
		run: withSource((act) => fromStream(odd(act, new PassThrough(), 2) as () => Readable), 'monitor'),
	},
	'the handler of a consumer': {
		covers: ['a handler'],
		run: (act) =>
			following(
				(chain) => consume(chain, 'odd', odd(act, undefined, 1), { ...CLOSE_MS, retries: 1 }),
				() => shortly(new Promise(() => {})),
			),
	},
	'the fold of a projection': {
		covers: ['fold'],
		run: (act) =>
			following(
				(chain) => project(chain, 'odd', { fold: odd(act, 0, 1), initial: 0, ...CLOSE_MS }),
				() => shortly(new Promise(() => {})),
			),
	},
	'a recorded state': {
		covers: ['checkpoint'],
		run: async (act) => {
			const loop = new MeshLoop()
			const recorder = new Recorder(loop)
			recorder.start()
			const given = attempt(act, undefined)
			try {
				recorder.checkpoint(given)
			} catch (error) {
				expect(error).toMatchObject({ code: 'INVALID_STATE' })
			}
			loop.info('later', given)
			expect(recorder.eventCount).toBe(1)
			expect(recorder.stop()).toMatchObject({ checkpoints: expect.any(Array) })
			await loop.close()
		},
	},
	'the redact of a journal': {
		covers: ['redact'],
		run: async (act) => {
			const options = { redact: act as () => undefined, statementBytesMax: 1000 }
			const statement = { text: 'select $1', params: ['secret'] }
			const { params } = redactStatement(statement as never, options as never)
			expect([null, 'secret', 1].includes(params[0] as null)).toBe(true)
			const element = redactStatement(statement as never, { ...options, redact: () => [act()] } as never)
			expect(element.params.length).toBeLessThanOrEqual(1)
		},
	},
	...Object.fromEntries(
		['nextSeq', 'epoch', 'inFlightMax'].map((name) => [
			`the ${name} of an appender`,
			{ covers: [name], run: withDeclared(name) },
		]),
	),
	'the data of a record': {
		covers: [],
		run: async (act) => {
			const appender = new BufferingAppender()
			const loop = new MeshLoop(appender, { context: () => ({ data: { node: 1 } }) })
			const plain = new MeshLoop(new BufferingAppender())
			const proxy = () => new Proxy({ a: 1 }, { get: act })
			const datas: (() => unknown)[] = [
				() => ({ toJSON: act }),
				() => getterFor({}, 'toJSON', act),
				() => getterFor({ b: 2 }, 'a', act),
				() => ({ deep: [getterFor({}, 'a', act)] }),
				() => Object.assign(new Error('odd'), { cause: proxy() }),
				() => getterFor(new (class Odd {})(), 'entries', act),
				() => getterFor(new (class Odd {})(), 'constructor', act),
				() => new Proxy(new (class Odd {})(), { get: act }),
				() => new Proxy([1], { get: act }),
				() => ({ *[Symbol.iterator]() {}, entries: act }),
				proxy,
			]
			for (const data of datas) {
				expect(loop.info('hello', data())?.message).toBe('hello')
				expect(plain.info('hello', data())?.message).toBe('hello')
			}
			expect(appender.captured()).toHaveLength(datas.length)
			await loop.close()
			await plain.close()
		},
	},
	'a line that is published': {
		covers: [],
		run: async (act) => {
			const loop = new MeshLoop(new BufferingAppender())
			const names = ['level', 'kind', 'message', 'data', 'daemonId', 'nodeId', 'tsMs', 'origin']
			for (const name of names) {
				const line = getterFor({ message: 'hello' }, name, act)
				try {
					loop.publish(line)
				} catch (thrown) {
					// An invalid line is the publisher's misuse, as are errors of its getters.
					discard(thrown)
				}
			}
			await loop.close()
		},
	},
	'a getter of a sample': {
		covers: ['value'],
		run: withSource(
			(act) => ({
				async monitor(sink) {
					sink.push(getterFor({ tsMs: 1 }, 'value', act) as never)
					sink.push(getterFor({ value: 1 }, 'tsMs', act) as never)
					await forward(sink)
				},
			}),
			'monitor',
		),
	},
	'a source that is odd itself': {
		covers: [],
		run: async (act) => {
			const loop = new MeshLoop(new BufferingAppender())
			const manager = new SourceManager(loop, {
				retryIntervalMs: 5,
				connectTimeoutMs: 20,
				closeTimeoutMs: 20,
			})
			const sources = [
				new Proxy({}, { get: act }),
				getterFor({ read: () => 1 }, 'monitor', act),
				getterFor({ read: () => 1 }, 'end', act),
			]
			for (const [index, source] of sources.entries())
				await codedOr(manager.archive(`odd ${index}`, source as Source, { mode: { scanIntervalMs: 1 } }))
			await turn()
			await manager.close()
			await loop.close()
		},
	},
	'the key of a replay': {
		covers: ['key'],
		run: async (act) => {
			const records = [record(1), record(2), record(3)]
			const done = replay(records, () => {}, { key: act as never, concurrency: 2 })
			const outcome = await within(done, 30_000)
			if (outcome.is === 'rejected')
				expect(outcome.thrown).toMatchObject({
					code: 'REPLAY_FAILED',
					message: expect.stringContaining('key'),
				})
			else expect(outcome).toMatchObject({ is: 'fulfilled', value: { replayed: 3 } })
		},
	},
	'the getters of a target': {
		covers: ['keepsGaps'],
		run: async (act) => {
			for (const name of ['keepsGaps', 'name', 'write', 'flush', 'undelivered', 'pipe']) {
				const target = name === 'write' ? {} : { write() {} }
				await codedOr(
					replay([record(1)], getterFor(target, name, act) as never, { retries: 0, timeoutMs: 20 }),
				)
			}
		},
	},
	'the options of a loop, a replay and a filter': {
		covers: ['level', 'signal'],
		run: async (act) => {
			for (const name of ['level', 'kind', 'grep', 'since', 'fromSeq', 'speed', 'signal', 'key'])
				await codedOr(replay([record(1)], () => {}, getterFor({ timeoutMs: 20, retries: 0 }, name, act)))
			for (const name of ['level', 'kind', 'grep', 'since', 'fromSeq'])
				codedOrMade(() => new BufferingAppender().captured(getterFor({}, name, act)))
			const names = ['level', 'clock', 'context', 'transform', 'redact', 'serializers', 'sampling', 'nodeId']
			for (const name of names) {
				const loop = codedOrMade(() => new MeshLoop(getterFor({}, name, act) as never))
				await loop?.close()
			}
		},
	},
	'the source of a replay': {
		covers: ['source'],
		run: async (act) => {
			const records = [record(1), record(2), record(3)]
			for (const [name, make] of Object.entries(await sourcesOf(records, act))) {
				const done = replay(make() as never, () => {}, { timeoutMs: 20, speed: 1000, limit: 2 })
				const outcome = await within(done, 30_000)
				if (outcome.is === 'rejected') expect(outcome.thrown).toMatchObject({ code: 'REPLAY_FAILED' })
				else expect([name, outcome.is]).toEqual([name, 'fulfilled'])
			}
		},
	},
	'the source of JSON Lines': {
		covers: ['source'],
		run: async (act) => {
			const bytes = [1, 2, 3].map((seq) => Buffer.from(`${recordFormat.write(record(seq))}\n`))
			for (const make of Object.values(await sourcesOf(bytes, act))) {
				const read = (async () => {
					const lines = readJsonl(make() as AsyncIterable<Uint8Array>)
					for await (const { seq } of lines) if (seq === 2) return seq
				})()
				expect((await within(read, 30_000)).is).not.toBe('late')
			}
		},
	},
	'the create of a source after a restart': {
		covers: ['create'],
		run: async (act) => {
			const loop = new MeshLoop(new BufferingAppender())
			const registry = join(temporaryFolder(), 'sources.chain')
			const first = new SourceManager(loop, { registry })
			for (const name of ['odd', 'good'])
				await first.archive(
					name,
					fromFunction(() => 1),
					{ mode: { scanIntervalMs: 1 } },
				)
			await first.close()
			const manager = new SourceManager(loop, { registry, connectTimeoutMs: 20, closeTimeoutMs: 20 })
			const restored = manager.restore(({ name }) =>
				name === 'odd' ? (act() as Source) : fromFunction(() => 1),
			)
			const outcome = await within(restored, 30_000)
			expect(outcome).toEqual({ is: 'fulfilled', value: 1 })
			await manager.close()
			await loop.close()
		},
	},
	'the read of a format': {
		covers: ['format.read'],
		run: withReading(async (format) => {
			const lines = readJsonl(bytesOf(LINES), { format })
			let records = 0
			for await (const { seq, epoch, tsMs, kind, message } of lines) {
				expect([seq, epoch, tsMs].every(Number.isSafeInteger)).toBe(true)
				expect([typeof kind, typeof message]).toEqual(['string', 'string'])
				records++
			}
			expect(Object.values(lines.skipped).every(Number.isSafeInteger)).toBe(true)
			return records + sum(lines.skipped)
		}),
	},
	'the read of a format, in an import and at the end of a file': {
		covers: ['format.read'],
		run: async (act) => {
			const odd = [READINGS[0]!, READINGS[2]!, READINGS[4]!]
			const read: LineFormat['read'] = (fields, text) => {
				const reading = odd.shift()
				return reading === undefined ? recordFormat.read(fields, text) : (reading(act) as never)
			}
			const [format, folder] = [{ ...recordFormat, read }, temporaryFolder()]
			const path = join(folder, 'node.chain')
			const { records, skipped, outOfOrder } = await importJsonl(bytesOf(LINES), path, {
				format,
				onProgress: act as never,
			})
			expect(records + outOfOrder + sum(skipped)).toBeGreaterThanOrEqual(4)
			writeFileSync(join(folder, 'node.jsonl'), LINES)
			const numbered = { ...recordFormat, read: act as never }
			const appender = new JsonlAppender(join(folder, 'node.jsonl'), { format: numbered })
			expect(appender.nextSeq).toBe(1)
			await appender.close()
		},
	},
	'the formatOf of a format': {
		covers: ['format.formatOf'],
		run: async (act) => {
			const formatOf = act as UndecidedFormat['formatOf']
			const format = { ...recordFormat, formats: [recordFormat], strongest: recordFormat, formatOf }
			const seqs: number[] = []
			for await (const { seq } of readJsonl(bytesOf(LINES), { format })) seqs.push(seq)
			expect(seqs).toEqual([1, 2, 3, 4])
		},
	},
	'the write of a format': {
		covers: ['format.write'],
		run: async (act) => {
			const path = join(temporaryFolder(), 'node.jsonl')
			let calls = 0
			const format: LineFormat = {
				...recordFormat,
				write: (given) => (calls++ < 2 ? (act() as string) : recordFormat.write(given)),
			}
			const appender = new JsonlAppender(path, { format })
			await survives(new MeshLoop(appender, CLOSE_MS))
			// The file has whole lines: six sound ones, and those whose odd result happened to be a text.
			const { written, unsupported } = appender.stats()
			expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(written + 1)
			expect(written + unsupported).toBeGreaterThanOrEqual(6)
			calls = 0
			const batches = () => oneBatch()
			await codedOr(exportJsonl({ batches } as never, `${path}.2`, { format, onProgress: act as never }))
		},
	},
	...Object.fromEntries(
		['committedSeq', 'durability', 'failure', 'closeTimeoutMs', 'closeSyncs', 'rotates', 'constructor'].map(
			(name) => [`the property ${name} of an appender`, { covers: [name], run: withProperty(name) }],
		),
	),
}

/** Seams that are tested elsewhere, or that report misuse to their caller. */
const ELSEWHERE = {
	'test/process/signals.test.ts': ['before'],
	'ends the replay, the export or the state with a coded error': ['checkpoint', 'format'],
}

describe('code of others', () => {
	const unhandled: string[] = []
	/** The stack of an error shows which code read it. */
	const note = (thrown: unknown) =>
		void unhandled.push(attempt(() => String((thrown as Error).stack), 'something without a stack'))

	beforeEach(() => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		process.on('unhandledRejection', note)
		process.on('uncaughtException', note)
	})
	afterEach(async () => {
		await turn()
		process.off('unhandledRejection', note)
		process.off('uncaughtException', note)
		vi.restoreAllMocks()
		expect(unhandled.splice(0)).toEqual([])
	})

	test.each(
		Object.entries(SEAMS).flatMap(([seam, { run }]) =>
			Object.entries(WAYS).map(([way, give]) => [seam, way, run, give] as const),
		),
	)('%s that %s anything at all harms nobody', async (_seam, _way, run, give) => {
		for (const [name, make] of Object.entries(ODDITIES)) {
			// A getter makes another promise on each read, which no handler gets.
			try {
				await run(() => give(make))
			} catch (error) {
				throw new Error(`with ${name}`, { cause: error })
			}
		}
	})
})

test('the table covers every member of an appender and every function option', () => {
	const covered = new Set([
		...Object.values(SEAMS).flatMap(({ covers }) => covers),
		...Object.values(ELSEWHERE).flat(),
	])
	const contract = readFileSync(join(ROOT, 'src', 'appender.ts'), 'utf8')
	const members = /export interface LogChainAppender \{([\s\S]*?)\n\}/.exec(contract)?.[1] ?? ''
	const found = [...members.matchAll(/^\t(?:readonly )?(\w+)\??[:(]/gm)].map(([, name]) => name!)
	const option = /checkFunction\('([^']+)'|ifGiven\('([^']+)',[^)]*checkFunction/g
	for (const [path, text] of sourceFiles(join(ROOT, 'src'))) {
		if (/^(cli|testing|jsonl|journal|cluster)\//.test(path)) continue
		for (const match of text.matchAll(option)) found.push((match[1] ?? match[2])!)
	}
	expect(found.length).toBeGreaterThan(20)
	expect(found.filter((name) => !covered.has(name))).toEqual([])
})
