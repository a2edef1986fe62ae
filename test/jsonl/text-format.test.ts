/** The format of plain text, as a program uses it. */
import { expect, test } from 'vitest'
import type { LineFormat } from '../../src/jsonl/line-format.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { textFormat } from '../../src/jsonl/text-format.ts'
import { collect, record } from '../support/records.ts'
import { bytesOf, inPieces } from '../support/text-records.ts'

const LOG = '2026-01-31 14:05:09 ERROR a\n\tat b\n{"level":"warn","msg":"c","time":1780300000392}\n# d\n'

async function read(format: LineFormat) {
	const lines = readJsonl(inPieces(Buffer.from(LOG), 5), { format })
	return { records: await collect(lines), lines }
}

test('every line is a record, and its zone and the joining of lines are options', async () => {
	const { records, lines } = await read(textFormat({ timeZone: '+01:00' }))
	expect(records.map(({ level, message }) => [level, message])).toEqual([
		['error', '2026-01-31 14:05:09 ERROR a'],
		['info', '\tat b'],
		['warn', 'c'],
		['info', '# d'],
	])
	expect(records[0]!.tsMs).toBe(Date.UTC(2026, 0, 31, 13, 5, 9))
	expect(lines.noTime).toBe(2)
	expect(Object.values(lines.skipped).every((count) => count === 0)).toBe(true)
	const joined = await read(textFormat({ timeZone: 'UTC', multiline: true }))
	expect(joined.records.map(({ message }) => message)).toEqual([
		'2026-01-31 14:05:09 ERROR a\n\tat b',
		'c',
		'# d',
	])
	expect(bytesOf([joined.records[0]!]).toString()).toBe(LOG.slice(0, 34))
})

test('a message is written as a line, unless it has line breaks', () => {
	const format = textFormat()
	expect(format.write(record(1))).toBe('message 1')
	expect(format.write(record(1, { message: 'a\nb' }))).toBeUndefined()
})

test('a wrong option is refused', () => {
	for (const options of [{ timeZone: 'Mars/Olympus' }, { multiline: 1 }, { tz: 'UTC' }])
		expect(() => textFormat(options as object)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})
