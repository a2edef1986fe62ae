/**
 * Sessions in a chain: the same as in memory, across restarts, kills and files, with missing events counted.
 */
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FileChainAppender, type LogRecord, MeshLoop, openChain, replay } from '../../src/index.ts'
import { coreOf } from '../../src/loop/core-of.ts'
import {
	ChainSession,
	type EventSlice,
	listSessions,
	openSession,
	Recorder,
	type Session,
} from '../../src/recorder/index.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { says, startModule } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

type FileOptions = ConstructorParameters<typeof FileChainAppender>[1]

const newPath = () => join(temporaryFolder(), 'node.chain')
const indexes = ({ events }: EventSlice) => events.map(({ index }) => index)
const answer = (slice: EventSlice) => [indexes(slice), slice.missing]
const coded = (code: string) => expect.objectContaining({ code })

function emit(loop: MeshLoop, count: number, kind = 'step'): void {
	for (let index = 0; index < count; index++) loop.emit(kind, index)
}

/** Writes one life of a chain. */
async function live(path: string, life: (loop: MeshLoop) => void, options: FileOptions = {}): Promise<void> {
	const loop = new MeshLoop(new FileChainAppender(path, options))
	life(loop)
	await loop.close()
}

afterEach(() => void vi.restoreAllMocks())

describe(`a chain against memory (seed ${SEED})`, () => {
	/** A random history of one or two recorders, with the state in memory of each session when it ends. */
	async function randomHistory(path: string, seed: number) {
		const random = randomFrom(seed)
		const below = (count: number) => Math.floor(random() * count)
		const inMemory: { readonly session: Session; readonly recorder: Recorder }[] = []
		for (let life = 0; life < 3; life++) {
			let nowMs = 1000 * (life + 1)
			// Times step back occasionally.
			const clock = () => {
				nowMs += below(9) - 2
				return nowMs
			}
			const appender = new FileChainAppender(path, { rotateRecords: 40 + below(100) })
			const loop = new MeshLoop(appender, { clock })
			const active: Recorder[] = []
			loop.on('nested', ({ data }) => {
				if ((data as number) > 0) loop.emit('nested', (data as number) - 1)
				if (random() < 0.3) active[0]?.checkpoint({ data }, { id: `c${below(4)}` })
			})
			const stop = (recorder: Recorder) => inMemory.push({ session: recorder.stop()!, recorder })
			for (let step = 0; step < 150; step++) {
				const chance = random()
				if (chance < 0.5) loop.emit(`kind${below(3)}`, { step, big: BigInt(step) })
				else if (chance < 0.6) loop.emit('nested', below(3))
				else if (chance < 0.7) coreOf(loop).publishOwn({ kind: '$note', data: step })
				else if (chance < 0.85) active[below(2)]?.checkpoint({ step }, { id: `c${below(4)}` })
				else if (chance < 0.9) loop.flush()
				else if (chance < 0.95 && active.length < 2) {
					active.push(new Recorder(loop))
					active.at(-1)?.start(`s${life}-${step}`)
				} else if (active.length > 0) stop(active.splice(below(active.length), 1)[0]!)
			}
			for (const recorder of active) stop(recorder)
			await loop.close()
		}
		return inMemory
	}

	test.each([0, 1, 2, 3])(
		'history %i: chain and memory give the same result for every query',
		async (round) => {
			const path = newPath()
			const inMemory = await randomHistory(path, SEED * 10 + round)
			await using chain = await openChain(path)
			const random = randomFrom(SEED + round)
			expect((await listSessions(chain)).map(({ id }) => id).sort()).toEqual(
				inMemory.map(({ session }) => session.id).sort(),
			)
			for (const { session, recorder } of inMemory) {
				const inChain = await openSession(chain, session.id)
				expect(await inChain.export()).toEqual(session)
				expect(await inChain.checkpoints()).toEqual(recorder.checkpoints())
				expect(await collect(inChain.events())).toEqual(recorder.eventsSince(0).events)
				for (let question = 0; question < 6; question++) {
					const index = Math.floor(random() * 40)
					expect(await inChain.eventsSince(index)).toEqual(recorder.eventsSince(index))
					const [from, to] = [1000 + random() * 3000, 1000 + random() * 3000]
					expect(await inChain.eventsBetween(from, to)).toEqual(recorder.eventsBetween(from, to))
					const some = recorder.eventsSince(0).events.slice(index, index + 7)
					expect(await collect(inChain.events(index, index + 7))).toEqual(some)
				}
				const ids = [...new Set(recorder.checkpoints().map(({ id }) => id))]
				for (const a of ids)
					for (const b of ids)
						expect(await inChain.eventsBetweenCheckpoints(a, b)).toEqual(
							recorder.eventsBetweenCheckpoints(a, b),
						)
				for (const kind of ['kind0', 'nested', '$note'])
					expect(await inChain.sequence(kind)).toEqual(recorder.sequence(kind))
			}
		},
	)
})

