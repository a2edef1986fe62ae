/**
 * Ten thousand random queries on chains in every condition, compared with an oracle that filters the whole
 * history record by record. MESH_CHAIN_SEED repeats a run, MESH_CHAIN_QUERIES sets its length.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { Chain, ChainQuery } from '../../../src/chain/chain.ts'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import {
	type GapData,
	gapRecord,
	LOG_LEVELS,
	type LogLevel,
	type LogRecord,
} from '../../../src/model/record.ts'
import { newChainPath } from '../../support/chains.ts'
import { sizeOf, tellCounts } from '../../support/counts.ts'
import { collect, record } from '../../support/records.ts'

const SEED = Number(process.env['MESH_CHAIN_SEED'] ?? Date.now() % 2 ** 31)
const QUERIES = sizeOf('QUERIES')
const START_MS = 1_700_000_000_000
/** There is an anchor about every 64 of them. */
const FILLER = 'x'.repeat(1_000)

/** Mulberry32: returns numbers from 0 to 1, the same sequence for the same seed. */
function randomOf(seed: number): () => number {
	let state = seed >>> 0
	return () => {
		state = (state + 0x6d2b79f5) >>> 0
		let mixed = Math.imul(state ^ (state >>> 15), state | 1)
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
	}
}

type Random = () => number
const below = (random: Random, end: number) => Math.floor(random() * end)
const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)]!

interface Written {
	readonly path: string
	/** The records that an unfiltered reader must return. */
	readonly history: readonly LogRecord[]
}

type Times = (seq: number, random: Random) => number
const steady: Times = (seq) => START_MS + seq * 10
const stepping: Times = (seq, random) => {
	const step = random()
	if (step < 0.003) return START_MS + below(random, 1e9)
	if (step < 0.006) return START_MS - below(random, 1e9)
	return START_MS + Math.floor(seq / 7) * 70 - (seq % 400 < 30 ? 60_000 : 0)
}

/** Levels occur in bursts, as in practice. */
function levelOf(seq: number, random: Random) {
	if (seq % 900 < 12) return pick(random, ['warn', 'error'] as const)
	return random() < 0.002 ? 'error' : pick(random, ['trace', 'debug', 'info', 'info'] as const)
}

function someRecord(seq: number, epoch: number, times: Times, random: Random): LogRecord {
	const kind = random() < 0.003 ? '$checkpoint' : pick(random, ['log', 'log', 'order', 'payment'])
	return record(seq, {
		epoch,
		tsMs: Math.max(0, times(seq, random)),
		level: levelOf(seq, random),
		kind,
		message: seq % 10 === 0 ? FILLER.repeat(below(random, 4)) : `${seq} ${FILLER}`,
		daemonId: pick(random, [null, 'api', 'mail', 7, 7n]),
		nodeId: pick(random, ['n1', 'n2']),
		...(random() < 0.2 ? { data: { order: below(random, 50) } } : {}),
	})
}

/** @param gapEvery Average number of records from one `$gap` to the next. */
async function write(
	path: string,
	count: number,
	options: { times?: Times; gapEvery?: number; batchEvery?: number; rotateBytes?: number; random: Random },
): Promise<LogRecord[]> {
	const {
		times = steady,
		gapEvery = Number.POSITIVE_INFINITY,
		batchEvery = Number.POSITIVE_INFINITY,
		random,
	} = options
	const { rotateBytes } = options
	const appender = new FileChainAppender(path, rotateBytes === undefined ? {} : { rotateBytes })
	const written: LogRecord[] = []
	const { epoch } = appender
	for (let left = count; left > 0; left--) {
		const seq = appender.nextSeq
		if (random() < 1 / gapEvery) {
			const length = 1 + below(random, 20)
			const gap: GapData = {
				fromSeq: seq,
				toSeq: seq + length - 1,
				count: length,
				cause: pick(random, ['evicted', 'appendFailed']),
			}
			written.push(gapRecord(gap, { epoch, tsMs: START_MS }))
			appender.append(written.at(-1)!)
		} else if (random() < 1 / batchEvery) {
			const batch = Array.from({ length: 300 }, (_unused, index) =>
				someRecord(seq + index, epoch, times, random),
			)
			appender.appendBatch(batch)
			written.push(...batch)
		} else {
			written.push(someRecord(seq, epoch, times, random))
			appender.append(written.at(-1)!)
		}
		if (random() < 0.05) appender.flush()
		// A file is sealed once it is synced. The wait makes the number of files the same on any machine.
		if (rotateBytes !== undefined && random() < 0.02) await appender.sync()
	}
	await appender.close()
	return written
}

