/**
 * Several chains as one history, compared with an oracle that repeatedly takes the least head.
 * MESH_CHAIN_SEED repeats a run.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Chain, ChainQuery } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { isGap, LOG_LEVELS, type LogRecord, type PublisherId } from '../../src/model/record.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { trackedFileSystem } from '../support/open-files.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { absent, chainIn, type Fields, many, opened, START_MS, write } from './written-chain.ts'

const ROUNDS = 8
const NODES: readonly (PublisherId | null)[] = [null, 1, 2, 2n, 10n, '1', 'a', 'b']

type Random = () => number
const below = (random: Random, end: number) => Math.floor(random() * end)
const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)]!

/** Applies only the rule, independent of the implementation: the least of all heads is next. */
async function oracle(chains: readonly Chain[], query: ChainQuery = {}): Promise<LogRecord[]> {
	const { limit = Number.POSITIVE_INFINITY, ...unlimited } = query
	const sources = await Promise.all(
		chains.map(async (chain) => ({
			chainId: chain.chainId,
			records: await collect(chain.records(unlimited)),
		})),
	)
	const found: LogRecord[] = []
	for (let left = limit; left > 0; ) {
		const heads = sources.filter(({ records }) => records.length > 0)
		heads.sort(
			(a, b) => (query.reverse ? -1 : 1) * order([a.records[0]!, a.chainId], [b.records[0]!, b.chainId]),
		)
		if (heads[0] === undefined) break
		const { chainId, records } = heads[0]
		const record = records.shift()!
		const origin = record.origin ?? { chainId, epoch: record.epoch, seq: record.seq }
		if (!isGap(record)) left--
		found.push({ ...record, seq: found.length + 1, epoch: 1, origin })
	}
	return found
}

function order([a, chainA]: [LogRecord, string], [b, chainB]: [LogRecord, string]): number {
	if (a.tsMs !== b.tsMs) return a.tsMs - b.tsMs
	const [rankA, rankB] = [a, b].map(({ nodeId }) =>
		nodeId === null ? 0 : typeof nodeId === 'string' ? 2 : 1,
	)
	if (rankA !== rankB) return rankA! - rankB!
	if (a.nodeId !== null && b.nodeId !== null && a.nodeId !== b.nodeId) {
		if (a.nodeId < b.nodeId) return -1
		if (a.nodeId > b.nodeId) return 1
	}
	return chainA < chainB ? -1 : 1
}

/** Few distinct times, so that many are equal; some step back. */
function someRecords(random: Random): (Fields | ReturnType<typeof absent>)[] {
	let tsMs = START_MS + below(random, 200)
	return Array.from({ length: pick(random, [0, 1, 30, 300]) }, (_unused, index) => {
		tsMs += random() < 0.03 ? -below(random, 50) : below(random, 3)
		if (random() < 0.02) return absent(1 + below(random, 9), tsMs)
		return {
			tsMs,
			level: pick(random, LOG_LEVELS),
			kind: pick(random, ['log', 'order']),
			message: `message ${index} ${'x'.repeat(below(random, 200))}`,
			nodeId: pick(random, NODES),
			daemonId: pick(random, [null, 'api', 7]),
			...(random() < 0.05 ? { origin: { chainId: 'elsewhere', epoch: 3, seq: index + 1 } } : {}),
		}
	})
}

/**
 * A chain in some condition: opened once or twice, in one file or several, intact or damaged in the middle.
 */
async function someChain(folder: string, name: string, random: Random): Promise<Chain> {
	const path = join(folder, `${name}.chain`)
	const options = random() < 0.3 ? { rotateRecords: 40 } : {}
	await write(path, someRecords(random), options)
	if (random() < 0.5) await write(path, someRecords(random), options)
	if (random() < 0.3) damage(path, random)
	return opened(path)
}