describe('the sessions of a chain', () => {
	test('are none without a recorder, and the error names the existing ones', async () => {
		const path = newPath()
		await live(path, (loop) => emit(loop, 3))
		await using chain = await openChain(path)
		expect(await listSessions(chain)).toEqual([])
		await expect(openSession(chain, 's')).rejects.toThrow(/"s": the chain has no sessions/)
		await live(path, (loop) => void new Recorder(loop).start('known'))
		await expect(openSession(chain, 's')).rejects.toThrow(/"s": the newest are "known"/)
		await expect(openSession(chain, 's')).rejects.toThrow(coded('SESSION_NOT_FOUND'))
	})

	test('an active session extends to the last written record', async () => {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop)
		recorder.start('s')
		emit(loop, 2)
		loop.flush()
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		expect(session.info).toMatchObject({
			stoppedMs: undefined,
			startSeq: 1,
			endSeq: 3,
			firstIndex: 0,
			epoch: 1,
		})
		emit(loop, 2)
		loop.flush()
		expect(indexes(await session.eventsSince(0))).toEqual([0, 1])
		expect(indexes(await (await openSession(chain, 's')).eventsSince(0))).toEqual([0, 1, 2, 3])
		await loop.close()
	})

	test('of several sessions with one id the newest is opened', async () => {
		const path = newPath()
		for (const count of [2, 3]) {
			await live(path, (loop) => {
				const recorder = new Recorder(loop)
				recorder.start('same')
				emit(loop, count)
				recorder.stop()
			})
		}
		await using chain = await openChain(path)
		expect((await listSessions(chain)).map(({ id, epoch }) => [id, epoch])).toEqual([
			['same', 1],
			['same', 2],
		])
		const session = await openSession(chain, 'same')
		expect([session.info.epoch, indexes(await session.eventsSince(0))]).toEqual([2, [0, 1, 2]])
	})

	test("a session without a stop ends before its recorder's next session, and with its epoch", async () => {
		const path = newPath()
		const mark = { recorder: 'r', firstIndex: 0, action: 'start' }
		const appender = new FileChainAppender(path)
		const started = (seq: number, session: string) =>
			record(seq, { kind: '$session', data: { ...mark, session } })
		for (const each of [started(1, 'a'), record(2), started(3, 'b'), record(4), record(5)])
			appender.append(each)
		await appender.close()
		await live(path, (loop) => emit(loop, 4))
		await using chain = await openChain(path)
		const sessions = await listSessions(chain)
		expect(sessions.map(({ id, startSeq, endSeq, stoppedMs }) => [id, startSeq, endSeq, stoppedMs])).toEqual([
			['a', 1, 2, undefined],
			['b', 3, 5, undefined],
		])
	})

	test('sessions of two recorders on one loop overlap, each complete', async () => {
		const path = newPath()
		await live(path, (loop) => {
			const [first, second] = [new Recorder(loop), new Recorder(loop)]
			first.start('first')
			emit(loop, 1)
			second.start('second')
			emit(loop, 2)
			first.checkpoint('of the first', { id: 'c' })
			first.stop()
			emit(loop, 3)
			second.stop()
		})
		await using chain = await openChain(path)
		const [first, second] = [await openSession(chain, 'first'), await openSession(chain, 'second')]
		expect([indexes(await first.eventsSince(0)), indexes(await second.eventsSince(0))]).toEqual([
			[0, 1, 2],
			[0, 1, 2, 3, 4],
		])
		expect([first.info.stoppedMs, second.info.stoppedMs]).not.toContain(undefined)
		expect([(await first.checkpoints()).length, await second.checkpoints()]).toEqual([1, []])
	})

	test('a checkpoint with a field of another type does not count', async () => {
		const path = newPath()
		const appender = new FileChainAppender(path)
		const mark = { recorder: 'r', session: 's', id: 'c', label: null, eventIndex: 0, state: 1 }
		const values = ['\u001b', 1.5, -1, 2 ** 53, 1n, true, [], {}, new Date(0)]
		let seq = 1
		appender.append(
			record(seq++, {
				kind: '$session',
				data: { recorder: 'r', session: 's', action: 'start', firstIndex: 0 },
			}),
		)
		for (const name of ['id', 'label', 'eventIndex', 'session', 'recorder'])
			for (const value of values.filter((each) => name === 'eventIndex' || typeof each !== 'string'))
				appender.append(record(seq++, { kind: '$checkpoint', data: { ...mark, [name]: value } }))
		appender.append(record(seq++, { kind: '$checkpoint', data: mark }))
		await appender.close()
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		expect(await session.checkpoints()).toMatchObject([{ id: 'c', eventIndex: 0, seq: seq - 1 }])
	})

	test('records from other chains, and invalid ones of the same kind, do not count', async () => {
		const path = newPath()
		const appender = new FileChainAppender(path)
		const origin = { chainId: 'other', epoch: 1, seq: 1 }
		const garbage = [
			null,
			'text',
			{},
			{ session: 's' },
			{ session: 5, firstIndex: 0 },
			{ session: 's', firstIndex: 'x' },
		]
		const start = { action: 'start', recorder: 'r', session: 's', firstIndex: 0 }
		let seq = 1
		appender.append(record(seq++, { kind: '$session', data: start, origin }))
		for (const kind of ['$session', '$checkpoint'])
			for (const data of garbage) appender.append(record(seq++, { kind, data }))
		await appender.close()
		await using chain = await openChain(path)
		expect(await listSessions(chain)).toEqual([])
		await expect(openSession(chain, 's')).rejects.toMatchObject({
			code: 'SESSION_NOT_FOUND',
			message: expect.stringMatching(/has no sessions; 1 session record came from other chains/),
		})
	})
})

