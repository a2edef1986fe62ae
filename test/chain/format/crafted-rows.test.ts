/**
 * Frames with valid checksums and hand-made rows: which of them a reader accepts and which count as damage.
 * Nothing ever throws.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { PassThrough, Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { run } from '../../../src/cli/run.ts'
import { EPOCH_MAX, SEQ_MAX } from '../../../src/model/limits.ts'
import { isRecordTime, isWholeGap, type LogRecord } from '../../../src/model/record.ts'
import { TIME_MAX_MS } from '../../../src/platform/time-limits.ts'
import { newChainPath } from '../../support/chains.ts'
import { FORGED_TS_MS, type ForgedFrame, forgeFrames } from '../../support/forge.ts'
import { collect } from '../../support/records.ts'

const bytes = (...values: (number | string | Uint8Array)[]): Buffer =>
	Buffer.concat(
		values.map((value) => (typeof value === 'number' ? Buffer.from([value]) : Buffer.from(value as string))),
	)
const u16 = (value: number) => bytes(value >> 8, value & 0xff)
const u32 = (value: number) => bytes(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
const float = (value: number) => {
	const encoded = Buffer.alloc(9, 0xcb)
	encoded.writeDoubleBE(value, 1)
	return encoded
}
const text = (value: string | Uint8Array) => {
	const body = Buffer.from(value as string)
	return body.length < 32 ? bytes(0xa0 | body.length, body) : bytes(0xda, u16(body.length), body)
}
const NIL = bytes(0xc0)
/** A row of eight columns: level info, everything else nil, and this data. */
const withData = (data: Uint8Array) => bytes(0x98, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, data)
const map = (...pairs: Uint8Array[]) => bytes(0x80 | (pairs.length / 2), ...pairs)
const nested = (depth: number) => bytes(Buffer.alloc(depth, 0x91), 0xc0)
const wide = (value: bigint, lead = 0xd3) => {
	const encoded = Buffer.alloc(9, lead)
	encoded.writeBigUInt64BE(BigInt.asUintN(64, value), 1)
	return encoded
}
const gap = (fields: { fromSeq: number; toSeq: number; count: number; cause: string }) =>
	bytes(
		...[
			0x98,
			0,
			3,
			text('$gap'),
			0xc0,
			0xc0,
			0xc0,
			0xc0,
			0x84,
			text('fromSeq'),
			fields.fromSeq,
			text('toSeq'),
		],
		...[fields.toSeq, text('count'), fields.count, text('cause'), text(fields.cause)],
	)

