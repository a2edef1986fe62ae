/**
 * The files of a consumer and of a projection that are removed or replaced while they run: rewritten, or
 * reported.
 */
import { existsSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { consume } from '../../src/consume/consume.ts'
import { project } from '../../src/consume/projection.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

beforeAll(() => void vi.spyOn(process, 'emitWarning').mockImplementation(() => {}))

function append(appender: FileChainAppender, count: number): void {
	for (let left = count; left > 0; left--) appender.append(record(appender.nextSeq))
	appender.flush()
}

async function newChain(count: number) {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	onTestFinished(() => appender.close().catch(() => {}))
	append(appender, count)
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return { appender, chain, cursorPath: `${path}.mailer.cursor`, snapshotPath: `${path}.sums.projection` }
}

/** A consumer, with a function that waits until it gets a seq. */
function consumer(chain: Chain) {
	const handed: number[] = []
	const consumer = consume(chain, 'mailer', ({ seq }) => void handed.push(seq), {
		pollIntervalMs: 5,
		saveIntervalMs: 1,
		saveIntervalRecords: 1,
	})
	onTestFinished(() => consumer.close().catch(() => {}))
	return { consumer, handed, until: (seq: number) => vi.waitUntil(() => handed.at(-1) === seq, 20_000) }
}

/** Waits until a file holds a saved seq. */
const saved = (path: string, seq: number) =>
	vi.waitUntil(() => existsSync(path) && readFileSync(path, 'utf8').includes(`"seq":${seq}`), 20_000)

const CHANGES: Record<string, (path: string) => void> = {
	'the file is removed': (path) => unlinkSync(path),
	'the file is moved away': (path) => renameSync(path, `${path}.elsewhere`),
	'the file is replaced by an empty one': (path) => {
		unlinkSync(path)
		writeFileSync(path, '')
	},
	'the file is replaced by a copy of itself': (path) => {
		const bytes = readFileSync(path)
		renameSync(path, `${path}.elsewhere`)
		writeFileSync(path, bytes)
	},
	'the lock is removed': (path) => unlinkSync(`${path}.lock`),
	'both are removed': (path) => {
		unlinkSync(path)
		unlinkSync(`${path}.lock`)
	},
}

test('a cursor removed or replaced under its consumer is rewritten, and its lock reacquired', async () => {
	for (const [what, change] of Object.entries(CHANGES)) {
		for (const more of [0, 5]) {
			const { appender, chain, cursorPath } = await newChain(5)
			const first = consumer(chain)
			await first.until(5)
			await saved(cursorPath, 5)
			change(cursorPath)
			append(appender, more)
			await first.until(5 + more)
			// With the next save, or at the end.
			if (more > 0) await saved(cursorPath, 5 + more)
			if (more > 0)
				expect([what, existsSync(cursorPath), existsSync(`${cursorPath}.lock`)]).toEqual([what, true, true])
			await first.consumer.close()
			expect([what, existsSync(`${cursorPath}.lock`), first.consumer.stats().saveFailures]).toEqual([
				what,
				false,
				0,
			])
			const second = consumer(chain)
			append(appender, 1)
			await second.until(6 + more)
			expect([what, more, second.handed]).toEqual([what, more, [6 + more]])
			await second.consumer.close()
			await appender.close()
		}
	}
})

test('a consumer that lost its lock to another one stops saving, and reports it', async () => {
	const { appender, chain, cursorPath } = await newChain(5)
	const first = consumer(chain)
	await first.until(5)
	await saved(cursorPath, 5)
	unlinkSync(`${cursorPath}.lock`)
	const second = consumer(chain)
	append(appender, 5)
	await first.until(10)
	await second.until(10)
	await vi.waitUntil(() => first.consumer.stats().saveFailures > 0, 20_000)
	await expect(first.consumer.close()).rejects.toMatchObject({ code: 'CURSOR_IN_USE' })
	await second.consumer.close()
	expect(second.consumer.stats().saveFailures).toBe(0)
})

test('a snapshot removed or replaced under its projection is rewritten, with its lock', async () => {
	for (const [what, change] of Object.entries(CHANGES)) {
		for (const more of [0, 5]) {
			const { appender, chain, snapshotPath } = await newChain(5)
			const options = { pollIntervalMs: 5, saveIntervalMs: 1, saveIntervalRecords: 1 }
			const folded: number[] = []
			const fold = (sum: number, { seq }: { seq: number }) => {
				folded.push(seq)
				return sum + seq
			}
			const first = project(chain, 'sums', { fold, initial: 0, ...options })
			onTestFinished(() => first.close().catch(() => {}))
			await first.reached(5)
			await saved(snapshotPath, 5)
			change(snapshotPath)
			append(appender, more)
			await first.reached(5 + more)
			await first.close()
			expect([what, existsSync(`${snapshotPath}.lock`)]).toEqual([what, false])
			folded.length = 0
			append(appender, 1)
			const second = project(chain, 'sums', { fold, initial: 0, ...options })
			await second.reached(6 + more)
			expect([what, more, folded]).toEqual([what, more, [6 + more]])
			await second.close()
			await appender.close()
		}
	}
})

test('a projection that lost its lock to another one stops saving, and reports it', async () => {
	const { appender, chain, snapshotPath } = await newChain(5)
	const options = { pollIntervalMs: 5, saveIntervalMs: 1, saveIntervalRecords: 1 }
	const first = project(chain, 'sums', { fold: (sum: number, { seq }) => sum + seq, initial: 0, ...options })
	await first.reached(5)
	unlinkSync(`${snapshotPath}.lock`)
	const second = project(chain, 'sums', { fold: (sum: number, { seq }) => sum + seq, initial: 0, ...options })
	append(appender, 5)
	await first.reached(10)
	await expect(first.close()).rejects.toMatchObject({ code: 'CURSOR_IN_USE' })
	await second.reached(10)
	await second.close()
	await appender.close()
})
