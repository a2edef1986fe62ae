/** The language of conditions: what each comparison means, and what is refused. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { parseCondition } from '../../src/model/condition.ts'
import { CONDITION_LENGTH_MAX } from '../../src/model/condition-tokens.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { matches, resolveFilter } from '../../src/model/filter.ts'
import { gapRecord, type LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CONDITIONS = sizeOf('CONDITIONS')
const AT_MS = Date.UTC(2026, 0, 31, 14, 5, 9)

const DATA = {
	ms: 512,
	cut: 2010,
	big: 2n ** 63n,
	whole: 7n,
	ok: true,
	none: null,
	path: '/api/orders',
	items: [{ id: 'a' }, { id: 'b' }],
	'a.b': 1,
	at: new Date(AT_MS),
	bytes: new Uint8Array([1]),
	nan: Number.NaN,
}
const given = record(5, {
	...{ tsMs: AT_MS, level: 'warn', kind: 'order', message: 'it is late', daemonId: 7n, nodeId: 'eu-1' },
	data: DATA,
})

function holds(condition: string, of: LogRecord = given): boolean {
	return matches(of, resolveFilter({ where: condition }))
}

describe('a condition holds', () => {
	test.each([
		'data.ms = 512',
		'data.ms != 511',
		'data.ms<513',
		'data.ms <= 512 and data.ms >= 512',
		'data.ms > 511.5',
		'data.ms > 0.5s',
		'data.ms < 2.01s and data.cut = 2.01s and data.cut in (2.01s)',
		'data.ms < 1KiB',
		'data.whole = 7',
		'data.whole < 7.5',
		'data.big = 9223372036854775808',
		'data.big > 9223372036854775807',
		'data.ok = true',
		'data.none = null',
		'data.none exists',
		'data.ms != null',
		'data.ms != "512"',
		'data.path ~ "^/api"',
		'data.path ~ "^/\\w+/orders$"',
		"data.path ~ '^/[^\\'\"]*$' and data.path ~ ^/a",
		'data.path ~ ORDERS or data.path ~ orders',
		'data.path >= /api',
		'data.path in (/a, "/api/orders")',
		'data.items[1].id = b',
		'data.items.0.id = a',
		'data["items"][0]["id"] = a',
		'data.items.length = 2',
		'data["a.b"] = 1',
		'data.at = "2026-01-31T14:05:09Z"',
		'data.at > 2026-01-31T14:05:08Z',
		'data.nan != 1',
		'data exists and not data.other exists',
		'level = warn and level < error and level >= WARN',
		'level in (info, warning)',
		'kind = order',
		'KIND = x or kind = "order"'.replace('KIND', 'message'),
		'message = "it is late"',
		"message = 'it is late'",
		'message ~ "LATE" or message ~ "late"',
		'seq = 5 and epoch = 1',
		'time = 2026-01-31T14:05:09Z',
		`tsMs = ${AT_MS} and tsMs = "${AT_MS}" and tsMs < 2027-01-01`,
		'daemonId = 7 and nodeId = eu-1',
		'not (level = info or level = error)',
		'NOT level = info AND (kind = order OR kind = x)',
		'level = info or level = warn and kind = order',
	])('%s', (condition) => {
		expect(holds(condition)).toBe(true)
		expect(holds(`not (${condition})`)).toBe(false)
	})
})

describe('a condition does not hold', () => {
	test.each([
		'data.ms = "512"',
		'data.ms > "1"',
		'data.path > 1',
		'data.other = 1',
		'data.other != 1',
		'data.other ~ x',
		'data.other in (1, null)',
		'data.other exists',
		'data.ms.x exists',
		'data.items[2] exists',
		'data.items = null',
		'data.bytes = 1',
		'data.bytes[0] = 1',
		'data.ms ~ 5',
		'data.nan = NaN',
		'data.nan < 1',
		'data.ok > false',
		'data.none < 1',
		'data.none = 0',
		'data.ms = null',
		'data.at = 1',
		'data.at = tomorrow',
		'data.__proto__ exists',
		'data.constructor exists',
		'data.big = 9223372036854775807',
		'origin exists',
		'origin.seq = 5',
		'level = fatal',
		'level > warn',
	])('%s', (condition) => {
		expect(holds(condition)).toBe(false)
	})
})

test('an id that a record does not have is missing', () => {
	const without = record(1, { daemonId: null, nodeId: null })
	expect(['daemonId exists', 'nodeId != a', 'daemonId = null'].some((each) => holds(each, without))).toBe(
		false,
	)
})

test('every filter accepts a condition', () => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	for (const ms of [5, 50, 500]) loop.info('a line', { ms })
	const filter = { where: 'data.ms >= 50' }
	expect(appender.captured(filter).map(({ seq }) => seq)).toEqual([2, 3])
	expect(loop.snapshot(filter).map(({ seq }) => seq)).toEqual([2, 3])
	expect(() => loop.subscribe({ where: 'ms >' })).toThrow('expected a field')
})

test('fatal is above error, and a gap passes every condition', () => {
	const fatal = record(1, { level: 'error', data: { level: 'fatal' } })
	const error = record(1, { level: 'error' })
	expect(['level > error', 'level = fatal', 'level >= error'].map((each) => holds(each, fatal))).toEqual([
		...[true, true, true],
	])
	expect(['level > error', 'level = fatal', 'level >= error'].map((each) => holds(each, error))).toEqual([
		...[false, false, true],
	])
	const gap = gapRecord({ fromSeq: 2, toSeq: 4, count: 3, cause: 'damaged' }, { epoch: 1, tsMs: 0 })
	expect(holds('kind = order', gap)).toBe(true)
})

describe('a wrong condition is refused, with its place', () => {
	test.each([
		['', 'at its end: expected a field'],
		['data.ms', 'at its end: expected an operator: =, !=, <'],
		['data.ms >', 'at its end: expected a value'],
		['data.ms == 5', 'at column 10, "= 5": expected a value'],
		['data.ms > 5 && kind = x', 'at column 13, "&&'],
		['data.ms > 5 kind = x', 'at column 13, "kind = x": expected and, or, or the end'],
		['user.id = 5', 'at column 1, "user.id = 5": expected a field: seq, epoch'],
		['kind.x = 5', 'at column 1, "kind.x = 5": kind has no fields'],
		['data..x = 5', 'expected a field'],
		['data.items[x] = 5', 'expected an index or a key in quotes'],
		['data.items[1 = 5', 'expected ]'],
		['data.items[1]id = 5', 'expected a name such as .id'],
		['level = loud', 'at column 9, "loud": expected a level: trace, debug'],
		['time > soon', 'at column 8, "soon": expected a time'],
		['time > 1767225600', 'expected a time'],
		['time > "1767225600000"', 'expected a time'],
		['level ~ info', 'at column 7, "~ info": only a text can be compared with ~'],
		['message = "open', 'at column 11, "\\"open": the closing quote is missing'],
		['message ~ "("', 'at column 11, "\\"(\\"": Invalid regular expression'],
		['kind in x', 'expected ( and a list of values'],
		['kind in (x', 'expected , or )'],
		['(kind = x', 'expected and, or, or )'],
		['kind ! x', 'unexpected character'],
		[`${'('.repeat(200)}kind = x`, 'it has more than 100 levels'],
		[`${'not '.repeat(200)}kind = x`, 'it has more than 100 levels'],
		['x'.repeat(CONDITION_LENGTH_MAX + 1), 'at most 10000 characters, not 10001'],
	])('%.40s', (condition, text) => {
		expect(() => resolveFilter({ where: condition })).toThrow(text)
		expect(() => resolveFilter({ where: condition })).toThrow(MeshChainError)
	})

	test.each([5, null, {}, [], () => true, Symbol('x')])('%s', (where) => {
		expect(() => resolveFilter({ where: where as never })).toThrow('a condition must be a string')
	})
})

test(`any text is a condition or is refused as one (seed ${SEED})`, () => {
	const random = randomFrom(SEED)
	const parts = [
		'data',
		'.ms',
		'[0]',
		'["x"]',
		' = ',
		' ~ ',
		'5',
		'"a"',
		"'",
		'(',
		')',
		' and ',
		' not ',
		'\\',
		'😀',
	]
	for (let round = 0; round < 2000; round++) {
		const text = Array.from({ length: 1 + Math.floor(random() * 9) }, () => pick(random, parts)).join('')
		try {
			parseCondition(text).holdsFor(given)
		} catch (error) {
			expect((error as MeshChainError).code, text).toBe('INVALID_FILTER')
		}
	}
})

function pick<T>(random: () => number, from: readonly T[]): T {
	return from[Math.floor(random() * from.length)]!
}

/** A random comparison, and what it means, written without the parser. */
function comparison(random: () => number): [text: string, holds: (record: LogRecord) => boolean] {
	const field = pick(random, ['a', 'b', 'c'])
	const literal = pick<number | string | boolean | null>(random, [0, 1, 2, 2.5, 'x', 'y', true, null])
	const operator = pick(random, ['=', '!=', '<', '<=', '>', '>=', 'exists'])
	const of = ({ data }: LogRecord) => (data as Readonly<Record<string, unknown>>)[field]
	if (operator === 'exists') return [`data.${field} exists`, (one) => of(one) !== undefined]
	const text = `data.${field} ${operator} ${typeof literal === 'string' ? JSON.stringify(literal) : literal}`
	return [
		text,
		(one) => {
			const value = of(one)
			if (value === undefined) return false
			const isSameType = typeof value === typeof literal
			if (operator === '=') return value === literal
			if (operator === '!=') return value !== literal
			if (!isSameType || (typeof literal !== 'number' && typeof literal !== 'string')) return false
			const [left, right] = [value as number, literal as number]
			if (operator === '<') return left < right
			if (operator === '<=') return left <= right
			return operator === '>' ? left > right : left >= right
		},
	]
}