/** Rows that are records, with their data, message or id. */
const taken: Record<string, readonly [ForgedFrame, Partial<LogRecord>]> = {
	'a map whose size has 32 bits': [{ rows: withData(bytes(0xdf, u32(1), text('a'), 1)) }, { data: { a: 1 } }],
	'a text whose length has 32 bits': [{ rows: withData(bytes(0xdb, u32(1), 'a')) }, { data: 'a' }],
	'a number in more bytes than needed': [{ rows: withData(bytes(0xce, u32(5))) }, { data: 5 }],
	'a whole number as float64': [{ rows: withData(float(5)) }, { data: 5 }],
	'−0, which is 0': [{ rows: withData(float(-0)) }, { data: 0 }],
	'an int64 that fits 8 bits': [{ rows: withData(wide(5n)) }, { data: 5n }],
	'a uint64 that fits an int64': [{ rows: withData(wide(5n, 0xcf)) }, { data: 5n }],
	'a wide integer that fits 64 bits': [{ rows: withData(bytes(0xc7, 1, 0x42, 5)) }, { data: 5n }],
	'a wide integer as fixext': [{ rows: withData(bytes(0xd4, 0x42, 0xff)) }, { data: -1n }],
	'a timestamp of 96 bits before 1970': [
		{ rows: withData(bytes(0xc7, 12, 0xff, u32(500_000_000), wide(-2n).subarray(1))) },
		{ data: new Date(-1500) },
	],
	'arrays nested 64 deep': [{ rows: withData(nested(64)) }, {}],
	'empty bytes': [{ rows: withData(bytes(0xc4, 0)) }, { data: new Uint8Array(0) }],
	'keys with names of object properties': [
		{ rows: withData(map(text('constructor'), NIL, text('toJSON'), bytes(1))) },
		{ data: { constructor: null, toJSON: 1 } },
	],
	'an empty key': [{ rows: withData(map(text(''), NIL)) }, { data: { '': null } }],
	'a text that contains U+FFFD': [{ rows: withData(text('\ufffd')) }, { data: '\ufffd' }],
	'trailing nil columns': [{ rows: bytes(0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0) }, { message: 'log' }],
	'nil data': [{ rows: withData(NIL) }, { data: null }],
	'a non-ASCII message': [{ rows: bytes(0x94, 0, 2, 0xc0, text('é')) }, { message: 'é' }],
	'an id of 64 bits': [{ rows: bytes(0x95, 0, 2, 0xc0, 0xc0, wide(7n)) }, { daemonId: 7n }],
	'an id that is a float64': [{ rows: bytes(0x95, 0, 2, 0xc0, 0xc0, float(1.5)) }, { daemonId: 1.5 }],
	'a time before the base': [{ rows: bytes(0x92, 0xff, 2) }, { tsMs: FORGED_TS_MS - 1 }],
	'a fractional base time that the row completes': [
		{ rows: bytes(0x92, float(3), 2) },
		{ tsMs: FORGED_TS_MS + 3 },
	],
	'more flags than needed': [{ rows: bytes(0x92, 0, 2), flags: 0b111111 }, { level: 'info' }],
	'the highest time': [{ rows: bytes(0x92, 0, 2), baseTsMs: TIME_MAX_MS }, { tsMs: TIME_MAX_MS }],
	'the highest epoch': [{ rows: bytes(0x92, 0, 2), epoch: EPOCH_MAX }, { epoch: EPOCH_MAX }],
}

