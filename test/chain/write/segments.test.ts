import {
	appendFileSync,
	existsSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { repairChain } from '../../../src/chain/verify/repair.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../../src/chain/write/file-chain-options.ts'
import type { LogRecord } from '../../../src/model/record.ts'
import { newChainPath, nextTurn, range } from '../../support/chains.ts'
import { leaveLock } from '../../support/killed.ts'
import { collect, record } from '../../support/records.ts'

/**
 * Appends records up to `lastSeq`, one per write, with a sync after every `every` records, so that due
 * rotations happen.
 */
async function write(
	path: string,
	lastSeq: number,
	options: FileChainOptions = {},
): Promise<FileChainAppender> {
	const appender = new FileChainAppender(path, options)
	for (let seq = appender.nextSeq; seq <= lastSeq; seq++) {
		appender.append(
			record(seq, {
				message: `message ${seq} ${'x'.repeat(100)}`,
				epoch: appender.epoch,
				level: seq % 10 === 0 ? 'error' : 'info',
				tsMs: 1000 + seq,
			}),
		)
		appender.flush()
		await appender.sync()
		await nextTurn()
	}
	return appender
}

async function writeAndClose(path: string, lastSeq: number, options: FileChainOptions = {}): Promise<void> {
	await (await write(path, lastSeq, options)).close()
}

async function read(path: string, query = {}): Promise<LogRecord[]> {
	const chain = await openChain(path)
	const found = await collect(chain.records(query))
	await chain.close()
	return found
}

const seqs = (records: readonly LogRecord[]) => records.map(({ seq }) => seq)
const sealedFiles = (path: string) =>
	segmentNames(path)
		.map((name) => join(dirname(path), name))
		.sort((a, b) => a.length - b.length || a.localeCompare(b))
const segmentNames = (path: string) => readdirSync(dirname(path)).filter((name) => /^node-\d/.test(name))

describe('rotation', () => {
	test.each([
		['bytes', { rotateBytes: 4096 }],
		['records', { rotateRecords: 30 }],
	])('by %s: the chain with its sealed files is read, sought and verified as one', async (_name, options) => {
		const path = newChainPath()
		await writeAndClose(path, 120, options)
		const names = segmentNames(path)
		expect(names.length).toBeGreaterThanOrEqual(3)
		expect(names).toContain('node-1.chain')
		expect(seqs(await read(path))).toEqual(range(1, 120))
		expect(seqs(await read(path, { reverse: true }))).toEqual(range(1, 120).reverse())
		for (const [fromSeq, toSeq] of [
			[1, 1],
			[29, 31],
			[60, 90],
			[118, 500],
		] as const) {
			expect(seqs(await read(path, { fromSeq, toSeq }))).toEqual(range(fromSeq, Math.min(toSeq, 120)))
			expect(seqs(await read(path, { fromSeq, toSeq, reverse: true, limit: 2 }))).toEqual(
				range(fromSeq, Math.min(toSeq, 120)).reverse().slice(0, 2),
			)
		}
		expect(seqs(await read(path, { level: 'error' }))).toEqual([
			10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120,
		])
		expect(seqs(await read(path, { since: 1055, until: 1066 }))).toEqual(range(55, 66))
		expect(await verifyChain(path)).toMatchObject({ ok: true, records: 120, findings: [] })
		const chain = await openChain(path)
		const info = await chain.info()
		await chain.close()
		expect(info).toMatchObject({
			records: 120,
			firstSeq: 1,
			lastSeq: 120,
			state: 'closed',
			gaps: { count: 0 },
		})
		expect(info.segments.map(({ segment }) => segment)).toEqual(
			names.concat('live').map((_unused, index) => index),
		)
	})

	test('by age happens at the first write after the limit', async () => {
		const path = newChainPath()
		let nowMs = 1_000_000
		const appender = await write(path, 3, { rotateAgeMs: 60_000, clock: () => nowMs })
		expect(appender.stats().segment).toBe(0)
		nowMs += 60_000
		appender.append(record(4))
		await appender.sync()
		await expect.poll(() => appender.stats().segment).toBe(1)
		await appender.close()
		expect(seqs(await read(path))).toEqual([1, 2, 3, 4])
	})

	test('continues across restarts, and an opening with a sealed live file begins the next', async () => {
		const path = newChainPath()
		for (const last of [50, 100, 150]) await writeAndClose(path, last, { rotateRecords: 20 })
		expect(seqs(await read(path))).toEqual(range(1, 150))
		// A crash between the two steps of a rotation leaves both names on the sealed file.
		const last = segmentNames(path)
			.sort((a, b) => Number(a.slice(5, -6)) - Number(b.slice(5, -6)))
			.at(-1)!
		rmSync(path)
		renameSync(join(dirname(path), last), path)
		const before = seqs(await read(path))
		expect(before.length).toBeGreaterThan(100)
		leaveLock(path)
		const appender = new FileChainAppender(path)
		expect(appender.stats()).toMatchObject({
			recovery: { verdict: expect.stringMatching(/sealed|truncated/) },
		})
		await appender.close()
	})

	test('a service whose turn never ends is forced to rotate at twice the size', async () => {
		const path = newChainPath()
		const appender = new FileChainAppender(path, { rotateBytes: 65_536 })
		for (let seq = 1; seq <= 5000; seq++) appender.append(record(seq, { message: 'x'.repeat(100) }))
		expect(appender.stats().rotations).toBeGreaterThan(2)
		await appender.close()
		expect(await read(path)).toHaveLength(5000)
		expect((await verifyChain(path)).findings).toEqual([])
	})

	test('without a live file the sealed files are read, and a writer continues after them', async () => {
		const path = newChainPath()
		await writeAndClose(path, 100, { rotateRecords: 30 })
		rmSync(path)
		const kept = await read(path)
		expect(seqs(kept.filter(({ kind }) => kind !== '$gap'))).toEqual(range(1, kept.at(-1)!.seq))
		const appender = new FileChainAppender(path)
		// The watermark still records what was on disk, so no seq is assigned twice.
		expect(appender.nextSeq).toBe(101)
		appender.append(record(101))
		await appender.close()
		const found = await read(path)
		expect(found.filter(({ kind }) => kind === '$gap')).toMatchObject([
			{ data: { toSeq: 100, cause: 'damaged' } },
		])
		expect((await verifyChain(path)).ok).toBe(false)
	})

	test('a foreign file with the name of a segment is not part of the chain: it stays untouched', async () => {
		const path = newChainPath()
		const other = join(dirname(path), 'node-31.chain')
		await writeAndClose(other, 5)
		const bytes = readFileSync(other)
		await writeAndClose(path, 100, { rotateRecords: 30 })
		expect(seqs(await read(path))).toEqual(range(1, 100))
		expect(readFileSync(other)).toEqual(bytes)
		expect(seqs(await read(other))).toEqual(range(1, 5))
	})

	test('that fails is counted and reported, and the chain continues in its live file', async () => {
		const path = newChainPath()
		const { FaultyFileSystem } = await import('../../support/faulty-file-system.ts')
		const disk = new FaultyFileSystem()
		const appender = new FileChainAppender(path, { rotateRecords: 5, fs: disk })
		disk.fail('linkSync', 'EIO')
		for (let seq = 1; seq <= 20; seq++) {
			appender.append(record(seq))
			await appender.sync()
			await nextTurn()
		}
		expect(appender.stats()).toMatchObject({ rotationFailures: 1, segment: 0, committedSeq: 20 })
		disk.heal()
		await appender.close()
		expect(seqs(await read(path))).toEqual(range(1, 20))
		expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
		expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.tmp'))).toEqual([])
	})
})

describe('retention', () => {
	test('removes whole files from the beginning, and readers see a gap with the cause retained', async () => {
		const path = newChainPath()
		const appender = await write(path, 200, { rotateRecords: 20, retain: { records: 60 } })
		expect(appender.stats().removedFiles).toBeGreaterThan(3)
		await appender.close()
		const found = await read(path)
		expect(found[0]).toMatchObject({ kind: '$gap', data: { fromSeq: 1, cause: 'retained' } })
		const [gap, ...rest] = found
		expect(seqs(rest)).toEqual(range(gap!.seq + 1, 200))
		expect(rest.length).toBeLessThanOrEqual(60)
		expect(rest.length).toBeGreaterThan(20)
		const report = await verifyChain(path)
		expect(report.ok).toBe(true)
		expect(report.findings).toMatchObject([{ kind: 'gap', severity: 'note', fromSeq: 1, toSeq: gap!.seq }])
	})

	test('by age removes strictly older files', async () => {
		const path = newChainPath()
		let nowMs = 1_000_000
		const options = { rotateRecords: 10, retain: { ageMs: 5_000 }, clock: () => nowMs }
		await writeAndClose(path, 10, options)
		const appender = new FileChainAppender(path, options)
		appender.append(record(11))
		await appender.sync()
		await expect.poll(() => appender.stats().segment).toBe(1)
		nowMs += 5_000
		await appender.close()
		await writeAndClose(path, 12, options)
		expect(existsSync(join(dirname(path), 'node-1.chain'))).toBe(true)
		nowMs += 1
		const next = new FileChainAppender(path, options)
		await expect.poll(() => existsSync(join(dirname(path), 'node-1.chain'))).toBe(false)
		await next.close()
		const { removedFiles, removedRecords } = next.stats()
		expect([removedFiles, removedRecords >= 10]).toEqual([1, true])
		const [gap, ...rest] = await read(path)
		expect(gap).toMatchObject({ data: { toSeq: removedRecords, cause: 'retained' } })
		expect(seqs(rest)).toEqual(range(removedRecords + 1, 12))
	})

	test('bounds the bytes of all files together', async () => {
		const path = newChainPath()
		const appender = await write(path, 400, { retain: { bytes: 32_768 } })
		const bytes = () =>
			readdirSync(dirname(path)).reduce(
				(sum, name) => sum + (name.endsWith('.chain') ? readFileSync(join(dirname(path), name)).length : 0),
				0,
			)
		expect(appender.stats().segment).toBeGreaterThan(3)
		expect(bytes()).toBeLessThan(32_768 + 4096)
		await appender.close()
		expect((await read(path)).at(-1)?.seq).toBe(400)
	})

	test('gives a lagging reader a gap in place of removed files', async () => {
		const path = newChainPath()
		const appender = await write(path, 100, { rotateRecords: 10 })
		const chain = await openChain(path)
		const found: LogRecord[] = []
		for await (const each of chain.records()) {
			found.push(each)
			if (each.seq === 1)
				for (const name of segmentNames(path)) if (name !== 'node-1.chain') rmSync(join(dirname(path), name))
		}
		await chain.close()
		await appender.close()
		const gaps = found.filter(({ kind }) => kind === '$gap')
		expect(gaps.length).toBeGreaterThan(0)
		const absent = gaps.reduce((sum, { data }) => sum + (data as { count: number }).count, 0)
		expect(found.length - gaps.length + absent).toBe(100)
	})

	test.each([
		['a rotateBytes above retain.bytes', { rotateBytes: 10_000, retain: { bytes: 5_000 } }],
		['an unknown bound', { retain: { days: 3 } }],
		['a bound of zero', { retain: { bytes: 0 } }],
		['an empty policy', { durability: {} }],
		['an unknown policy', { durability: { everyDay: 1 } }],
		['an unknown rule for damage', { onDamage: 'ignore' }],
		['a wait beyond the range of timers', { lockWaitMs: 2 ** 31 }],
		['a tiny file', { rotateBytes: 100 }],
	])('refuses %s', (_name, options) => {
		expect(() => new FileChainAppender(newChainPath(), options as FileChainOptions)).toThrow(
			expect.objectContaining({ code: 'INVALID_OPTION' }),
		)
	})
})

describe('a tail', () => {
	test('follows rotations without a gap or a repeat', async () => {
		const path = newChainPath()
		const appender = await write(path, 25, { rotateRecords: 10 })
		const chain = await openChain(path)
		const stop = new AbortController()
		const found: number[] = []
		const following = (async () => {
			for await (const { seq } of chain.tail({ signal: stop.signal, pollIntervalMs: 5 })) found.push(seq)
		})()
		for (let seq = 26; seq <= 120; seq++) {
			appender.append(record(seq))
			await appender.sync()
			await nextTurn()
		}
		await expect.poll(() => found.length).toBe(120)
		stop.abort()
		await following
		await chain.close()
		await appender.close()
		expect(found).toEqual(range(1, 120))
		expect(appender.stats().rotations).toBeGreaterThan(8)
	})

	test('from a seq, with durableOnly, follows rotations, too', async () => {
		const path = newChainPath()
		const appender = await write(path, 45, { rotateRecords: 10 })
		const chain = await openChain(path)
		const found: number[] = []
		const following = (async () => {
			for await (const { seq } of chain.tail({
				fromSeq: 13,
				toSeq: 80,
				durableOnly: true,
				pollIntervalMs: 5,
			}))
				found.push(seq)
		})()
		for (let seq = 46; seq <= 90; seq++) {
			appender.append(record(seq))
			await appender.sync()
			await nextTurn()
		}
		await following
		await chain.close()
		await appender.close()
		expect(found).toEqual(range(13, 80))
	})
})

describe('a damaged end', () => {
	async function damaged(): Promise<{ path: string; size: number }> {
		const path = newChainPath()
		await writeAndClose(path, 20)
		const bytes = readFileSync(path)
		bytes.fill(0xc1, bytes.length - 400)
		writeFileSync(path, bytes)
		leaveLock(path)
		return { path, size: bytes.length }
	}

	test('stays unchanged, and the chain continues in a new file after a gap', async () => {
		const { path, size } = await damaged()
		const bytes = readFileSync(path)
		const appender = new FileChainAppender(path)
		expect(appender.stats().recovery).toMatchObject({ verdict: 'damaged', action: 'next' })
		expect(appender.nextSeq).toBe(21)
		appender.append(record(21))
		await appender.close()
		const sealed = join(dirname(path), 'node-1.chain')
		expect(readFileSync(sealed)).toEqual(bytes)
		const found = await read(path)
		expect(found.at(-1)?.seq).toBe(21)
		expect(found.at(-2)).toMatchObject({ kind: '$gap', data: { cause: 'damaged', toSeq: 20 } })
		const { ok, findings } = await verifyChain(path)
		expect(ok).toBe(false)
		expect(findings[0]).toMatchObject({ kind: 'damaged', path: sealed, toSeq: 20 })
		expect(findings[0]!.offset + findings[0]!.bytes).toBe(size)
	})

	test('is refused if so configured, with the next command to run, and nothing changes', async () => {
		const { path } = await damaged()
		const bytes = readFileSync(path)
		expect(() => new FileChainAppender(path, { onDamage: 'refuse' })).toThrow(
			expect.objectContaining({
				code: 'CHAIN_DAMAGED',
				message: expect.stringContaining('mesh-chain verify'),
			}),
		)
		expect(readFileSync(path)).toEqual(bytes)
		expect(segmentNames(path)).toEqual([])
	})

	test('below the watermark is truncated, not torn: no seq is assigned again', async () => {
		const path = newChainPath()
		await writeAndClose(path, 20)
		truncateSync(path, 800)
		leaveLock(path)
		expect((await verifyChain(path)).findings).toMatchObject([
			{ kind: 'truncated', toSeq: 20 },
			{ kind: 'notClosed' },
		])
		const appender = new FileChainAppender(path)
		expect(appender.stats().recovery).toMatchObject({ verdict: 'truncated' })
		expect(appender.nextSeq).toBe(21)
		await appender.close()
	})
})

test('a writer whose chain is taken over by force learns it, and changes only the sealed file', async () => {
	const path = newChainPath()
	const late = await write(path, 10)
	rmSync(`${path}.lock`)
	const next = new FileChainAppender(path)
	expect(next.stats().recovery).toMatchObject({ action: 'next' })
	next.append(record(11, { message: 'of the next' }))
	late.append(record(11, { message: 'of the late' }))
	expect(() => late.flush()).toThrow(expect.objectContaining({ code: 'CHAIN_TAKEN_OVER' }))
	expect(() => late.append(record(12))).toThrow(
		expect.objectContaining({ code: 'CHAIN_TAKEN_OVER', retryable: false }),
	)
	expect(late.stats().strayRecords).toBe(2)
	await expect(late.close()).rejects.toMatchObject({ code: 'CHAIN_TAKEN_OVER' })
	await next.close()
	expect((await read(path)).at(-1)?.message).toBe('of the next')
	expect((await verifyChain(path)).ok).toBe(true)
})

test('records written after the seal are found, counted, and not part of the chain', async () => {
	const path = newChainPath()
	// Time stands still, so the late writer is within the interval in which it does not check again.
	const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now())
	const late = await write(path, 10)
	rmSync(`${path}.lock`)
	const next = new FileChainAppender(path)
	next.append(record(11, { epoch: next.epoch, message: 'of the next' }))
	late.append(record(11, { epoch: late.epoch, message: 'of the late', level: 'error' }))
	now.mockRestore()
	await expect(late.close()).rejects.toMatchObject({ code: 'CHAIN_TAKEN_OVER' })
	await next.close()
	expect(seqs(await read(path))).toEqual(range(1, 11))
	const { ok, findings } = await verifyChain(path)
	expect(ok).toBe(true)
	expect(findings).toMatchObject([{ kind: 'stray', severity: 'loss', fromSeq: 11, toSeq: 11 }])
})