function damage(path: string, random: Random): void {
	const bytes = readFileSync(path)
	if (bytes.length < 2_000) return
	const at = 1_000 + below(random, bytes.length - 1_500)
	writeFileSync(path, bytes.fill(0xc1, at, at + 20))
}

function someQuery(random: Random): ChainQuery {
	const query: { -readonly [Name in keyof ChainQuery]: ChainQuery[Name] } = {}
	if (random() < 0.3) query.level = pick(random, LOG_LEVELS)
	if (random() < 0.2) query.kind = pick(random, ['order', ['log', 'order'], 'none'])
	if (random() < 0.3) query.since = START_MS + below(random, 400)
	if (random() < 0.3) query.until = START_MS + below(random, 600)
	if (random() < 0.2) query.grep = pick(random, ['message 1', /2\d /])
	if (random() < 0.2) query.nodeId = pick(random, NODES.slice(1) as PublisherId[])
	if (random() < 0.2) query.daemonId = pick(random, ['api', 7])
	if (random() < 0.4) query.limit = pick(random, [0, 1, 10, 256, 300])
	if (random() < 0.4) query.reverse = true
	if (random() < 0.3) query.gaps = 'skip'
	return query
}

/**
 * Compares directly, because a matcher is slow for thousands of records; uses it only to report a difference.
 */
function expectSame(found: readonly LogRecord[], expected: readonly LogRecord[]): void {
	if (!isDeepStrictEqual(found, expected)) expect(found).toEqual(expected)
}

const messages = (records: readonly LogRecord[]) => records.map(({ message }) => message)

describe(`random chains (MESH_CHAIN_SEED=${SEED})`, () => {
	test('are merged in the order of their least next record, for any query', async () => {
		const random = randomFrom(SEED)
		let compared = 0
		let gaps = 0
		for (let round = 0; round < ROUNDS; round++) {
			const folder = temporaryFolder()
			const chains: Chain[] = []
			const count = 1 + below(random, 6)
			for (let index = 0; index < count; index++) {
				chains.push(await someChain(folder, pick(random, ['a', 'b', 'c']) + index, random))
			}
			const merged = mergeChains(chains)
			for (const query of [{}, { reverse: true }, ...Array.from({ length: 6 }, () => someQuery(random))]) {
				const expected = await oracle(chains, query)
				const found =
					random() < 0.5
						? await collect(merged.records(query))
						: (await collect(merged.batches(query))).flat()
				expectSame(found, expected)
				compared += expected.length
				gaps += expected.filter(({ kind }) => kind === '$gap').length
			}
			expect((await merged.info()).lastSeq ?? 0).toBe((await oracle(chains)).length)
		}
		expect(compared).toBeGreaterThan(2_000)
		expect(gaps).toBeGreaterThan(10)
	})
})

describe('the order', () => {
	test('is by time across chains and by seq within each, even if times step back', async () => {
		const folder = temporaryFolder()
		const at = (name: string, ...times: number[]) =>
			chainIn(
				folder,
				name,
				times.map((time) => ({ tsMs: START_MS + time, message: `${name} ${time}` })),
			)
		const merged = mergeChains([await at('a', 5, 9, 1, 12), await at('b', 2, 6, 8), await at('c', 7, 10, 11)])
		const expected = ['b 2', 'a 5', 'b 6', 'c 7', 'b 8', 'a 9', 'a 1', 'c 10', 'c 11', 'a 12']
		expect(messages(await collect(merged.records()))).toEqual(expected)
	})

	test('at one time is by node: no node, then numbers and bigints by value, then texts', async () => {
		const folder = temporaryFolder()
		const sorted: readonly (PublisherId | null)[] = [null, 1, 2n, 10, 11n, 2n ** 63n, '10', '9', 'a', 'b']
		const shuffled = [8, 3, 0, 6, 9, 1, 7, 4, 2, 5].map((index) => sorted[index]!)
		const chains: Chain[] = []
		for (const [index, nodeId] of shuffled.entries()) {
			chains.push(await chainIn(folder, `chain${index}`, [{ tsMs: START_MS, nodeId }]))
		}
		const merged = mergeChains(chains)
		expect((await collect(merged.records())).map(({ nodeId }) => nodeId)).toEqual(sorted)
		const reversed = await collect(merged.records({ reverse: true }))
		expect(reversed.map(({ nodeId }) => nodeId)).toEqual(sorted.toReversed())
	})

	test('at one time and node is by chain, for any order of the arguments', async () => {
		const folder = temporaryFolder()
		const nodes: readonly PublisherId[] = [7, 7n, 7, 7n]
		const chains = await Promise.all(
			nodes.map((nodeId, index) => chainIn(folder, `chain${index}`, [{ tsMs: START_MS, nodeId }])),
		)
		const expected = chains.map(({ chainId }) => chainId).sort()
		for (const given of [chains, chains.toReversed()]) {
			const found = await collect(mergeChains(given).records())
			expect(found.map(({ origin }) => origin?.chainId)).toEqual(expected)
		}
	})
})

