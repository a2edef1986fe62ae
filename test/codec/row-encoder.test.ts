/** Rows compared with a general encoder, and decoded again. */
import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { expect, test } from 'vitest'
import { canonicalise } from '../../src/codec/canonical.ts'
import type { RowBlock } from '../../src/codec/row-block.ts'
import { decodeRows, sumRows } from '../../src/codec/row-decoder.ts'
import { RowEncoder } from '../../src/codec/row-encoder.ts'
import { LOG_LEVELS, type LogRecord, levelIndex } from '../../src/model/record.ts'

const BASE_TS_MS = 1_700_000_000_000
const packr = new Packr({ useRecords: false })

const text = fc.oneof(
	{ weight: 6, arbitrary: fc.string({ maxLength: 40 }) },
	fc.string({ minLength: 28, maxLength: 36 }),
	fc.string({ minLength: 120, maxLength: 300 }),
	fc.string({ unit: 'grapheme', maxLength: 140 }),
	fc.constantFrom('', 'log', 'é', '\u0080', 'ÿ'.repeat(127), 'x'.repeat(127), 'x'.repeat(128), '\ufffd'),
)
/** Values at which MessagePack changes the width. */
const EDGES = [
	0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
]
const number = fc.oneof(
	fc.integer(),
	fc.integer({ min: -70_000, max: 70_000 }),
	fc.integer({ min: -300, max: 300 }),
	fc.constantFrom(2 ** 40, -(2 ** 40), -32, -33, ...EDGES, ...EDGES.flatMap((edge) => [-edge, -edge - 1])),
)
const id = fc.oneof(fc.constant(null), text, number, fc.constantFrom('node-1', 'node-1', 'api'))
const anyRecord = fc.record({
	seq: fc.constant(1),
	epoch: fc.constant(1),
	tsMs: fc.oneof(
		fc.integer({ min: BASE_TS_MS, max: BASE_TS_MS + 200 }),
		number.map((delta) => BASE_TS_MS + delta),
		fc.constantFrom(0, BASE_TS_MS - 1, BASE_TS_MS + 70_000, BASE_TS_MS + 2 ** 33),
	),
	level: fc.constantFrom(...LOG_LEVELS),
	kind: fc.oneof(fc.constant('log'), text),
	message: text,
	daemonId: id,
	nodeId: id,
	chainPending: fc.constant(false),
})
/** A record of `emit` has its kind as its message. */
const record = fc
	.tuple(anyRecord, fc.nat(2))
	.map(([each, other]) => (other > 0 ? each : { ...each, message: each.kind }))

const recordWithData = fc
	.tuple(record, fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined, freq: 2 }))
	.map(([each, data]) => (data === undefined ? each : { ...each, data: canonicalise(data).value }))

/** Encodes a row with a general encoder: an independent implementation of `docs/FORMAT.md`. */
function referenceRow({ tsMs, level, kind, message, daemonId, nodeId }: LogRecord): Buffer {
	const row: unknown[] = [tsMs - BASE_TS_MS, levelIndex(level), kind === 'log' ? null : kind]
	row.push(message === kind ? null : message, daemonId, nodeId)
	while (row.length > 2 && row.at(-1) === null) row.pop()
	return Buffer.from(packr.pack(row))
}

function encodeAll(records: readonly LogRecord[]) {
	const encoder = new RowEncoder()
	for (const each of records) encoder.encode(each, BASE_TS_MS)
	return finished(encoder)
}

function finished(encoder: RowEncoder) {
	const ascii = encoder.finish()
	const bytes = Buffer.alloc(encoder.length)
	encoder.copyTo(bytes, 0)
	return { bytes, ascii }
}

test('rows equal, byte for byte, the output of a general MessagePack encoder', () => {
	fc.assert(
		fc.property(fc.array(record, { minLength: 1, maxLength: 30 }), (records) => {
			expect(encodeAll(records).bytes.toString('hex')).toBe(
				Buffer.concat(records.map(referenceRow)).toString('hex'),
			)
		}),
		{ numRuns: 2_000 },
	)
})

test('rows are decoded to the original records, with and without the ASCII shortcut', () => {
	fc.assert(
		fc.property(fc.array(recordWithData, { minLength: 1, maxLength: 30 }), (records) => {
			const { bytes, ascii } = encodeAll(records)
			const texts = records.flatMap(({ kind, message, daemonId, nodeId }) =>
				[kind, message === kind ? '' : message, daemonId, nodeId].filter(
					(value) => typeof value === 'string',
				),
			)
			// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them
			expect(ascii).toBe(texts.every((value) => /^[\x00-\x7f]*$/.test(value)))
			const block = {
				bytes,
				start: 0,
				end: bytes.length,
				rows: records.length,
				epoch: 1,
				baseTsMs: BASE_TS_MS,
				flags: 0b111111,
			}
			const expected = records.map((each, index) => ({ ...each, seq: index + 1 }))
			expect(decodeRows({ ...block, baseSeq: 1, ascii })).toEqual(expected)
			if (ascii) expect(decodeRows({ ...block, baseSeq: 1, ascii: false })).toEqual(expected)
			else expect(() => decodeRows({ ...block, baseSeq: 1, ascii: true })).toThrow(RangeError)
		}),
		{ numRuns: 2_000 },
	)
})

