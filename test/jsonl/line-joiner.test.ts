/** Stack traces and printed objects as one line, of which no byte is lost. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JoiningSplitter } from '../../src/jsonl/joining-splitter.ts'
import { JOINED_BYTES_MAX, JOINED_LINES_MAX } from '../../src/jsonl/line-joiner.ts'
import type { ByteLine } from '../../src/jsonl/line-splitter.ts'
import { SEED } from '../support/counts.ts'

function split(text: string | Buffer, size = Number.POSITIVE_INFINITY) {
	const splitter = new JoiningSplitter(1024, true)
	const bytes = Buffer.from(text)
	const lines: ByteLine[] = []
	for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)))
	lines.push(...splitter.end())
	return { lines, cutJoins: splitter.cutJoins }
}

const bytesIn = (lines: readonly ByteLine[]) =>
	Buffer.concat(lines.flatMap(({ bytes, end }) => [bytes, Buffer.from(end)]))
const texts = (text: string) => split(text).lines.map(({ bytes }) => bytes.toString())

test.each([
	['lines without a head', 'a\nb\n', ['a', 'b']],
	['indented lines', 'a\n  b\n\tc\nd\n', ['a\n  b\n\tc', 'd']],
	['a closing bracket', 'a {\n  b\n}\nc\n', ['a {\n  b\n}', 'c']],
	['a closing bracket that closes nothing', 'a\n}\n', ['a', '}']],
	['a list of times', '[\n  2026-01-31T14:05:09.123Z,\n]\n', ['[\n  2026-01-31T14:05:09.123Z,\n]']],
	['blank lines', 'a\n\n  b\n', ['a', '', '  b']],
	['JSON lines', '{"msg":"a"}\n  b\n{"msg":"c"}\n', ['{"msg":"a"}', '  b', '{"msg":"c"}']],
	['an error after an error', '[error] a\nError: b\n    at c\n', ['[error] a\nError: b\n    at c']],
	['an error after anything else', '[info] a\nError: b\n    at c\n', ['[info] a', 'Error: b\n    at c']],
	['a line with a time', '/srv/a.js:1\n2026-01-31 14:05:09 b\n', ['/srv/a.js:1', '2026-01-31 14:05:09 b']],
	['other line ends', 'a\r\n b\r\nc', ['a\r\n b', 'c']],
])('%s', (_name, text, expected) => {
	expect(texts(text)).toEqual(expected)
})

test('no byte is lost or moved, in pieces of any size, and the pieces do not matter', () => {
	const line = fc.oneof(
		fc.constantFrom(
			'',
			' ',
			'\tat a.b(C.java:1)',
			'Error: x',
			'2026-01-31 14:05:09 ERROR x {',
			'}',
			'{"a":1}',
		),
		fc.constantFrom(
			'Traceback (most recent call last):',
			'KeyError: 1',
			'panic: x',
			'goroutine 1 [running]:',
		),
		fc.constantFrom('/srv/app.js:1', 'Node.js v22.1.0', 'Caused by: x', 'x'.repeat(1500)),
		fc.string({ unit: 'binary', maxLength: 20 }),
	)
	const log = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '')), { maxLength: 30 })
	fc.assert(
		fc.property(log, fc.integer({ min: 1, max: 40 }), (given, size) => {
			const text = given.flat().join('')
			const { lines } = split(text, size)
			expect(bytesIn(lines).equals(Buffer.from(text))).toBe(true)
			const pieces = (of: readonly ByteLine[]) =>
				of.map(({ bytes, end, part }) => `${part} ${end} ${bytes.length}`)
			expect(pieces(lines)).toEqual(pieces(split(text).lines))
		}),
		{ numRuns: 1_000, seed: SEED },
	)
})

test('bytes of any kind come back', () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
			expect(bytesIn(split(Buffer.from(bytes)).lines).equals(bytes)).toBe(true)
		}),
		{ numRuns: 1_000, seed: SEED },
	)
})

test('a joined line has limits, and reaching one is counted', () => {
	const many = `a\n${' b\n'.repeat(JOINED_LINES_MAX)}`
	const { lines, cutJoins } = split(many)
	expect(lines).toHaveLength(2)
	expect(cutJoins).toBe(1)
	expect(bytesIn(lines).toString()).toBe(many)
	const large = split(`a\n${` ${'b'.repeat(1000)}\n`.repeat(400)}`)
	expect(large.cutJoins).toBe(1)
	for (const { bytes } of large.lines) expect(bytes.length).toBeLessThanOrEqual(JOINED_BYTES_MAX)
})

test('held lines are returned on request', () => {
	const splitter = new JoiningSplitter(1024, true)
	expect([...splitter.push(Buffer.from('a\n b\nunfinished'))]).toEqual([])
	expect([splitter.isHolding, splitter.pendingBytes]).toEqual([true, 15])
	expect([...splitter.release()].map(({ bytes }) => bytes.toString())).toEqual(['a\n b'])
	expect([splitter.isHolding, splitter.pendingBytes]).toEqual([false, 10])
	expect([...splitter.cut()].map(({ bytes, part }) => [bytes.toString(), part])).toEqual([['unfinished', 1]])
})