describe('every record', () => {
	test('has its chain as origin, or keeps its origin, and gets a new seq and epoch', async () => {
		const folder = temporaryFolder()
		const path = join(folder, 'a.chain')
		const origin = { chainId: 'elsewhere', epoch: 4, seq: 44 }
		await write(path, [{ tsMs: START_MS }])
		await write(path, [
			{ tsMs: START_MS + 2, origin },
			{ tsMs: START_MS + 3, data: { order: 7n } },
		])
		const a = await opened(path)
		const b = await chainIn(folder, 'b', [{ tsMs: START_MS + 1 }])
		const found = await collect(mergeChains([a, b]).records())
		expect(found.map(({ seq, epoch }) => [seq, epoch])).toEqual([1, 2, 3, 4].map((seq) => [seq, 1]))
		expect(found.map((each) => each.origin)).toEqual([
			{ chainId: a.chainId, epoch: 1, seq: 1 },
			{ chainId: b.chainId, epoch: 1, seq: 1 },
			origin,
			{ chainId: a.chainId, epoch: 2, seq: 3 },
		])
		expect(found[3]?.data).toEqual({ order: 7n })
	})

	test('is numbered from 1 in each iteration, even of the same iterable', async () => {
		const folder = temporaryFolder()
		const merged = mergeChains([
			await chainIn(folder, 'a', many(5, 2)),
			await chainIn(folder, 'b', many(5, 3)),
		])
		const records = merged.records({ limit: 7 })
		const first = await collect(records)
		expect(first.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7])
		expect(await collect(records)).toEqual(first)
		expect((await collect(merged.batches({ limit: 7 }))).flat()).toEqual(first)
	})
})

