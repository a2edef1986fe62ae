/**
 * Sessions in memory: bounds and missing events, publishing within a delivery, several recorders, and misuse.
 */
import { describe, expect, test, vi } from 'vitest'
import type { LogLine, LogRecord } from '../../src/index.ts'
import { BufferingAppender, MeshLoop } from '../../src/index.ts'
import {
	type Checkpoint,
	type EventSlice,
	Recorder,
	type RecorderOptions,
	type Session,
} from '../../src/recorder/index.ts'

const indexes = ({ events }: EventSlice) => events.map(({ index }) => index)
const datas = ({ events }: EventSlice) => events.map(({ record }) => record.data)
const answer = (slice: EventSlice) => [indexes(slice), slice.missing]
const coded = (code: string) => expect.objectContaining({ code })

function emit(loop: MeshLoop, count: number, kind = 'step'): void {
	for (let index = 0; index < count; index++) loop.emit(kind, index)
}

/** The time of the nth record is n. */
function ticking(): MeshLoop {
	let nowMs = 0
	return new MeshLoop(undefined, { clock: () => ++nowMs })
}

describe('missing events', () => {
	test('are exact by index, on both sides of the dropped ones', () => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 4 })
		recorder.start()
		emit(loop, 10)
		expect(answer(recorder.eventsSince(0))).toEqual([[6, 7, 8, 9], 6])
		expect(answer(recorder.eventsSince(5))).toEqual([[6, 7, 8, 9], 1])
		expect(answer(recorder.eventsSince(6))).toEqual([[6, 7, 8, 9], 0])
		expect(answer(recorder.eventsSince(10))).toEqual([[], 0])
	})

	test('are exact between checkpoints, even if all of them are missing', () => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 2 })
		recorder.start()
		for (const id of ['a', 'b', 'c']) {
			recorder.checkpoint(id, { id })
			emit(loop, 3)
		}
		expect(answer(recorder.eventsBetweenCheckpoints('a', 'b'))).toEqual([[], 3])
		expect(answer(recorder.eventsBetweenCheckpoints('c', 'a'))).toEqual([[], 6])
		recorder.checkpoint('end', { id: 'end' })
		expect(answer(recorder.eventsBetweenCheckpoints('c', 'end'))).toEqual([[7, 8], 1])
	})

	test('are none by time if the range is outside the times of the dropped events', () => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 2 })
		recorder.start()
		emit(loop, 5) // times 2 to 6; 2 to 4 are dropped
		expect(answer(recorder.eventsBetween(5, 6))).toEqual([[3, 4], 0])
		expect(answer(recorder.eventsBetween(4, 6))).toEqual([[3, 4], 3])
		expect(answer(recorder.eventsBetween(0, 1))).toEqual([[], 0])
		expect(answer(recorder.eventsBetween(6, 2))).toEqual([[], 0])
	})

	test('of an import have unknown times, even if more are dropped later', () => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 2 })
		recorder.start()
		emit(loop, 5)
		const session = recorder.stop()!
		const other = new Recorder(ticking(), { eventsMax: 2 })
		other.import(session)
		expect(other.eventsBetween(100, 200).missing).toBe(3)
		const laterLoop = ticking()
		const later = new Recorder(laterLoop, { eventsMax: 2 })
		later.import(session)
		for (let tsMs = 50; tsMs < 53; tsMs++) laterLoop.emit('step', tsMs, { tsMs })
		expect(answer(later.eventsBetween(100, 200))).toEqual([[], 3])
		expect(later.eventsBetween(50, 200).missing).toBe(6)
	})

	test('are all dropped events in a query by kind', () => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 3 })
		recorder.start()
		for (let index = 0; index < 3; index++) {
			loop.emit('a', index)
			loop.emit('b', index)
		}
		expect(answer(recorder.sequence('a'))).toEqual([[4], 3])
		expect(answer(recorder.sequence('b'))).toEqual([[3, 5], 3])
	})

	test('a dropped checkpoint is not found, and the error states why', () => {
		const recorder = new Recorder(ticking(), { checkpointsMax: 1 })
		recorder.start()
		recorder.checkpoint(1, { id: 'a' })
		recorder.checkpoint(2, { id: 'b' })
		expect(() => recorder.eventsBetweenCheckpoints('a', 'b')).toThrow(
			/"a".*older checkpoints were dropped \(1\)/,
		)
	})

	test('memory stays bounded: repeated drops leave the other events in order', () => {
		const loop = ticking()
		for (const eventsMax of [0, 1, 2, 3, 7]) {
			const recorder = new Recorder(loop, { eventsMax })
			recorder.start()
			for (let count = 1; count <= 50; count++) {
				emit(loop, 1)
				const held = Math.min(count, Math.max(1, eventsMax))
				const { events, missing } = recorder.eventsSince(0)
				expect([events.length, events.at(-1)?.index, missing]).toEqual([held, count - 1, count - held])
			}
			recorder.stop()
		}
	})
})

