/**
 * Logs in the layouts of other programs: 100 lines for each layout, with expected values that were noted
 * before the lines were written (formats/README.md).
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { JoiningSplitter } from '../../src/jsonl/joining-splitter.ts'
import { LineSplitter } from '../../src/jsonl/line-splitter.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { textFormatIn } from '../../src/jsonl/text-format.ts'
import { TextLines } from '../../src/jsonl/text-lines.ts'
import type { LogLine } from '../../src/model/record.ts'
import { parseTimeZone } from '../../src/model/time-zone.ts'
import { WrittenTimes } from '../../src/plain-text/written-time.ts'
import { collect } from '../support/records.ts'
import { bytesOf, inPieces } from '../support/text-records.ts'

interface Expected {
	readonly timeZone: string
	readonly now: number
	readonly lines: readonly {
		readonly tsMs?: number
		readonly level?: string
		readonly name?: string
		readonly joins?: true
	}[]
}

const folder = join(import.meta.dirname, 'formats')
const names = readdirSync(folder)
	.filter((name) => name.endsWith('.log'))
	.map((name) => name.replace('.log', ''))

function fixture(name: string) {
	const bytes = readFileSync(join(folder, `${name}.log`))
	const expected = JSON.parse(readFileSync(join(folder, `${name}.expected.json`), 'utf8')) as Expected
	const zone = parseTimeZone('timeZone', expected.timeZone)
	const times = () => new WrittenTimes(zone, () => expected.now)
	return { bytes, lines: expected.lines, times }
}

const found = ({ tsMs, level, data }: LogLine) => ({
	tsMs,
	level,
	name: (data as { level?: string } | undefined)?.level,
})

test('there are at least 16 layouts', () => {
	expect(names.length).toBeGreaterThanOrEqual(16)
})

describe.each(names)('%s', (name) => {
	const { bytes, lines, times } = fixture(name)
	const texts = bytes.toString().split('\n').slice(0, -1)

	test('has the time and the level of every line', () => {
		expect(texts).toHaveLength(100)
		expect(lines).toHaveLength(100)
		const reader = new TextLines(times())
		const read = [...new LineSplitter(65_536).push(bytes)].map((line) => reader.lineOf(line))
		for (const [index, { tsMs, level, name, joins }] of lines.entries()) {
			// A line that belongs to a stack trace has no head of its own.
			if (joins === true && level === undefined) continue
			expect(found(read[index]!), texts[index]).toEqual({ tsMs, level, name })
		}
	})

	test('has one record for each stack trace and each printed object', () => {
		const groups: { text: string[]; head: Expected['lines'][number] }[] = []
		for (const [index, line] of lines.entries()) {
			const last = groups.at(-1)
			if (line.joins !== true || last === undefined) groups.push({ text: [texts[index]!], head: line })
			else {
				last.text.push(texts[index]!)
				// The level of java.util.logging is on its second line.
				if (line.level !== undefined) last.head = { ...last.head, level: line.level }
			}
		}
		const splitter = new JoiningSplitter(65_536, true)
		const joined = [...splitter.push(bytes), ...splitter.end()]
		expect(joined.map((line) => line.bytes.toString())).toEqual(groups.map(({ text }) => text.join('\n')))
		const reader = new TextLines(times())
		for (const [index, { head, text }] of groups.entries()) {
			const { tsMs, level, name } = head
			expect(found(reader.lineOf(joined[index]!)), text[0]).toEqual({ tsMs, level, name })
		}
	})

	test.each([false, true])('has the bytes of every line in its records (joined: %s)', async (isJoining) => {
		for (const size of [7, 100_000]) {
			const format = textFormatIn(times(), isJoining)
			const records = await collect(readJsonl(inPieces(bytes, size), { format }))
			expect(bytesOf(records).toString()).toBe(bytes.toString())
			expect(records.every(({ tsMs }) => tsMs > 0)).toBe(true)
		}
	})
})