/** Rows that are not records. */
const damage: Record<string, ForgedFrame> = {
	'arrays nested 65 deep': { rows: withData(nested(65)) },
	'a key that is a number': { rows: withData(map(bytes(1), NIL)) },
	'a key that is nil': { rows: withData(map(NIL, NIL)) },
	'a key that is bytes': { rows: withData(map(bytes(0xc4, 1, 0x61), NIL)) },
	'a key that is a map': { rows: withData(map(bytes(0x80), NIL)) },
	'a repeated key': { rows: withData(map(text('a'), NIL, text('a'), NIL)) },
	'a repeated key in another encoding': {
		rows: withData(map(text('a'), NIL, bytes(0xd9, 1, 'a'), NIL)),
	},
	'the key __proto__': { rows: withData(map(text('__proto__'), bytes(0x80))) },
	'a key that is not UTF-8': { rows: withData(map(bytes(0xa1, 0xff), NIL)) },
	'a text that is not UTF-8': { rows: withData(bytes(0xa2, 0xc3, 0x28)) },
	'a long text that is not UTF-8': { rows: withData(text(bytes(Buffer.alloc(100, 0x61), 0x80))) },
	'a text with a surrogate': { rows: withData(bytes(0xa3, 0xed, 0xa0, 0x80)) },
	'a float32': { rows: withData(bytes(0xca, u32(0x3f800000))) },
	'the unused lead byte': { rows: withData(bytes(0xc1)) },
	'undefined, as some encoders write it': { rows: withData(bytes(0xd4, 0, 0)) },
	'a timestamp of one byte': { rows: withData(bytes(0xd4, 0xff, 1)) },
	'a timestamp of 16 bytes': { rows: withData(bytes(0xd8, 0xff, Buffer.alloc(16))) },
	'a timestamp with a fraction of a millisecond': { rows: withData(bytes(0xd7, 0xff, u32(4), u32(1))) },
	'a timestamp with more nanoseconds than a second': {
		rows: withData(bytes(0xd7, 0xff, u32(0xffff_fffc), u32(1))),
	},
	'a timestamp beyond the range of a Date': {
		rows: withData(bytes(0xc7, 12, 0xff, u32(0), wide(2n ** 62n).subarray(1))),
	},
	'a wide integer of no bytes': { rows: withData(bytes(0xc7, 0, 0x42)) },
	'an unknown extension': { rows: withData(bytes(0xd4, 0x74, 1)) },
	'an extension that ends after the frame': { rows: withData(bytes(0xc9, u32(0xffff_ffff), 0x42)) },
	'further bytes after the data': { rows: withData(bytes(0x01, 0x01)) },
	'a row count that is too low': { rows: bytes(0x92, 0, 2, 0x92, 0, 2), count: 1 },
	'a row count that is too high': { rows: bytes(0x92, 0, 2, 0x00, 0x00, 0x00), count: 2 },
	'a row that is a map': { rows: bytes(0x81, 0, 2) },
	'a row whose size has 16 bits': { rows: bytes(0xdc, 0, 2, 0, 2) },
	'a row of one column': { rows: bytes(0x91, 0, 0xc0) },
	'a level of 5': { rows: bytes(0x92, 0, 5) },
	'a level in two bytes': { rows: bytes(0x92, 0, 0xcc, 2) },
	'a negative level': { rows: bytes(0x92, 0, 0xff) },
	'a time that is nil': { rows: bytes(0x92, 0xc0, 2) },
	'a time of 64 bits': { rows: bytes(0x92, wide(1n), 2) },
	'a time that is NaN': { rows: bytes(0x92, float(Number.NaN), 2) },
	'a time that is infinite': { rows: bytes(0x92, float(Infinity), 2) },
	'a time before 1970': { rows: bytes(0x92, float(-2e12), 2) },
	'a time beyond the range of a Date': { rows: bytes(0x92, float(9e15), 2) },
	'a fractional time': { rows: bytes(0x92, float(0.5), 2) },
	'a kind that is a number': { rows: bytes(0x93, 0, 2, 7) },
	'a kind that is not UTF-8': { rows: bytes(0x93, 0, 2, 0xa1, 0xff) },
	'a message that is bytes': { rows: bytes(0x94, 0, 2, 0xc0, 0xc4, 1, 0x61) },
	'a message that is not UTF-8': { rows: bytes(0x94, 0, 2, 0xc0, 0xa1, 0xff) },
	'an id that is true': { rows: bytes(0x95, 0, 2, 0xc0, 0xc0, 0xc3) },
	'an id that is NaN': { rows: bytes(0x95, 0, 2, 0xc0, 0xc0, float(Number.NaN)) },
	'an origin of two': { rows: bytes(0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0x92, text('c'), 1) },
	'an origin whose seq is too high': {
		rows: bytes(0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0x93, text('c'), 1, float(SEQ_MAX + 1)),
	},
	'an origin with a fractional seq': {
		rows: bytes(0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0x93, text('c'), 1, float(1.5)),
	},
	'an origin whose epoch is 64 bits wide': {
		rows: bytes(0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0x93, text('c'), wide(1n), 1),
	},
	'flags without the level of a row': { rows: bytes(0x92, 0, 2), flags: 0b1000 },
	'flags without a kind of mesh-chain’s own': { rows: bytes(0x93, 0, 2, text('$own')), flags: 0b100 },
	'the ASCII flag and a plain row that is not ASCII': {
		rows: bytes(0x94, 0, 2, 0xc0, text('é')),
		flags: 0b1000100,
	},
	'the ASCII flag and an id that is not ASCII': {
		rows: bytes(0x95, 0, 2, 0xc0, 0xc0, text('é')),
		flags: 0b1000100,
	},
	'the ASCII flag and a row with data that is not ASCII': {
		rows: bytes(0x98, 0, 2, 0xc0, text('é'), 0xc0, 0xc0, 0xc0, 0xc0),
		flags: 0b1000100,
	},
	'a gap whose range is not its own': {
		rows: gap({ fromSeq: 1, toSeq: 9, count: 9, cause: 'damaged' }),
		flags: 0b101000,
	},
	'a gap with a count above its range': {
		rows: gap({ fromSeq: 2, toSeq: 2, count: 2, cause: 'damaged' }),
		flags: 0b101000,
	},
	'a gap whose cause is a property of every object': {
		rows: gap({ fromSeq: 2, toSeq: 2, count: 1, cause: 'constructor' }),
		flags: 0b101000,
	},
	'a gap that is not the first row': {
		rows: bytes(0x92, 0, 2, gap({ fromSeq: 3, toSeq: 3, count: 1, cause: 'damaged' })),
		count: 2,
		flags: 0b101100,
	},
	'a base time that is NaN': { rows: bytes(0x92, 0, 2), baseTsMs: Number.NaN },
	'a base time beyond the range of a Date': { rows: bytes(0x92, 0, 2), baseTsMs: 1e300 },
	'a fractional base time': { rows: bytes(0x92, float(0.5), 2), baseTsMs: FORGED_TS_MS + 0.5 },
	'an epoch of 0': { rows: bytes(0x92, 0, 2), epoch: 0 },
	'an epoch above the maximum': { rows: bytes(0x92, 0, 2), epoch: EPOCH_MAX + 1 },
}