async function readAll(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	const all = await collect(chain.records())
	await chain.close()
	return all
}

/** Returns the same chain with some bytes overwritten. Its history is what a walk from end to end sees. */
async function hurt(
	path: string,
	history: readonly LogRecord[],
	change: (bytes: Buffer) => Buffer,
): Promise<Written> {
	writeFileSync(path, change(readFileSync(path)))
	const seen = await readAll(path)
	const known = new Map(history.map((each) => [each.seq, each]))
	for (const each of seen) if (each.kind !== '$gap') expect(each).toEqual(known.get(each.seq))
	const absent = seen.reduce(
		(sum, each) => sum + (each.kind === '$gap' ? (each.data as GapData).count : 0),
		0,
	)
	const last = seen.at(-1)?.seq ?? 0
	expect(seen.filter(({ kind }) => kind !== '$gap').length + absent).toBe(last)
	return { path, history: seen }
}

function anchorsIn(bytes: Buffer): number[] {
	const found: number[] = []
	for (
		let at = bytes.indexOf('\xa6anchor\xce', 0, 'latin1');
		at >= 0;
		at = bytes.indexOf('\xa6anchor\xce', at + 1, 'latin1')
	)
		found.push(at - 1)
	return found
}

const CONDITIONS: readonly (readonly [string, (path: string, random: Random) => Promise<Written>])[] = [
	['steady times', async (path, random) => ({ path, history: await write(path, 2_500, { random }) })],
	[
		'times that step back and forth',
		async (path, random) => ({ path, history: await write(path, 2_500, { times: stepping, random }) }),
	],
	[
		'several openings, gaps and batches',
		async (path, random) => {
			const history: LogRecord[] = []
			for (let epoch = 0; epoch < 4; epoch++)
				history.push(...(await write(path, 500, { times: stepping, gapEvery: 60, batchEvery: 400, random })))
			return { path, history }
		},
	],
	[
		'several files',
		async (path, random) => ({
			path,
			history: await write(path, 2_500, { times: stepping, gapEvery: 90, rotateBytes: 300_000, random }),
		}),
	],
	[
		'several files, one missing and another damaged',
		async (path, random) => {
			const history = await write(path, 2_500, {
				times: stepping,
				gapEvery: 90,
				rotateBytes: 200_000,
				random,
			})
			const sealed = readdirSync(dirname(path)).filter((name) => /^node-\d/.test(name))
			expect(sealed.length).toBeGreaterThan(4)
			sealed.sort((a, b) => Number(a.slice(5, -6)) - Number(b.slice(5, -6)))
			rmSync(join(dirname(path), sealed[2]!))
			const hurtPath = join(dirname(path), sealed[1]!)
			const bytes = readFileSync(hurtPath)
			for (let left = 4; left > 0; left--) bytes.fill(0, ...placeIn(bytes, random, 512))
			writeFileSync(hurtPath, bytes)
			return hurt(path, history, (live) => live)
		},
	],
	[
		'places overwritten in the middle',
		async (path, random) => {
			const history = await write(path, 2_500, { times: stepping, gapEvery: 200, random })
			return hurt(path, history, (bytes) => {
				for (let left = 6; left > 0; left--) bytes.fill(0, ...placeIn(bytes, random, 512))
				for (let left = 6; left > 0; left--) bytes[placeIn(bytes, random, 1)[0]]! ^= 1 << below(random, 8)
				return bytes
			})
		},
	],
	[
		'anchors destroyed, several in a row among them',
		async (path, random) => {
			const history = await write(path, 2_500, { random })
			return hurt(path, history, (bytes) => {
				const anchors = anchorsIn(bytes)
				const from = 1 + below(random, anchors.length - 12)
				for (const at of [
					...anchors.slice(from, from + 9),
					pick(random, anchors),
					pick(random, anchors),
					anchors.at(-1)!,
				])
					bytes[at + 100]! ^= 1
				return bytes
			})
		},
	],
	[
		'a stretch of many spans destroyed',
		async (path, random) => {
			const history = await write(path, 2_500, { times: stepping, random })
			return hurt(path, history, (bytes) => bytes.fill(0xff, ...placeIn(bytes, random, 600_000)))
		},
	],
	[
		'cut somewhere',
		async (path, random) => {
			const history = await write(path, 2_500, { times: stepping, gapEvery: 100, random })
			return hurt(path, history, (bytes) => bytes.subarray(0, placeIn(bytes, random, 0)[0]))
		},
	],
	[
		'a destroyed header, and only the first anchor',
		async (path, random) => {
			const history = await write(path, 300, { random })
			return hurt(path, history, (bytes) => {
				for (const at of anchorsIn(bytes).slice(1)) bytes[at + 50]! ^= 1
				bytes.fill(0, 14, 45)
				return bytes
			})
		},
	],
	[
		'few records, or only a gap',
		async (path, random) => {
			const count = below(random, 4)
			const history = await write(path, count, { gapEvery: 2, random })
			return { path, history }
		},
	],
	[
		'records larger than one read',
		async (path, random) => {
			const appender = new FileChainAppender(path)
			const history: LogRecord[] = []
			for (let seq = 1; seq <= 12; seq++) {
				const size = seq % 3 === 0 ? 300_000 : 10
				history.push({ ...someRecord(seq, 1, steady, random), data: { text: 'y'.repeat(size) } })
				appender.append(history.at(-1)!)
				appender.flush()
			}
			await appender.close()
			return { path, history }
		},
	],
]

