/**
 * The behaviour of the event recorder of epics-ca-rs (Channel Access), and of its paced replay, row by row:
 * the behaviour that mesh-chain matches, and the faults that it avoids.
 */
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
	eventFormat,
	FileChainAppender,
	JsonlAppender,
	type LogRecord,
	MeshLoop,
	openChain,
	Player,
	type ReplayOptions,
	readJsonl,
	replay,
} from '../../src/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { meshChain, runExample } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const format = eventFormat({
	beacon_recv: { server: 'string', seq: 'number', version: 'number' },
	client_connect: { peer: 'string' },
	client_disconnect: { peer: 'string' },
})

const BEACON = '{"ts":1714200000.123,"ev":"beacon_recv","server":"10.0.0.5:5064","seq":42,"version":13}'
const CONNECT = '{"ts":1714200001.000,"ev":"client_connect","peer":"10.0.0.6:54311"}'
const DISCONNECT = '{"ts":1714200002.500,"ev":"client_disconnect","peer":"10.0.0.6:54311"}'

const newPath = (name = 'events.jsonl') => join(temporaryFolder(), name)

function fileOf(text: string): string {
	const path = newPath()
	writeFileSync(path, text)
	return path
}

async function read(text: string) {
	const lines = readJsonl(fileOf(text), { format })
	return { records: await collect(lines), skipped: lines.skipped }
}

/** Delivery times of the records, by a clock that moves only during waits. */
async function paced(text: string, options: ReplayOptions = {}, sinkMs = 0) {
	const clock = new ManualClock()
	const came: (readonly [kind: string, atMs: number])[] = []
	const done = replay(
		readJsonl(fileOf(text), { format }),
		({ kind }) => {
			came.push([kind, clock.now()])
			clock.jump(sinkMs)
		},
		{ speed: 1, clock, ...options },
	)
	await clock.runUntil(done)
	return { came, summary: await done }
}

