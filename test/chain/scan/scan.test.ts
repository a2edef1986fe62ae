import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { ANCHOR_BYTES } from '../../../src/chain/format/anchor.ts'
import { HEADER_BYTES } from '../../../src/chain/format/header.ts'
import { identify } from '../../../src/chain/scan/identity.ts'
import { type ScanEntry, Scanner } from '../../../src/chain/scan/scan.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { valueEnd } from '../../../src/codec/structure.ts'
import { record } from '../../support/records.ts'

let chain: Buffer
let idChecksum: number

beforeAll(async () => {
	const { mkdtempSync, rmSync } = await import('node:fs')
	const folder = mkdtempSync(join((await import('node:os')).tmpdir(), 'mesh-chain-scan-'))
	const path = join(folder, 'node.chain')
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= 40; seq++) {
		appender.append(record(seq, { data: { text: 'z'.repeat(seq * 5) } }))
		appender.flush()
	}
	await appender.close()
	chain = readFileSync(path)
	idChecksum = identify(chain, 'chain').idChecksum
	return () => rmSync(folder, { recursive: true })
})

function scan(bytes: Buffer, pieceBytes: number): string[] {
	const scanner = new Scanner(idChecksum, HEADER_BYTES)
	const seen: string[] = []
	let pos = HEADER_BYTES
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type !== 'more') seen.push(describeEntry(step))
		else if (pos >= bytes.length) scanner.end()
		else {
			scanner.push(bytes.subarray(pos, pos + pieceBytes))
			pos += pieceBytes
		}
	}
	return seen
}

function describeEntry(entry: ScanEntry): string {
	if (entry.type === 'frame')
		return `frame ${entry.frame.offset} ${entry.frame.length} ${entry.frame.baseSeq}`
	if (entry.type === 'anchor') return `anchor ${entry.anchor.offset} ${entry.anchor.reason}`
	return `bad ${entry.place.offset} ${entry.place.bytes} ${entry.place.torn}`
}

test('the size of the pieces makes no difference, down to one byte', () => {
	const whole = scan(chain, chain.length)
	expect(whole).toHaveLength(42)
	for (const pieceBytes of [1, 2, 7, 188, 4096]) expect(scan(chain, pieceBytes)).toEqual(whole)
	const broken = Buffer.from(chain)
	broken[1000]! ^= 0x40
	broken.fill(0x97, 2000, 2100)
	const found = scan(broken, broken.length)
	expect(found.filter((line) => line.startsWith('bad'))).toHaveLength(2)
	for (const pieceBytes of [1, 3, 64]) expect(scan(broken, pieceBytes)).toEqual(found)
})

test('for any bytes, the scan ends, invents nothing, and covers every byte once', () => {
	const genuine = new Set(scan(chain, chain.length))
	const mutation = fc.array(fc.tuple(fc.nat(chain.length - 1), fc.integer({ min: 0, max: 255 })), {
		maxLength: 30,
	})
	fc.assert(
		fc.property(mutation, fc.nat(chain.length), (changes, cut) => {
			const bytes = Buffer.from(chain.subarray(0, Math.max(HEADER_BYTES, chain.length - (cut % 300))))
			for (const [pos, value] of changes) if (pos >= HEADER_BYTES && pos < bytes.length) bytes[pos] = value
			let expected = HEADER_BYTES
			for (const line of scan(bytes, 997)) {
				const [type, offset, length] = line.split(' ')
				expect(Number(offset)).toBe(expected)
				expected += type === 'anchor' ? ANCHOR_BYTES : Number(length)
				if (type !== 'bad') expect(genuine.has(line)).toBe(true)
			}
			expect(expected).toBe(bytes.length)
		}),
		{ numRuns: 500 },
	)
})

test('bytes that imitate frames take bounded time', () => {
	const hostile = Buffer.alloc(2_000_000)
	for (let pos = 0; pos + 12 < hostile.length; pos += 12) {
		hostile.set([0x97, 0xce, 0, 0x0f, 0x42, 0x40, 0xce, 1, 2, 3, 4, 0x10], pos)
	}
	// Without its budget, the search would checksum a megabyte for every twelve bytes and exceed the time
	// limit.
	expect(scan(hostile, 65_536)).toHaveLength(1)
})

test('the structure walk rejects a count that the bytes cannot hold', () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
			const end = valueEnd(bytes, 0, bytes.length)
			expect(end === -1 || end === -2 || (end > 0 && end <= bytes.length)).toBe(true)
		}),
		{ numRuns: 20_000 },
	)
	expect(valueEnd(Uint8Array.from([0xdd, 0xff, 0xff, 0xff, 0xff, 1]), 0, 6)).toBe(-1)
	expect(valueEnd(new Uint8Array(1_000_000).fill(0x91), 0, 1_000_000)).toBe(-1)
})
