/**
 * RELIABILITY, rows 2, 3, 4, 11 and 14: a file cut at every byte, with every bit flipped, with every sector
 * replaced, with bytes of itself in its records, or changed deliberately.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VerifyFinding } from '../../src/chain/chain.ts'
import { ANCHOR_BYTES } from '../../src/chain/format/anchor.ts'
import { HEADER_BYTES } from '../../src/chain/format/header.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { identify } from '../../src/chain/scan/identity.ts'
import { Scanner } from '../../src/chain/scan/scan.ts'
import { formatHead } from '../../src/chain/verify/head.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import type { GapData } from '../../src/model/record.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { forgeMessage, relink } from '../support/forge.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { checkRecords, checkRecovery, readAll } from '../support/oracle.ts'
import { record } from '../support/records.ts'
import { silenceWarnings } from '../support/warnings.ts'

const PATH = '/chains/node.chain'
const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 37) % 120)}`

interface Entry {
	readonly offset: number
	readonly end: number
	/** First seq in the entry; the range is empty for an anchor. */
	readonly fromSeq: number
	readonly toSeq: number
}

interface Whole {
	readonly bytes: Buffer
	readonly entries: readonly Entry[]
	readonly lastSeq: number
}

beforeAll(silenceWarnings)

async function write(
	fs: MemoryFileSystem,
	bytesMin: number,
	options: FileChainOptions = {},
): Promise<number> {
	const appender = new FileChainAppender(PATH, { ...options, fs })
	let seq = appender.nextSeq
	for (let bytes = 0; bytes < bytesMin; ) {
		const before = appender.stats().bytes
		for (let index = seq % 4; index >= 0; index--, seq++) {
			appender.append(record(seq, { message: messageOf(seq), epoch: appender.epoch, tsMs: 1000 + seq }))
		}
		appender.flush()
		bytes += Math.max(0, appender.stats().bytes - before)
		await new Promise((resolve) => setImmediate(resolve))
	}
	await appender.close()
	return seq - 1
}

async function wholeChain(bytesMin: number): Promise<Whole> {
	const fs = new MemoryFileSystem()
	const lastSeq = await write(fs, bytesMin)
	const bytes = fs.get(PATH)
	const entries: Entry[] = []
	const scanner = new Scanner(identify(bytes, PATH).idChecksum, HEADER_BYTES)
	scanner.push(bytes.subarray(HEADER_BYTES))
	scanner.end()
	for (let step = scanner.next(); step.type !== 'end'; step = scanner.next()) {
		if (step.type === 'frame') {
			const { offset, length, baseSeq, rows } = step.frame
			entries.push({ offset, end: offset + length, fromSeq: baseSeq, toSeq: baseSeq + rows - 1 })
		} else if (step.type === 'anchor') {
			const { offset } = step.anchor
			entries.push({ offset, end: offset + ANCHOR_BYTES, fromSeq: 1, toSeq: 0 })
		} else expect.fail('a whole chain has no bad place')
	}
	return { bytes, entries, lastSeq }
}

/** Returns a machine with this file and no watermark, booted again since the file was written or not. */
function diskWith(bytes: Uint8Array, boot = 1): MemoryFileSystem {
	const fs = new MemoryFileSystem(boot)
	fs.put(PATH, bytes)
	return fs
}

const worst = (findings: readonly VerifyFinding[]) => findings.find(({ severity }) => severity === 'damage')

