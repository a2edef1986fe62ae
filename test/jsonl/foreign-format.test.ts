/**
 * A user's format: everything it reads is a record or counted, and everything it writes is one line or an
 * error.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import type { LineFormat } from '../../src/jsonl/line-format.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { recordFormat } from '../../src/jsonl/record-format.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function* lines(count: number) {
	yield Buffer.from('{"a":1}\n'.repeat(count))
}

const throws = () => {
	throw new Error('mine')
}

test.each([
	['undefined', () => undefined, 'invalidField'],
	['a text', () => 'text', 'invalidField'],
	['a throw', throws, 'invalidField'],
	['a promise', async () => ({ lines: [{}] }), 'invalidField'],
	['an object with nothing', () => ({}), 'invalidField'],
	['a reason that is none', () => ({ skipped: 'rainy' }), 'invalidField'],
	['a reason', () => ({ skipped: 'unknownKind' }), 'unknownKind'],
	['a record without a seq', () => ({ record: { ...record(1), seq: undefined } }), 'invalidField'],
	['a record of a negative time', () => ({ record: { ...record(1), tsMs: -1 } }), 'invalidField'],
	['a record of no level', () => ({ record: { ...record(1), level: 'loud' } }), 'invalidField'],
	['a list of nothing', () => ({ lines: [null] }), 'invalidField'],
	[
		'a line with a getter',
		() => ({ lines: [Object.defineProperty({}, 'kind', { get: throws })] }),
		'invalidField',
	],
])('%s instead of a reading is counted', async (_name, read, reason) => {
	const format = { ...recordFormat, read } as unknown as LineFormat
	const reading = readJsonl(lines(3), { format })
	for await (const _ of reading) expect.unreachable('there is no record')
	const { blank, comment, torn, tooLong, notText, notJson, unknownKind, invalidField, ...more } =
		reading.skipped
	expect(more).toEqual({})
	expect({ unknownKind: 0, invalidField: 0, [reason]: 3 }).toEqual({ unknownKind, invalidField })
	expect([blank, comment, torn, tooLong, notText, notJson]).toEqual([0, 0, 0, 0, 0, 0])
	const path = join(temporaryFolder(), 'node.chain')
	await expect(importJsonl(lines(3), path, { format })).rejects.toMatchObject({ code: 'IMPORT_FAILED' })
})

test('a record has only the fields of a record, each read once', async () => {
	let reads = 0
	// biome-ignore lint/suspicious/noThenProperty: that is what is tested.
	const given = Object.defineProperty({ ...record(7), then: throws, more: 1 }, 'message', {
		get: () => (reads++ === 0 ? 'first' : Symbol('second')),
	})
	const format = { ...recordFormat, read: () => ({ record: given }) } as unknown as LineFormat
	const records: LogRecord[] = []
	for await (const each of readJsonl(lines(1), { format })) records.push(each)
	expect(records).toEqual([{ ...record(7), message: 'first' }])
})

test.each([
	['a number', () => 5],
	['two lines', () => '{}\n{}'],
	['a promise', () => Promise.reject(new Error('mine'))],
	['a throw', throws],
	['null', () => null],
])('%s instead of a line is an error that is not retried', async (_name, write) => {
	const path = join(temporaryFolder(), 'node.jsonl')
	let isOdd = true
	const format = {
		...recordFormat,
		write: (given: LogRecord) => (isOdd ? write() : recordFormat.write(given)),
	} as unknown as LineFormat
	const appender = new JsonlAppender(path, { format })
	expect(() => appender.append(record(1))).toThrow(
		expect.objectContaining({ code: 'APPEND_FAILED', retryable: false, seq: 1 }),
	)
	isOdd = false
	appender.append(record(2))
	await appender.close()
	expect(readFileSync(path, 'utf8')).toBe(`${recordFormat.write(record(2))}\n`)
	isOdd = true
	const batches = async function* () {
		yield [record(1)]
	}
	const copy = `${path}.copy`
	const exported = exportJsonl({ batches } as never, copy, { format })
	await expect(exported).rejects.toMatchObject({ code: 'EXPORT_FAILED' })
	expect(() => readFileSync(copy)).toThrow('ENOENT')
})