test('removal or replacement of the live file loses nothing: its content gets a new name', async () => {
	for (const replacement of [undefined, 'somebody saved an edited copy']) {
		const path = newChainPath()
		const appender = await write(path, 10)
		rmSync(path)
		if (replacement !== undefined) writeFileSync(path, replacement)
		for (let seq = 11; seq <= 20; seq++) appender.append(record(seq))
		await appender.sync()
		expect(appender.stats()).toMatchObject({ regained: 1, durableSeq: 20 })
		await appender.close()
		expect(seqs(await read(path))).toEqual(range(1, 20))
		expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
		const aside = readdirSync(dirname(path)).filter((name) => name.includes('.replaced-'))
		expect(aside).toHaveLength(replacement === undefined ? 0 : 1)
	}
})

describe('other chains in the same folder', () => {
	const workerPath = (path: string, pid: number) => path.replace('node.chain', `node-${pid}.chain`)

	test.each([1, 4711])(
		'a chain whose name ends in a number, %i, is separate, open or closed',
		async (pid) => {
			const path = newChainPath()
			const worker = await write(workerPath(path, pid), 30)
			const main = await write(path, 40, { rotateRecords: 10, retain: { records: 20 } })
			expect(main.chainId).not.toBe(worker.chainId)
			await main.close()
			for (let seq = 31; seq <= 40; seq++) worker.append(record(seq))
			await worker.close()
			expect(seqs(await read(workerPath(path, pid)))).toEqual(range(1, 40))
			expect((await verifyChain(workerPath(path, pid))).findings).toEqual([])
			const again = new FileChainAppender(path)
			expect(again.nextSeq).toBe(41)
			await again.close()
			expect((await verifyChain(path)).ok).toBe(true)
		},
	)

	test('a copy of another chain is not taken over because of its name', async () => {
		const path = newChainPath()
		const other = await write(workerPath(path, 4711), 5)
		await other.close()
		rmSync(`${workerPath(path, 4711)}.durable`)
		const main = new FileChainAppender(path)
		expect([main.nextSeq, main.chainId === other.chainId]).toEqual([1, false])
		await main.close()
	})

	test('without a live file, a writer continues its own chain, whatever else is in the folder', async () => {
		const path = newChainPath()
		const main = await write(path, 40, { rotateRecords: 10 })
		await main.close()
		await (await write(workerPath(path, 9999), 5)).close()
		rmSync(path)
		const { ok, findings } = await verifyChain(path)
		expect(ok).toBe(false)
		expect(findings.map(({ kind }) => kind)).toContain('missingFile')
		const next = new FileChainAppender(path)
		expect([next.chainId, next.nextSeq]).toEqual([main.chainId, 41])
		await next.close()
	})
})