test('sums over rows equal those of their records, and cut rows never yield sums', () => {
	const withData = fc.record({
		each: record,
		data: fc.oneof(fc.constant(undefined), fc.jsonValue({ maxDepth: 2 })),
		isNear: fc.boolean(),
	})
	fc.assert(
		fc.property(fc.array(withData, { minLength: 1, maxLength: 30 }), fc.nat(), (rows, cut) => {
			const records = rows.map(({ each, data, isNear }) => {
				const near = isNear ? { ...each, tsMs: BASE_TS_MS + 7 } : each
				return data === undefined ? near : { ...near, data }
			})
			const { bytes, ascii } = encodeAll(records)
			const frame = { epoch: 1, baseSeq: 1, baseTsMs: BASE_TS_MS, flags: 0b111111 }
			const block = { start: 0, rows: records.length, ...frame, ascii }
			const times = records.map(({ tsMs }) => tsMs)
			expect(sumRows({ ...block, bytes, end: bytes.length })).toEqual({
				levels: LOG_LEVELS.map((level) => records.filter((each) => each.level === level).length),
				minTsMs: Math.min(...times),
				maxTsMs: Math.max(...times),
			})
			const end = cut % bytes.length
			expect(() => sumRows({ ...block, bytes, end })).toThrow(RangeError)
			expect(() => sumRows({ ...block, bytes: bytes.subarray(0, end), end })).toThrow(RangeError)
			expect(() => sumRows({ ...block, rows: records.length - 1, bytes, end: bytes.length })).toThrow(
				RangeError,
			)
		}),
		{ numRuns: 2_000 },
	)
})

test('one non-ASCII text among plain rows changes no other row', () => {
	const plain = (message: string): LogRecord => ({
		seq: 1,
		epoch: 1,
		tsMs: BASE_TS_MS,
		level: 'info',
		kind: 'log',
		message,
		daemonId: 'api',
		nodeId: 'node-1',
		chainPending: false,
	})
	// Some texts have as many characters as others have bytes in UTF-8, so only a count of bytes reveals
	// them.
	for (const odd of ['naïve', 'ÿ', '\u0080', '€', '👍', '\uffff']) {
		const records = [plain('before'), plain(odd), plain('after'), { ...plain('x'), daemonId: odd }]
		expect(encodeAll(records).bytes).toEqual(Buffer.concat(records.map(referenceRow)))
		expect(encodeAll(records).ascii).toBe(false)
	}
})

test('a record that cannot be packed leaves no bytes, and the rows around it are intact', () => {
	const encoder = new RowEncoder()
	const good = { ...fc.sample(record, { numRuns: 1, seed: 1 })[0]!, message: 'good', kind: 'log' }
	const cyclic: { self?: unknown } = {}
	cyclic.self = cyclic
	encoder.encode(good, good.tsMs)
	expect(() => encoder.encode({ ...good, data: cyclic }, good.tsMs)).toThrow(
		/cannot be written as MessagePack/,
	)
	expect(() => encoder.encode({ ...good, level: 'loud' as 'info' }, good.tsMs)).toThrow(/no such level/)
	encoder.encode(good, good.tsMs)
	const { bytes } = finished(encoder)
	const one = new RowEncoder()
	one.encode(good, good.tsMs)
	const { bytes: single } = finished(one)
	expect(bytes).toEqual(Buffer.concat([single, single]))
})

test('a record that does not fit leaves no bytes, whatever the rows around it are', () => {
	const property = fc.property(fc.array(record, { maxLength: 6 }), record, record, (before, one, after) => {
		const encoder = new RowEncoder()
		for (const each of before) encoder.encode(each, BASE_TS_MS)
		expect(encoder.encode(one, BASE_TS_MS, 0)).toBe(false)
		expect(encoder.encode(after, BASE_TS_MS)).toBe(true)
		expect(finished(encoder)).toEqual(encodeAll([...before, after]))
	})
	fc.assert(property, { numRuns: 500 })
})

test('rows are decoded equally after any earlier rows, valid or malformed', () => {
	const row = fc.record({
		each: record,
		data: fc.oneof(fc.constant(undefined), fc.jsonValue({ maxDepth: 2 })),
	})
	const block = { start: 0, epoch: 1, baseSeq: 1, baseTsMs: BASE_TS_MS }
	fc.assert(
		fc.property(
			fc.array(row, { minLength: 1, maxLength: 8 }),
			fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 40 }),
			(rows, changes) => {
				const records = rows.map(({ each, data }, index) => {
					const numbered = { ...each, seq: index + 1 }
					return data === undefined ? numbered : { ...numbered, data: canonicalise(data).value }
				})
				const { bytes, ascii } = encodeAll(records)
				// Exactly the flags that these rows need: a flag left over from other rows is an error.
				const flags = records.reduce((sum, { kind, level }) => {
					return sum | (1 << levelIndex(level)) | (kind.startsWith('$') ? 1 << LOG_LEVELS.length : 0)
				}, 0)
				const whole = { ...block, bytes, end: bytes.length, rows: records.length, flags, ascii }
				for (const [at, value] of changes) {
					const changed = Buffer.from(bytes)
					changed[at % bytes.length] = value
					for (const isAscii of [false, true])
						attempt({ ...whole, bytes: changed, flags: 63, ascii: isAscii })
					expect(decodeRows(whole)).toEqual(records)
				}
			},
		),
	)
})

function attempt(block: RowBlock): void {
	try {
		decodeRows(block)
	} catch (error) {
		expect(error).toBeInstanceOf(RangeError)
	}
}