describe('a process that is killed', () => {
	const VICTIM = `
		import { FileChainAppender, MeshLoop } from 'mesh-chain'
		import { Recorder } from 'mesh-chain/recorder'
		const loop = new MeshLoop(new FileChainAppender(process.argv.at(-1)))
		const recorder = new Recorder(loop)
		recorder.start('job')
		loop.emit('step', 0)
		recorder.checkpoint({ done: 1 }, { id: 'c' })
		loop.emit('step', 1)
		loop.flush()
		console.log('written')
		setInterval(() => {}, 1000)
	`

	test('leaves a session that ends with its epoch; the same id begins a new one', async () => {
		const path = newPath()
		const child = startModule(VICTIM, [path])
		await says(child, 'written')
		const closed = once(child, 'close')
		child.kill('SIGKILL')
		await closed
		await live(path, (loop) => {
			emit(loop, 3, 'between')
			const recorder = new Recorder(loop)
			recorder.start('job')
			emit(loop, 1)
			recorder.stop()
		})
		await using chain = await openChain(path)
		const sessions = await listSessions(chain)
		expect(sessions.map(({ id, epoch, stoppedMs }) => [id, epoch, stoppedMs === undefined])).toEqual([
			['job', 1, true],
			['job', 2, false],
		])
		expect([sessions[0]?.startSeq, sessions[0]?.endSeq]).toEqual([1, 4])
		const killed = new ChainSession(chain, sessions[0]!)
		expect(indexes(await killed.eventsSince(0))).toEqual([0, 1])
		expect(await killed.checkpoints()).toMatchObject([{ id: 'c', state: { done: 1 }, eventIndex: 1 }])
		expect(indexes(await (await openSession(chain, 'job')).eventsSince(0))).toEqual([0])
	})
})