describe('within a delivery', () => {
	test('a checkpoint follows everything published before it, delivered or not', () => {
		const loop = new MeshLoop(new BufferingAppender())
		const recorder = new Recorder(loop)
		let checkpoint: Checkpoint | undefined
		loop.once('outer', () => {
			loop.emit('inner', 1)
			checkpoint = recorder.checkpoint('state', { id: 'c' })
			loop.emit('inner', 2)
		})
		recorder.start()
		loop.emit('outer', 0)
		expect(checkpoint?.eventIndex).toBe(2)
		const events = recorder.eventsSince(0).events
		expect(events.map(({ record }) => record.kind)).toEqual(['outer', 'inner', 'inner'])
		expect(events.map(({ record }) => record.seq).filter((seq) => seq < checkpoint!.seq)).toHaveLength(2)
	})

	test('a query covers everything published before it, each event once and in order', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		recorder.start()
		const seen: unknown[] = []
		loop.on('outer', () => {
			loop.emit('inner', 1)
			seen.push(datas(recorder.eventsSince(0)), recorder.export()?.events.length)
		})
		loop.emit('outer', 0)
		expect(seen).toEqual([[0, 1], 2])
		expect([datas(recorder.eventsSince(0)), indexes(recorder.eventsSince(0))]).toEqual([
			[0, 1],
			[0, 1],
		])
	})

	test('a record published before the start of the session is not in it', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		loop.once('go', () => {
			loop.emit('before', 0)
			recorder.start()
			loop.emit('after', 1)
		})
		loop.emit('go', 0)
		expect(recorder.eventsSince(0).events.map(({ index, record }) => [index, record.kind])).toEqual([
			[0, 'after'],
		])
	})

	test('a record that a listener publishes when the session starts is in the session', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		loop.once('$session', () => {
			loop.emit('hello', 0)
			recorder.checkpoint('ready', { id: 'ready' })
		})
		recorder.start()
		loop.emit('step', 1)
		expect(datas(recorder.eventsSince(0))).toEqual([0, 1])
		expect(recorder.checkpoints()).toMatchObject([{ id: 'ready', eventIndex: 1 }])
	})

	test('stop ends the session after all published records, and nothing is added later', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		let session: Session | undefined
		recorder.start()
		loop.on('*', (record: LogRecord) => {
			if (record.kind !== 'end') return
			loop.emit('last', 1)
			session = recorder.stop()
			loop.emit('too late', 2)
		})
		loop.emit('end', 0)
		expect(session).toMatchObject({ events: [{ record: { kind: 'end' } }, { record: { kind: 'last' } }] })
		expect(datas(recorder.eventsSince(0))).toEqual([0, 1])
	})

	test('a listener of the stop gets a session without the records that it publishes', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		recorder.start()
		emit(loop, 1)
		const heard: unknown[] = []
		loop.once('$session', () => {
			loop.emit('late', 9)
			heard.push(recorder.isActive, datas(recorder.eventsSince(0)))
		})
		recorder.stop()
		expect(heard).toEqual([false, [0]])
	})

	test('an event whose delivery was cut is in the session nevertheless', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const loop = new MeshLoop(undefined, { nestedDepthMax: 32 })
		const recorder = new Recorder(loop)
		recorder.start()
		loop.on('again', () => void loop.emit('again', 0))
		loop.emit('again', 0)
		loop.emit('step', 1)
		expect(loop.stats().recursionCut).toBe(1)
		const { events, missing } = recorder.eventsSince(0)
		expect([events.length, events.at(-1)?.record.kind, missing]).toEqual([
			loop.stats().lastSeq - 1,
			'step',
			0,
		])
		vi.restoreAllMocks()
	})

	test('a record that left the ring before its delivery is missing, and counted', () => {
		const loop = new MeshLoop(undefined, { ringCapacity: 4 })
		const recorder = new Recorder(loop)
		recorder.start()
		loop.once('flood', () => {
			emit(loop, 10)
			recorder.checkpoint('behind', { id: 'behind' })
		})
		loop.emit('flood', -1)
		loop.emit('step', 99)
		const { events, missing } = recorder.eventsSince(0)
		expect([events.length + missing, events.at(-1)?.index]).toEqual([12, 11])
		expect(events.map(({ record }) => record.data)).toEqual([6, 7, 8, 9, 99])
		expect(recorder.checkpoints()).toMatchObject([{ eventIndex: 11 }])
		expect(recorder.eventsBetween(0, 1).missing).toBe(missing)
		const other = new Recorder(new MeshLoop())
		other.import(JSON.parse(JSON.stringify(recorder.stop())))
		expect(other.eventsSince(0)).toEqual({ events, missing })
	})
})

