import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ByteLine, LineSplitter } from '../../src/jsonl/line-splitter.ts'

function split(chunks: readonly Uint8Array[], bytesMax: number): ByteLine[] {
	const splitter = new LineSplitter(bytesMax)
	const lines = chunks.flatMap((chunk) => [...splitter.push(Buffer.from(chunk))])
	return [...lines, ...splitter.end()]
}

const odd = fc.array(
	fc.constantFrom(0x0a, 0x0a, 0x0d, 0x00, 0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0x91, 0x8d, 0xff),
	{ maxLength: 60 },
)

test('every byte is returned once, however the stream is chunked', () => {
	fc.assert(
		fc.property(fc.array(odd, { maxLength: 8 }), fc.integer({ min: 8, max: 20 }), (chunks, bytesMax) => {
			const lines = split(
				chunks.map((chunk) => Uint8Array.from(chunk)),
				bytesMax,
			)
			const rebuilt = Buffer.concat(lines.flatMap(({ bytes, end }) => [bytes, Buffer.from(end)]))
			expect(rebuilt).toEqual(Buffer.from(chunks.flat()))
			for (const { bytes, end, isLast, part } of lines) {
				expect(bytes.length).toBeLessThanOrEqual(bytesMax)
				expect(bytes.includes(0x0a)).toBe(false)
				if (!isLast) expect([end, part > 0]).toEqual(['', true])
			}
			expect(lines.filter(({ end }) => end !== '')).toHaveLength(
				chunks.flat().filter((byte) => byte === 0x0a).length,
			)
		}),
		{ numRuns: 5_000 },
	)
})

test('parts are numbered, and no character is split', () => {
	const lines = split([Buffer.from('é'.repeat(10)), Buffer.from('\nnext\r\nlast')], 9)
	expect(lines.map(({ bytes, end, part, isLast }) => [bytes.toString(), end, part, isLast])).toEqual([
		['éééé', '', 1, false],
		['éééé', '', 2, false],
		['éé', '\n', 3, true],
		['next', '\r\n', 0, true],
		['last', '', 0, true],
	])
})
