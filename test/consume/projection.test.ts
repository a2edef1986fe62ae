/** Projections: a state that follows a chain and survives restarts. */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { project } from '../../src/consume/projection.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { startModule } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

interface Sums {
	readonly count: number
	readonly sum: number
	readonly at: Date
}

const INITIAL: Sums = { count: 0, sum: 0, at: new Date(0) }
const fold = (state: Sums, { seq, tsMs }: { seq: number; tsMs: number }): Sums => ({
	count: state.count + 1,
	sum: state.sum + seq,
	at: new Date(tsMs),
})
const sumTo = (seq: number) => (seq * (seq + 1)) / 2

function write(path: string, count: number): FileChainAppender {
	const appender = new FileChainAppender(path)
	append(appender, count)
	return appender
}

function append(appender: FileChainAppender, count: number): void {
	for (let left = count; left > 0; left--) {
		appender.append(record(appender.nextSeq, { epoch: appender.epoch }))
	}
	appender.flush()
}

async function open(path: string): Promise<Chain> {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return chain
}

const newPath = () => join(temporaryFolder(), 'node.chain')

test('folds existing and new records, and resumes, each record once', async () => {
	const path = newPath()
	const appender = write(path, 50)
	const chain = await open(path)
	const first = project(chain, 'sums', { fold, initial: INITIAL, pollIntervalMs: 5, saveIntervalMs: 10 })
	expect((await first.reached(50)).sum).toBe(sumTo(50))
	append(appender, 10)
	expect(await first.reached(60)).toMatchObject({ count: 60, sum: sumTo(60) })
	await first.close()
	append(appender, 5)
	const seen: number[] = []
	const second = project(chain, 'sums', {
		fold: (state: Sums, each) => {
			seen.push(each.seq)
			return fold(state, each)
		},
		initial: INITIAL,
		pollIntervalMs: 5,
	})
	expect(await second.reached(65)).toMatchObject({
		count: 65,
		sum: sumTo(65),
		at: new Date(1_700_000_000_065),
	})
	expect(seen).toEqual([61, 62, 63, 64, 65])
	await second.close()
	await appender.close()
})

test('a killed projection has folded each record once after a restart', async () => {
	const path = newPath()
	const appender = write(path, 200)
	for (let round = 0; round < 3; round++) {
		const child = startModule(
			`import { openChain } from 'mesh-chain'
			import { project } from 'mesh-chain/consume'
			const chain = await openChain(process.argv.at(-1))
			const p = project(chain, 'sums', {
				fold: (n, { seq }) => n + seq,
				initial: 0,
				saveIntervalRecords: 7,
				pollIntervalMs: 5,
			})
			await p.reached(${200 + round * 100})
			console.log('there')
			setInterval(() => {}, 1000)`,
			[path],
		)
		await new Promise<void>((resolve) => child.stdout!.once('data', () => resolve()))
		append(appender, 100)
		child.kill('SIGKILL')
		await new Promise((resolve) => child.once('close', resolve))
	}
	await using last = project(await open(path), 'sums', {
		fold: (n: number, { seq }) => n + seq,
		initial: 0,
		pollIntervalMs: 5,
	})
	expect(await last.reached(500)).toBe(sumTo(500))
	await appender.close()
})

