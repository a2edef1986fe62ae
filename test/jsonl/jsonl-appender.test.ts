/** The JSON Lines appender, on files that earlier writers left in various states, and on disks that fail. */
import { appendFileSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { eventFormat } from '../../src/jsonl/event-format.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const newPath = () => join(temporaryFolder(), 'node.jsonl')
const linesIn = (path: string) => readFileSync(path, 'utf8').split('\n')

describe('a file', () => {
	test('is readable by its owner only, and has each line when append returns', async () => {
		const path = newPath()
		const appender = new JsonlAppender(path)
		appender.append(record(1))
		expect(linesIn(path)).toHaveLength(2)
		expect(statSync(path).mode & 0o777).toBe(0o600)
		await appender.close()
	})

	test('continues where it ended, with any number of writers', async () => {
		const path = newPath()
		for (let run = 1; run <= 3; run++) {
			const loop = new MeshLoop(new JsonlAppender(path))
			loop.info(`run ${run}`)
			loop.info('more')
			await loop.close()
		}
		const records = await collect(readJsonl(path))
		expect(records.map(({ seq, epoch }) => [seq, epoch])).toEqual([
			[1, 1],
			[2, 1],
			[3, 2],
			[4, 2],
			[5, 3],
			[6, 3],
		])
	})

	test('that ends in long lines without records still yields its last seq', () => {
		const path = newPath()
		new JsonlAppender(path).append(record(41, { epoch: 6 }))
		appendFileSync(path, `${'x'.repeat(200_000)}\n# the end\n`)
		expect(new JsonlAppender(path)).toMatchObject({ nextSeq: 42, epoch: 7 })
	})

	test('that ends within a line never joins two lines, wherever it is cut', async () => {
		const path = newPath()
		const first = new JsonlAppender(path)
		first.append(record(1))
		first.append(record(2))
		await first.close()
		const whole = readFileSync(path)
		const start = whole.indexOf('\n') + 1
		for (let length = start + 1; length < whole.length; length++) {
			writeFileSync(path, whole)
			truncateSync(path, length)
			const appender = new JsonlAppender(path)
			expect(appender.stats().foundTorn).toBe(true)
			appender.append(record(appender.nextSeq, { message: 'after' }))
			await appender.close()
			const lines = readJsonl(path)
			const messages = (await collect(lines)).map(({ message }) => message)
			const isComplete = length === whole.length - 1
			expect(messages).toEqual(['message 1', ...(isComplete ? ['message 2'] : []), 'after'])
			expect(lines.skipped.notJson).toBe(isComplete ? 0 : 1)
		}
	})

	test('that is a chain is refused and left unchanged', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await new FileChainAppender(path).close()
		const before = readFileSync(path)
		expect(() => new JsonlAppender(path)).toThrow(
			expect.objectContaining({ code: 'FILE_UNWRITABLE', message: expect.stringContaining('is a chain') }),
		)
		expect(readFileSync(path)).toEqual(before)
	})

	test('that cannot be opened is named, with the reason', () => {
		const folder = temporaryFolder()
		symlinkSync('elsewhere', join(folder, 'link.jsonl'))
		for (const path of [folder, join(folder, 'no', 'x.jsonl'), join(folder, 'link.jsonl')]) {
			expect(() => new JsonlAppender(path)).toThrow(
				expect.objectContaining({ code: 'FILE_UNWRITABLE', path }),
			)
		}
	})
})

describe('a disk that fails', () => {
	test('leaves no partial line, and later accepts the line that failed', async () => {
		const path = newPath()
		const disk = new FaultyFileSystem()
		const loop = new MeshLoop(new JsonlAppender(path, { fs: disk }))
		loop.info('before')
		disk.failWrites('ENOSPC')
		loop.info('meanwhile')
		expect(loop.stats().appender.pending).toBe(1)
		expect(readFileSync(path, 'utf8').endsWith('}\n')).toBe(true)
		disk.heal()
		loop.info('after')
		await loop.close()
		expect((await collect(readJsonl(path))).map(({ message }) => message)).toEqual([
			'before',
			'meanwhile',
			'after',
		])
	})

	test('that cannot blank out a partial line leaves it torn, and the next line is whole', async () => {
		const path = newPath()
		const disk = new FaultyFileSystem()
		const appender = new JsonlAppender(path, { fs: disk })
		appender.append(record(1))
		disk.roomBytes = 10
		expect(() => appender.append(record(2))).toThrow(expect.objectContaining({ retryable: true, seq: 2 }))
		disk.heal()
		appender.append(record(2))
		await appender.close()
		const lines = readJsonl(path)
		expect((await collect(lines)).map(({ seq }) => seq)).toEqual([1, 2])
		expect(lines.skipped.notJson).toBe(1)
	})

	test('reports a failed sync', async () => {
		const disk = new FaultyFileSystem()
		const appender = new JsonlAppender(newPath(), { fs: disk })
		disk.fail('fdatasync', 'EIO')
		await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED' })
	})
})

test('records that the format cannot represent are counted', async () => {
	const path = newPath()
	const appender = new JsonlAppender(path, { format: eventFormat({ beat: {} }) })
	appender.append(record(1, { kind: 'beat' }))
	appender.append(record(2, { kind: 'other' }))
	expect(appender.stats()).toMatchObject({ written: 1, unsupported: 1 })
	expect(linesIn(path)).toEqual(['{"ts":1700000000.001,"ev":"beat"}', ''])
	await appender.close()
	expect(() => appender.append(record(3))).toThrow(expect.objectContaining({ code: 'APPENDER_CLOSED' }))
	await appender.close()
})