test('row 2: a cut at any byte leaves the longest prefix of whole frames and a torn tail', async () => {
	const { bytes, entries } = await wholeChain(64 * 1024)
	const step = sizeOf('CUT_STEP')
	let cuts = 0
	let torn = 0
	const places = new Set(entries.flatMap(({ offset }) => [offset - 1, offset, offset + 1, offset + 11]))
	for (let cut = HEADER_BYTES; cut < bytes.length; cut++) {
		if (cut % step !== 0 && !(places.has(cut) && cut % 7 === 0)) continue
		cuts++
		const fs = diskWith(bytes.subarray(0, cut))
		const whole = entries.filter(({ end }) => end <= cut)
		const lastSeq = Math.max(0, ...whole.map(({ toSeq }) => toSeq))
		const end = whole.at(-1)?.end ?? HEADER_BYTES
		const { ok, records, findings } = await verifyChain(PATH, { fs })
		expect([cut, ok, records]).toEqual([cut, true, lastSeq])
		const tail = findings.filter(({ kind }) => kind === 'tornTail')
		expect(tail.map(({ offset, bytes: length }) => [offset, length])).toEqual(
			cut > end ? [[end, cut - end]] : [],
		)
		torn += tail.length
		expect((await readAll(PATH, fs)).map(({ seq }) => seq)).toEqual(
			Array.from({ length: lastSeq }, (_unused, index) => index + 1),
		)
	}
	tellCounts(2, 'cut at every byte', { cuts, 'torn tails': torn, 'wrong prefixes': 0 })
}, 7_200_000)

test('row 3: every flipped bit is detected and located, and affects only its own frame', async () => {
	const { bytes, entries, lastSeq } = await wholeChain(16 * 1024)
	const step = sizeOf('FLIP_STEP')
	let flips = 0
	for (let bit = 0; bit < bytes.length * 8; bit += step) {
		flips++
		const at = bit >> 3
		const flipped = Buffer.from(bytes)
		flipped[at]! ^= 1 << (bit & 7)
		const fs = diskWith(flipped)
		const { ok, findings } = await verifyChain(PATH, { fs })
		const found = worst(findings)
		expect([bit, ok]).toEqual([bit, false])
		const hit = entries.find(({ offset, end }) => at >= offset && at < end)
		expect([bit, found?.offset]).toEqual([bit, hit?.offset ?? 0])
		if (hit !== undefined && hit.toSeq > 0)
			expect([found?.fromSeq, found?.toSeq]).toEqual([hit.fromSeq, hit.toSeq])
		const seen = await readAll(PATH, fs)
		const lost = hit === undefined ? 0 : hit.toSeq - hit.fromSeq + 1
		expect([bit, seen.filter(({ kind }) => kind !== '$gap').length]).toEqual([bit, lastSeq - lost])
	}
	tellCounts(3, 'every bit flipped', {
		flips,
		undetected: 0,
		'wrongly located': 0,
		'records lost elsewhere': 0,
	})
}, 7_200_000)

test('row 4: every zeroed, garbage or stale sector is detected, and the rest stays readable', async () => {
	const { bytes, entries, lastSeq } = await wholeChain(64 * 1024)
	const other = (await wholeChain(64 * 1024)).bytes
	const garbage = Buffer.from(Array.from({ length: 4096 }, (_unused, index) => (index * 167 + 13) & 0xff))
	let sectors = 0
	for (const size of [512, 4096]) {
		for (let start = 0; start < bytes.length; start += size) {
			// Old content of a sector: bytes of another file, or its own beginning and nothing after it.
			const older = Buffer.alloc(size)
			bytes.copy(older, 0, start, start + (size >> 2))
			for (const stale of [
				Buffer.alloc(size),
				garbage,
				older,
				...(start === 0 ? [] : [other.subarray(start)]),
			]) {
				sectors++
				const end = Math.min(bytes.length, start + size)
				const changed = Buffer.from(bytes)
				stale.copy(changed, start, 0, end - start)
				if (changed.equals(bytes)) continue
				const fs = diskWith(changed)
				const { ok, findings } = await verifyChain(PATH, { fs })
				expect([start, size, ok]).toEqual([start, size, false])
				expect(worst(findings)?.kind).toMatch(/damaged|ambiguous/)
				const seen = (await readAll(PATH, fs)).filter(({ kind }) => kind !== '$gap')
				const hit = entries.filter((entry) => entry.offset < end && entry.end > start)
				const lost = hit.reduce((sum, { fromSeq, toSeq }) => sum + toSeq - fromSeq + 1, 0)
				expect(seen.length, `sector ${start} of ${size}`).toBeGreaterThanOrEqual(lastSeq - lost)
			}
		}
	}
	tellCounts(4, 'every sector replaced', { sectors, undetected: 0, 'records lost elsewhere': 0 })
}, 600_000)