const good = (message: string): ForgedFrame => ({ rows: bytes(0x94, 0, 2, 0xc0, text(message)) })

function fileOf(frame: ForgedFrame): string {
	const path = newChainPath()
	writeFileSync(path, forgeFrames([good('first'), frame, good('last')]))
	return path
}

async function readAll(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	try {
		return await collect(chain.records())
	} finally {
		await chain.close()
	}
}

describe('a frame with a valid checksum', () => {
	test.each(Object.entries(taken))('is accepted with %s', async (_name, [frame, fields]) => {
		const path = fileOf(frame)
		const found = await readAll(path)
		expect(found.map(({ kind }) => kind)).toEqual(['log', 'log', 'log'])
		expect(found[1]).toMatchObject(fields)
		expect((await verifyChain(path)).findings.filter(({ severity }) => severity === 'damage')).toEqual([])
		await everyCommand(path)
	})

	test.each(Object.entries(damage))(
		'is damage with %s, and the frames around it are read',
		async (_name, frame) => {
			const path = fileOf(frame)
			const found = await readAll(path)
			expect(found.map(({ kind, message }) => (kind === '$gap' ? kind : message))).toEqual([
				'first',
				'$gap',
				'last',
			])
			expect((await verifyChain(path)).findings).toContainEqual(
				expect.objectContaining({ severity: 'damage' }),
			)
			await everyCommand(path)
		},
	)

	test('is damage with seqs above the maximum', async () => {
		for (const baseSeq of [SEQ_MAX + 1, 2 ** 53 - 1]) {
			const path = newChainPath()
			writeFileSync(path, forgeFrames([good('first'), { ...good('high'), baseSeq }]))
			expect((await readAll(path)).map(({ message }) => message)).not.toContain('high')
			await everyCommand(path)
		}
	})
})

const FOLD = `export const initial = {}
export default (state, record) => ({ count: (state?.count ?? 0) + 1, last: record.data ?? null })`

/** The commands that read a whole chain. Each gives the same answer as `verify`. */
const SAYS_ALL = ['dump', 'info', 'export']

/** Runs every command that prints, reads or folds. None fails, whatever the file contains. */
async function everyCommand(path: string): Promise<void> {
	const wanted = (await verifyChain(path)).answer === 'not ok' ? 3 : 0
	const fold = `${path}.mjs`
	writeFileSync(fold, FOLD)
	rmSync(`${path}.jsonl`, { force: true })
	const commands = [
		['dump', path, '-o', 'pretty'],
		['dump', path, '-o', 'msgpack'],
		['dump', path, '-o', 'ndjson', '-r'],
		['dump', path, '-l', 'error', '-o', 'pretty'],
		['tail', path, '-n', '2', '-o', 'pretty'],
		['info', path],
		['export', path, '--to', `${path}.jsonl`],
		['state', path, '--fold', fold, '--gaps', 'skip'],
		['sessions', path],
	]
	for (const command of commands) {
		const { status, stderr } = await outcomeOf(command)
		expect([0, 3, 4], `${command.join(' ')}: ${stderr}`).toContain(status)
		if (SAYS_ALL.includes(command[0]!) && !command.includes('-l'))
			expect([command, status, stderr]).toEqual([command, wanted, stderr])
	}
	expect(readFileSync(`${path}.jsonl`, 'utf8')).toContain('"first"')
}

