/** The checks of a form of events: what they refuse is in no record and in no line, and is counted. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { format, isAddress } from '../../examples/channel-access/events.mjs'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const newPath = () => join(temporaryFolder(), 'events.jsonl')

test('a check decides about a line and about a record alike', async () => {
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

test('a check that throws, or that answers anything but true, refuses', () => {
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

test('the form of the Channel Access recorder takes addresses and numbers of its protocol only', () => {
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
