/** The types of a loop's events: `npm run types` checks them, the tests check that values agree. */
import { expect, expectTypeOf, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { NoOpAppender } from '../../src/appenders/no-op.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { closeOnSignal } from '../../src/loop/close-on-signal.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import type { GapRecord } from '../../src/model/events.ts'
import type { LogLevelMin } from '../../src/model/level.ts'
import type { GapData, LogLevel, LogLine, LogRecord } from '../../src/model/record.ts'
import { BlackBox } from '../../src/recorder/black-box.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { LoopTarget } from '../../src/replay/targets/loop-target.ts'
import { SourceManager } from '../../src/sources/source-manager.ts'
import { temporaryFolder } from '../support/temporary.ts'

interface Events {
	'order.created': { id: number; readonly tags: Set<string> }
	'order.failed': { id: number; error: Error }
	ping: undefined
	note: string | undefined
}
type EventsAsType = { [Kind in keyof Events]: Events[Kind] }

const created = { id: 7, tags: new Set(['new']) }

test('an interface and a type are both event maps, and emit checks kind and data', () => {
	const loop = new MeshLoop<Events>()
	new MeshLoop<EventsAsType>().emit('order.created', created)
	expect(loop.emit('order.created', created, { level: 'warn' })?.level).toBe('warn')
	expect(loop.emit('ping')?.data).toBeUndefined()
	expect(loop.emit('ping', undefined, { message: 'again' })?.message).toBe('again')
	expect(loop.emit('note')?.data).toBeUndefined()
	// @ts-expect-error the map declares data
	loop.emit('order.created')
	// @ts-expect-error data of another type
	loop.emit('order.created', { id: 'x', tags: new Set<string>() })
	// @ts-expect-error no such kind
	loop.emit('order.typo', { id: 1 })
	// @ts-expect-error ping has no data
	loop.emit('ping', 5)
})

test('a plain loop accepts any kind, with data or without', () => {
	const loop = new MeshLoop()
	loop.on('anything', (record) => expectTypeOf(record).toEqualTypeOf<LogRecord<'anything', unknown>>())
	loop.on('*', (record) => expectTypeOf(record).toEqualTypeOf<LogRecord>())
	expect(loop.emit('anything', { id: 1 })?.data).toEqual({ id: 1 })
	expect(loop.emit('anything')?.data).toBeUndefined()
	expect(loop.publish({ kind: 'anything' } as LogLine)?.kind).toBe('anything')
})

test('publish accepts lines of the map, plain ones, and lines of another chain', () => {
	const loop = new MeshLoop<Events>()
	const origin = { chainId: 'a', epoch: 1, seq: 1 }
	loop.publish({ message: 'plain', data: 5 })
	loop.publish({ kind: 'order.created', data: created, level: 'debug' })
	loop.publish({ kind: 'ping' })
	loop.publish({ kind: '$session', origin })
	loop.publishBatch([{ kind: 'ping' }, { kind: 'log', data: 1 }])
	// @ts-expect-error no such kind
	loop.publish({ kind: 'order.typo', data: 5 })
	// @ts-expect-error the map declares data
	loop.publish({ kind: 'order.created' })
	loop.publish({ msg: 'plain', requestId: 'r-1' })
	loop.publish({ kind: 'order.created', data: created, levels: 3, date: 'a field of the application' })
	// @ts-expect-error a letter is missing
	loop.publish({ kind: 'ping', mesage: 'x' })
	// @ts-expect-error a letter too many
	loop.publish({ message: 'x', leveel: 'warn' })
	// @ts-expect-error a wrong letter
	loop.publish({ message: 'x', nodeIt: 7 })
	// @ts-expect-error a capital letter
	loop.publish({ message: 'x', TSMS: 7 })
	// @ts-expect-error a wrong type
	loop.publish({ message: 'x', daemonId: {} })
	expect(loop.stats().published).toBe(15)
})

test('a listener gets data in canonical form, and declared data is present', () => {
	const loop = new MeshLoop<Events>()
	const heard: unknown[] = []
	loop.on('order.created', ({ data }) => {
		expectTypeOf(data).toEqualTypeOf<{ readonly id: number; readonly tags: readonly string[] }>()
		heard.push(data.id, data.tags.includes('new'))
	})
	loop.once('order.failed', ({ data }) => {
		const stack: string | undefined = data.error.stack
		heard.push(typeof stack, data.error.message)
	})
	loop.on('ping', ({ data }) => expectTypeOf(data).toEqualTypeOf<undefined>())
	loop.on('note', ({ data }) => expectTypeOf(data).toEqualTypeOf<string | undefined>())
	const listener = ({ data }: { readonly data: { readonly id: number } }) => heard.push(data.id)
	loop.on('order.created', listener).off('order.created', listener)
	loop.emit('order.created', created)
	loop.emit('order.failed', { id: 1, error: new TypeError('no') })
	expect(heard).toEqual([7, true, 'string', 'no'])
	// @ts-expect-error no such kind
	loop.on('order.typo', () => {})
})

test("a listener of '*' gets a union that narrows by kind", () => {
	const loop = new MeshLoop<Events>()
	const heard: unknown[] = []
	loop.on('*', (record) => {
		if (record.kind === 'order.created') heard.push(record.data.id)
		else if (record.kind === '$crash') heard.push(record.data.origin)
		else if (record.kind === 'log') heard.push(record.message)
		else if (record.kind === '$gap') expectTypeOf(record.data).toEqualTypeOf<GapData>()
	})
	const forget = recordCrashes(loop)
	loop.emit('order.created', created)
	loop.info('plain')
	for (const record of process.listeners('uncaughtExceptionMonitor'))
		record(new Error('end'), 'uncaughtException')
	forget()
	expect(heard).toEqual([7, 'plain', 'uncaughtException'])
})

test('typed and plain loops have the kinds of mesh-chain', () => {
	const loop = new MeshLoop<Events>()
	const heard: unknown[] = []
	loop.on('log', ({ message }) => heard.push(message))
	loop.on('$session', ({ data }) => heard.push(data.action))
	loop.on('$checkpoint', ({ data }) => heard.push(data.state))
	loop.on('$blackbox', ({ data }) => heard.push(data.lines.length))
	loop.on('$gap', ({ data }) => heard.push(data.count))
	new MeshLoop().on('$crash', ({ data }) => data.origin)
	new MeshLoop().on('$exit', ({ data }) => data.status)
	const recorder = new Recorder(loop)
	recorder.start()
	recorder.checkpoint({ a: 1 })
	new BlackBox(loop).trigger()
	loop.info('plain')
	recorder.stop()
	expect(heard).toEqual(['start', { a: 1 }, 0, 'plain', 'stop'])
})

test('a typed loop is accepted wherever a plain one is', async () => {
	const loop = new MeshLoop<Events>(new BufferingAppender<Events>())
	const ofType = new MeshLoop<EventsAsType>()
	const library = (plain: MeshLoop) => plain.info('x')
	const plain: MeshLoop = loop
	expect([library(loop)?.seq, library(ofType)?.seq, plain.info('y')?.seq]).toEqual([1, 1, 2])
	closeOnSignal(loop, ofType, { drainTimeoutMs: 1 })()
	recordCrashes(loop)()
	new Recorder(loop)
	new BlackBox(loop).close()
	new LoopTarget(loop)
	await new SourceManager(loop).close()
	const child: MeshLoop<Events> = loop.child({ daemonId: 'a' })
	expect(library(child)?.daemonId).toBe('a')
	const fields = { reqId: 1 }
	expect(child.child(fields).info('x')?.data).toEqual({ reqId: 1 })
	expect(child.child({ reqId: 2 }).info('x')?.data).toEqual({ reqId: 2 })
	// @ts-expect-error a capital letter
	child.child({ nodeID: 'x' })
	// @ts-expect-error a wrong type
	child.child({ nodeId: {} })
})

test('a filter by kind types its result, and one without gives the union', async () => {
	const appender = new BufferingAppender<Events>()
	const loop = new MeshLoop<Events>(appender)
	const ping = appender.waitFor({ kind: 'ping' })
	const matching = appender.waitFor((record) => record.kind === 'order.created' && record.data.id === 7)
	loop.emit('order.created', created)
	loop.emit('ping')
	const [first] = loop.snapshot({ kind: 'order.created' })
	expect([first?.data.id, appender.captured({ kind: 'order.created' })[0]?.data.tags]).toEqual([7, ['new']])
	const [either] = loop.snapshot({ kind: ['order.created', 'note'] })
	if (either?.kind === 'order.created') expectTypeOf(either.data.id).toEqualTypeOf<number>()
	const [any] = loop.snapshot()
	if (any?.kind === 'order.created') expectTypeOf(any.data.id).toEqualTypeOf<number>()
	expectTypeOf((await ping).kind).toEqualTypeOf<'ping'>()
	expect((await matching).seq).toBe(1)
	const untyped: Promise<LogRecord> = new BufferingAppender().waitFor({ kind: 'x' }, { timeoutMs: 0 })
	await expect(untyped).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
})

test('a subscription yields records of its kind, and gaps', async () => {
	const loop = new MeshLoop<Events>(undefined, { ringCapacity: 1 })
	const records = loop.subscribe({ kind: 'order.created' })
	loop.emit('order.created', created)
	loop.emit('order.created', created)
	const seen: number[] = []
	void loop.close()
	for await (const record of records) {
		// @ts-expect-error a gap has no id: a slow consumer gets one whatever the filter
		void record.data.id
		seen.push(record.kind === '$gap' ? -record.data.count : record.data.id)
	}
	expect(seen).toEqual([-1, 7])
})

test('a chain yields records of the map of its loop, and gaps', async () => {
	const path = `${temporaryFolder()}/node.chain`
	const loop = new MeshLoop<Events>(new FileChainAppender(path))
	loop.emit('order.created', created)
	await loop.close()
	await using chain = await openChain<Events>(path)
	const plain: Chain = chain
	for await (const record of chain.records({ kind: 'order.created' })) {
		if (record.kind === '$gap') expectTypeOf(record).toEqualTypeOf<GapRecord>()
		else expect(record.data.id).toBe(7)
	}
	for await (const record of plain.records({ kind: 'order.created' })) {
		expectTypeOf(record).toEqualTypeOf<LogRecord>()
		expect(record.data).toEqual({ id: 7, tags: ['new'] })
	}
})

test('calls and options take what people pass to other loggers', () => {
	const loop = new MeshLoop<Events>()
	try {
		throw new Error('no card')
	} catch (error) {
		loop.error(error)
	}
	loop.error('x', { a: 1 }, new Error('x'))
	loop.error('x', { a: 1 }, 5)
	const level: string = 'warn'
	loop.level = level
	expectTypeOf(loop.level).toEqualTypeOf<LogLevelMin>()
	loop.level = process.env['NOT_SET']
	new MeshLoop(undefined, { level: process.env['NOT_SET'], context: () => ({ requestId: 'r-1' }) })
	const promise: Promise<unknown> = Promise.reject(new Error('x')).catch(loop.error)
	void promise
})

test('options accept undefined, and no unknown names', () => {
	const { NOT_SET: nodeId } = process.env
	const level: LogLevel | undefined = undefined
	new MeshLoop(undefined, { nodeId, level, ringCapacity: undefined, context: undefined, clock: undefined })
	new BufferingAppender({ capacity: undefined })
	new TeeAppender(new NoOpAppender(), { closeTimeoutMs: undefined })
	new MeshLoop().info('a', undefined, { daemonId: undefined, nodeId: undefined, tsMs: undefined })
	new MeshLoop().snapshot({ level: undefined, kind: undefined, since: undefined })
	expect(() => new MeshLoop(undefined, { level: process.env['NOT_SET'] ?? 'loud' })).toThrow('no such level')
	// @ts-expect-error no such option
	expect(() => new FileChainAppender('x', { retain: { age: 5 } })).toThrow('no such option')
	// @ts-expect-error no such durability
	expect(() => new FileChainAppender('x', { durability: 'fsync' })).toThrow('durability')
})
