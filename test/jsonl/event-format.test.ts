/** The checks of an event format: refused lines and records are left out and counted. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { format, isAddress } from '../../examples/channel-access/events.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const newPath = () => join(temporaryFolder(), 'events.jsonl')

test('a check applies to lines and records alike', async () => {
	const even = eventFormat({ tick: { n: (value) => Number(value) % 2 === 0 } })
	await fc.assert(
		fc.asyncProperty(fc.array(fc.integer(), { maxLength: 10 }), async (values) => {
			const path = newPath()
			writeFileSync(path, values.map((n) => `{"ts":1,"ev":"tick","n":${n}}\n`).join(''))
			const lines = readJsonl(path, { format: even })
			const kept = values.filter((n) => n % 2 === 0)
			expect((await collect(lines)).map(({ data }) => (data as { n: number }).n)).toEqual(kept)
			expect(lines.skipped.invalidField).toBe(values.length - kept.length)

			const appender = new JsonlAppender(newPath(), { format: even })
			for (const n of values) appender.append(record(appender.nextSeq, { kind: 'tick', data: { n } }))
			expect(appender.stats()).toMatchObject({
				written: kept.length,
				unsupported: values.length - kept.length,
			})
			await appender.close()
		}),
		{ numRuns: 30 },
	)
})

test('a check that throws or returns anything but true refuses the event', () => {
	const checks = [
		() => {
			throw new Error('no')
		},
		() => 1 as never,
		async () => true,
	]
	for (const check of checks) {
		const picky = eventFormat({ tick: { n: check as never } })
		expect(picky.read({ ts: 1, ev: 'tick', n: 1 }, '')).toEqual({ skipped: 'invalidField' })
	}
})

test('the Channel Access format accepts only addresses and numbers of its protocol', () => {
	const beacon = { ts: 1, ev: 'beacon_recv', server: '10.0.0.5:5064', seq: 42, version: 13 }
	const isTaken = (fields: object) => 'lines' in format.read({ ...beacon, ...fields }, '')
	expect(isTaken({})).toBe(true)
	for (const seq of [0, 2 ** 32 - 1]) expect(isTaken({ seq })).toBe(true)
	for (const seq of [-1, 1.5, 2 ** 32, '42', null]) expect(isTaken({ seq })).toBe(false)
	for (const version of [2 ** 16, -1, '13']) expect(isTaken({ version })).toBe(false)
	for (const address of ['0.0.0.0:0', '255.255.255.255:65535', '[::1]:5064', '[fe80::1]:1'])
		expect([address, isAddress(address)]).toEqual([address, true])
	const wrong = [
		'',
		'a',
		'10.0.0.5',
		'10.0.0.5:',
		'10.0.0.256:1',
		'10.0.0.5:65536',
		'::1:5064',
		'[10.0.0.5]:1',
		' 10.0.0.5:1',
		5,
	]
	for (const address of wrong) expect([address, isAddress(address)]).toEqual([address, false])
})

test('integers of any size survive a line, a record and a chain', async () => {
	const integer = fc.oneof(
		fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
		fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
	)
	const text = fc.oneof(
		fc.string(),
		fc.constantFrom('bigint:5', '_bigint:9007199254740993', '9007199254740993'),
	)
	const format = eventFormat({ s: { n: 'number' } })
	await fc.assert(
		fc.asyncProperty(fc.array(integer, { minLength: 1, maxLength: 5 }), text, async (integers, beside) => {
			const lines = integers
				.map((n) => `{"ts":1772323200.5,"ev":"s","n":${n},"in":[{"n":${n}}],"t":${JSON.stringify(beside)}}\n`)
				.join('')
			const path = newPath()
			writeFileSync(path, lines)
			const records = await collect(readJsonl(path, { format }))
			const exact = (n: bigint) => (Number.isSafeInteger(Number(n)) ? Number(n) : n)
			expect(records.map(({ data }) => data)).toEqual(
				integers.map((n) => ({ n: exact(n), in: [{ n: exact(n) }], t: beside })),
			)
			for (const [index, each] of records.entries()) {
				const line = format.write(each) ?? ''
				expect(line).toContain(`"n":${integers[index]},"in":[{"n":${integers[index]}}]`)
				expect(JSON.parse(line).t).toBe(beside)
			}
		}),
		{ numRuns: 100 },
	)
	const chain = join(temporaryFolder(), 'a.chain')
	const [path, again] = [newPath(), newPath()]
	writeFileSync(path, '{"ts":1772323200.500,"ev":"s","n":9007199254740993}\n')
	await importJsonl(path, chain, { format: eventFormat() })
	const opened = await openChain(chain)
	await exportJsonl(opened, again, { format: eventFormat() })
	await opened.close()
	expect(readFileSync(again, 'utf8')).toBe(readFileSync(path, 'utf8'))
})

test('a record has a line with the same time, or no line', () => {
	const format = eventFormat()
	const times = fc.oneof(
		fc.integer({ min: 0, max: 8.64e15 }),
		fc.integer({ min: 0, max: 1e14 }),
		fc.integer({ min: 1.7e12, max: 1.9e12 }),
	)
	fc.assert(
		fc.property(times, (tsMs) => {
			const line = format.write(record(1, { kind: 'a', tsMs }))
			if (line === undefined) {
				expect(tsMs >= 1e14 || String(Math.floor(tsMs / 1000)).length === 8).toBe(true)
				return
			}
			expect(format.read(JSON.parse(line), line)).toMatchObject({ lines: [{ kind: 'a', tsMs }] })
		}),
		{ numRuns: 3000 },
	)
	for (const ts of [-1, 1e20, 20_260_131_140_509, '1772323200', null, true])
		expect(format.read({ ts, ev: 'a' }, '')).toEqual({ skipped: 'invalidField' })
	for (const ts of [1_772_323_200, 1_772_323_200_000, 1_772_323_200_000_000])
		expect(format.read({ ts, ev: 'a' }, '')).toEqual({ lines: [{ kind: 'a', tsMs: 1_772_323_200_000 }] })
})