test('a sealed file alone cannot be written or repaired, and is verified as a part', async () => {
	const path = newChainPath()
	const main = await write(path, 40, { rotateRecords: 10 })
	await main.close()
	const sealed = sealedFiles(path)[1]!
	expect(() => new FileChainAppender(sealed)).toThrow(
		expect.objectContaining({ code: 'CHAIN_SEALED', message: expect.stringContaining(basename(path)) }),
	)
	expect(await verifyChain(sealed)).toMatchObject({ ok: true, findings: [] })
	const bytes = readFileSync(sealed)
	writeFileSync(sealed, bytes.fill(0, 500, 600))
	await expect(repairChain(sealed)).rejects.toMatchObject({ code: 'CHAIN_SEALED' })
	expect((await repairChain(path)).ok).toBe(true)
})

test('a sealed file without its header and first anchor is still recognised', async () => {
	const path = newChainPath()
	await (await write(path, 3000, { rotateRecords: 1000 })).close()
	const sealed = sealedFiles(path)[1]!
	writeFileSync(sealed, readFileSync(sealed).fill(0, 0, 400))
	const { ok, findings } = await verifyChain(path)
	expect(ok).toBe(false)
	for (const each of findings) expect(each.path).toBe(sealed)
	const found = await read(path)
	const lost = findings.find(({ fromSeq }) => fromSeq !== undefined)!
	expect(lost.fromSeq).toBe(1001)
	expect(found.filter(({ kind }) => kind !== '$gap')).toHaveLength(3000 - (lost.toSeq! - lost.fromSeq! + 1))
	expect((await repairChain(path)).ok).toBe(true)
	expect(seqs(await read(path, { fromSeq: 2001 }))).toEqual(range(2001, 3000))
})