/** Returns a range `[from, to)` of `length` bytes after the header and the first anchor. */
function placeIn(bytes: Buffer, random: Random, length: number): [number, number] {
	const from = 300 + below(random, Math.max(1, bytes.length - 300 - length))
	return [from, from + length]
}

/** An independent implementation of the rules of `LogFilter` and `ChainQuery`. */
function answer(history: readonly LogRecord[], query: ChainQuery): LogRecord[] {
	const {
		level,
		kind,
		daemonId,
		nodeId,
		grep,
		fromSeq = 0,
		afterSeq = -1,
		toSeq = Infinity,
		since,
		until,
	} = query
	const first = Math.max(fromSeq, afterSeq + 1)
	const kinds = kind === undefined ? undefined : [kind].flat()
	const found = history.filter((each) => {
		if (each.kind === '$gap') return each.seq >= first && (each.data as GapData).fromSeq <= toSeq
		if (each.seq < first || each.seq > toSeq) return false
		if (since !== undefined && each.tsMs < Number(since)) return false
		if (until !== undefined && each.tsMs > Number(until)) return false
		if (level !== undefined && LOG_LEVELS.indexOf(each.level) < LOG_LEVELS.indexOf(level as LogLevel))
			return false
		if (kinds !== undefined && !kinds.includes(each.kind)) return false
		if (daemonId !== undefined && each.daemonId !== daemonId) return false
		if (nodeId !== undefined && each.nodeId !== nodeId) return false
		return (
			grep === undefined ||
			[each.message, each.kind, JSON.stringify(each.data) ?? ''].some((text) => (grep as RegExp).test(text))
		)
	})
	return query.reverse ? found.reverse() : found
}

/** Applies the limit and the option for gaps. */
function cut(
	found: readonly LogRecord[],
	{ limit = Number.POSITIVE_INFINITY, gaps }: ChainQuery,
): LogRecord[] {
	const kept: LogRecord[] = []
	let left = limit
	for (const each of found) {
		if (left === 0) break
		if (each.kind === '$gap' && gaps === 'skip') continue
		if (each.kind !== '$gap') left--
		kept.push(each)
	}
	return kept
}

