/**
 * The behaviour of victauri's time-travel recorder, row by row: the behaviour that mesh-chain matches, and
 * the faults that it avoids. Here the arguments of `checkpoint` are a state and its name, and a result has
 * its events and the number of missing ones.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileChainAppender, type LogRecord, MeshLoop, openChain, replay } from '../../src/index.ts'
import { coreOf } from '../../src/loop/core-of.ts'
import {
	diffStates,
	type EventSlice,
	formatChanges,
	listSessions,
	openSession,
	Recorder,
	type RecorderOptions,
	type Session,
	type SessionEvent,
	stateAt,
} from '../../src/recorder/index.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** A recorder whose loop ticks once per record: the time of the nth record is n. */
function recorderOf(options: RecorderOptions = {}) {
	let nowMs = 0
	const loop = new MeshLoop(undefined, { clock: () => ++nowMs })
	return { loop, recorder: new Recorder(loop, options) }
}

function emit(loop: MeshLoop, count: number, kind = 'step'): void {
	for (let index = 0; index < count; index++) loop.emit(kind, index)
}

const indexes = ({ events }: { readonly events: readonly { readonly index: number }[] }) =>
	events.map(({ index }) => index)

const throughJson = (session: Session | undefined) => JSON.parse(JSON.stringify(session)) as Session