describe('Match', () => {
	test('JSON Lines, one object a line, ts in seconds with three decimals, stamped at the event', async () => {
		const path = newPath()
		let nowMs = 1_714_200_000_123
		const loop = new MeshLoop(new JsonlAppender(path, { format }), { clock: () => nowMs })
		loop.emit('beacon_recv', { server: '10.0.0.5:5064', seq: 42, version: 13 })
		nowMs = 1_714_200_001_000
		loop.emit('client_connect', { peer: '10.0.0.6:54311' })
		nowMs = 1_714_200_002_500
		loop.emit('client_disconnect', { peer: '10.0.0.6:54311' })
		await loop.close()
		expect(readFileSync(path, 'utf8')).toBe(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`)
	})

	test('the file is created if missing, and appended to if present', async () => {
		const path = newPath()
		expect(existsSync(path)).toBe(false)
		for (const peer of ['a', 'b']) {
			const loop = new MeshLoop(new JsonlAppender(path, { format }))
			loop.emit('client_connect', { peer })
			await loop.close()
		}
		expect((await collect(readJsonl(path, { format }))).map(({ data }) => data)).toEqual([
			{ peer: 'a' },
			{ peer: 'b' },
		])
	})

	test('reading trims; blank lines and # comments are skipped', async () => {
		const { records } = await read(`\n  # recorded by hand\n\t${BEACON}  \n   \n${CONNECT}\r\n`)
		expect(records.map(({ kind }) => kind)).toEqual(['beacon_recv', 'client_connect'])
	})

	test('an unknown ev is skipped and counted', async () => {
		const { records, skipped } = await read(`${BEACON}\n{"ts":1,"ev":"search_recv"}\n${CONNECT}\n`)
		expect(records).toHaveLength(2)
		expect(skipped.unknownKind).toBe(1)
	})

	test('a missing or wrong required field skips that line and counts it', async () => {
		const { records, skipped } = await read(
			[
				'{"ts":1,"ev":"client_connect"}',
				'{"ts":1,"ev":"beacon_recv","server":"a","seq":"42","version":13}',
				'{"ev":"client_connect","peer":"a"}',
				`${CONNECT}\n`,
			].join('\n'),
		)
		expect(records).toHaveLength(1)
		expect(skipped.invalidField).toBe(3)
	})

	test('unknown keys are ignored; any key order and any JSON spacing is accepted', async () => {
		const { records } = await read(
			'{ "peer" : "x" ,"more":{"deep":[1]}, "ev"\t:"client_connect","ts": 1714200001 }\n',
		)
		expect(records[0]).toMatchObject({ kind: 'client_connect', tsMs: 1_714_200_001_000, data: { peer: 'x' } })
	})

	test('replay is in file order into a callback, and returns the number of deliveries', async () => {
		const kinds: string[] = []
		const summary = await replay(
			readJsonl(fileOf(`${CONNECT}\n${BEACON}\n${DISCONNECT}\n`), { format }),
			({ kind }) => {
				kinds.push(kind)
			},
		)
		expect(kinds).toEqual(['client_connect', 'beacon_recv', 'client_disconnect'])
		expect(summary.replayed).toBe(3)
	})

	test('a missing file is an error', async () => {
		await expect(replay(readJsonl('/nowhere/events.jsonl', { format }), () => {})).rejects.toMatchObject({
			code: 'REPLAY_FAILED',
			cause: { code: 'FILE_UNREADABLE' },
		})
	})

	test('paced: each event at max(0, ts - first ts) after the start; the first one at once', async () => {
		const { came } = await paced(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`)
		expect(came).toEqual([
			['beacon_recv', 0],
			['client_connect', 877],
			['client_disconnect', 2377],
		])
	})

	test('paced: measured from one anchor, so that nothing drifts; a slow sink catches up', async () => {
		const text = Array.from(
			{ length: 10 },
			(_unused, index) => `{"ts":${index},"ev":"client_connect","peer":"x"}\n`,
		).join('')
		const slow = await paced(text, {}, 600)
		expect(slow.came.map(([, atMs]) => atMs)).toEqual([
			0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000,
		])
		const bursts = text.replace('"ts":1,', '"ts":0.1,').replace('"ts":2,', '"ts":0.2,')
		const catching = await paced(bursts, {}, 600)
		expect(catching.came.map(([, atMs]) => atMs)).toEqual([
			0, 600, 1200, 3000, 4000, 5000, 6000, 7000, 8000, 9000,
		])
	})

	test('paced: an earlier ts is delivered at once', async () => {
		const { came } = await paced(`${CONNECT}\n${BEACON}\n${DISCONNECT}\n`)
		expect(came.map(([, atMs]) => atMs)).toEqual([0, 0, 1500])
	})

	test('unpaced: no waits', async () => {
		const { came } = await paced(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`, { speed: 'max' })
		expect(came.map(([, atMs]) => atMs)).toEqual([0, 0, 0])
	})

	test('a command replays a recording to stdout, filtered by kind, with a count on stderr', async () => {
		const path = fileOf(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`)
		const { status, stdout, stderr } = await meshChain([
			'replay',
			path,
			'-k',
			'client_connect,client_disconnect',
		])
		expect(status).toBe(0)
		expect(
			stdout
				.trim()
				.split('\n')
				.map((line) => JSON.parse(line).kind),
		).toEqual(['client_connect', 'client_disconnect'])
		expect(stderr).toMatch(/^mesh-chain: 2 records replayed in [\d.]+ s\n$/)
	})
})

describe('Beat', () => {
	test('a torn last line gives no wrong value: "version":13 cut after the 1 is not read as 1', async () => {
		const { records, skipped } = await read(`${CONNECT}\n${BEACON.slice(0, BEACON.indexOf('13}') + 1)}`)
		expect(records.map(({ kind }) => kind)).toEqual(['client_connect'])
		expect(skipped.torn).toBe(1)
	})

	test('a torn last line is never joined with the next append: no event is lost or merged', async () => {
		for (let cut = 1; cut < CONNECT.length; cut++) {
			const path = fileOf(`${BEACON}\n${CONNECT}\n`)
			truncateSync(path, BEACON.length + 1 + cut)
			const loop = new MeshLoop(new JsonlAppender(path, { format }))
			loop.emit('client_disconnect', { peer: 'x' })
			await loop.close()
			const lines = readJsonl(path, { format })
			expect((await collect(lines)).map(({ kind }) => kind)).toEqual(['beacon_recv', 'client_disconnect'])
			expect(lines.skipped.notJson).toBe(1)
		}
	})

	test('JSON with spaces is read, strings are unescaped', async () => {
		const { records } = await read('{ "ts": 1, "ev": "client_connect", "peer": "\\u00e9\\n\\"" }\n')
		expect(records[0]?.data).toEqual({ peer: 'é\n"' })
	})

	test('invalid UTF-8 costs its line, not the replay', async () => {
		const path = fileOf(`${BEACON}\n`)
		appendFileSync(path, Buffer.from([0xff, 0xfe, 0x0a]))
		appendFileSync(path, `${CONNECT}\n`)
		const summary = await replay(readJsonl(path, { format }), () => {})
		expect(summary).toMatchObject({ replayed: 2, skipped: { notText: 1 } })
	})

	test('skipped lines are counted, with line numbers', async () => {
		const lines = readJsonl(fileOf(`${BEACON}\nnoise\n\n${CONNECT}\n`), { format })
		await collect(lines)
		expect(lines.skippedLines).toEqual([
			{ line: 2, reason: 'notJson' },
			{ line: 3, reason: 'blank' },
		])
	})

	test('there is a speed factor', async () => {
		const { came } = await paced(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`, { speed: 10 })
		expect(came.map(([, atMs]) => Math.round(atMs))).toEqual([0, 88, 238])
	})

	test('there is a limit, and a window', async () => {
		const { came } = await paced(`${BEACON}\n${CONNECT}\n${DISCONNECT}\n`, {
			since: 1_714_200_001_000,
			limit: 1,
		})
		expect(came).toEqual([['client_connect', 0]])
	})

	test('a replay can be cancelled, and returns where to resume', async () => {
		const controller = new AbortController()
		const text = `${BEACON}\n${CONNECT}\n${DISCONNECT}\n`
		const summary = await replay(readJsonl(fileOf(text), { format }), () => controller.abort(), {
			signal: controller.signal,
		})
		expect(summary).toMatchObject({ replayed: 1, ended: 'aborted', nextSeq: 2 })
	})

	test('a replay can seek, and follow a recording that is still being written', async () => {
		const path = newPath('node.chain')
		const appender = new FileChainAppender(path)
		appender.append(record(1))
		appender.append(record(2))
		appender.flush()
		const chain = await openChain(path)
		const seen: number[] = []
		const player = new Player(chain, { write: ({ seq }) => seen.push(seq) }, { speed: 'max' })
		await player.seek({ seq: 2 })
		await player.play()
		expect(seen).toEqual([2])
		const controller = new AbortController()
		const followed: number[] = []
		const done = replay(chain.tail({ signal: controller.signal, pollIntervalMs: 5 }), ({ seq }) => {
			followed.push(seq)
			if (seq === 2) appender.append(record(3))
			if (seq === 3) controller.abort()
		})
		await done
		expect(followed).toEqual([1, 2, 3])
		await chain.close()
		await appender.close()
	})

	test('a wait longer than the longest timer is observed', async () => {
		const days = 40 * 86_400
		const { came } = await paced(
			`${BEACON}\n{"ts":${1_714_200_000.123 + days},"ev":"client_connect","peer":"x"}\n`,
			{ gapMsMax: Number.POSITIVE_INFINITY },
		)
		expect(came[1]).toEqual(['client_connect', days * 1000])
	})

	test('a typed example has the three kinds: recorded from sockets, exported and replayed', async () => {
		const folder = temporaryFolder()
		const { status, stdout, stderr } = await runExample('channel-access/run.ts', [folder])
		expect([status, stderr]).toEqual([0, ''])
		const counted = /events recorded {3}18\nlines written {5}18\nrecords read back 18\n/.source
		expect(stdout).toMatch(new RegExp(`${counted}replayed {10}18 at the original pace, `))
		const lines = readFileSync(join(folder, 'recorded.jsonl'), 'utf8').trim().split('\n')
		expect(lines[0]).toMatch(
			/^\{"ts":\d+\.\d{3},"ev":"beacon_recv","server":"127\.0\.0\.1:5064","seq":0,"version":13\}$/,
		)
		expect(lines.filter((line) => line.includes('client_disconnect'))).toHaveLength(3)
		const records: LogRecord[] = await collect(readJsonl(join(folder, 'recorded.jsonl'), { format }))
		expect(records).toHaveLength(18)
	})
})
