import { execFileSync } from 'node:child_process'
import {
	appendFileSync,
	existsSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { formatHead } from '../../../src/chain/verify/head.ts'
import { repairChain } from '../../../src/chain/verify/repair.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../../src/chain/write/file-chain-options.ts'
import type { GapData, LogRecord } from '../../../src/model/record.ts'
import { newChainPath } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { forgeMessage } from '../../support/forge.ts'
import { leaveAsKilled, leaveLock } from '../../support/killed.ts'
import { ROOT } from '../../support/process.ts'
import { collect, record } from '../../support/records.ts'

async function chainOf(count: number, options: FileChainOptions = {}): Promise<string> {
	const path = newChainPath()
	const appender = new FileChainAppender(path, options)
	for (let seq = 1; seq <= count; seq++) {
		appender.append(record(seq, { message: `message ${seq} ${'x'.repeat(200)}` }))
		if (seq % 5 === 0) {
			await appender.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	await appender.close()
	return path
}

async function read(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	const found = await collect(chain.records())
	await chain.close()
	return found
}

function damage(path: string, from: number, bytes = 300): void {
	const content = readFileSync(path)
	writeFileSync(path, content.fill(0xc1, from, Math.min(content.length, from + bytes)))
}

const filesOf = (path: string) =>
	Object.fromEntries(
		readdirSync(dirname(path)).map((name) => [name, readFileSync(join(dirname(path), name), 'latin1')]),
	)

/**
 * Checks that everything is there or in a gap, verify agrees, appending works, and a second repair changes
 * nothing.
 */
async function expectWhole(path: string, lastSeq: number): Promise<{ records: number; lost: number }> {
	const found = await read(path)
	const gaps = found.filter(({ kind }) => kind === '$gap').map(({ data }) => data as GapData)
	const lost = gaps.reduce((sum, { count }) => sum + count, 0)
	expect(found.length - gaps.length + lost).toBe(lastSeq)
	const report = await verifyChain(path)
	expect(report.findings.filter(({ severity }) => severity === 'damage')).toEqual([])
	const before = filesOf(path)
	expect(await repairChain(path)).toMatchObject({ actions: [], ok: true })
	expect(filesOf(path)).toEqual(before)
	const appender = new FileChainAppender(path)
	expect(appender.nextSeq).toBe(lastSeq + 1)
	appender.append(record(lastSeq + 1))
	await appender.close()
	expect((await verifyChain(path)).ok).toBe(true)
	return { records: found.length - gaps.length, lost }
}

test('a repair of a whole chain changes nothing', async () => {
	const path = await chainOf(20)
	const before = filesOf(path)
	expect(await repairChain(path)).toEqual({
		path,
		dryRun: false,
		actions: [],
		left: [],
		leftNotListed: {},
		records: 20,
		ok: true,
		answer: 'ok',
		recordsLost: 0,
	})
	expect(filesOf(path)).toEqual(before)
})

test('a dry run reports the steps and writes nothing', async () => {
	const path = await chainOf(200)
	damage(path, 5000)
	const before = filesOf(path)
	const report = await repairChain(path, { dryRun: true })
	expect(report).toMatchObject({
		dryRun: true,
		ok: false,
		actions: [{ action: 'rebuild', path, keptAt: undefined }],
	})
	expect(report.actions[0]!.lostRecords).toBeGreaterThan(0)
	expect(filesOf(path)).toEqual(before)
})

describe('damage', () => {
	test('in the middle becomes a $gap record; the old file is kept and older heads still hold', async () => {
		const path = await chainOf(1000)
		const head = formatHead({ ...(await verifyChain(path)).head })
		const early = await (async () => {
			const copy = join(dirname(path), 'copy')
			writeFileSync(copy, readFileSync(path).subarray(0, 80_000))
			const found = (await verifyChain(copy)).head
			rmSync(copy)
			return formatHead(found)
		})()
		damage(path, 150_000)
		const damaged = readFileSync(path)
		const report = await repairChain(path)
		expect(report).toMatchObject({ ok: true, left: [] })
		expect(report.actions).toHaveLength(1)
		const [action] = report.actions
		expect(readFileSync(action!.keptAt!)).toEqual(damaged)
		expect(statSync(path).mode & 0o777).toBe(0o600)
		expect((await verifyChain(path, { head: early })).ok).toBe(true)
		expect((await verifyChain(path, { head })).findings.at(-1)).toMatchObject({ kind: 'headMissing' })
		const { lost } = await expectWhole(path, 1000)
		expect(lost).toBe(action!.lostRecords)
		expect(readFileSync(path).subarray(0, 100_000)).toEqual(damaged.subarray(0, 100_000))
	})

	test.each([
		['the header', 0, 102],
		['the header and the first anchor', 0, 400],
		['the first anchor', 102, 263],
		['two places', 3000, 50],
		['the end', 40_000, 5000],
	])('of %s is repaired', async (name, from, bytes) => {
		const path = await chainOf(200)
		damage(path, from, bytes)
		if (name === 'two places') damage(path, 20_000, 700)
		leaveLock(path)
		expect((await verifyChain(path)).ok).toBe(false)
		expect(await repairChain(path)).toMatchObject({ ok: true, left: [] })
		await expectWhole(path, 200)
	})

	test('in a sealed file is repaired without touching the others', async () => {
		const path = await chainOf(300, { rotateBytes: 16_384 })
		const sealed = join(dirname(path), 'node-1.chain')
		damage(sealed, 4000)
		damage(sealed, statSync(sealed).size - 500, 500)
		const before = filesOf(path)
		const report = await repairChain(path)
		expect(report.actions.map(({ path: changed }) => changed)).toEqual([sealed])
		const after = filesOf(path)
		for (const [name, content] of Object.entries(before)) {
			if (name !== 'node-1.chain') expect([name, after[name] === content]).toEqual([name, true])
		}
		await expectWhole(path, 300)
	})

	test('of the header of a sealed file is repaired, and links to the file before it', async () => {
		const path = await chainOf(300, { rotateBytes: 16_384 })
		const names = readdirSync(dirname(path))
			.filter((name) => /^node-\d/.test(name))
			.sort((a, b) => a.length - b.length)
		damage(join(dirname(path), names[1]!), 0, 102)
		expect(await repairChain(path)).toMatchObject({ ok: true })
		expect(await expectWhole(path, 300)).toEqual({ records: 300, lost: 0 })
	})

	test('by truncation is reported as lost: up to the watermark, no seq is assigned again', async () => {
		const path = await chainOf(100)
		truncateSync(path, 9000)
		leaveLock(path)
		expect(await repairChain(path)).toMatchObject({ ok: true, actions: [{ action: 'rebuild' }] })
		const { lost } = await expectWhole(path, 100)
		expect(lost).toBeGreaterThan(30)
	})

	test('of a whole missing file is explained by a gap in the previous file', async () => {
		const path = await chainOf(300, { rotateBytes: 16_384 })
		const names = readdirSync(dirname(path))
			.filter((name) => /^node-\d/.test(name))
			.sort((a, b) => a.length - b.length)
		rmSync(join(dirname(path), names[1]!))
		expect((await verifyChain(path)).findings.map(({ kind }) => kind)).toContain('missingFile')
		expect(await repairChain(path)).toMatchObject({ ok: true })
		const { lost } = await expectWhole(path, 300)
		expect(lost).toBeGreaterThan(10)
	})
})

test('a torn tail is saved and cut', async () => {
	const path = await chainOf(10)
	const whole = readFileSync(path)
	leaveAsKilled(path, whole.subarray(0, whole.length - 100))
	const report = await repairChain(path)
	expect(report).toMatchObject({ ok: true, actions: [{ action: 'cut', bytes: 163 }] })
	expect(readFileSync(report.actions[0]!.keptAt!)).toEqual(
		whole.subarray(whole.length - 263, whole.length - 100),
	)
	expect(readFileSync(path)).toEqual(whole.subarray(0, whole.length - 263))
	await expectWhole(path, 10)
})

test('a deliberate change is left as evidence', async () => {
	const path = await chainOf(10)
	writeFileSync(path, forgeMessage(readFileSync(path), 'message 3', 'massage 3'))
	const before = filesOf(path)
	const report = await repairChain(path)
	expect(report).toMatchObject({ ok: false, actions: [], left: [{ kind: 'brokenLink' }] })
	expect(filesOf(path)).toEqual(before)
})

test('a repair fails with a code if a writer has the chain open or the disk fails', async () => {
	const path = await chainOf(200)
	damage(path, 5000)
	const writer = new FileChainAppender(path)
	const { code } = await repairChain(path).catch((error) => error)
	expect(code).toBe('CHAIN_LOCKED')
	await writer.close()
	const before = readFileSync(path)
	const disk = new FaultyFileSystem()
	disk.fail('linkSync', 'EROFS')
	await expect(repairChain(path, { fs: disk })).rejects.toMatchObject({ code: 'REPAIR_FAILED' })
	expect(readFileSync(path)).toEqual(before)
	expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.tmp'))).toEqual([])
	expect(existsSync(`${path}.lock`)).toBe(false)
})

test('symbolic links are not followed', async () => {
	const path = await chainOf(200)
	damage(path, 5000)
	const link = join(dirname(path), 'link.chain')
	const { symlinkSync } = await import('node:fs')
	symlinkSync(path, link)
	const before = readFileSync(path)
	await expect(repairChain(link)).rejects.toMatchObject({ code: 'REPAIR_FAILED' })
	expect(readFileSync(path)).toEqual(before)
})

test('a repair loses nothing of a writer that ran between analysis and repair', async () => {
	for (const options of ['{}', '{ rotateRecords: 100 }']) {
		const path = newChainPath()
		const appender = new FileChainAppender(path)
		for (let seq = 1; seq <= 20; seq++) appender.append(record(seq))
		await appender.close()
		appendFileSync(path, Buffer.from([0x97, 0xce, 0, 0, 1]))
		leaveLock(path)
		let visits = 0
		await repairChain(path, {
			onProgress: () => {
				if (visits++ > 0) return
				const source = `
					import { FileChainAppender, MeshLoop } from './dist/index.js'
					const loop = new MeshLoop(new FileChainAppender(${JSON.stringify(path)}, ${options}))
					for (let index = 0; index < 500; index++) loop.info('record ' + index)
					await loop.close()
				`
				execFileSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', source], { cwd: ROOT })
			},
		})
		const chain = await openChain(path)
		expect(await collect(chain.records())).toHaveLength(520)
		await chain.close()
		expect((await verifyChain(path)).ok).toBe(true)
	}
})

test('a repaired file keeps its mode', async () => {
	const path = newChainPath()
	const appender = new FileChainAppender(path, { mode: 0o644 })
	for (let seq = 1; seq <= 50; seq++) appender.append(record(seq))
	await appender.close()
	writeFileSync(path, readFileSync(path).fill(0, 500, 600))
	const mode = statSync(path).mode
	expect((await repairChain(path)).ok).toBe(true)
	expect(statSync(path).mode).toBe(mode)
})
