/** Replay targets, with real streams and real programs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { recordFromJson } from '../../src/codec/json-dialect.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { replay } from '../../src/replay/replay.ts'
import { AppenderTarget } from '../../src/replay/targets/appender-target.ts'
import { ProcessTarget } from '../../src/replay/targets/process-target.ts'
import { StreamTarget } from '../../src/replay/targets/stream-target.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

async function* some(count: number): AsyncGenerator<LogRecord> {
	for (let seq = 1; seq <= count; seq++) yield record(seq, { data: { text: 'x'.repeat(1000), big: 5n } })
}

const linesOf = (text: string) => text.trim().split('\n').map(recordFromJson)

describe('a stream', () => {
	test('gets one line of JSON for each record, with all of its fields', async () => {
		const stream = new PassThrough()
		const chunks: Buffer[] = []
		stream.on('data', (chunk: Buffer) => chunks.push(chunk))
		expect(await replay(some(200), new StreamTarget(stream), { sourceId: 'a' })).toMatchObject({
			replayed: 200,
		})
		const found = linesOf(Buffer.concat(chunks).toString())
		expect(found[199]).toMatchObject({
			seq: 200,
			data: { big: 5n },
			origin: { chainId: 'a', epoch: 1, seq: 200 },
		})
	})

	test('that is not read makes the replay wait, with bounded memory', async () => {
		const stream = new PassThrough({ highWaterMark: 4096 })
		const controller = new AbortController()
		let read = 0
		async function* counted() {
			for await (const each of some(10_000)) {
				read++
				yield each
			}
		}
		const done = replay(counted(), new StreamTarget(stream), {
			signal: controller.signal,
			timeoutMs: 200,
			retries: 0,
		})
		expect(await done).toMatchObject({ ended: 'targetGone', firstError: { code: 'TARGET_TIMEOUT' } })
		expect(read).toBeLessThan(50)
	})

	test('that is destroyed ends the replay, with the seq to resume from', async () => {
		const stream = new PassThrough()
		let seen = 0
		stream.on('data', () => {
			if (++seen === 3) stream.destroy()
		})
		const summary = await replay(some(100), new StreamTarget(stream))
		expect(summary).toMatchObject({ ended: 'targetGone', firstError: { code: 'TARGET_GONE' } })
		expect(summary.nextSeq).toBe(summary.replayed + 1)
	})
})

describe('a program', () => {
	test('reads every record on its standard input', async () => {
		const path = join(temporaryFolder(), 'read.jsonl')
		const target = new ProcessTarget(`cat > '${path}'`)
		expect(await replay(some(500), target)).toMatchObject({ replayed: 500, failed: 0 })
		await target.close()
		expect(linesOf(readFileSync(path, 'utf8')).map(({ seq }) => seq)).toEqual(
			Array.from({ length: 500 }, (_unused, index) => index + 1),
		)
	})

	test('that exits early ends the replay, and close reports its failure', async () => {
		const target = new ProcessTarget('head -c 20000 > /dev/null; exit 3')
		const summary = await replay(some(5000), target)
		expect(summary).toMatchObject({ ended: 'targetGone', firstError: { code: 'TARGET_GONE' } })
		expect(summary.replayed).toBeLessThan(5000)
		await expect(target.close()).rejects.toMatchObject({
			code: 'TARGET_FAILED',
			message: expect.stringContaining('status 3'),
		})
	})

	test('that does not exist is reported by close', async () => {
		const target = new ProcessTarget('no-such-program-here 2> /dev/null')
		await replay(some(5000), target)
		await expect(target.close()).rejects.toMatchObject({ code: 'TARGET_FAILED' })
	})
})

describe('an appender', () => {
	/** Takes some time for each record, and counts the concurrent ones. */
	function slowAppender(failing: readonly number[] = []) {
		const taken: LogRecord[] = []
		const left = new Set(failing)
		const counts = { inFlight: 0, mostInFlight: 0 }
		const append = async (each: LogRecord) => {
			counts.mostInFlight = Math.max(counts.mostInFlight, ++counts.inFlight)
			await new Promise((resolve) => setTimeout(resolve, each.seq % 3 === 1 ? 6 : 1))
			counts.inFlight--
			if (left.delete(each.seq)) throw new Error('not now')
			taken.push(each)
		}
		return { append, taken, counts }
	}
	const seqsOf = (records: readonly LogRecord[]) => records.map(({ seq }) => seq)
	const upTo = (count: number) => Array.from({ length: count }, (_unused, index) => index + 1)
	const atOnce = { concurrency: 4, key: ({ seq }: LogRecord) => seq }

	test('gets one record at a time and in order, with any concurrency', async () => {
		const appender = slowAppender()
		const summary = await replay(some(20), new AppenderTarget(appender), atOnce)
		expect(summary).toMatchObject({ replayed: 20, failed: 0 })
		expect(appender.counts.mostInFlight).toBe(1)
		expect(seqsOf(appender.taken)).toEqual(upTo(20))
		expect(appender.taken.map(({ origin }) => origin?.seq)).toEqual(upTo(20))
	})

	test('that refuses a record gives its seq to the next one, and loses none', async () => {
		const appender = slowAppender([5, 6, 11])
		const summary = await replay(some(20), new AppenderTarget(appender), atOnce)
		expect(summary).toMatchObject({ replayed: 20, failed: 0, retries: 3 })
		expect(seqsOf(appender.taken)).toEqual(upTo(20))
		expect(appender.taken.map(({ origin }) => origin!.seq).sort((a, b) => a - b)).toEqual(upTo(20))
	})
})