test('row 11: bytes of the chain within one of its records are never mistaken for frames', async () => {
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs })
	for (let seq = 1; seq <= 60; seq++) {
		const bytes = Uint8Array.from(fs.get(PATH).subarray(-8000))
		appender.append(
			record(seq, { message: messageOf(seq), data: { bytes, text: Buffer.from(bytes).toString('latin1') } }),
		)
		appender.flush()
	}
	await appender.close()
	const bytes = fs.get(PATH)
	let damaged = 0
	for (let at = 0; at < bytes.length; at += 9973) {
		damaged++
		const copy = Buffer.from(bytes)
		copy.fill(0xff, at, at + 20)
		const changed = diskWith(copy)
		const found = await readAll(PATH, changed)
		checkRecords(found, { acknowledged: 0, published: 60, fs: changed, messageOf })
		const real = found.filter(({ kind }) => kind !== '$gap')
		expect(real.length).toBeGreaterThanOrEqual(58)
	}
	tellCounts(11, 'bytes of the chain in its records', { 'damaged places': damaged, 'false frames': 0 })
})

describe('row 14: deliberate changes', () => {
	/** Changes to a chain, and whether verify or a head stored elsewhere revealed them. */
	const told: Record<string, string> = {}
	afterAll(() => tellCounts(14, 'deliberate changes', told))

	async function chain() {
		const fs = new MemoryFileSystem()
		const lastSeq = await write(fs, 20_000, { rotateBytes: 8192 })
		const report = await verifyChain(PATH, { fs })
		expect(report.ok).toBe(true)
		return { fs, lastSeq, head: formatHead(report.head) }
	}
	const sealed = (fs: MemoryFileSystem) =>
		fs.paths.filter((path) => /node-\d/.test(path)).sort((a, b) => a.length - b.length || a.localeCompare(b))

	test('an edited record with a new checksum is found by its link, also in a sealed file', async () => {
		const { fs } = await chain()
		const path = sealed(fs)[0] ?? PATH
		fs.put(path, forgeMessage(fs.get(path), 'message 7 ', 'massage 7 '))
		const { ok, findings } = await verifyChain(PATH, { fs })
		expect([ok, worst(findings)?.kind, worst(findings)?.path]).toEqual([false, 'brokenLink', path])
		told['edited'] = 'brokenLink'
	})

	test('an edit with all links of the file recomputed fits no next file and no stored head', async () => {
		const { fs, head } = await chain()
		const [path] = sealed(fs)
		if (path !== undefined) {
			fs.put(path, relink(forgeMessage(fs.get(path), 'message 7 ', 'massage 7 ')))
			expect(worst((await verifyChain(PATH, { fs })).findings)).toMatchObject({
				kind: 'brokenLink',
				offset: 0,
			})
			told['a rewritten sealed file'] = 'brokenLink'
		}
		const live = fs.get(PATH)
		const [, seq] = /message (\d+) /.exec(live.toString('latin1')) ?? []
		const other = await chain()
		const forged = other.fs.get(PATH)
		other.fs.put(PATH, relink(forgeMessage(forged, `message ${seq} `, `massage ${seq} `)))
		// In the live file alone nothing reveals it (docs/guarantees/integrity.md); only a head stored
		// elsewhere does.
		expect((await verifyChain(PATH, { fs: other.fs })).ok).toBe(true)
		const { findings } = await verifyChain(PATH, { fs: other.fs, head: other.head })
		expect(findings.at(-1)).toMatchObject({ kind: 'headMissing', severity: 'damage' })
		expect(head).not.toBe(other.head)
		told['a rewritten live file'] = 'detected only by a stored head'
	})

	test('deleted, duplicated and swapped frames are found', async () => {
		const { bytes, entries } = await wholeChain(4000)
		const frames = entries.filter(({ toSeq }) => toSeq > 0)
		const [a, b] = [frames[3]!, frames[4]!]
		const part = ({ offset, end }: Entry) => bytes.subarray(offset, end)
		const changes = {
			deleted: [bytes.subarray(0, a.offset), bytes.subarray(a.end)],
			doubled: [bytes.subarray(0, a.end), part(a), bytes.subarray(a.end)],
			swapped: [bytes.subarray(0, a.offset), part(b), part(a), bytes.subarray(b.end)],
		}
		for (const [name, parts] of Object.entries(changes)) {
			const fs = diskWith(Buffer.concat(parts))
			const { ok, findings } = await verifyChain(PATH, { fs })
			expect([name, ok]).toEqual([name, false])
			told[`a frame ${name}`] = worst(findings)!.kind
			checkRecords(await readAll(PATH, fs), { acknowledged: 0, published: 1000, fs, messageOf })
		}
	})

	test('a frame of another chain or of another file of the same chain is refused', async () => {
		const { fs } = await chain()
		const [path] = sealed(fs)
		const from = fs.get(path!)
		const to = fs.get(PATH)
		from.copy(to, HEADER_BYTES, HEADER_BYTES, Math.min(from.length, to.length))
		fs.put(PATH, to)
		const { ok, findings } = await verifyChain(PATH, { fs })
		expect(ok).toBe(false)
		told['spliced'] = worst(findings)!.kind
	})

	test('a truncation at an anchor is found by the watermark, otherwise only by a stored head', async () => {
		const { bytes, entries } = await wholeChain(70_000)
		const anchor = entries.findLast(({ toSeq, end }) => toSeq === 0 && end < bytes.length)!
		const fs = new MemoryFileSystem()
		const lastSeq = await write(fs, 70_000)
		const head = formatHead((await verifyChain(PATH, { fs })).head)
		const mine = fs.get(PATH)
		fs.put(PATH, mine.subarray(0, anchor.end))
		const { findings } = await verifyChain(PATH, { fs })
		expect(worst(findings)).toMatchObject({ kind: 'truncated', toSeq: lastSeq })
		const alone = diskWith(mine.subarray(0, anchor.end))
		expect((await verifyChain(PATH, { fs: alone })).ok).toBe(true)
		expect(worst((await verifyChain(PATH, { fs: alone, head })).findings)).toMatchObject({
			kind: 'headMissing',
			toSeq: lastSeq,
		})
		told['cut at an anchor'] = 'truncated, detected only by a stored head without the watermark'
	})

	test('an older copy in place of the live file is found by the watermark', async () => {
		const fs = new MemoryFileSystem()
		await write(fs, 2000)
		const old = fs.get(PATH)
		const lastSeq = await write(fs, 9000)
		fs.put(PATH, old)
		expect(worst((await verifyChain(PATH, { fs })).findings)).toMatchObject({
			kind: 'truncated',
			toSeq: lastSeq,
		})
		const appender = new FileChainAppender(PATH, { fs })
		expect(appender.nextSeq).toBe(lastSeq + 1)
		await appender.close()
		const gaps = (await readAll(PATH, fs)).filter(({ kind }) => kind === '$gap')
		expect((gaps[0]!.data as GapData).toSeq).toBe(lastSeq)
		told['rolled back'] = 'truncated'
	})
})

test('after any damage, the next writer recovers the chain and continues', async () => {
	const { bytes, lastSeq } = await wholeChain(9000)
	for (let at = 0; at < bytes.length; at += 173) {
		const copy = Buffer.from(bytes)
		copy.fill(0, at, at + 90)
		const fs = diskWith(copy)
		await checkRecovery(PATH, { acknowledged: 0, published: lastSeq, fs, messageOf, allowsDamage: true })
	}
	const chain = await openChain(PATH, { fs: diskWith(bytes) })
	await chain.close()
})