describe('a chain of several files', () => {
	test('is one chain for a session', async () => {
		const path = newPath()
		await live(
			path,
			(loop) => {
				const recorder = new Recorder(loop)
				recorder.start('s')
				for (let turn = 0; turn < 20; turn++) {
					emit(loop, 10)
					recorder.checkpoint(turn, { id: `c${turn}` })
					loop.flush()
				}
				recorder.stop()
			},
			{ rotateRecords: 25 },
		)
		await using chain = await openChain(path)
		expect((await chain.info()).segments.length).toBeGreaterThan(4)
		const session = await openSession(chain, 's')
		expect(indexes(await session.eventsSince(0))).toEqual(Array.from({ length: 200 }, (_, index) => index))
		const between = await session.eventsBetweenCheckpoints('c3', 'c5')
		expect([indexes(between).at(0), indexes(between).at(-1), between.missing]).toEqual([40, 59, 0])
	})

	async function inFiles(path: string, options: FileOptions): Promise<void> {
		await live(
			path,
			(loop) => {
				const recorder = new Recorder(loop)
				recorder.start('s')
				for (let turn = 0; turn < 10; turn++) {
					emit(loop, 9)
					recorder.checkpoint(turn, { id: `c${turn}` })
					loop.flush()
				}
				recorder.stop()
			},
			options,
		)
	}

	test('without one of them, exactly its events are missing, and the others keep their indexes', async () => {
		const path = newPath()
		await inFiles(path, { rotateRecords: 10 })
		const before = await exported(path)
		const { fromSeq, toSeq } = await loseFile(path, 2)
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		const isLeft = ({ seq }: Readonly<Record<string, unknown>>) =>
			Number(seq) < fromSeq || Number(seq) > toSeq
		const left = before.events.filter((event) => isLeft(event.record)).map(({ index }) => index)
		const missing = before.events.length - left.length
		expect(missing).toBeLessThan(toSeq - fromSeq + 1) // Checkpoints were lost too: they are not events.
		expect(answer(await session.eventsSince(0))).toEqual([left, missing])
		const inside = left.find((index, place) => left[place + 1] !== index + 1)! + 3
		expect((await session.eventsSince(inside)).missing).toBe(missing - 2)
		expect(answer(await session.eventsSince(80))).toEqual([range(80, 90), 0])
		expect((await session.sequence('step')).missing).toBe(missing)
		const later = (await session.checkpoints()).find(({ seq }) => seq > toSeq)!
		const sinceThen = await session.eventsSince(later.eventIndex)
		expect(sinceThen.events[0]?.record.seq).toBe(later.seq + 1)
		expect((await session.eventsBetweenCheckpoints('c0', 'c1')).missing).toBe(0)
		expect((await session.eventsBetweenCheckpoints('c0', 'c9')).missing).toBe(missing)
	})

	test('without the first, which retention removed: later records define session and indexes', async () => {
		const path = newPath()
		await inFiles(path, { rotateRecords: 10, retain: { records: 45 } })
		await using chain = await openChain(path)
		const { firstSeq } = await chain.info()
		expect(firstSeq).toBeGreaterThan(20)
		const session = await openSession(chain, 's')
		const { events, missing } = await session.eventsSince(0)
		expect(events.at(-1)?.index).toBe(89)
		expect(events.length + missing).toBe(90)
		for (const { index, record: each } of events) expect(each.data).toBe(index % 9)
		expect(session.info).toMatchObject({ id: 's', firstIndex: 0 })
		const kept = await session.checkpoints()
		expect(kept.length).toBeGreaterThan(2)
		const between = await session.eventsBetweenCheckpoints(kept[0]!.id, kept.at(-1)!.id)
		expect(answer(between)).toEqual([range(kept[0]!.eventIndex, kept.at(-1)!.eventIndex), 0])
	})

	test('a session with a hole is exported and imported with the hole', async () => {
		const path = newPath()
		await inFiles(path, { rotateRecords: 10 })
		await loseFile(path, 2)
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		const plain = JSON.parse(JSON.stringify(await session.export())) as Session
		const recorder = new Recorder(new MeshLoop())
		recorder.import(plain)
		expect(recorder.eventsSince(0)).toEqual(await session.eventsSince(0))
		for (const [a, b] of [
			['c0', 'c9'],
			['c1', 'c6'],
			['c8', 'c9'],
		] as const)
			expect(recorder.eventsBetweenCheckpoints(a, b)).toEqual(await session.eventsBetweenCheckpoints(a, b))
	})
})