async function outcomeOf(
	args: readonly string[],
): Promise<{ readonly status: number; readonly stderr: string }> {
	let stderr = ''
	const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() })
	const status = await run(args, {
		stdout: sink(),
		stderr: new Writable({
			write(chunk, _encoding, done) {
				stderr += String(chunk)
				done()
			},
		}),
		stdin: new PassThrough(),
		stdinIsTerminal: true,
		stderrIsTerminal: false,
		stdoutIsTerminal: false,
		env: {},
		now: () => FORGED_TS_MS,
		// A tail never ends by itself.
		interrupted: () => (args[0] === 'tail' ? AbortSignal.abort() : new AbortController().signal),
		onSignals: () => () => {},
	})
	return { status, stderr }
}

const odd = fc.oneof(
	fc.uint8Array({ minLength: 1, maxLength: 12 }).map((value) => Buffer.from(value)),
	fc.constantFrom(
		...[
			NIL,
			bytes(0),
			bytes(2),
			bytes(4),
			text('a'),
			text('log'),
			text('é'),
			bytes(0xa1, 0xff),
			nested(3),
			nested(65),
		],
		...[
			float(0),
			float(-0),
			float(1.5),
			float(Number.NaN),
			float(1e300),
			wide(5n),
			wide(-1n, 0xcf),
			bytes(0xca, u32(1)),
		],
		...[
			map(text('a'), NIL),
			map(bytes(1), NIL),
			map(text('constructor'), NIL),
			bytes(0xd4, 0xff, 1),
			bytes(0xd6, 0xff, u32(9)),
		],
		...[
			bytes(0xc4, 2, 'ab'),
			bytes(0xc1),
			bytes(0xde, u16(1)),
			bytes(0x93, text('c'), 1, 1),
			bytes(0xdf, u32(2 ** 31)),
		],
	),
)
const oddRow = fc
	.tuple(
		fc.integer({ min: 0, max: 9 }),
		fc.boolean(),
		odd,
		fc.oneof(fc.constant(bytes(2)), odd),
		fc.array(odd, { maxLength: 6 }),
	)
	.map(([columns, isRight, time, level, rest]) =>
		bytes(0x90 | (isRight ? rest.length + 2 : columns), time, level, ...rest),
	)
const oddFrame = fc
	.tuple(
		fc.array(oddRow, { minLength: 1, maxLength: 4 }),
		fc.oneof(fc.constant(0), fc.integer({ min: -1, max: 2 })),
		fc.constantFrom(0b111111, 0b1111111, 0b100, 0),
		fc.constantFrom(FORGED_TS_MS, 0, TIME_MAX_MS, 1e300, Number.NaN, -1, 0.5),
	)
	.map(([rows, lie, flags, baseTsMs]) => ({
		rows: bytes(...rows),
		count: Math.max(1, rows.length + lie),
		flags,
		baseTsMs,
	}))

test('whatever the rows of a frame, readers return only possible records and no command fails', async () => {
	const path = newChainPath()
	let runs = 0
	await fc.assert(
		fc.asyncProperty(fc.array(oddFrame, { minLength: 1, maxLength: 3 }), async (frames) => {
			writeFileSync(path, forgeFrames([good('first'), ...frames, good('last')]))
			const found = await readAll(path)
			expect([found[0]?.message, found.at(-1)?.message]).toEqual(['first', 'last'])
			for (const record of found) {
				expect(isRecordTime(record.tsMs)).toBe(true)
				if (record.kind === '$gap') expect(isWholeGap(record)).toBe(true)
				for (const value of [record.message, record.kind]) expect(value).toBe(Buffer.from(value).toString())
			}
			const chain = await openChain(path)
			const backward = await collect(chain.records({ reverse: true }))
			await chain.info()
			await chain.close()
			expect(backward.reverse()).toEqual(found)
			await verifyChain(path)
			if (runs++ % 20 === 0) await everyCommand(path)
		}),
		{ numRuns: 600 },
	)
})
