/** The format of a file without --format: most of its first lines decide, whatever the other lines are. */
import { describe, expect, test } from 'vitest'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { detectedFormat } from '../../src/jsonl/formats.ts'
import { otelFormat } from '../../src/jsonl/otel-format.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { collect, record } from '../support/records.ts'

const PINO = '{"level":30,"time":1700000000005,"msg":"a stray line"}'

const own = (from: number, count: number) =>
	Array.from({ length: count }, (_unused, index) => recordToJson(record(from + index, { epoch: 3 })))
const written = (records: readonly LogRecord[], format = eventFormat()) =>
	records.map((each) => format.write(each)!)
const records = (count: number) =>
	Array.from({ length: count }, (_unused, index) => record(index + 1, { kind: 'beat' }))

async function* inPieces(text: string, bytes: number): AsyncGenerator<Uint8Array> {
	const all = Buffer.from(text)
	for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes)
}

async function read(lines: readonly string[], { bytes = 1000, end = '\n', lineBytesMax = 65_536 } = {}) {
	const text = lines.join('\n') + end
	const reading = readJsonl(inPieces(text, bytes), { format: detectedFormat(), lineBytesMax })
	return { found: await collect(reading), skipped: reading.skipped, skippedLines: reading.skippedLines }
}

const identities = (found: readonly LogRecord[]) => found.map(({ epoch, seq }) => [epoch, seq])

describe("mesh-chain's own format is recognised", () => {
	const expected = Array.from({ length: 200 }, (_unused, index) => [3, 11 + index])

	test.each([
		['a text', ['service started'], { notJson: 1 }],
		['a line of pino', [PINO], { invalidField: 1 }],
		['63 lines of pino', Array(63).fill(PINO), { invalidField: 63 }],
		['an event', ['{"ts":5,"ev":"a"}'], { invalidField: 1 }],
		['200 texts, blanks and comments', Array(200).fill(['noise', '', '# said']).flat(), { notJson: 200 }],
		['a line that is too long', [`{"a":"${'x'.repeat(70_000)}"}`], { tooLong: 1 }],
	])('after %s', async (_name, before, skipped) => {
		for (const bytes of [7, 100_000]) {
			const reading = await read([...before, ...own(11, 200)], { bytes })
			expect(identities(reading.found)).toEqual(expected)
			expect(reading.skipped).toMatchObject(skipped)
			expect(reading.skippedLines[0]?.line).toBe(1)
		}
	})

	test('in a last line without a line end', async () => {
		const { found } = await read([PINO, ...own(11, 1)], { end: '' })
		expect(identities(found)).toEqual([[3, 11]])
	})

	test('at once, so that no line of a pipe is held back', async () => {
		async function* pipe(): AsyncGenerator<Uint8Array> {
			yield Buffer.from(`${own(11, 1)[0]}\n`)
			await new Promise(() => {})
		}
		const reading = readJsonl(pipe(), { format: detectedFormat() })[Symbol.asyncIterator]()
		expect((await reading.next()).value).toMatchObject({ seq: 11 })
	})
})

describe('another format is chosen by most of the first lines', () => {
	test('even with other lines before and among them', async () => {
		const events = await read([PINO, ...written(records(3)), PINO, ...written(records(100))])
		expect(events.found.map(({ kind }) => kind)).toEqual(Array(103).fill('beat'))
		expect(events.skipped.invalidField).toBe(2)
		const otel = await read([PINO, ...written(records(3), otelFormat)])
		expect(otel.found.map(({ kind }) => kind)).toEqual(Array(3).fill('beat'))
	})

	test("for other loggers it is pino's, which loses no line", async () => {
		const { found } = await read([...written(records(2)), PINO, '{"what":"ever"}', PINO])
		expect(found).toHaveLength(5)
		expect(found[0]?.data).toMatchObject({ ev: 'beat' })
	})

	test('and it does not change after the first 64 lines', async () => {
		const { found, skipped } = await read([...Array(64).fill(PINO), ...own(1, 3)])
		expect(found).toHaveLength(67)
		expect(identities(found).at(-1)).toEqual([1, 67])
		expect(skipped.invalidField).toBe(0)
	})

	test('and it does not change once more bytes are held than the longest line can have', async () => {
		const long = `{"msg":"${'x'.repeat(900)}"}`
		expect((await read([long, long, long, ...own(1, 1)], { lineBytesMax: 1024 })).found).toHaveLength(4)
		expect((await read([long, ...own(1, 1)], { lineBytesMax: 1024 })).found).toHaveLength(1)
	})

	test('without lines there are no records', async () => {
		expect((await read(['', '# nothing'])).found).toEqual([])
	})
})