describe('Match', () => {
	test('one session is active at a time: SESSION_ACTIVE for a second start; stop returns it', () => {
		const { loop, recorder } = recorderOf()
		expect(recorder.stop()).toBeUndefined()
		expect(recorder.start('first')).toBe('first')
		emit(loop, 1)
		expect(() => recorder.start('second')).toThrow(expect.objectContaining({ code: 'SESSION_ACTIVE' }))
		expect(recorder.stop()).toMatchObject({ id: 'first', events: [{ index: 0 }] })
		expect(recorder.stop()).toBeUndefined()
		expect(recorder.start('second')).toBe('second')
	})

	test('50,000 events and 1,000 checkpoints by default; the oldest are dropped first', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 50_002)
		for (let index = 0; index < 1001; index++) recorder.checkpoint(index)
		const { events, missing } = recorder.eventsSince(0)
		expect([events.length, events[0]?.index, events.at(-1)?.index, missing]).toEqual([50_000, 2, 50_001, 2])
		expect([recorder.checkpoints().length, recorder.checkpoints()[0]?.state]).toEqual([1000, 1])
	})

	test('the number of events in memory is available', () => {
		const loop = new MeshLoop()
		const recorder = new Recorder(loop, { eventsMax: 3 })
		expect(recorder.eventCount).toBe(0)
		recorder.start()
		for (let count = 1; count <= 5; count++) {
			loop.info('event')
			expect(recorder.eventCount).toBe(Math.min(count, 3))
		}
		recorder.stop()
		expect(recorder.eventCount).toBe(3)
		recorder.start()
		expect(recorder.eventCount).toBe(0)
	})

	test('0 acts as 1', () => {
		const { loop, recorder } = recorderOf({ eventsMax: 0, checkpointsMax: 0 })
		recorder.start()
		emit(loop, 3)
		for (let index = 0; index < 3; index++) recorder.checkpoint(index)
		expect(indexes(recorder.eventsSince(0))).toEqual([2])
		expect(recorder.checkpoints().map(({ state }) => state)).toEqual([2])
	})

	test('event indexes start at 0, and continue across eviction', () => {
		const { loop, recorder } = recorderOf({ eventsMax: 2 })
		recorder.start()
		emit(loop, 1)
		expect(indexes(recorder.eventsSince(0))).toEqual([0])
		emit(loop, 4)
		expect(indexes(recorder.eventsSince(0))).toEqual([3, 4])
	})

	test('recording while idle is a silent no-op', () => {
		const { loop, recorder } = recorderOf()
		emit(loop, 2)
		expect(recorder.isActive).toBe(false)
		expect(recorder.eventsSince(0)).toEqual({ events: [], missing: 0 })
		expect([recorder.checkpoints(), recorder.export()]).toEqual([[], undefined])
		recorder.start()
		emit(loop, 1)
		recorder.stop()
		emit(loop, 5)
		expect(indexes(recorder.eventsSince(0))).toEqual([0])
	})

	test('checkpoint fails when idle', () => {
		const { recorder } = recorderOf()
		expect(() => recorder.checkpoint({})).toThrow(expect.objectContaining({ code: 'NO_SESSION' }))
		recorder.start()
		recorder.stop()
		expect(() => recorder.checkpoint({})).toThrow(expect.objectContaining({ code: 'NO_SESSION' }))
	})

	test("the event index of a checkpoint is the next event's", () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		expect(recorder.checkpoint('empty').eventIndex).toBe(0)
		emit(loop, 3)
		const checkpoint = recorder.checkpoint('three')
		emit(loop, 1)
		expect(checkpoint.eventIndex).toBe(3)
		expect(indexes(recorder.eventsSince(checkpoint.eventIndex))).toEqual([3])
	})

	test('an id may be given twice, and a lookup finds the first', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		recorder.checkpoint('a', { id: 'twice', label: 'the first' })
		emit(loop, 2)
		recorder.checkpoint('b', { id: 'twice' })
		emit(loop, 2)
		recorder.checkpoint('c', { id: 'end' })
		const labels = recorder.checkpoints().map(({ id, label }) => [id, label])
		expect(labels).toEqual([
			['twice', 'the first'],
			['twice', undefined],
			['end', undefined],
		])
		expect(indexes(recorder.eventsBetweenCheckpoints('twice', 'end'))).toEqual([0, 1, 2, 3])
	})

	test('a checkpoint without an id gets a generated one', () => {
		const { recorder } = recorderOf()
		recorder.start()
		const ids = [recorder.checkpoint(1).id, recorder.checkpoint(2).id]
		expect(ids.every((id) => id.length > 8)).toBe(true)
		expect(new Set(ids).size).toBe(2)
	})

	test('eventsSince: the index and later ones', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 4)
		expect([0, 2, 3, 4, 99].map((index) => indexes(recorder.eventsSince(index)))).toEqual([
			[0, 1, 2, 3],
			[2, 3],
			[3],
			[],
			[],
		])
	})

	test('eventsBetween: by time, both ends inclusive; empty if from is later than to', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 5) // with the times 2 to 6, after the start of the session
		const between = (from: number | Date, to: number | Date) => indexes(recorder.eventsBetween(from, to))
		expect(between(3, 5)).toEqual([1, 2, 3])
		expect(between(new Date(3), new Date(3))).toEqual([1])
		expect(between(5, 3)).toEqual([])
		expect(between(0, 1)).toEqual([])
		expect(between(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)).toEqual([0, 1, 2, 3, 4])
	})

	test('eventsBetweenCheckpoints: first to second, in either order, empty for one and itself', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 1)
		recorder.checkpoint(1, { id: 'a' })
		emit(loop, 2)
		recorder.checkpoint(3, { id: 'b' })
		emit(loop, 1)
		expect(indexes(recorder.eventsBetweenCheckpoints('a', 'b'))).toEqual([1, 2])
		expect(indexes(recorder.eventsBetweenCheckpoints('b', 'a'))).toEqual([1, 2])
		expect(recorder.eventsBetweenCheckpoints('a', 'a')).toEqual({ events: [], missing: 0 })
	})

	test('eventsBetweenCheckpoints: a missing one is an error that names it, the first one first', () => {
		const { recorder } = recorderOf()
		expect(() => recorder.eventsBetweenCheckpoints('a', 'b')).toThrow(
			expect.objectContaining({ code: 'NO_SESSION' }),
		)
		recorder.start()
		recorder.checkpoint(1, { id: 'there' })
		const failing = (a: string, b: string) => {
			try {
				return recorder.eventsBetweenCheckpoints(a, b)
			} catch (error) {
				const { code, message } = error as { code: string; message: string }
				return `${code} ${message}`
			}
		}
		expect(failing('gone', 'lost')).toMatch(/^CHECKPOINT_NOT_FOUND .*"gone"/)
		expect(failing('there', 'lost')).toMatch(/^CHECKPOINT_NOT_FOUND .*"lost"/)
		expect(failing('gone', 'there')).toMatch(/^CHECKPOINT_NOT_FOUND .*"gone"/)
	})

	test('export copies without stopping the session, and is safe for JSON', () => {
		const { loop, recorder } = recorderOf()
		recorder.start('s')
		loop.emit('step', { at: new Date(0), big: 5n, bytes: Uint8Array.of(1), not: Number.NaN })
		const session = recorder.export()
		expect(recorder.isActive).toBe(true)
		emit(loop, 1)
		expect(session?.events).toHaveLength(1)
		expect(throughJson(session)).toEqual(session)
		expect(indexes(recorder.eventsSince(0))).toEqual([0, 1])
	})

	test('import makes a session active; the next index is the last one plus 1, or 0', () => {
		const { loop, recorder } = recorderOf()
		recorder.start('full')
		emit(loop, 3)
		recorder.checkpoint('state', { id: 'c' })
		const full = recorder.stop()
		recorder.start('empty')
		const empty = recorder.stop()
		const other = recorderOf()
		other.recorder.import(full as Session)
		expect(other.recorder.isActive).toBe(true)
		emit(other.loop, 1)
		expect(indexes(other.recorder.eventsSince(0))).toEqual([0, 1, 2, 3])
		expect(other.recorder.stop()).toMatchObject({ id: 'full', checkpoints: [{ id: 'c', state: 'state' }] })
		other.recorder.import(empty as Session)
		emit(other.loop, 1)
		expect(indexes(other.recorder.eventsSince(0))).toEqual([0])
	})

	test('import fails with SESSION_ACTIVE while a session is active, which continues', () => {
		const { loop, recorder } = recorderOf()
		recorder.start('running')
		emit(loop, 2)
		const session = { ...recorder.export()!, id: 'other' }
		expect(() => recorder.import(session)).toThrow(expect.objectContaining({ code: 'SESSION_ACTIVE' }))
		emit(loop, 1)
		expect(recorder.stop()).toMatchObject({ id: 'running', events: [{}, {}, {}] })
	})

	test('$ records are not events', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 1)
		coreOf(loop).publishOwn({ kind: '$note', message: 'own' })
		recorder.checkpoint('own too')
		loop.publish({ kind: '$note', origin: { chainId: 'other', epoch: 1, seq: 1 } })
		emit(loop, 1)
		const { events } = recorder.eventsSince(0)
		expect(events.map(({ index, record }) => [index, record.kind])).toEqual([
			[0, 'step'],
			[1, 'step'],
		])
		expect(recorder.sequence('$checkpoint').events).toEqual([])
	})

	test('a session survives a JSON round trip', () => {
		const { loop, recorder } = recorderOf()
		recorder.start('s')
		const data = {
			at: new Date(7),
			big: 2n ** 70n,
			bytes: Uint8Array.of(0, 255),
			not: Number.NaN,
			tag: { $date: 'x' },
		}
		loop.emit('step', data, { daemonId: 9n, nodeId: 'n' })
		recorder.checkpoint(data, { id: 'c', label: 'l' })
		const session = recorder.stop()
		const other = recorderOf()
		other.recorder.import(throughJson(session))
		expect(other.recorder.eventsSince(0)).toEqual(recorder.eventsSince(0))
		expect(other.recorder.checkpoints()).toEqual(recorder.checkpoints())
		expect(other.recorder.checkpoints()[0]?.state).toEqual(data)
		expect({ ...other.recorder.export(), stoppedMs: session?.stoppedMs }).toEqual(session)
	})

	test('a replay sequence: the events of one kind, in order', async () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		for (let index = 0; index < 4; index++) {
			loop.emit('call', index)
			loop.emit('noise', index)
		}
		const { events, missing } = recorder.sequence('call')
		expect([events.map(({ record }) => record.data), missing]).toEqual([[0, 1, 2, 3], 0])
		const replayed: unknown[] = []
		await replay(records(events), ({ data }) => replayed.push(data))
		expect(replayed).toEqual([0, 1, 2, 3])
		expect(recorder.sequence('nothing').events).toEqual([])
	})
})

