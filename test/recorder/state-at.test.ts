/** The state at a moment, compared with a fold over all records from the first. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Chain, FileChainAppender, type LogRecord, MeshLoop, openChain } from '../../src/index.ts'
import {
	diffStates,
	formatChanges,
	Recorder,
	type StateOptions,
	type StatePosition,
	stateAt,
} from '../../src/recorder/index.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

type Sums = Readonly<Record<string, number>>
const newPath = () => join(temporaryFolder(), 'node.chain')
const coded = (code: string) => expect.objectContaining({ code })

function fold(sums: Sums, { kind, data, seq }: LogRecord): Sums {
	return { ...sums, [kind]: (sums[kind] ?? 0) + (data as number), lastSeq: seq }
}

/** The state of a program that folded everything up to a record. */
function oracleOf(records: readonly LogRecord[]): (toSeq: number) => Sums {
	const states: { readonly seq: number; readonly state: Sums }[] = [{ seq: 0, state: {} }]
	for (const record of records) {
		const { state } = states.at(-1)!
		states.push({ seq: record.seq, state: record.kind.startsWith('$') ? state : fold(state, record) })
	}
	return (toSeq) => states.findLast(({ seq }) => seq <= toSeq)!.state
}

/** A random chain in several files, whose times step back, with an occasional checkpoint if requested. */
async function written(path: string, seed: number, checkpoints: 'none' | 'some', rotateRecords = 60) {
	const random = randomFrom(seed)
	let nowMs = 1_000_000
	const clock = () => {
		nowMs += Math.floor(random() * 30) - 9
		return nowMs
	}
	for (let life = 0; life < 2; life++) {
		const loop = new MeshLoop(new FileChainAppender(path, { rotateRecords }), { clock })
		const recorder = new Recorder(loop)
		recorder.start(`life-${life}`)
		await using chain = await openChain(path)
		let state = oracleOf(await collect(chain.records()))(Number.MAX_SAFE_INTEGER)
		loop.on('*', (record: LogRecord) => {
			if (!record.kind.startsWith('$')) state = fold(state, record)
		})
		for (let index = 0; index < 300; index++) {
			loop.emit(`kind${Math.floor(random() * 3)}`, index)
			if (checkpoints === 'some' && random() < 0.05) recorder.checkpoint(state)
			if (random() < 0.1) loop.flush()
			// A rotation waits for a sync in the background: without one, the number of files would depend on the
			// seed.
			if (index % 50 === 49) await loop.sync()
		}
		await loop.close()
	}
}

describe(`against a fold from the first record (seed ${SEED})`, () => {
	test.each(['none', 'some'] as const)('with %s checkpoints, by seq and by time', async (checkpoints) => {
		const path = newPath()
		await written(path, SEED, checkpoints)
		await using chain = await openChain(path)
		expect((await chain.info()).segments.length).toBeGreaterThan(3)
		const records = await collect(chain.records())
		const oracle = oracleOf(records)
		const random = randomFrom(SEED + 1)
		const lastSeq = records.at(-1)!.seq
		for (let question = 0; question < 60; question++) {
			const seq = Math.floor(random() * (lastSeq + 20))
			expect(await stateAt(chain, { seq }, { fold, initial: {} })).toEqual(oracle(seq))
			const { tsMs } = records[Math.floor(random() * records.length)]!
			const at = tsMs + Math.floor(random() * 3) - 1
			const last = records.findLast((record) => record.tsMs <= at)
			expect(await stateAt(chain, { tsMs: at }, { fold, initial: {} })).toEqual(oracle(last?.seq ?? 0))
		}
	})

	test('with a slow fold, in order and one record at a time', async () => {
		const path = newPath()
		await written(path, SEED + 2, 'some')
		await using chain = await openChain(path)
		const records = await collect(chain.records())
		const oracle = oracleOf(records)
		let running = 0
		const slow = async (sums: Sums, record: LogRecord) => {
			expect(++running).toBe(1)
			await new Promise((resolve) => setImmediate(resolve))
			running--
			return fold(sums, record)
		}
		for (const seq of [1, 150, 333, 600]) {
			expect(await stateAt(chain, { seq }, { fold: slow, initial: {} })).toEqual(oracle(seq))
		}
	})
})