describe('damage', () => {
	/** Events with texts that can be found in the file, each flushed: a frame of its own. */
	async function framed(path: string): Promise<void> {
		await live(path, (loop) => {
			const recorder = new Recorder(loop)
			recorder.start('s')
			for (let index = 0; index < 10; index++) {
				loop.emit('step', `place-${index}`)
				loop.flush()
			}
			recorder.checkpoint('ten', { id: 'ten' })
			loop.flush()
			emit(loop, 5, 'later')
			recorder.stop()
		})
	}

	function damage(path: string, text: string): void {
		const bytes = readFileSync(path)
		const at = bytes.indexOf(text)
		expect(at).toBeGreaterThan(0)
		bytes[at] = bytes[at]! ^ 0xff
		writeFileSync(path, bytes)
	}

	test('in the middle of a session: missing events are exact by index, a bound by time or kind', async () => {
		const path = newPath()
		await framed(path)
		damage(path, 'place-4')
		damage(path, 'place-5')
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		expect(answer(await session.eventsSince(0))).toEqual([[...range(0, 4), ...range(6, 15)], 2])
		expect(answer(await session.eventsSince(5))).toEqual([range(6, 15), 1])
		expect(answer(await session.eventsSince(6))).toEqual([range(6, 15), 0])
		expect(answer(await session.sequence('later'))).toEqual([range(10, 15), 2])
		const passed = await collect(session.events(3, 8))
		expect(passed.map(({ index }) => index)).toEqual([3, 6, 7])
		expect(await session.export()).toMatchObject({ droppedEvents: 2 })
	})

	test('of the beginning: the session is recognised by its next session record', async () => {
		const path = newPath()
		await framed(path)
		damage(path, '$session')
		await using chain = await openChain(path)
		const [info] = await listSessions(chain)
		expect(info).toMatchObject({ id: 's', epoch: 1, firstIndex: 0 })
		const { events, missing } = await (await openSession(chain, 's')).eventsSince(0)
		expect([events.length + missing, events.at(-1)?.index]).toEqual([15, 14])
		expect(events.find(({ record: { data } }) => data === 'place-7')?.index).toBe(7)
	})

	test("of the beginning: earlier records, mesh-chain's own too, stay out of the session", async () => {
		const path = newPath()
		await live(path, (loop) => {
			const before = new Recorder(loop)
			before.start('before')
			emit(loop, 3, 'before')
			before.checkpoint(3, { id: 'c' })
			before.stop()
			for (let index = 0; index < 3; index++) coreOf(loop).publishOwn({ kind: '$note' })
			loop.flush()
			const recorder = new Recorder(loop)
			recorder.start('victim')
			loop.flush()
			emit(loop, 2)
			coreOf(loop).publishOwn({ kind: '$note' })
			emit(loop, 2)
			recorder.checkpoint(4, { id: 'four' })
			emit(loop, 1)
			recorder.stop()
		})
		const whole = await exported(path, 'victim')
		damage(path, 'session victim: start')
		expect({ ...(await exported(path, 'victim')), startedMs: whole.startedMs }).toEqual(whole)
		await using chain = await openChain(path)
		expect((await listSessions(chain)).map(({ id, startSeq }) => [id, startSeq])).toEqual([
			['before', 1],
			['victim', 10],
		])
	})

	test('of everything but the end: the session is recognised by its end', async () => {
		const path = newPath()
		await live(path, (loop) => {
			const recorder = new Recorder(loop)
			recorder.start('s')
			loop.flush()
			emit(loop, 3)
			recorder.stop()
		})
		damage(path, '$session')
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		expect(session.info.stoppedMs).toBeDefined()
		expect(answer(await session.eventsSince(0))).toEqual([[0, 1, 2], 0])
	})
})

