/**
 * Hostile files: their checksums are valid, but their lengths, counts and nesting are false. Reading them is
 * cheap, and verification reports them.
 */
import {
	closeSync,
	openSync,
	readFileSync,
	renameSync,
	statSync,
	truncateSync,
	unlinkSync,
	writeFileSync,
	writeSync,
} from 'node:fs'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { repairChain } from '../../../src/chain/verify/repair.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { newChainPath } from '../../support/chains.ts'
import { tellCounts } from '../../support/counts.ts'
import { type ForgedFrame, forgeChain, forgeFrames } from '../../support/forge.ts'
import { runModule } from '../../support/process.ts'
import { collect, record } from '../../support/records.ts'

const MIB = 1024 * 1024
/** A row of eight columns without its data: level info, everything else nil. */
const ROW_BEFORE_DATA = [0x98, 0x00, 0x02, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0]

function rowWith(data: Uint8Array): Buffer {
	return Buffer.concat([Buffer.from(ROW_BEFORE_DATA), data])
}

function chainFile(bytes: Buffer): string {
	const path = newChainPath()
	writeFileSync(path, bytes)
	return path
}

const u32 = (value: number) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
const filled = (bytes: number, value: number) => new Uint8Array(bytes).fill(value)
const ext = (type: number, bytes: Uint8Array) =>
	Buffer.concat([Buffer.from([0xc9, ...u32(bytes.length), type]), bytes])

/** The bytes of files in which nothing can be read. */
const hostile: Record<string, Buffer> = {
	'arrays nested four million deep': forgeChain(
		rowWith(Buffer.concat([filled(4 * MIB, 0x91), Buffer.from([0xc0])])),
	),
	'arrays nested deeper than by any writer': forgeChain(
		rowWith(Buffer.concat([filled(65, 0x91), Buffer.from([0xc0])])),
	),
	'maps nested half a million deep': forgeChain(
		rowWith(Buffer.concat([Buffer.alloc(MIB, Buffer.from([0x81, 0xa0])), Buffer.from([0xc0])])),
	),
	'an array that claims four billion': forgeChain(rowWith(Buffer.from([0xdd, ...u32(0xffff_ffff), 0xc0]))),
	'a map that claims four billion': forgeChain(rowWith(Buffer.from([0xdf, ...u32(0xffff_ffff), 0xc0]))),
	'a text that claims four gigabytes': forgeChain(rowWith(Buffer.from([0xdb, ...u32(0xffff_ffff), 0x61]))),
	'bytes that claim four gigabytes': forgeChain(rowWith(Buffer.from([0xc6, ...u32(0xffff_ffff), 0x61]))),
	'data of eight megabytes': forgeChain(
		rowWith(Buffer.concat([Buffer.from([0xdd, ...u32(8 * MIB)]), filled(8 * MIB, 0xc0)])),
	),
	'an integer of five megabytes': forgeChain(rowWith(ext(0x42, filled(5 * MIB, 0x7f)))),
	'an unknown extension': forgeChain(rowWith(ext(0x74, filled(64, 1)))),
	'the record extension of msgpackr': forgeChain(
		rowWith(Buffer.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01])),
	),
	'a count of 65,535 for one row': forgeChain(
		Buffer.concat([rowWith(Buffer.from([0xc0])), filled(200_000, 0x01)]),
		65_535,
	),
	'a count of one for two rows': forgeChain(Buffer.from([0x92, 0, 2, 0x92, 0, 2]), 1),
	'a row of nine columns': forgeChain(Buffer.from([0x99, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0])),
	'a gap without range and cause': forgeChain(
		Buffer.from([0x93, 0, 2, 0xa4, ...Buffer.from('$gap')]),
		1,
		0b1_00100,
	),
	'a level that does not exist': forgeChain(Buffer.from([0x92, 0, 9])),
	'a message that is a number': forgeChain(Buffer.from([0x94, 0, 2, 0xc0, 0x07])),
	'a time that is a text': forgeChain(Buffer.from([0x92, 0xa1, 0x61, 2])),
	'ids that are arrays': forgeChain(Buffer.from([0x96, 0, 2, 0xc0, 0xc0, 0x90, 0x90])),
	'an origin without its numbers': forgeChain(
		Buffer.from([0x97, 0, 2, 0xc0, 0xc0, 0xc0, 0xc0, 0x93, 0xa1, 0x61, 0xc0, 0xc0]),
	),
}