function combination(random: () => number, depth: number): ReturnType<typeof comparison> {
	const roll = random()
	if (depth === 0 || roll < 0.3) return comparison(random)
	const [left, leftHolds] = combination(random, depth - 1)
	if (roll < 0.5) return [`not (${left})`, (one) => !leftHolds(one)]
	const [right, rightHolds] = combination(random, depth - 1)
	return roll < 0.75
		? [`(${left}) and (${right})`, (one) => leftHolds(one) && rightHolds(one)]
		: [`(${left}) or (${right})`, (one) => leftHolds(one) || rightHolds(one)]
}

test(`random conditions select from a chain what a naive evaluation selects (seed ${SEED})`, async () => {
	const random = randomFrom(SEED)
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	const values = [undefined, 0, 1, 2, 2.5, 'x', 'y', true, null]
	for (let index = 0; index < 300; index++) {
		loop.info('a line', { a: pick(random, values), b: pick(random, values), c: pick(random, values) })
		if (index % 7 === 0) loop.flush()
	}
	await loop.close()
	await using chain = await openChain(path)
	const all: LogRecord[] = []
	for await (const one of chain.records()) all.push(one)
	let some = 0
	for (let round = 0; round < CONDITIONS; round++) {
		const [where, isWanted] = combination(random, 3)
		const found: number[] = []
		for await (const { seq } of chain.records({ where })) found.push(seq)
		const expected = all.filter(isWanted).map(({ seq }) => seq)
		expect(found, where).toEqual(expected)
		if (expected.length > 0 && expected.length < all.length) some++
	}
	tellCounts(0, 'random conditions', {
		conditions: CONDITIONS,
		'selecting a part': some,
		'different answers': 0,
	})
	expect(some).toBeGreaterThan(CONDITIONS / 3)
})
