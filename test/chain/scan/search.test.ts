/**
 * The search for the next entry after an unreadable place. It finds every entry, whatever the bytes around
 * it, in bounded time.
 */
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ANCHOR_BYTES, decodeAnchor } from '../../../src/chain/format/anchor.ts'
import { StretchChecksums } from '../../../src/chain/format/checksum.ts'
import {
	claimedLength,
	decodeFrame,
	FRAME_BYTES_MAX,
	looksLikeFrame,
} from '../../../src/chain/format/frame.ts'
import { HEADER_BYTES } from '../../../src/chain/format/header.ts'
import { openForReading } from '../../../src/chain/read/open-file.ts'
import { FileChain } from '../../../src/chain/read/reader.ts'
import { identify } from '../../../src/chain/scan/identity.ts'
import { type ScanEntry, Scanner } from '../../../src/chain/scan/scan.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { isGap } from '../../../src/model/record.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { collect, record } from '../../support/records.ts'
import { cpuMs } from '../../support/stalls.ts'

test('checksums of stretches equal those of zlib, in any order of requests', () => {
	const bytes = fc.sample(fc.uint8Array({ minLength: 40_000, maxLength: 40_000 }), {
		numRuns: 1,
		seed: 1,
	})[0]!
	const stretch = fc.record({
		start: fc.nat(39_999),
		length: fc.nat(40_000),
		crc: fc.nat(),
		skip: fc.nat(300),
	})
	fc.assert(
		fc.property(fc.array(stretch, { minLength: 1, maxLength: 20 }), fc.nat(10_000), (stretches, base) => {
			const sums = new StretchChecksums()
			for (const { start, length, crc } of stretches) {
				const end = Math.min(bytes.length, start + length)
				expect(sums.of(bytes, base, start, end, crc)).toBe(crc32(bytes.subarray(start, end), crc))
			}
		}),
		{ numRuns: 300 },
	)
})

/** Bytes made to keep a search busy. */
const head = fc
	.tuple(fc.oneof(fc.constant(FRAME_BYTES_MAX), fc.nat(70_000), fc.nat()), fc.nat(), fc.nat(127))
	.map(([length, crc, flags]) => {
		const bytes = Buffer.from([0x97, 0xce, 0, 0, 0, 0, 0xce, 0, 0, 0, 0, flags])
		bytes.writeUInt32BE(length >>> 0, 2)
		bytes.writeUInt32BE(crc >>> 0, 7)
		return bytes
	})
const anchorHead = fc
	.uint8Array({ maxLength: 300 })
	.map((rest) => Buffer.concat([Buffer.from('\x9f\xa6anchor\xce', 'latin1'), rest]))
const crowd = fc
	.tuple(
		fc.oneof(head, anchorHead, fc.constant(Buffer.from([0x97])), fc.constant(Buffer.from([0x9f, 0xa6]))),
		fc.integer({ min: 1, max: 400 }),
	)
	.map(([bytes, times]) => Buffer.concat(Array<Buffer>(times).fill(bytes)))
const padding = fc
	.array(
		fc.oneof(
			crowd,
			head,
			anchorHead,
			fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
		),
		{ maxLength: 8 },
	)
	.map((parts) => Buffer.concat(parts).subarray(0, 200_000))

interface Entry {
	readonly offset: number
	readonly length: number
	/** Seqs of the records in the entry. */
	readonly seqs: readonly number[]
}

/** Returns every entry, as written. */
function entriesOf(file: Buffer): Entry[] {
	const { idChecksum } = identify(file, 'test')
	const found: Entry[] = []
	for (let offset = HEADER_BYTES; offset < file.length; ) {
		const isFrame = looksLikeFrame(file, offset)
		const length = isFrame ? claimedLength(file, offset)! : ANCHOR_BYTES
		const frame = isFrame ? decodeFrame(file, offset, length, offset, idChecksum) : undefined
		expect(frame ?? decodeAnchor(file, offset, offset, idChecksum)).toBeDefined()
		const seqs = Array.from({ length: frame?.rows ?? 0 }, (_unused, index) => frame!.baseSeq + index)
		found.push({ offset, length, seqs })
		offset += length
	}
	return found
}

test('a flipped bit affects only its own entry, also for a writer after a reboot', async () => {
	await fc.assert(
		fc.asyncProperty(
			fc.array(padding, { minLength: 1, maxLength: 6 }),
			fc.nat(),
			fc.nat(7),
			async (paddings, where, bit) => {
				const system = new MemoryFileSystem()
				const appender = new FileChainAppender('/data/node.chain', { fs: system })
				let seq = 0
				const append = (packet?: Buffer) => {
					appender.append(record(++seq, packet === undefined ? {} : { data: Uint8Array.from(packet) }))
					appender.flush()
				}
				for (const bytes of paddings) {
					append()
					append(bytes)
				}
				for (let more = 0; more < 5; more++) append()
				// Only the beginning was synced, so after a reboot everything else may be the result of a
				// power loss.
				const after = new MemoryFileSystem(2)
				const file = system.get('/data/node.chain')
				const entries = entriesOf(file)
				const hit = entries[where % entries.length]!
				file[hit.offset + (where % hit.length)]! ^= 1 << bit
				const intact = entries.filter((entry) => entry !== hit)
				expect(offsetsFoundIn(file)).toEqual(expect.arrayContaining(intact.map(({ offset }) => offset)))

				after.put('/data/node.chain', file)
				after.put('/data/node.chain.durable', system.get('/data/node.chain.durable'))
				await new FileChainAppender('/data/node.chain', { fs: after, lockWaitMs: 0 }).close()
				const chain = new FileChain(await openForReading('/data/node.chain', after))
				const read = (await collect(chain.records())).filter((found) => !isGap(found))
				await chain.close()
				expect(read.map((found) => found.seq)).toEqual(intact.flatMap(({ seqs }) => seqs))
				await appender.close()
			},
		),
		{ numRuns: 60 },
	)
}, 120_000)

test('a search among heads of the longest frames takes time in proportion to the bytes', () => {
	const longest = Buffer.from([0x97, 0xce, 1, 0, 0, 0, 0xce, 1, 2, 3, 4, 0])
	const heads = Buffer.alloc(20 * 1024 * 1024, longest)
	const started = cpuMs()
	const found = [...scanned(Buffer.concat([Buffer.alloc(HEADER_BYTES), heads]), 1)]
	expect(found).toMatchObject([{ type: 'bad', place: { bytes: heads.length, atEnd: true } }])
	// Separate checksums would cover 10 TB and take an hour. This takes seconds.
	expect(cpuMs() - started).toBeLessThan(60_000)
}, 120_000)

function offsetsFoundIn(file: Buffer): number[] {
	const { idChecksum } = identify(file, 'test')
	const offsets: number[] = []
	for (const entry of scanned(file, idChecksum)) {
		if (entry.type === 'frame') offsets.push(entry.frame.offset)
		else if (entry.type === 'anchor') offsets.push(entry.anchor.offset)
	}
	return offsets
}

function* scanned(file: Buffer, idChecksum: number): Generator<ScanEntry> {
	const scanner = new Scanner(idChecksum, HEADER_BYTES)
	let position = HEADER_BYTES
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type !== 'more') {
			yield step
			continue
		}
		const piece = file.subarray(position, position + Math.max(step.bytes, 64 * 1024))
		position += piece.length
		if (piece.length === 0) scanner.end()
		else scanner.push(piece)
	}
}