describe('Beat', () => {
	test('the session can be queried after stop', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 2)
		recorder.checkpoint('s', { id: 'c' })
		emit(loop, 2)
		const before = answers(recorder)
		recorder.stop()
		expect(answers(recorder)).toEqual(before)
		expect(before.since).toHaveLength(4)
	})

	test('a session survives restarts in the chain, not only in memory', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		for (const life of ['first', 'second']) {
			const loop = new MeshLoop(new FileChainAppender(path))
			const recorder = new Recorder(loop, { eventsMax: 1 })
			recorder.start(life)
			emit(loop, 3)
			recorder.checkpoint({ life }, { id: 'c' })
			emit(loop, 2)
			recorder.stop()
			await loop.close()
		}
		await using chain = await openChain(path)
		const sessions = await listSessions(chain)
		expect(sessions.map(({ id, epoch }) => [id, epoch])).toEqual([
			['first', 1],
			['second', 2],
		])
		const first = await openSession(chain, 'first')
		expect(indexes(await first.eventsSince(0))).toEqual([0, 1, 2, 3, 4])
		expect(await first.checkpoints()).toMatchObject([{ id: 'c', state: { life: 'first' }, eventIndex: 3 }])
	})

	test('a query into evicted history returns the number of missing events', () => {
		const { loop, recorder } = recorderOf({ eventsMax: 3 })
		recorder.start()
		emit(loop, 4)
		recorder.checkpoint(4, { id: 'a' })
		emit(loop, 4)
		recorder.checkpoint(8, { id: 'b' })
		emit(loop, 2)
		const missing = (slice: EventSlice) => [indexes(slice), slice.missing]
		expect(missing(recorder.eventsSince(5))).toEqual([[7, 8, 9], 2])
		expect(missing(recorder.eventsSince(7))).toEqual([[7, 8, 9], 0])
		expect(missing(recorder.eventsBetweenCheckpoints('a', 'b'))).toEqual([[7], 3])
		expect(recorder.eventsBetween(0, 100).missing).toBe(7)
		expect(recorder.sequence('step').missing).toBe(7)
	})

	test('queries of a chain seek: no scan and no clone of the whole history', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop, { eventsMax: 10 })
		recorder.start('s')
		for (let index = 0; index < 20_000; index++) {
			loop.emit('step', { index, text: 'text that takes its place '.repeat(16) })
			if (index % 100 === 0) loop.flush()
		}
		recorder.checkpoint('late', { id: 'late' })
		emit(loop, 5)
		await loop.close()
		const { system, counts } = countingFileSystem()
		await using chain = await openChain(path, { fs: system })
		const { bytes } = await chain.info()
		const session = await openSession(chain, 's')
		counts.bytes = 0
		const { eventIndex } = (await session.checkpoints())[0]!
		expect(indexes(await session.eventsSince(eventIndex))).toEqual([20_000, 20_001, 20_002, 20_003, 20_004])
		expect(counts.bytes).toBeLessThan(bytes / 4)
	})

	test('import keeps to the bounds, and counts the dropped events', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 10)
		for (let index = 0; index < 5; index++) recorder.checkpoint(index, { id: `c${index}` })
		const session = recorder.stop()!
		const small = recorderOf({ eventsMax: 3, checkpointsMax: 2 }).recorder
		small.import(session)
		expect([indexes(small.eventsSince(0)), small.eventsSince(0).missing]).toEqual([[7, 8, 9], 7])
		expect(small.checkpoints().map(({ id }) => id)).toEqual(['c3', 'c4'])
		expect(small.export()).toMatchObject({ droppedEvents: 7, droppedCheckpoints: 3 })
	})

	test('an import with an index that would overflow is refused', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		emit(loop, 1)
		const session = throughJson(recorder.stop())
		for (const index of [2 ** 53, 2 ** 64, -1, 1e300]) {
			const events = session.events.map((event) => ({ ...event, index }))
			expect(() => recorder.import({ ...session, events })).toThrow(
				expect.objectContaining({ code: 'INVALID_SESSION' }),
			)
		}
		expect(recorder.isActive).toBe(false)
	})

	test('import does not discard an active session', () => {
		const { loop, recorder } = recorderOf()
		recorder.start('kept')
		emit(loop, 2)
		expect(() => recorder.import({ ...recorder.export()!, id: 'other', events: [] })).toThrow()
		expect(recorder.export()).toMatchObject({ id: 'kept', events: [{ index: 0 }, { index: 1 }] })
	})

	test('a replay has the recorded arguments, and compares the results', async () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		loop.emit('call', { add: [1, 2], answer: 3 })
		loop.emit('call', { add: [2, 2], answer: 5 })
		const differing: unknown[] = []
		await replay(records(recorder.sequence('call').events), ({ data }) => {
			const { add, answer } = data as { add: [number, number]; answer: number }
			const changes = diffStates(answer, add[0] + add[1])
			if (changes.length > 0) differing.push([add, formatChanges(changes)])
		})
		expect(differing).toEqual([[[2, 2], '~ (state): 5 -> 4\n']])
	})

	test('the state at any seq or time, from the nearest checkpoint and the later records', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		let nowMs = 0
		const loop = new MeshLoop(new FileChainAppender(path), { clock: () => (nowMs += 10) })
		const recorder = new Recorder(loop)
		recorder.start()
		const seqs: number[] = []
		for (let index = 1; index <= 6; index++) {
			seqs.push(loop.emit('add', index)!.seq)
			if (index === 3) recorder.checkpoint(6)
		}
		await loop.close()
		await using chain = await openChain(path)
		const folded: unknown[] = []
		const fold = (sum: number, { data }: LogRecord) => {
			folded.push(data)
			return sum + (data as number)
		}
		expect(await stateAt(chain, { seq: seqs[4]! }, { fold, initial: 0 })).toBe(15)
		expect(folded).toEqual([4, 5])
		expect(await stateAt(chain, { seq: seqs[1]! }, { fold, initial: 0 })).toBe(3)
		expect(await stateAt(chain, { tsMs: 10 * seqs[5]! - 1 }, { fold, initial: 0 })).toBe(15)
		expect(await stateAt(chain, { tsMs: 10 * seqs[5]! }, { fold, initial: 0 })).toBe(21)
	})

	test('the difference between two checkpoints', () => {
		const { loop, recorder } = recorderOf()
		recorder.start()
		recorder.checkpoint({ items: [1], user: 'a' })
		loop.emit('step', 1)
		recorder.checkpoint({ items: [1, 2], user: 'b', paid: true })
		const [before, after] = recorder.checkpoints()
		expect(formatChanges(diffStates(before?.state, after?.state))).toBe(
			'+ items[1]: 2\n~ user: "a" -> "b"\n+ paid: true\n',
		)
	})
})

function answers(recorder: Recorder) {
	return {
		since: recorder.eventsSince(0).events,
		between: recorder.eventsBetween(0, 100),
		ofKind: recorder.sequence('step'),
		checkpoints: recorder.checkpoints(),
	}
}

async function* records(events: readonly SessionEvent[]): AsyncGenerator<LogRecord> {
	for (const { record } of events) yield record
}