describe('the state before the first record', () => {
	/** Changes its state argument, at depth. */
	function push(
		state: { readonly seqs: number[]; readonly kinds: Map<string, number> },
		{ seq, kind }: LogRecord,
	) {
		state.seqs.push(seq)
		state.kinds.set(kind, seq)
		return state
	}

	test('is not changed by a fold that mutates its argument', async () => {
		await using chain = await chainOf(3)
		const initial = { seqs: [], kinds: new Map() }
		for (const seq of [3, 3, 0]) {
			const state = await stateAt(chain, { seq }, { fold: push, initial })
			expect(state.seqs).toEqual([1, 2, 3].slice(0, seq))
			state.seqs.push(99)
		}
		expect(initial).toEqual({ seqs: [], kinds: new Map() })
	})

	test.each([
		[
			'an instance of a class',
			new (class Sum {
				total = 0
			})(),
		],
		['one that holds a function', { total: 0, add: () => {} }],
	])('that cannot be copied is handed on itself: %s', async (_name, initial) => {
		await using chain = await chainOf(3)
		expect(await stateAt(chain, { seq: 3 }, { fold: (state) => state, initial })).toBe(initial)
	})

	async function chainOf(records: number): Promise<Chain> {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		for (let index = 0; index < records; index++) loop.emit('add', index)
		await loop.close()
		return openChain(path)
	}
})

describe('moments', () => {
	/**
	 * Records with the seqs 2 to 7 and the times 20, 30, 10, 40, 40, 25, after the start of a session at 5.
	 */
	async function stepping(): Promise<string> {
		const path = newPath()
		const times = [5, 20, 30, 10, 40, 40, 25]
		const loop = new MeshLoop(new FileChainAppender(path), { clock: () => times.shift() ?? 99 })
		new Recorder(loop).start()
		for (let index = 1; index <= 6; index++) loop.emit('add', index)
		await loop.close()
		return path
	}
	const seqs = (all: readonly number[], { seq }: LogRecord) => [...all, seq]

	test.each([
		[{ seq: 0 }, 0],
		[{ seq: 1 }, 1],
		[{ seq: 2 }, 2],
		[{ seq: 7 }, 7],
		[{ seq: 1_000_000 }, 7],
		[{ tsMs: -1 }, 0],
		[{ tsMs: 4.5 }, 0],
		[{ tsMs: 5 }, 1],
		[{ tsMs: 10 }, 4],
		[{ tsMs: 24 }, 4],
		[{ tsMs: 25 }, 7],
		[{ tsMs: 40 }, 7],
		[{ tsMs: 1e12 }, 7],
	] as const)('%o is the state after the last record, by seq, that is not later', async (at, lastSeq) => {
		await using chain = await openChain(await stepping())
		const expected = [2, 3, 4, 5, 6, 7].filter((seq) => seq <= lastSeq)
		expect(await stateAt(chain, at, { fold: seqs, initial: [] as readonly number[] })).toEqual(expected)
	})

	test.each([
		['none', undefined],
		['null', null],
		['an empty one', {}],
		['a number', 5],
		['a seq below 0', { seq: -1 }],
		['a seq that is not a whole number', { seq: 1.5 }],
		['a seq that is a bigint', { seq: 1n }],
		['no time', { tsMs: Number.NaN }],
		['an infinite time', { tsMs: Number.POSITIVE_INFINITY }],
		['a Date', { tsMs: new Date() }],
		['both', { seq: 1, tsMs: 5 }],
		['a session without a checkpoint', { session: 's' }],
		['a session that is a number', { checkpoint: 'c', session: 5 }],
		['a seq of a session', { seq: 1, session: 's' }],
	])('%s is refused', async (_name, at) => {
		await using chain = await openChain(await stepping())
		await expect(stateAt(chain, at as StatePosition, { fold: seqs, initial: [] })).rejects.toThrow(
			coded('INVALID_OPTION'),
		)
	})

	test('unknown options are refused', async () => {
		await using chain = await openChain(await stepping())
		for (const options of [{ gap: 'skip' }, { gaps: 'yield' }] as unknown as { gaps: 'skip' }[])
			await expect(stateAt(chain, { seq: 0 }, { fold: seqs, initial: [], ...options })).rejects.toThrow(
				coded('INVALID_OPTION'),
			)
	})

	test('a fold that throws rejects with its error', async () => {
		await using chain = await openChain(await stepping())
		const failing = (sum: number, { seq }: LogRecord) => {
			if (seq === 4) throw new RangeError('no more')
			return sum
		}
		await expect(stateAt(chain, { seq: 3 }, { fold: failing, initial: 1 })).resolves.toBe(1)
		await expect(stateAt(chain, { seq: 5 }, { fold: failing, initial: 1 })).rejects.toThrow(RangeError)
	})
})