describe('one loop, and several', () => {
	test('two recorders on one loop each have their own session', () => {
		const loop = new MeshLoop()
		const [first, second] = [new Recorder(loop), new Recorder(loop)]
		first.start('first')
		emit(loop, 1)
		second.start('second')
		emit(loop, 2)
		expect(first.stop()).toMatchObject({ id: 'first', events: [{}, {}, {}] })
		expect([second.isActive, indexes(second.eventsSince(0))]).toEqual([true, [0, 1]])
		second.checkpoint('s', { id: 'c' })
		expect([first.checkpoints().length, second.checkpoints().length]).toEqual([0, 1])
	})

	test('a recorder gets the events of all children of a loop, and on a child those of the loop', () => {
		const loop = new MeshLoop()
		const child = loop.child({ daemonId: 'd' })
		const [ofLoop, ofChild] = [new Recorder(loop), new Recorder(child)]
		ofLoop.start()
		ofChild.start()
		child.emit('step', 1)
		loop.emit('step', 2)
		loop.child({ data: { more: 1 } }).emit('step', 3)
		const ids = ofLoop.eventsSince(0).events.map(({ record }) => record.daemonId)
		expect(ids).toEqual(['d', null, null])
		expect(ofChild.eventsSince(0)).toEqual(ofLoop.eventsSince(0))
	})

	test("data that a child adds stays out of a checkpoint's state", () => {
		const loop = new MeshLoop(undefined, { context: () => ({ data: { request: 7 } }) })
		const recorder = new Recorder(loop.child({ data: { more: 1 } }))
		recorder.start()
		recorder.checkpoint({ items: 1 })
		expect(recorder.checkpoints()[0]?.state).toEqual({ items: 1 })
	})

	test('after the loop is closed the session is still there, and can be stopped', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		recorder.start('s')
		emit(loop, 2)
		await loop.close()
		emit(loop, 2)
		expect(recorder.checkpoint('late', { id: 'late' })).toMatchObject({
			seq: 0,
			eventIndex: 2,
			state: 'late',
		})
		expect(recorder.stop()).toMatchObject({ id: 's', events: [{}, {}], checkpoints: [{ id: 'late' }] })
		expect(recorder.start('again')).toBe('again')
		expect(recorder.stop()).toMatchObject({ events: [] })
		vi.restoreAllMocks()
	})

	test('start drops the previous session', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop)
		recorder.start('a')
		emit(loop, 2)
		recorder.checkpoint('s', { id: 'c' })
		recorder.stop()
		recorder.start('b')
		expect([recorder.eventsSince(0).events, recorder.checkpoints()]).toEqual([[], []])
		expect(() => recorder.eventsBetweenCheckpoints('c', 'c')).toThrow(coded('CHECKPOINT_NOT_FOUND'))
	})

	test('start uses a new id if none is given', () => {
		const recorder = new Recorder(new MeshLoop())
		const first = recorder.start()
		recorder.stop()
		expect([first.length > 8, recorder.start() === first]).toEqual([true, false])
	})
})