test('a projection starts again if a power loss took folded records', async () => {
	const path = newPath()
	const appender = write(path, 20)
	await appender.close()
	copyFileSync(path, `${path}.before`)
	const more = write(path, 10)
	await more.close()
	const first = project(await open(path), 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
	await first.reached(30)
	await first.close()
	copyFileSync(`${path}.before`, path)
	rmSync(`${path}.durable`)
	const again = new FileChainAppender(path)
	expect(again.nextSeq).toBe(21)
	again.append(record(21, { epoch: again.epoch + 5 }))
	await again.close()
	const second = project(await open(path), 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
	expect(await second.reached(21)).toMatchObject({ count: 21, sum: sumTo(21) })
	await second.close()
})

describe('a fold', () => {
	test('that throws ends the projection before that record, where the next one resumes', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		onTestFinished(() => void vi.restoreAllMocks())
		const path = newPath()
		await write(path, 10).close()
		const broken = project(await open(path), 'sums', {
			fold: (state: Sums, each) => {
				if (each.seq === 6) throw new Error('no six')
				return fold(state, each)
			},
			initial: INITIAL,
			pollIntervalMs: 5,
			saveIntervalRecords: 1,
		})
		await expect(broken.reached(10)).rejects.toMatchObject({ code: 'CONSUMER_FAILED', seq: 6 })
		await expect(broken.close()).rejects.toMatchObject({ code: 'CONSUMER_FAILED' })
		expect(broken.state.count).toBe(5)
		await using mended = project(await open(path), 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
		expect(await mended.reached(10)).toMatchObject({ count: 10, sum: sumTo(10) })
	})

	test('may be asynchronous, and gets no records of mesh-chain itself; gaps are counted', async () => {
		const path = newPath()
		const appender = write(path, 2)
		appender.append(record(3, { kind: '$checkpoint', data: {} }))
		appender.append(record(7))
		await appender.close()
		const kinds: string[] = []
		await using slow = project(await open(path), 'slow', {
			fold: async (count: number, { kind }) => {
				await new Promise((resolve) => setImmediate(resolve))
				kinds.push(kind)
				return count + 1
			},
			initial: 0,
			pollIntervalMs: 5,
		})
		expect(await slow.reached(7)).toBe(3)
		expect([kinds, slow.absent, slow.seq]).toEqual([['log', 'log', 'log'], 3, 7])
	})
})

test('absent records are counted, also over restarts, until the state starts again', async () => {
	const path = newPath()
	const appender = write(path, 2)
	appender.append(record(7))
	appender.flush()
	const chain = await open(path)
	const seqs = (state: number[], { seq }: { seq: number }) => [...state, seq]
	const first = project(chain, 'seqs', { fold: seqs, initial: [], pollIntervalMs: 5 })
	await first.reached(7)
	await first.close()
	appender.append(record(10))
	await appender.close()
	const second = project(chain, 'seqs', { fold: seqs, initial: [], pollIntervalMs: 5 })
	expect([await second.reached(10), second.absent]).toEqual([[1, 2, 7, 10], 6])
	await second.close()
	rmSync(`${path}.seqs.projection`)
	await using again = project(chain, 'seqs', { fold: seqs, initial: [], pollIntervalMs: 5 })
	expect([await again.reached(10), again.absent]).toEqual([[1, 2, 7, 10], 6])
})

describe('the snapshot of a projection', () => {
	test('belongs to one projection and one chain, and is never trusted when damaged', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		onTestFinished(() => void vi.restoreAllMocks())
		const path = newPath()
		await write(path, 5).close()
		const chain = await open(path)
		const first = project(chain, 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
		expect(() => project(chain, 'sums', { fold, initial: INITIAL })).toThrow(
			expect.objectContaining({ code: 'CURSOR_IN_USE' }),
		)
		await first.reached(5)
		await first.close()
		const file = `${path}.sums.projection`
		const text = readFileSync(file, 'utf8')
		for (const bad of ['', text.slice(0, -3), '5', 'null', text.replace('"seq"', '"sec"')]) {
			writeFileSync(file, bad)
			const damaged = project(chain, 'sums', { fold, initial: INITIAL })
			await expect(damaged.done).rejects.toMatchObject({ code: 'CURSOR_DAMAGED', path: file })
		}
		writeFileSync(file, text.replace(chain.chainId, 'another'))
		await expect(project(chain, 'sums', { fold, initial: INITIAL }).done).rejects.toMatchObject({
			code: 'CURSOR_MISMATCH',
		})
	})

	test('that cannot be saved is reported and retried; otherwise close rejects', async () => {
		const warnings: string[] = []
		vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warnings.push(String(text)))
		onTestFinished(() => void vi.restoreAllMocks())
		const path = newPath()
		const appender = write(path, 5)
		const disk = new FaultyFileSystem()
		const chain = await open(path)
		const failing = project(chain, 'sums', {
			fold,
			initial: INITIAL,
			pollIntervalMs: 5,
			saveIntervalMs: 5,
			fs: disk,
		})
		disk.fail('renameSync', 'EIO')
		await failing.reached(5)
		await vi.waitFor(() => expect(warnings).toHaveLength(1), 30_000)
		disk.heal()
		await vi.waitFor(() => expect(existsSync(`${path}.sums.projection`)).toBe(true), 30_000)
		disk.fail('writeSync', 'ENOSPC')
		append(appender, 1)
		await failing.reached(6)
		await expect(failing.close()).rejects.toMatchObject({ code: 'CURSOR_FAILED' })
		await using next = project(chain, 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
		expect(await next.reached(6)).toMatchObject({ count: 6 })
		await appender.close()
	})
})

test('reached() resolves at once for a record in the snapshot', async () => {
	const path = newPath()
	await write(path, 5).close()
	const chain = await open(path)
	const first = project(chain, 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
	await first.reached(5)
	await first.close()
	await using second = project(chain, 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
	expect(await second.reached(5)).toMatchObject({ count: 5 })
})

test('a state that is not plain data ends the projection; no state is saved during a fold', async () => {
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
	onTestFinished(() => void vi.restoreAllMocks())
	const path = newPath()
	await write(path, 5).close()
	const chain = await open(path)
	const odd = project(chain, 'odd', {
		fold: (map: Map<number, number>, { seq }) => map.set(seq, seq),
		initial: new Map(),
		pollIntervalMs: 5,
	})
	await odd.reached(5)
	await expect(odd.close()).rejects.toMatchObject({ code: 'INVALID_STATE' })
	const state = { begun: 0, done: 0 }
	const slow = project(chain, 'slow', {
		fold: async (same: typeof state) => {
			same.begun++
			await new Promise((resolve) => setTimeout(resolve, 20))
			same.done++
			const file = `${path}.slow.projection`
			if (existsSync(file)) {
				const saved = JSON.parse(readFileSync(file, 'utf8')) as { seq: number; state: typeof state }
				expect(saved.state).toEqual({ begun: saved.seq, done: saved.seq })
			}
			return same
		},
		initial: state,
		pollIntervalMs: 5,
		saveIntervalMs: 1,
	})
	await slow.reached(5)
	await slow.close()
	expect(state).toEqual({ begun: 0, done: 0 })
})

test('reached() rejects at close for a record that has not been folded', async () => {
	const path = newPath()
	await write(path, 2).close()
	const projection = project(await open(path), 'sums', { fold, initial: INITIAL, pollIntervalMs: 5 })
	const waiting = expect(projection.reached(99)).rejects.toMatchObject({ code: 'CONSUMER_FAILED' })
	await projection.reached(2)
	await projection.close()
	await waiting
	await projection.close()
})

test.each([
	['a b', {}],
	['', {}],
	['x', { saveIntervalMs: 0 }],
	['x', { every: 5 }],
] as const)('a name %j with options %j is refused', async (name, options) => {
	const path = newPath()
	await write(path, 1).close()
	const chain = await open(path)
	expect(() => project(chain, name, { fold, initial: INITIAL, ...(options as object) })).toThrow(
		expect.objectContaining({ code: 'INVALID_OPTION' }),
	)
})