describe('checkpoints', () => {
	/** Two states in one chain: the number of events, and the events. */
	async function twoStates(): Promise<string> {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop)
		recorder.start()
		for (let index = 1; index <= 10; index++) {
			loop.emit('add', index)
			if (index === 4) recorder.checkpoint(4, { label: 'count' })
			if (index === 7) recorder.checkpoint({ sum: 28 }, { label: 'sum' })
		}
		await loop.close()
		return path
	}

	test('the option selects those that hold this state; only later records are folded into it', async () => {
		await using chain = await openChain(await twoStates())
		const folded: unknown[] = []
		const count = (sum: number, { data }: LogRecord) => {
			folded.push(data)
			return sum + 1
		}
		const ofCount: Pick<StateOptions<unknown>, 'checkpoint'> = {
			checkpoint: ({ label }) => label === 'count',
		}
		expect(await stateAt(chain, { seq: 99 }, { fold: count, initial: 0, ...ofCount })).toBe(10)
		expect(folded).toEqual([5, 6, 7, 8, 9, 10])
		folded.length = 0
		expect(await stateAt(chain, { seq: 99 }, { fold: count, initial: 0, checkpoint: () => false })).toBe(10)
		expect(folded).toHaveLength(10)
	})

	test('with a session, the newest checkpoint of that id in it', async () => {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop)
		for (const [session, count] of [
			['first', 1],
			['second', 2],
		] as const) {
			recorder.start(session)
			loop.emit('add', count)
			recorder.checkpoint({ count }, { id: 'same' })
			recorder.stop()
		}
		await loop.close()
		await using chain = await openChain(path)
		const at = (session: string) =>
			stateAt(chain, { checkpoint: 'same', session }, { fold: (state) => state, initial: { count: 0 } })
		expect([await at('first'), await at('second')]).toEqual([{ count: 1 }, { count: 2 }])
		await expect(at('third')).rejects.toThrow(/there is no checkpoint "same" in session "third"/)
	})

	test('an id refers to its newest checkpoint; the difference between two is data', async () => {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop)
		recorder.start()
		for (const [count, id] of [
			[1, 'twice'],
			[2, 'other'],
			[3, 'twice'],
		] as const) {
			loop.emit('add', count)
			recorder.checkpoint({ count }, { id })
		}
		loop.emit('add', 4)
		await loop.close()
		await using chain = await openChain(path)
		const add = ({ count }: { count: number }) => ({ count: count + 1 })
		const at = (checkpoint: string) => stateAt(chain, { checkpoint }, { fold: add, initial: { count: 0 } })
		expect(await at('twice')).toEqual({ count: 3 })
		expect(formatChanges(diffStates(await at('other'), await at('twice')))).toBe('~ count: 2 -> 3\n')
		await expect(at('third')).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND', path })
		await expect(
			stateAt(chain, { checkpoint: 'twice', seq: 1 }, { fold: add, initial: { count: 0 } }),
		).rejects.toMatchObject({
			code: 'INVALID_OPTION',
		})
	})

	test('the option gets whole checkpoints, newest first, none after the position', async () => {
		await using chain = await openChain(await twoStates())
		const seen: unknown[] = []
		const checkpoint: StateOptions<unknown>['checkpoint'] = (each) => {
			seen.push([each.label, each.state, each.eventIndex, each.seq])
			return false
		}
		await stateAt(chain, { seq: 99 }, { fold: () => 0, initial: 0, checkpoint })
		expect(seen).toEqual([
			['sum', { sum: 28 }, 7, 10],
			['count', 4, 4, 6],
		])
		seen.length = 0
		await stateAt(chain, { seq: 9 }, { fold: () => 0, initial: 0, checkpoint })
		expect(seen).toEqual([['count', 4, 4, 6]])
	})

	test('at the seq of a checkpoint, the state is that of the checkpoint', async () => {
		await using chain = await openChain(await twoStates())
		const never = () => expect.fail('nothing is to be folded')
		expect(await stateAt<unknown>(chain, { seq: 6 }, { fold: never, initial: 0 })).toBe(4)
		expect(await stateAt<unknown>(chain, { seq: 10 }, { fold: never, initial: 0 })).toEqual({ sum: 28 })
	})

	test('the state of a checkpoint is restored unchanged', async () => {
		const path = newPath()
		const state = {
			at: new Date(3),
			big: 2n ** 65n,
			bytes: Uint8Array.of(0, 9),
			not: Number.NaN,
			nothing: null,
		}
		const loop = new MeshLoop(new FileChainAppender(path))
		const recorder = new Recorder(loop)
		recorder.start()
		recorder.checkpoint(state)
		await loop.close()
		await using chain = await openChain(path)
		expect(await stateAt<unknown>(chain, { seq: 9 }, { fold: (same) => same, initial: undefined })).toEqual(
			state,
		)
	})

	test('a checkpoint from another chain does not count', async () => {
		const path = newPath()
		const loop = new MeshLoop(new FileChainAppender(path))
		const data = { recorder: 'r', session: 's', id: 'c', label: null, eventIndex: 0, state: 1000 }
		loop.publish({ kind: '$checkpoint', data, origin: { chainId: 'other', epoch: 1, seq: 1 } })
		loop.emit('add', 1)
		await loop.close()
		await using chain = await openChain(path)
		expect(
			await stateAt(chain, { seq: 9 }, { fold: (sum, { data: more }) => sum + (more as number), initial: 0 }),
		).toBe(1)
	})
})