describe('gaps', () => {
	const setUp = async () => {
		const folder = temporaryFolder()
		const a = await chainIn(folder, 'a', [
			{ tsMs: START_MS },
			absent(3, START_MS + 2),
			{ tsMs: START_MS + 4 },
		])
		const b = await chainIn(folder, 'b', [
			{ tsMs: START_MS + 1 },
			{ tsMs: START_MS + 3 },
			{ tsMs: START_MS + 5 },
		])
		return { a, b, merged: mergeChains([a, b]) }
	}

	test('of each chain are returned with their origin, and no filter removes them', async () => {
		const { a, merged } = await setUp()
		const found = await collect(merged.records())
		expect(found.map(({ kind }) => kind)).toEqual(['log', 'log', '$gap', 'log', 'log', 'log'])
		expect(found[2]).toMatchObject({
			seq: 3,
			origin: { chainId: a.chainId, epoch: 1, seq: 4 },
			data: { fromSeq: 2, toSeq: 4, count: 3, cause: 'evicted' },
		})
		expect((await collect(merged.records({ kind: 'none' }))).map(({ kind }) => kind)).toEqual(['$gap'])
	})

	test('do not count towards a limit', async () => {
		const { merged } = await setUp()
		const found = await collect(merged.records({ limit: 3 }))
		expect(found.map(({ kind }) => kind)).toEqual(['log', 'log', '$gap', 'log'])
		expect(await collect(merged.records({ limit: 0 }))).toEqual([])
	})

	test('are skipped or thrown on request', async () => {
		const { a, merged } = await setUp()
		const skipped = await collect(merged.records({ gaps: 'skip' }))
		expect(skipped.map(({ seq, kind }) => [seq, kind])).toEqual([1, 2, 3, 4, 5].map((seq) => [seq, 'log']))
		await expect(collect(merged.records({ gaps: 'throw' }))).rejects.toMatchObject({
			code: 'CHAIN_GAP',
			path: a.path,
		})
	})

	test('stand for damage in the middle of one chain; the others lose nothing', async () => {
		const folder = temporaryFolder()
		const path = await write(join(folder, 'a.chain'), many(3_000, 2, { nodeId: 'a' }))
		const bytes = readFileSync(path)
		writeFileSync(path, bytes.fill(0xc1, bytes.length >> 1, (bytes.length >> 1) + 30))
		const a = await opened(path)
		const b = await chainIn(folder, 'b', many(3_000, 2, { nodeId: 'b' }))
		const found = await collect(mergeChains([a, b]).records())
		const gaps = found.filter(({ kind }) => kind === '$gap')
		expect(gaps).toHaveLength(1)
		const { count } = gaps[0]!.data as { count: number }
		expect(gaps[0]).toMatchObject({ origin: { chainId: a.chainId }, data: { cause: 'damaged' } })
		expect(found.filter(({ nodeId }) => nodeId === 'b')).toHaveLength(3_000)
		expect(found.filter(({ nodeId }) => nodeId === 'a')).toHaveLength(3_000 - count)
	})
})

describe('chains of any kind', () => {
	test('an empty chain adds nothing, and one chain alone keeps its order', async () => {
		const folder = temporaryFolder()
		const [a, empty] = [await chainIn(folder, 'a', many(3, 1)), await chainIn(folder, 'empty', [])]
		expect(messages(await collect(mergeChains([empty, a]).records()))).toEqual([' 1', ' 2', ' 3'])
		expect(messages(await collect(mergeChains([a]).records({ reverse: true })))).toEqual([' 3', ' 2', ' 1'])
		expect(await collect(mergeChains([empty]).records())).toEqual([])
	})

	test('of several files each are read from first file to last', async () => {
		const folder = temporaryFolder()
		const options = { rotateRecords: 20 }
		const chains = await Promise.all(
			['a', 'b'].map((name) => chainIn(folder, name, many(100, 2, { nodeId: name }), options)),
		)
		expect(readdirSync(folder).filter((name) => name.endsWith('.chain')).length).toBeGreaterThan(6)
		const found = await collect(mergeChains(chains).records())
		expect(messages(found)).toEqual(
			Array.from({ length: 100 }, (_unused, index) => [`a ${index + 1}`, `b ${index + 1}`]).flat(),
		)
	})

	test('that were merged before are merged as their inputs', async () => {
		const folder = temporaryFolder()
		const chains = await Promise.all(
			['a', 'b', 'c'].map((name) => chainIn(folder, name, [...many(5, 2), absent(2), ...many(5, 3)])),
		)
		const [a, b, c] = chains as [Chain, Chain, Chain]
		const nested = mergeChains([mergeChains([a, b]), c])
		const flat = mergeChains([c, b, a])
		expect(nested.chainId).toBe(flat.chainId)
		for (const query of [{}, { limit: 12 }, { reverse: true }]) {
			expect(await collect(nested.records(query))).toEqual(await collect(flat.records(query)))
		}
		const stop = new AbortController()
		const seen: LogRecord[] = []
		for await (const record of nested.tail({ signal: stop.signal })) {
			if (seen.push(record) === 33) stop.abort()
		}
		expect(seen).toEqual(await collect(flat.records()))
		expect(() => mergeChains([mergeChains([a, b]), b])).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION' }),
		)
	})
})

