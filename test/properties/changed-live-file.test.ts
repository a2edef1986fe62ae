/**
 * Another process changes a byte in the live file of a running writer. A burst that fills several files then
 * continues from the readable part and from memory. Whatever the byte, no record is lost silently.
 */
import { beforeAll, expect, test } from 'vitest'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { type GapData, isGap } from '../../src/model/record.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 97) % 400)}`

beforeAll(silenceWarnings)

const BOUNDS: readonly FileChainOptions[] = [
	{ rotateRecords: 10 },
	{ rotateBytes: 4096 },
	{ rotateRecords: 10, retain: { bytes: 1_000_000 } },
]

/** Changes one byte of the live file, without the writer. */
function change(fs: MemoryFileSystem, at: number, bit: number): void {
	const byte = Buffer.from([fs.get(PATH)[at]! ^ (1 << bit)])
	const fd = fs.openSync(PATH, 2)
	fs.writeSync(fd, byte, 0, 1, at)
	fs.closeSync(fd)
}

test('with a bit flipped in the live file before a burst, every loss is counted and a gap', async () => {
	const random = randomFrom(SEED)
	let moved = 0
	for (const bounds of BOUNDS) {
		for (const durability of ['os', 'disk'] as const) {
			for (const written of [1, 4, 9]) {
				for (let round = 0; round < 25; round++) {
					const fs = new MemoryFileSystem()
					const appender = new FileChainAppender(PATH, { ...bounds, durability, fs })
					let seq = 0
					const append = () => appender.append(record(++seq, { message: messageOf(seq) }))
					while (seq < written) {
						append()
						appender.flush()
					}
					await appender.sync()
					const size = fs.get(PATH).length
					const at = HEADER_BYTES + Math.floor(random() * (size - HEADER_BYTES))
					const options = JSON.stringify({ ...bounds, durability })
					const what = `${options}, ${written} records, byte ${at} of ${size}`
					change(fs, at, Math.floor(random() * 8))
					while (seq < 60) append()
					await appender.sync().catch((error) => expect(error, what).toMatchObject({ code: 'SYNC_FAILED' }))
					await appender.sync()
					await appender.close()
					const { damagedLost, unsyncedLost, regained } = appender.stats()
					const found = await readAll(PATH, fs)
					const given = found.filter((each) => !isGap(each))
					const gaps = found.filter((each) => isGap(each)).map(({ data }) => data as GapData)
					for (const { seq: each, message } of given) expect([what, message]).toEqual([what, messageOf(each)])
					expect([what, given.at(-1)!.seq, appender.stats().committedSeq]).toEqual([what, 60, 60])
					const absent = gaps.reduce((sum, { count }) => sum + count, 0)
					expect([what, given.length + absent, unsyncedLost]).toEqual([what, 60, 0])
					// All of it was still in memory, so it is in the new file.
					expect([what, absent, damagedLost]).toEqual([what, 0, 0])
					expect(found.map((each) => each.seq)).toEqual(
						Array.from({ length: 60 }, (_each, index) => index + 1),
					)
					moved += regained
				}
			}
		}
	}
	expect(moved).toBeGreaterThan(0)
}, 120_000)