describe('where records are absent', () => {
	async function withoutFile(place: number): Promise<{ chain: Chain; fromSeq: number; toSeq: number }> {
		const path = newPath()
		await written(path, SEED + 3, 'some', 50)
		await using whole = await openChain(path)
		const { segments } = await whole.info()
		rmSync(segments[place]!.path)
		const [lost, next] = [segments[place]!, segments[place + 1]!]
		return { chain: await openChain(path), fromSeq: lost.firstSeq, toSeq: next.firstSeq - 1 }
	}
	const none: Pick<StateOptions<unknown>, 'checkpoint'> = { checkpoint: () => false }

	test("'throw' rejects if absent records would have to be folded, and only then", async () => {
		const { chain, fromSeq, toSeq } = await withoutFile(2)
		await using _closing = chain
		const records = await collect(chain.records({ gaps: 'skip' }))
		const oracle = oracleOf(records)
		expect(await stateAt(chain, { seq: fromSeq - 1 }, { fold, initial: {}, ...none })).toEqual(
			oracle(fromSeq - 1),
		)
		for (const seq of [fromSeq, fromSeq + 5, toSeq, toSeq + 1])
			await expect(stateAt(chain, { seq }, { fold, initial: {}, ...none })).rejects.toThrow(
				coded('CHAIN_GAP'),
			)
		const behind = records.find(({ kind, seq }) => kind === '$checkpoint' && seq > toSeq)!.seq
		await expect(stateAt(chain, { seq: behind }, { fold, initial: {} })).resolves.toHaveProperty('lastSeq')
	})

	test("'skip' continues without them", async () => {
		const { chain, fromSeq, toSeq } = await withoutFile(2)
		await using _closing = chain
		const records = await collect(chain.records({ gaps: 'skip' }))
		const oracle = oracleOf(records)
		for (const seq of [fromSeq, toSeq, toSeq + 7]) {
			const state = await stateAt(chain, { seq }, { fold, initial: {}, ...none, gaps: 'skip' })
			expect(state).toEqual(oracle(seq))
		}
	})

	test('a position before the first record left is not before the first record', async () => {
		const { chain } = await withoutFile(0)
		await using _closing = chain
		await expect(stateAt(chain, { seq: 1 }, { fold, initial: {} })).rejects.toThrow(coded('CHAIN_GAP'))
		await expect(stateAt(chain, { tsMs: 0 }, { fold, initial: {} })).rejects.toThrow(coded('CHAIN_GAP'))
		expect(await stateAt(chain, { tsMs: 0 }, { fold, initial: {}, gaps: 'skip' })).toEqual({})
		expect(await stateAt(chain, { seq: 0 }, { fold, initial: {} })).toEqual({})
	})
})

test('reads the checkpoint and the later records, and no earlier ones', async () => {
	const path = newPath()
	const loop = new MeshLoop(new FileChainAppender(path))
	const recorder = new Recorder(loop)
	recorder.start()
	for (let index = 1; index <= 10_000; index++) {
		loop.emit('add', { index, text: 'text that takes its place '.repeat(20) })
		if (index % 1000 === 0) recorder.checkpoint(index)
		if (index % 100 === 0) loop.flush()
	}
	await loop.close()
	const { system, counts } = countingFileSystem()
	await using chain = await openChain(path, { fs: system })
	const { bytes } = await chain.info()
	counts.bytes = 0
	let folded = 0
	const count = (sum: number) => {
		folded++
		return sum + 1
	}
	expect(await stateAt(chain, { seq: 9500 }, { fold: count, initial: 0 })).toBe(9490)
	expect(folded).toBe(490)
	expect(counts.bytes).toBeLessThan(bytes / 3)
})