describe('a state', () => {
	test('is copied: later changes do not change a checkpoint', () => {
		const recorder = new Recorder(new MeshLoop())
		recorder.start()
		const state = { items: [1], at: new Date(0) }
		recorder.checkpoint(state)
		state.items.push(2)
		state.at.setTime(5)
		expect(recorder.checkpoints()[0]?.state).toEqual({ items: [1], at: new Date(0) })
	})

	const cycle: Record<string, unknown> = {}
	cycle['self'] = cycle
	let deep: unknown = 0
	for (let level = 0; level < 40; level++) deep = [deep]
	test.each([
		['a function', { call: () => 1 }],
		['a symbol', [Symbol('s')]],
		['a cycle', cycle],
		['too many levels', deep],
		['too many bytes', 'x'.repeat(2 ** 21)],
		['an invalid date', new Date(Number.NaN)],
		['an object that is not data', { made: Promise.resolve() }],
		[
			'a getter that throws',
			{
				get broken() {
					throw new Error('no')
				},
			},
		],
	])('with %s is refused, and nothing has changed', (_name, state) => {
		const appender = new BufferingAppender()
		const recorder = new Recorder(new MeshLoop(appender))
		recorder.start()
		expect(() => recorder.checkpoint(state)).toThrow(coded('INVALID_STATE'))
		expect(recorder.checkpoints()).toEqual([])
		expect(appender.captured()).toHaveLength(1)
	})

	test('may be undefined, or a text that looks like a marker', () => {
		const recorder = new Recorder(new MeshLoop())
		recorder.start()
		recorder.checkpoint(undefined)
		recorder.checkpoint({ $unserializable: 'function' })
		const states = recorder.checkpoints().map(({ state }) => state)
		expect(states).toEqual([undefined, { $unserializable: 'function' }])
		const other = new Recorder(new MeshLoop())
		other.import(JSON.parse(JSON.stringify(recorder.stop())))
		expect(other.checkpoints().map(({ state }) => state)).toEqual(states)
	})

	test('lacks the data that a transform removes, in memory and in the chain', () => {
		const appender = new BufferingAppender()
		const transform = (line: LogLine) =>
			line.kind === '$checkpoint'
				? { ...line, data: { ...(line.data as object), state: { password: 'taken out' } } }
				: line
		const recorder = new Recorder(new MeshLoop(appender, { transform }))
		recorder.start()
		const { state } = recorder.checkpoint({ password: 'secret' })
		expect([state, recorder.export()?.checkpoints[0]?.state]).toEqual([
			{ password: 'taken out' },
			{ password: 'taken out' },
		])
		expect(appender.captured().at(-1)?.data).toMatchObject({ state: { password: 'taken out' } })
	})
})

describe('misuse', () => {
	test.each([
		['an unknown option', { maxEvent: 1 }],
		['a bound below 0', { eventsMax: -1 }],
		['a bound that is not a whole number', { checkpointsMax: 1.5 }],
		['an infinite bound', { eventsMax: Number.POSITIVE_INFINITY }],
	])('a recorder refuses %s', (_name, options) => {
		expect(() => new Recorder(new MeshLoop(), options as RecorderOptions)).toThrow(coded('INVALID_OPTION'))
	})

	test('ids and labels are texts', () => {
		const recorder = new Recorder(new MeshLoop())
		expect(() => recorder.start('')).toThrow(coded('INVALID_OPTION'))
		expect(() => recorder.start(5 as never)).toThrow(coded('INVALID_OPTION'))
		expect(recorder.isActive).toBe(false)
		recorder.start()
		expect(() => recorder.checkpoint(1, { id: 5 as never })).toThrow(coded('INVALID_OPTION'))
		expect(() => recorder.checkpoint(1, { id: '' })).toThrow(coded('INVALID_OPTION'))
		expect(() => recorder.checkpoint(1, { label: 5 as never })).toThrow(coded('INVALID_OPTION'))
		expect(() => recorder.checkpoint(1, { name: 'a' } as never)).toThrow(coded('INVALID_OPTION'))
		expect(recorder.checkpoints()).toEqual([])
	})

	test('an index is a whole number, a time is a number or a valid Date', () => {
		const recorder = new Recorder(new MeshLoop())
		recorder.start()
		for (const index of [-1, 0.5, Number.NaN, '1' as never])
			expect(() => recorder.eventsSince(index)).toThrow(coded('INVALID_OPTION'))
		for (const time of [Number.NaN, new Date(Number.NaN), '1' as never, null as never]) {
			expect(() => recorder.eventsBetween(time, 5)).toThrow(coded('INVALID_OPTION'))
			expect(() => recorder.eventsBetween(5, time)).toThrow(coded('INVALID_OPTION'))
		}
	})
})