describe('invalid arguments are refused at once', () => {
	test('values that are not chains, too few chains, and duplicates', async () => {
		const folder = temporaryFolder()
		const a = await chainIn(folder, 'a', many(3, 1))
		const again = await opened(join(folder, 'a.chain'))
		for (const chains of [[], undefined, a, 'a.chain', [a, undefined], ['a.chain'], [a, again], [a, a]]) {
			expect(() => mergeChains(chains as Chain[])).toThrow(
				expect.objectContaining({ code: 'INVALID_OPTION' }),
			)
		}
		expect(() => mergeChains([a, again])).toThrow(/a\.chain" and .*a\.chain" are the same chain/)
	})

	test('filters by seq, and every query that a chain refuses', async () => {
		const merged = mergeChains([await chainIn(temporaryFolder(), 'a', many(3, 1))])
		const refused = (query: object, code = 'INVALID_FILTER') => {
			for (const ask of [() => merged.records(query), () => merged.batches(query)]) {
				expect(ask, JSON.stringify(query)).toThrow(expect.objectContaining({ code }))
			}
		}
		for (const name of ['afterSeq', 'fromSeq', 'toSeq']) {
			refused({ [name]: 1 })
			expect(() => merged.records({ [name]: 1 })).toThrow(name)
		}
		refused({ limit: -1 })
		refused({ limit: 1.5 })
		refused({ colour: 'red' })
		refused({ level: 'loud' }, 'INVALID_LEVEL')
		expect(() => merged.records({ limit: Number.POSITIVE_INFINITY, toSeq: undefined as never })).not.toThrow()
	})
})

describe('resources', () => {
	test('no file stays open after an iteration that was stopped, or failed', async () => {
		const folder = temporaryFolder()
		const { system, open } = trackedFileSystem()
		const options = { rotateRecords: 20, fs: system }
		const chains: Chain[] = []
		for (const name of ['a', 'b', 'c']) {
			chains.push(await chainIn(folder, name, [...many(50, 2), absent(3), ...many(50, 2)], options))
		}
		const merged = mergeChains(chains)
		const atRest = [...open.keys()]
		expect(atRest).toHaveLength(3)
		let seen = 0
		for await (const record of merged.records()) {
			expect(open.size).toBeGreaterThan(3)
			if (record.seq === 100 && ++seen > 0) break
		}
		expect(seen).toBe(1)
		expect([...open.keys()]).toEqual(atRest)
		for await (const batch of merged.batches({ reverse: true })) if (batch.length > 0) break
		expect([...open.keys()]).toEqual(atRest)
		await expect(collect(merged.records({ gaps: 'throw' }))).rejects.toMatchObject({ code: 'CHAIN_GAP' })
		expect([...open.keys()]).toEqual(atRest)
		await merged.close()
		expect(open.size).toBe(0)
	})

	test('a closed merge cannot be read, and closing ends a read in progress', async () => {
		const folder = temporaryFolder()
		const merged = mergeChains([
			await chainIn(folder, 'a', many(2_000, 1)),
			await chainIn(folder, 'b', many(2_000, 1)),
		])
		const records = merged.records()[Symbol.asyncIterator]()
		await records.next()
		await merged.close()
		await merged.close()
		const rest = async () => {
			while (!(await records.next()).done);
		}
		await expect(rest()).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
		for (const read of [
			() => collect(merged.records()),
			() => collect(merged.tail()),
			() => merged.info(),
			() => merged.end(),
		]) {
			await expect(read()).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
		}
	})

	test('at most one piece of each chain is read ahead', async () => {
		const folder = temporaryFolder()
		const { system, counts } = countingFileSystem()
		const fields = { message: 'x'.repeat(1_000) }
		const chains: Chain[] = []
		for (const name of ['a', 'b', 'c']) {
			chains.push(await chainIn(folder, name, many(3_000, 3, fields), { fs: system }))
		}
		const size = (await chains[0]!.info()).bytes
		expect(size).toBeGreaterThan(3_000_000)
		const merged = mergeChains(chains)
		const before = counts.bytes
		const batches = merged.batches()[Symbol.asyncIterator]()
		await batches.next()
		await batches.next()
		for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
		expect(counts.bytes - before).toBeLessThan(3 * 600_000)
		await batches.return?.()
	})

	test('batches hold many records, even if the chains alternate', async () => {
		const folder = temporaryFolder()
		const chains = await Promise.all(
			['a', 'b', 'c', 'd'].map((name) => chainIn(folder, name, many(1_000, 1))),
		)
		const batches = await collect(mergeChains(chains).batches())
		expect(batches.flat()).toHaveLength(4_000)
		expect(batches.length).toBeLessThan(80)
		expect(Math.max(...batches.map(({ length }) => length))).toBeLessThanOrEqual(256)
	})
})