test('bytes appended to a sealed file are reported as such', async () => {
	const path = newChainPath()
	await (await write(path, 40, { rotateRecords: 10 })).close()
	appendFileSync(sealedFiles(path)[0]!, Buffer.alloc(500, 0x5a))
	const { ok, findings } = await verifyChain(path)
	expect([ok, findings]).toEqual([
		true,
		[expect.objectContaining({ kind: 'stray', severity: 'note', bytes: 500 })],
	])
})

test('a truncated sealed file is reported as truncated, not as tampering', async () => {
	const path = newChainPath()
	await (await write(path, 400, { rotateRecords: 100 })).close()
	truncateSync(sealedFiles(path)[1]!, 2000)
	const { ok, findings } = await verifyChain(path)
	expect(ok).toBe(false)
	expect(findings.map(({ kind }) => kind)).not.toContain('wrongAnchor')
	for (const { path: file, offset } of findings) expect(offset).toBeLessThanOrEqual(statSync(file).size)
	expect((await repairChain(path)).ok).toBe(true)
	expect((await repairChain(path)).actions).toEqual([])
})

test('a due rotation with many records in one turn creates one file, not two', async () => {
	const path = newChainPath()
	const appender = new FileChainAppender(path, { rotateRecords: 10 })
	for (let seq = 1; seq <= 25; seq++) appender.append(record(seq))
	await expect.poll(() => appender.stats().rotations).toBe(1)
	await appender.sync()
	expect(appender.stats()).toMatchObject({ rotations: 1, segment: 1 })
	await appender.close()
})