describe('from one process to another', () => {
	const ODD = {
		at: new Date(5),
		big: -(2n ** 80n),
		bytes: Uint8Array.of(7, 0),
		not: Number.NaN,
		tag: { $bigint: '5' },
	}

	async function recorded(path: string): Promise<void> {
		await live(path, (loop) => {
			const recorder = new Recorder(loop)
			emit(loop, 2, 'before')
			recorder.start('s')
			loop.emit('odd', ODD, { daemonId: 5n, nodeId: 'n' })
			recorder.checkpoint(ODD, { id: 'c', label: 'l' })
			for (let index = 0; index < 20; index++)
				loop.emit(index % 2 === 0 ? 'a' : 'b', { index, big: BigInt(index) })
			recorder.stop()
			emit(loop, 2, 'behind')
		})
	}

	test('an exported session, imported into another chain, replays the same events in order', async () => {
		const [path, otherPath] = [newPath(), newPath()]
		await recorded(path)
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		const heard: LogRecord[] = []
		await replay(recordsOf(await session.eventsSince(0)), (each) => void heard.push(each))
		const text = JSON.stringify(await session.export())

		const loop = new MeshLoop(new FileChainAppender(otherPath))
		const recorder = new Recorder(loop)
		recorder.import(JSON.parse(text))
		const replayed: LogRecord[] = []
		await replay(recordsOf(recorder.eventsSince(0)), (each) => void replayed.push(each))
		expect(replayed.map(unplaced)).toEqual(heard.map(unplaced))
		expect(replayed[0]?.data).toEqual(ODD)
		expect(recorder.checkpoints()[0]?.state).toEqual(ODD)
		await loop.close()
	})

	test('an imported session continues in its new chain, which counts the events from elsewhere', async () => {
		const [path, otherPath] = [newPath(), newPath()]
		await recorded(path)
		await using chain = await openChain(path)
		const exportedSession = await (await openSession(chain, 's')).export()
		await live(otherPath, (loop) => {
			const recorder = new Recorder(loop)
			recorder.import(exportedSession)
			emit(loop, 3, 'more')
			recorder.checkpoint('there', { id: 'there' })
			emit(loop, 1, 'more')
			recorder.stop()
		})
		await using other = await openChain(otherPath)
		const session = await openSession(other, 's')
		expect(session.info.firstIndex).toBe(21)
		expect(answer(await session.eventsSince(0))).toEqual([range(21, 25), 21])
		expect(answer(await session.eventsSince(20))).toEqual([range(21, 25), 1])
		expect(answer(await session.eventsSince(23))).toEqual([[23, 24], 0])
		expect((await session.sequence('more')).missing).toBe(21)
		expect(await session.checkpoints()).toMatchObject([{ id: 'there', eventIndex: 24 }])
		const again = new Recorder(new MeshLoop())
		again.import(await session.export())
		expect(answer(again.eventsSince(0))).toEqual([range(21, 25), 21])
	})

	test('a chain session refuses invalid indexes and times', async () => {
		const path = newPath()
		await recorded(path)
		await using chain = await openChain(path)
		const session = await openSession(chain, 's')
		await expect(session.eventsSince(-1)).rejects.toThrow(coded('INVALID_OPTION'))
		await expect(session.eventsSince(Number.NaN)).rejects.toThrow(coded('INVALID_OPTION'))
		await expect(session.eventsBetween(Number.NaN, 5)).rejects.toThrow(coded('INVALID_OPTION'))
		await expect(collect(session.events(0.5))).rejects.toThrow(coded('INVALID_OPTION'))
		await expect(session.eventsBetweenCheckpoints('x', 'y')).rejects.toThrow(/"x"/)
		await expect(session.eventsBetweenCheckpoints('c', 'y')).rejects.toThrow(coded('CHECKPOINT_NOT_FOUND'))
		expect(await session.eventsBetween(6, 5)).toEqual({ events: [], missing: 0 })
		expect(await session.eventsSince(1000)).toEqual({ events: [], missing: 0 })
	})
})

/** Removes one sealed file; returns the seqs of its records. */
async function loseFile(path: string, place: number): Promise<{ fromSeq: number; toSeq: number }> {
	await using chain = await openChain(path)
	const { segments } = await chain.info()
	rmSync(segments[place]!.path)
	return { fromSeq: segments[place]!.firstSeq, toSeq: segments[place + 1]!.firstSeq - 1 }
}

async function exported(path: string, id = 's'): Promise<Session> {
	await using chain = await openChain(path)
	return await (await openSession(chain, id)).export()
}

function range(from: number, to: number): number[] {
	return Array.from({ length: to - from }, (_, place) => from + place)
}

async function* recordsOf({ events }: EventSlice): AsyncGenerator<LogRecord> {
	for (const { record: each } of events) yield each
}

/** Without the origin that a replay adds. */
function unplaced({ origin: _origin, ...rest }: LogRecord): unknown {
	return rest
}