describe('a file with valid checksums', () => {
	test.each(Object.entries(hostile))(
		'with %s yields a gap and a finding, and can be repaired',
		async (_name, bytes) => {
			const path = chainFile(bytes)
			const chain = await openChain(path)
			const found = await collect(chain.records())
			await chain.close()
			expect(found.map(({ kind }) => kind)).toEqual(['$gap'])
			await expect(
				openChain(path).then((again) => collect(again.records({ gaps: 'throw' }))),
			).rejects.toMatchObject({
				code: 'CHAIN_GAP',
			})
			expect((await verifyChain(path)).findings).toContainEqual(
				expect.objectContaining({ severity: 'damage' }),
			)
			await repairChain(path)
			expect(await verifyChain(path)).toMatchObject({ ok: true })
		},
	)

	test('takes no more memory than documented, whatever it claims', { timeout: 180_000 }, async () => {
		const worst = {
			...hostile,
			'the maximum number of nils in data': forgeChain(
				rowWith(Buffer.concat([Buffer.from([0xdd, ...u32(4 * MIB - 16)]), filled(4 * MIB - 16, 0xc0)])),
			),
			'the maximum number of keys in data': forgeChain(rowWith(manyKeys())),
			'three rows of empty bytes': forgeFrames([emptyBytes(), emptyBytes()]),
			'the maximum number of empty bytes in one data': forgeFrames([emptyBytes(2 ** 18 - 1)]),
			'a million rows of three bytes without an anchor': forgeFrames(
				Array.from({ length: 18 }, () => ({
					rows: Buffer.alloc(180_000, Buffer.from([0x92, 0, 2])),
					count: 60_000,
				})),
			),
		}
		const source = `
			import { openChain, repairChain, verifyChain } from 'mesh-chain'
			const [, ...paths] = process.argv
			for (const path of paths) {
				const chain = await openChain(path)
				for await (const record of chain.records()) void record
				const last = { toSeq: 9007199254740991, reverse: true, limit: 1 }
				for await (const record of chain.records(last)) void record
				await chain.info()
				await chain.close()
				await verifyChain(path)
				await repairChain(path)
			}
			console.log(process.resourceUsage().maxRSS / 1024)
		`
		const empty = await runModule(source, [chainFile(forgeChain(Buffer.from([0x92, 0, 2])))])
		const { status, stdout, stderr } = await runModule(source, Object.values(worst).map(chainFile), {
			env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=512' },
		})
		expect(status, stderr).toBe(0)
		const mib = Number(stdout) - Number(empty.stdout)
		expect(mib).toBeLessThan(512)
		tellCounts(10, 'hostile files', {
			files: Object.keys(worst).length,
			'peak MiB above an empty chain': Math.ceil(mib),
			limit: 512,
		})
	})

	test('and random bytes as rows causes only coded errors and pollutes nothing', async () => {
		const path = chainFile(Buffer.alloc(0))
		await fc.assert(
			fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.boolean(), async (data, isRow) => {
				writeFileSync(path, forgeChain(isRow ? rowWith(data) : data, 1, 0b11111))
				const chain = await openChain(path)
				for (const { kind, seq } of await collect(chain.records())) {
					expect(typeof kind).toBe('string')
					expect(seq).toBe(1)
				}
				await chain.close()
			}),
			{ numRuns: 3_000 },
		)
		expect(Object.keys(Object.prototype)).toEqual([])
		expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
	})

	test('and data with the key __proto__ leaves every prototype alone', async () => {
		const proto = Buffer.concat([
			Buffer.from([0x81, 0xa9]),
			Buffer.from('__proto__'),
			Buffer.from([0x81, 0xa8]),
			Buffer.from('polluted'),
			Buffer.from([0xc3]),
		])
		const chain = await openChain(chainFile(forgeChain(rowWith(proto))))
		const [found] = await collect(chain.records())
		await chain.close()
		expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
		expect((found?.data as { polluted?: unknown } | undefined)?.polluted).toBeUndefined()
	})
})

/** Rows whose data is an array of empty bytes: every two bytes become an object in memory. */
function emptyBytes(count = 2 * MIB - 32): ForgedFrame {
	const row = rowWith(
		Buffer.concat([Buffer.from([0xdd, ...u32(count)]), Buffer.alloc(2 * count, Buffer.from([0xc4, 0]))]),
	)
	return { rows: Buffer.concat([row, row, row]), count: 3 }
}

/** Returns a map with a million different keys of three bytes. */
function manyKeys(): Buffer {
	const keys = 800_000
	const map = Buffer.alloc(5 + keys * 5)
	map.set([0xdf, ...u32(keys)])
	for (let key = 0; key < keys; key++) {
		const at = 5 + key * 5
		map[at] = 0xa3
		map[at + 1] = 0x21 + (key % 93)
		map[at + 2] = 0x21 + (Math.floor(key / 93) % 93)
		map[at + 3] = 0x21 + (Math.floor(key / 8649) % 93)
		map[at + 4] = 0xc0
	}
	return map
}

describe('a file that changes under a reader', () => {
	const RECORDS = 60_000

	async function chainOf(message: string): Promise<string> {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= RECORDS; seq++)
			appender.append(record(seq, { message: `${message} number ${seq}` }))
		await appender.close()
		return path
	}

	async function readWhile(path: string, change: () => void): Promise<string[]> {
		const chain = await openChain(path)
		onTestFinished(() => chain.close())
		const messages: string[] = []
		for await (const { kind, message } of chain.records()) {
			messages.push(kind === '$gap' ? '$gap' : message)
			if (messages.length === 1) change()
		}
		return messages
	}

	test('by becoming shorter is reported as truncated', async () => {
		const path = await chainOf('mine')
		await expect(readWhile(path, () => truncateSync(path, statSync(path).size >> 1))).rejects.toMatchObject({
			code: 'CHAIN_TRUNCATED',
			path,
			message: expect.stringContaining('became shorter while it was being read'),
		})
	})

	test('by removal or replacement is still read to its end, because the reader has it open', async () => {
		const path = await chainOf('mine')
		expect(await readWhile(path, () => unlinkSync(path))).toHaveLength(RECORDS)
		const other = await chainOf('mine')
		const third = await chainOf('theirs')
		const messages = await readWhile(other, () => renameSync(third, other))
		expect(messages.filter((message) => message.startsWith('mine'))).toHaveLength(RECORDS)
	})

	test('by being overwritten with another chain yields gaps and none of its records', async () => {
		const path = await chainOf('mine')
		const theirs = readFileSync(await chainOf('theirs'))
		const messages = await readWhile(path, () => {
			const fd = openSync(path, 'r+')
			writeSync(fd, theirs)
			closeSync(fd)
		})
		expect(messages).toContain('$gap')
		expect(messages.filter((message) => message.startsWith('theirs'))).toEqual([])
	})
})
