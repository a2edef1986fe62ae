/**
 * RELIABILITY, row 9: random and mutated bytes for everything that opens a file. No crash, no invented
 * record, bounded time.
 */
import { beforeAll, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import type { LineFormat } from '../../src/jsonl/line-format.ts'
import { otelFormat } from '../../src/jsonl/otel-format.ts'
import { pinoFormat } from '../../src/jsonl/pino-format.ts'
import { recordFormat } from '../../src/jsonl/record-format.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { compare, filesIn } from '../support/compare-with-oracle.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { cpuMs } from '../support/stalls.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const SIDECAR = `${PATH}.durable`
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 37) % 60)}`
const random = randomFrom(SEED)
const below = (bound: number) => Math.floor(random() * bound)

beforeAll(silenceWarnings)

async function wholeChain(): Promise<MemoryFileSystem> {
	const fs = new MemoryFileSystem()
	for (const last of [40, 80]) {
		const appender = new FileChainAppender(PATH, { fs, rotateRecords: 30 })
		for (let seq = appender.nextSeq; seq <= last; seq++) {
			appender.append(
				record(seq, { message: messageOf(seq), epoch: appender.epoch, data: { seq, list: [1, [2, [3]]] } }),
			)
			if (seq % 3 === 0) await appender.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
	}
	return fs
}

function mutated(bytes: Buffer, other: Buffer): Buffer {
	let result = Buffer.from(bytes)
	for (let changes = 1 + below(4); changes > 0; changes--) {
		const at = below(result.length + 1)
		const length = below(300)
		const [head, tail] = [result.subarray(0, at), result.subarray(Math.min(result.length, at + length))]
		switch (below(7)) {
			case 0:
				if (result.length > 0) result[below(result.length)]! ^= 1 << below(8)
				break
			case 1:
				result = Buffer.concat([head, Buffer.from(Array.from({ length }, () => below(256))), tail])
				break
			case 2:
				result = Buffer.concat([head, tail])
				break
			case 3:
				result = Buffer.concat([
					head,
					result.subarray(below(result.length + 1)).subarray(0, length),
					result.subarray(at),
				])
				break
			case 4:
				result = Buffer.from(head)
				break
			case 5:
				result = Buffer.concat([head, Buffer.alloc(length), tail])
				break
			default:
				result = Buffer.concat([head, other.subarray(at, at + length), tail])
		}
	}
	return result
}

test(`row 9: ${sizeOf('RANDOM_INPUTS')} random and mutated files (seed ${SEED})`, async () => {
	const whole = await wholeChain()
	const other = (await wholeChain()).get(PATH)
	const counts = { files: 0, refused: 0, damaged: 0, whole: 0, repaired: 0 }
	let slowestMs = 0
	for (; counts.files < sizeOf('RANDOM_INPUTS'); counts.files++) {
		const fs = whole.crashPoint('copy').afterKill()
		const paths = fs.paths.filter((path) => path.endsWith('.chain') || (path === SIDECAR && below(4) === 0))
		const path = paths[below(paths.length)]!
		const isRandom = below(10) === 0
		const bytes = isRandom
			? Buffer.from(Array.from({ length: below(900) }, () => below(256)))
			: mutated(fs.get(path), other)
		fs.put(path, bytes)
		if (counts.files % 10 === 0) await compare(`file ${counts.files} (MESH_CHAIN_SEED=${SEED})`, filesIn(fs))
		const begun = cpuMs()
		try {
			const found = await readAll(PATH, fs)
			for (const { kind, seq, message } of found) if (kind !== '$gap') expect(message).toBe(messageOf(seq))
			const { ok } = await verifyChain(PATH, { fs })
			counts[ok ? 'whole' : 'damaged']++
			const chain = await openChain(PATH, { fs })
			const stop = new AbortController()
			const timer = setTimeout(() => stop.abort(), 10)
			let last = 0
			for await (const { seq } of chain.tail({ signal: stop.signal, pollIntervalMs: 1 })) {
				last = seq
				if (last >= (found.at(-1)?.seq ?? 0)) stop.abort()
			}
			clearTimeout(timer)
			await chain.close()
			if (below(2) === 0) {
				const readable = found.filter(({ kind }) => kind !== '$gap').length
				await repairChain(PATH, { fs })
				const after = (await readAll(PATH, fs)).filter(({ kind }) => kind !== '$gap').length
				expect(after).toBe(readable)
				expect((await repairChain(PATH, { fs })).actions).toEqual([])
				counts.repaired++
			}
			const appender = new FileChainAppender(PATH, { fs })
			const { nextSeq } = appender
			appender.append(record(nextSeq, { message: messageOf(nextSeq), epoch: appender.epoch }))
			await appender.close()
			const last2 = (await readAll(PATH, fs)).at(-1)
			expect([last2?.seq, last2?.message]).toEqual([nextSeq, messageOf(nextSeq)])
		} catch (error) {
			if (!(error instanceof MeshChainError)) {
				throw new Error(`file ${counts.files}, ${path} (MESH_CHAIN_SEED=${SEED})`, { cause: error })
			}
			expect(['NOT_A_CHAIN', 'HEADER_DAMAGED', 'CHAIN_EMPTY', 'NEWER_VERSION']).toContain(error.code)
			counts.refused++
		}
		slowestMs = Math.max(slowestMs, cpuMs() - begun)
	}
	expect(counts.damaged).toBeGreaterThan(counts.files / 10)
	tellCounts(9, `random and mutated files (seed ${SEED})`, {
		...counts,
		'slowest, ms': Math.round(slowestMs),
		crashes: 0,
	})
}, 7_200_000)

const FORMS: readonly (readonly [form: LineFormat, line: (seq: number) => string | undefined])[] = [
	[
		recordFormat,
		(seq) => recordFormat.write(record(seq, { data: { big: 5n, at: new Date(seq), list: [1, [2]] } })),
	],
	[eventFormat({ beat: { n: 'number' } }), (seq) => `{"ts":${seq}.5,"ev":"beat","n":${seq}}`],
	[pinoFormat, (seq) => pinoFormat.write(record(seq, { data: { err: { code: 'E' } } }))],
	[otelFormat, (seq) => otelFormat.write(record(seq, { data: { nested: { list: [seq, 'x', 0.5] } } }))],
]

test(`row 9: ${sizeOf('RANDOM_INPUTS')} random and mutated JSON Lines files (seed ${SEED})`, async () => {
	const counts = { files: 0, refused: 0, records: 0, skipped: 0 }
	let slowestMs = 0
	for (; counts.files < sizeOf('RANDOM_INPUTS'); counts.files++) {
		const [format, lineOf] = FORMS[below(FORMS.length)]!
		const text = Array.from({ length: 20 }, (_unused, index) => `${lineOf(index + 1)}\n`).join('')
		const bytes =
			below(10) === 0
				? Buffer.from(Array.from({ length: below(900) }, () => below(256)))
				: mutated(Buffer.from(text), Buffer.from(text.slice(7)))
		const fs = new MemoryFileSystem()
		fs.put('/chains/lines.jsonl', bytes)
		const begun = cpuMs()
		const summary = await importJsonl('/chains/lines.jsonl', PATH, { format, fs }).catch((error) => {
			// No line is a record.
			if (error instanceof MeshChainError && error.code === 'IMPORT_FAILED') return undefined
			throw error
		})
		slowestMs = Math.max(slowestMs, cpuMs() - begun)
		if (summary === undefined) {
			expect(fs.paths).toEqual(['/chains/lines.jsonl'])
			counts.refused++
			continue
		}
		const report = await verifyChain(PATH, { fs })
		expect([report.ok, report.records]).toEqual([true, summary.records])
		const lines = bytes.toString('latin1').split('\n')
		const isLastEmpty = lines.at(-1) === ''
		const skipped = Object.values(summary.skipped).reduce((sum, count) => sum + count, 0)
		// A line of OpenTelemetry contains any number of records. Any other line is one record or is counted.
		const count = lines.length - (isLastEmpty ? 1 : 0)
		if (format !== otelFormat) expect(summary.records + skipped + summary.outOfOrder).toBe(count)
		counts.records += summary.records
		counts.skipped += skipped
	}
	tellCounts(9, 'random and mutated JSON Lines', { ...counts, 'slowest, ms': Math.round(slowestMs) })
	expect(counts.skipped).toBeGreaterThan(0)
	expect(slowestMs).toBeLessThan(5000)
}, 7_200_000)
