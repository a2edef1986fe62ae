/**
 * Arguments that reading, writing, importing and exporting JSON Lines refuse at once, and the resulting
 * errors.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { collect } from '../support/records.ts'
import { type Refusal, testRefusals, wrong } from '../support/refusals.ts'
import { temporaryFolder } from '../support/temporary.ts'

const chain = { batches: () => (async function* () {})() }

const OPTIONS: readonly (readonly [option: string, value: unknown, message: string])[] = [
	['format', 'pino', 'format must be a format with read and write, such as eventFormat(), not "pino"'],
	['format', eventFormat, 'format must be a format with read and write'],
	['mode', '600', 'mode must be file permissions, such as 0o600, not "600"'],
	['fs', {}, 'fs must be a FileSystem, such as nodeFileSystem'],
]
const WATCHED: typeof OPTIONS = [
	['signal', new AbortController(), 'signal must be an AbortSignal, not [object AbortController]'],
	['onProgress', 1, 'onProgress must be a function, not 1'],
]
const READING: typeof OPTIONS = [
	['lineBytesMax', '1k', 'lineBytesMax must be a whole number from 1024, not "1k"'],
]

function each(call: (options: object) => unknown, ...tables: (typeof OPTIONS)[]): Refusal[] {
	return tables
		.flat()
		.map(([option, value, message]) => [
			`with ${option}: ${String(value)}`,
			() => call({ [option]: value }),
			'INVALID_OPTION',
			message,
		])
}

describe('readJsonl', () => {
	testRefusals([
		[
			'without a source',
			() => readJsonl(wrong()),
			'INVALID_OPTION',
			'the path of a file, or a stream of bytes, not undefined',
		],
		['of bytes', () => readJsonl(wrong(Buffer.from('{}'))), 'INVALID_OPTION', 'a stream of bytes'],
		[
			'of an empty path',
			() => readJsonl(''),
			'INVALID_PATH',
			'the path of a file of JSON Lines must be a non-empty string',
		],
		[
			'of texts',
			() => collect(readJsonl(wrong(Readable.from(['{}\n'])))),
			'INVALID_OPTION',
			'must be bytes (from a stream without an encoding), not "{}\\n"',
		],
		...each((options) => readJsonl('a.jsonl', options), OPTIONS, READING),
	])
})

describe('JsonlAppender', () => {
	testRefusals([
		['without a path', () => new JsonlAppender(wrong()), 'INVALID_PATH', 'the path of a file of JSON Lines'],
		['with an empty path', () => new JsonlAppender(''), 'INVALID_PATH', 'a non-empty string, not ""'],
		['with a zero in its path', () => new JsonlAppender('a\0b'), 'INVALID_PATH', 'a non-empty string'],
		...each((options) => new JsonlAppender('/nowhere/a.jsonl', options), OPTIONS, READING),
	])
})

describe('importJsonl', () => {
	testRefusals([
		[
			'without anything',
			() => importJsonl(wrong(), wrong()),
			'INVALID_OPTION',
			'the path of a file, or a stream of bytes',
		],
		[
			'without a chain',
			() => importJsonl('a.jsonl', wrong()),
			'INVALID_PATH',
			'the path of a chain must be a non-empty string, not undefined',
		],
		[
			'into something open',
			() => importJsonl('a.jsonl', wrong(chain)),
			'INVALID_PATH',
			'not [object Object]',
		],
		...each((options) => importJsonl('a.jsonl', '/nowhere/a.chain', options), OPTIONS, READING, WATCHED, [
			['sourceId', 7, 'sourceId must be a string of 1 to 256 characters, not 7'],
		]),
	])
})

describe('exportJsonl', () => {
	testRefusals([
		[
			'without anything',
			() => exportJsonl(wrong(), wrong()),
			'INVALID_OPTION',
			'an export needs a chain, not undefined',
		],
		[
			'of a path',
			() => exportJsonl(wrong('a.chain'), 'a.jsonl'),
			'INVALID_OPTION',
			'an export needs a chain, not the path "a.chain": open it with await openChain(path)',
		],
		[
			'of a promise',
			() => exportJsonl(wrong(Promise.resolve(chain)), 'a.jsonl'),
			'INVALID_OPTION',
			'openChain(path) needs an await',
		],
		[
			'without a path',
			() => exportJsonl(chain, wrong()),
			'INVALID_PATH',
			'the path of the file to export to must be a non-empty string',
		],
		...each((options) => exportJsonl(chain, '/nowhere/a.jsonl', options), OPTIONS, WATCHED),
	])

	test('leaves no file when it refuses its arguments', async () => {
		const folder = temporaryFolder()
		await expect(exportJsonl(chain, join(folder, 'a.jsonl'), wrong({ signal: 1 }))).rejects.toThrow('signal')
		expect(readdirSync(folder)).toEqual([])
	})
})

describe('eventFormat', () => {
	testRefusals([
		[
			'of a number',
			() => eventFormat(wrong(5)),
			'INVALID_OPTION',
			'the events of a format must be an object, not 5',
		],
		[
			'of names',
			() => eventFormat(wrong(['order'])),
			'INVALID_OPTION',
			'the events of a format must be an object',
		],
		[
			'of fields that are none',
			() => eventFormat(wrong({ order: true })),
			'INVALID_OPTION',
			'the fields of the event "order" must be an object, not true',
		],
		[
			'of types that are none',
			() => eventFormat(wrong({ order: { at: 'date' } })),
			'INVALID_OPTION',
			`the type of order.at must be 'string' or 'number' or 'boolean', not "date"`,
		],
		[
			'of a field name that the format uses',
			() => eventFormat({ order: { ts: 'number' } }),
			'INVALID_OPTION',
			'the format uses this name',
		],
	])
})