function someQuery(history: readonly LogRecord[], random: Random): ChainQuery {
	const query: { -readonly [Name in keyof ChainQuery]: ChainQuery[Name] } = {}
	const lastSeq = history.at(-1)?.seq ?? 0
	const near = (value: number, spread: number) => value + below(random, 2 * spread + 1) - spread
	const center = pick(random, history.length === 0 ? [record(5)] : history)
	const width = pick(random, [0, 1, 5, 40, 300, lastSeq])
	const chance = (share: number) => random() < share
	if (chance(0.4)) query.fromSeq = Math.max(0, near(center.seq, 2))
	if (chance(0.1)) query.afterSeq = Math.max(0, near(center.seq, 2))
	if (chance(0.4)) query.toSeq = Math.max(0, (query.fromSeq ?? center.seq) + near(width, 3))
	if (chance(0.3)) query.since = near(center.tsMs, 20)
	if (chance(0.3)) query.until = near(Number(query.since ?? center.tsMs), 20) + width * 10
	if (query.since !== undefined && chance(0.2)) query.since = new Date(Math.max(0, Number(query.since)))
	if (chance(0.3)) query.level = pick(random, LOG_LEVELS)
	if (chance(0.15))
		query.kind = pick(random, [
			'order',
			'none',
			['log', 'payment'],
			[],
			'$checkpoint',
			['$checkpoint', '$other'],
		])
	if (chance(0.1)) query.daemonId = pick(random, ['api', 7, 7n, 'nobody'])
	if (chance(0.1)) query.nodeId = pick(random, ['n1', 'n2', 'n3'])
	if (chance(0.1)) query.grep = pick(random, [/^1\d* /, /order":7/, /nothing like it/])
	if (chance(0.4)) query.limit = pick(random, [0, 1, 2, 10, 1_000])
	if (chance(0.4)) query.reverse = true
	if (chance(0.2)) query.gaps = 'skip'
	return query
}

function isDamage({ kind, data }: LogRecord): boolean {
	return kind === '$gap' && (data as GapData).cause === 'damaged'
}

/** A matcher is slow for thousands of records, so it is only called to format a difference. */
function expectSame(found: readonly LogRecord[], expected: readonly LogRecord[]): void {
	if (!isDeepStrictEqual(found, expected)) expect(found).toEqual(expected)
}

/**
 * A query by level, time or a kind of mesh-chain's own may skip damage if the anchors around it exclude a
 * match. All other queries are compared exactly.
 */
function check(found: readonly LogRecord[], history: readonly LogRecord[], query: ChainQuery): void {
	const whole = answer(history, query)
	const isOwnOnly = query.kind !== undefined && [query.kind].flat().every((kind) => kind.startsWith('$'))
	const isTimed = query.since !== undefined || query.until !== undefined
	const mayPassOver = query.level !== undefined || isTimed || isOwnOnly
	if (!mayPassOver) {
		expectSame(found, cut(whole, query))
		return
	}
	for (const gap of found.filter(isDamage)) expect(whole).toContainEqual(gap)
	const expected = cut(
		whole.filter((each) => !isDamage(each)),
		query,
	)
	expectSame(
		found.filter((each) => !isDamage(each)),
		expected,
	)
}

/** The info from anchors equals the info from all frames. It may only omit damage between anchors. */
async function checkInfo(chain: Chain): Promise<void> {
	const { notChecked: _notChecked, ...found } = await chain.info()
	const whole = await chain.info({ full: true })
	expect(whole.notChecked).toBeUndefined()
	if (whole.damagedPlaces === 0) expect(found).toEqual(whole)
	else expect(found.damagedPlaces).toBeLessThanOrEqual(whole.damagedPlaces)
}

describe(`random queries (MESH_CHAIN_SEED=${SEED})`, () => {
	test.each(CONDITIONS)(
		'%s: a query on a chain gives the same result as a filter over its whole history',
		async (name, make) => {
			const random = randomOf(SEED ^ name.length)
			const { path, history } = await make(newChainPath(), random)
			expect(await readAll(path)).toEqual(history)
			const chain = await openChain(path)
			for (let left = QUERIES / CONDITIONS.length; left > 0; left--) {
				const query = someQuery(history, random)
				const found =
					random() < 0.5 ? await collect(chain.records(query)) : (await collect(chain.batches(query))).flat()
				try {
					check(found, history, query)
				} catch (error) {
					const asked = Object.entries(query).map(([key, value]) => `${key}: ${String(value)}`)
					throw new Error(`MESH_CHAIN_SEED=${SEED}: { ${asked.join(', ')} }`, { cause: error })
				}
			}
			await checkInfo(chain)
			await chain.close()
			tellCounts(16, name, { queries: Math.ceil(QUERIES / CONDITIONS.length), 'different answers': 0 })
		},
		1_200_000,
	)

	test('a query on a live chain returns what was there when the iteration began', async () => {
		const random = randomOf(SEED)
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		const history: LogRecord[] = []
		const append = (count: number) => {
			for (let left = count; left > 0; left--) {
				history.push(someRecord(appender.nextSeq, 1, stepping, random))
				appender.append(history.at(-1)!)
			}
			appender.flush()
		}
		append(500)
		const chain = await openChain(path)
		for (let left = 100; left > 0; left--) {
			const query = someQuery(history, random)
			const before = [...history]
			const found: LogRecord[] = []
			let writes = 0
			for await (const batch of chain.batches(query)) {
				found.push(...batch)
				// One write per batch would double the number of batches with each query.
				if (writes++ < 10) append(below(random, 5))
			}
			check(found, before, query)
		}
		await chain.close()
		await appender.close()
	})
})