describe('import', () => {
	const exported = (): Session => {
		const loop = ticking()
		const recorder = new Recorder(loop, { eventsMax: 3 })
		recorder.start('s')
		emit(loop, 5)
		recorder.checkpoint({ at: new Date(1) }, { id: 'c', label: 'l' })
		return JSON.parse(JSON.stringify(recorder.stop())) as Session
	}
	type Wrong = (session: Session) => unknown
	const event = (session: Session, change: object) => ({
		...session,
		events: [{ ...session.events[0], ...change }, ...session.events.slice(1)],
	})
	const record = (session: Session, change: object) =>
		event(session, { record: { ...session.events[0]?.record, ...change } })
	const checkpoint = (session: Session, change: object) => ({
		...session,
		checkpoints: [{ ...session.checkpoints[0], ...change }],
	})
	const cases: readonly (readonly [string, Wrong])[] = [
		['undefined', () => undefined],
		['null', () => null],
		['a text', () => 'session'],
		['an array', () => []],
		['no id', ({ id: _id, ...rest }) => rest],
		['an empty id', (session) => ({ ...session, id: '' })],
		['a number as id', (session) => ({ ...session, id: 5 })],
		['startedMs', (session) => ({ ...session, startedMs: '0' })],
		['a negative startedMs', (session) => ({ ...session, startedMs: -1 })],
		['stoppedMs', (session) => ({ ...session, stoppedMs: 'now' })],
		['no stoppedMs', ({ stoppedMs: _stoppedMs, ...rest }) => rest],
		['events', (session) => ({ ...session, events: {} })],
		['an event that is null', (session) => ({ ...session, events: [null] })],
		['an index that is a text', (session) => event(session, { index: '2' })],
		['an index above the next one', (session) => event(session, { index: 4 })],
		['an index below the dropped ones', (session) => event(session, { index: -1 })],
		['no record', (session) => event(session, { record: undefined })],
		['a seq', (session) => record(session, { seq: 0 })],
		['an epoch', (session) => record(session, { epoch: 'first' })],
		['a tsMs', (session) => record(session, { tsMs: null })],
		['a level', (session) => record(session, { level: 'loud' })],
		['a kind', (session) => record(session, { kind: 5 })],
		["a kind of mesh-chain's own", (session) => record(session, { kind: '$session' })],
		['a message', (session) => record(session, { message: undefined })],
		['data', (session) => record(session, { data: { $bigint: 'five' } })],
		['a daemonId', (session) => record(session, { daemonId: [] })],
		['a nodeId', (session) => record(session, { nodeId: true })],
		['an origin', (session) => record(session, { origin: { chainId: 5 } })],
		['checkpoints', (session) => ({ ...session, checkpoints: null })],
		['a checkpoint that is null', (session) => ({ ...session, checkpoints: [null] })],
		['the id of a checkpoint', (session) => checkpoint(session, { id: 5 })],
		['a label', (session) => checkpoint(session, { label: 5 })],
		['a state', (session) => checkpoint(session, { state: { $date: 'never' } })],
		['an eventIndex', (session) => checkpoint(session, { eventIndex: 1.5 })],
		['the time of a checkpoint', (session) => checkpoint(session, { tsMs: '1' })],
		['the seq of a checkpoint', (session) => checkpoint(session, { seq: null })],
		['droppedEvents', (session) => ({ ...session, droppedEvents: -1 })],
		['too few droppedEvents', (session) => ({ ...session, droppedEvents: 1 })],
		['droppedCheckpoints', (session) => ({ ...session, droppedCheckpoints: Number.NaN })],
	]
	test.each(cases)('refuses %s if it is invalid, and changes nothing', (_name, wrong) => {
		const appender = new BufferingAppender()
		const loop = new MeshLoop(appender)
		const recorder = new Recorder(loop)
		recorder.start('before')
		emit(loop, 1)
		recorder.stop()
		const [before, records] = [recorder.export(), appender.captured().length]
		expect(() => recorder.import(wrong(exported()) as Session)).toThrow(coded('INVALID_SESSION'))
		emit(loop, 1)
		expect([recorder.isActive, recorder.export()]).toEqual([false, before])
		expect(appender.captured()).toHaveLength(records + 1)
	})

	test('accepts the session that all invalid ones are derived from', () => {
		const recorder = new Recorder(new MeshLoop())
		recorder.import(exported())
		expect(answer(recorder.eventsSince(0))).toEqual([[2, 3, 4], 2])
		expect(recorder.checkpoints()).toMatchObject([{ id: 'c', label: 'l', state: { at: new Date(1) } }])
	})

	test('accepts indexes with holes, and counts the missing events', () => {
		const recorder = new Recorder(new MeshLoop())
		const session = exported()
		const events = session.events.map((each, place) => ({ ...each, index: [2, 5, 6][place]! }))
		recorder.import({ ...session, events, droppedEvents: 5 })
		expect(answer(recorder.eventsSince(0))).toEqual([[2, 5, 6], 5])
		expect(answer(recorder.eventsSince(3))).toEqual([[5, 6], 3])
		expect(answer(recorder.eventsSince(6))).toEqual([[6], 1])
		expect(recorder.export()).toMatchObject({ droppedEvents: 5, events })
	})

	test('of a session beyond the bounds continues with the kept events', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop, { eventsMax: 2, checkpointsMax: 0 })
		recorder.import(exported())
		emit(loop, 1)
		expect(answer(recorder.eventsSince(0))).toEqual([[4, 5], 4])
		expect(recorder.stop()).toMatchObject({ droppedEvents: 4, checkpoints: [{ id: 'c' }] })
	})
})
