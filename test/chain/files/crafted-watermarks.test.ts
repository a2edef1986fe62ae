/**
 * Anchors and watermarks with valid checksums and the highest possible numbers. A writer that continues after
 * them writes nothing unreadable, acknowledges no missing record, and assigns no seq twice.
 */
import { beforeAll, expect, test } from 'vitest'
import { readWatermark } from '../../../src/chain/files/watermark-file.ts'
import { encodeWatermark } from '../../../src/chain/format/watermark.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { SEQ_MAX } from '../../../src/model/limits.ts'
import { isGap } from '../../../src/model/record.ts'
import { CLOSED, Forge, SPAN } from '../../oracle/format-oracle.mjs'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { readAll } from '../../support/oracle.ts'
import { record } from '../../support/records.ts'
import { silenceWarnings } from '../../support/warnings.ts'

const FOLDER = '/chains'
const PATH = `${FOLDER}/node.chain`

beforeAll(silenceWarnings)

const HIGH = [SEQ_MAX, SEQ_MAX - 1, SEQ_MAX - 3, SEQ_MAX / 2, 1e15, 100_000, 400]

function numbers(): [string, object][] {
	const fields: [string, object][] = []
	for (const high of HIGH) {
		for (const name of ['ordinal', 'durable', 'keptFrom']) fields.push([`${name} ${high}`, { [name]: high }])
		for (let level = 0; level < 5; level++) {
			const counts = [0, 0, 0, 0, 0].map((none, each) => (each === level ? high : none))
			fields.push([`counts ${level} ${high}`, { counts }])
		}
	}
	return fields
}

/** Opens the chain, appends five records one by one, and closes it. */
async function live(fs: MemoryFileSystem, options: object, written: Map<number, string>, life: number) {
	const appender = new FileChainAppender(PATH, { ...options, fs })
	for (let round = 0; round < 5; round++) {
		const { nextSeq: seq, epoch } = appender
		const message = `life ${life}, record ${round}`
		expect(written.has(seq), `seq ${seq} given again`).toBe(false)
		appender.append(record(seq, { epoch, message }))
		await appender.sync()
		written.set(seq, message)
	}
	await appender.close()
}

test('a writer after an anchor with the highest numbers acknowledges only what readers find', async () => {
	for (const options of [{}, { rotateRecords: 2 }, { durability: 'disk' }]) {
		for (const reason of [SPAN, CLOSED]) {
			for (const [name, fields] of numbers()) {
				const what = `${name}, ${JSON.stringify(options)}, reason ${reason}`
				const forge = new Forge()
				forge.frame([{ tsMs: 1, level: 2, message: 'before' }])
				forge.anchor(reason, fields)
				const fs = new MemoryFileSystem()
				for (const file of forge.files()) fs.put(`${FOLDER}/${file.name}`, Buffer.from(file.bytes))
				const { findings: before } = await verifyChain(PATH, { fs })
				const written = new Map([[1, 'before']])
				for (const life of [1, 2]) {
					await live(fs, options, written, life)
					const given = (await readAll(PATH, fs)).filter((each) => !isGap(each))
					expect([what, given.map(({ seq, message }) => [seq, message])]).toEqual([what, [...written]])
					// There are no new findings.
					const { findings } = await verifyChain(PATH, { fs })
					const places = new Set(before.map(({ offset }) => offset))
					const news = findings.filter(({ offset }) => !places.has(offset))
					expect([what, life, news.map(({ message }) => message)]).toEqual([what, life, []])
				}
			}
		}
	}
}, 120_000)

test('a watermark with the highest count is replaced, and then shows what is on disk', async () => {
	for (const counter of [...HIGH, SEQ_MAX - 2]) {
		const fs = new MemoryFileSystem()
		const written = new Map<number, string>()
		await live(fs, {}, written, 0)
		const mark = readWatermark(fs, PATH, undefined)!
		const bytes = Buffer.alloc(174)
		for (const each of [counter - 1, counter]) {
			const slot = encodeWatermark({ ...mark, counter: each })
			slot.bytes.copy(bytes, slot.position)
		}
		fs.put(`${PATH}.durable`, bytes)
		for (const life of [1, 2]) {
			await live(fs, { durability: 'disk' }, written, life)
			expect([counter, readWatermark(fs, PATH, undefined)?.seq]).toEqual([counter, written.size])
		}
	}
})