describe('info and end', () => {
	test('info is the sum of the infos of all chains', async () => {
		const folder = temporaryFolder()
		const a = await chainIn(folder, 'a', [...many(10, 1, { level: 'warn' }), absent(4), ...many(2, 1)])
		const b = await chainIn(folder, 'b', many(60, 7), { rotateRecords: 20 })
		const empty = await chainIn(folder, 'empty', [])
		const merged = mergeChains([a, b, empty])
		const infos = await Promise.all([a, b, empty].map((chain) => chain.info()))
		const info = await merged.info()
		const bytes = infos.reduce((sum, each) => sum + each.bytes, 0)
		expect(info).toMatchObject({
			path: [a.path, b.path, empty.path].join(', '),
			chainId: merged.chainId,
			records: 72,
			firstSeq: 1,
			lastSeq: 73,
			minTsMs: START_MS,
			maxTsMs: START_MS + 59 * 7,
			levels: { trace: 0, debug: 0, info: 62, warn: 10, error: 0 },
			gaps: { count: 1, records: 4, byCause: { evicted: 4 } },
			state: 'closed',
			bytes,
			head: { seq: 73, chainId: merged.chainId },
		})
		expect(info.createdMs).toBe(Math.min(...infos.map(({ createdMs }) => createdMs!)))
		expect(info.segments).toEqual(infos.flatMap(({ segments }) => segments))
		expect((await collect(merged.records())).at(-1)?.seq).toBe(info.lastSeq)
		expect(await mergeChains([empty]).info()).toMatchObject({
			records: 0,
			firstSeq: undefined,
			lastSeq: undefined,
		})
		expect((await mergeChains([b, empty, a]).info()).head.seq).toBe(73)
	})

	test('the end is the worst of all ends, and the head changes with each head', async () => {
		const folder = temporaryFolder()
		const a = await chainIn(folder, 'a', many(10, 1))
		const path = await write(join(folder, 'b.chain'), many(10, 1))
		const whole = readFileSync(path)
		const of = async () => {
			await using b = await openChain(path)
			const merged = mergeChains([a, b])
			return { end: await merged.end(), info: await merged.info() }
		}
		const closed = await of()
		expect(closed.end).toMatchObject({ state: 'closed', tornBytes: 0, damagedBytes: 0 })
		writeFileSync(path, whole.subarray(0, whole.length - 5))
		const torn = await of()
		expect(torn.end).toMatchObject({ state: 'crashed', holder: undefined })
		expect(torn.end.tornBytes).toBeGreaterThan(0)
		expect(torn.info).toMatchObject({ state: 'crashed', tornBytes: torn.end.tornBytes })
		expect(torn.info.head.link).not.toBe(closed.info.head.link)
	})
})
