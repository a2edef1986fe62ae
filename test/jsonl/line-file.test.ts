/**
 * A JSON Lines file that several writers share, and that other programs rename, remove, replace and truncate.
 */
import { execFileSync } from 'node:child_process'
import {
	appendFileSync,
	copyFileSync,
	existsSync,
	linkSync,
	mkdirSync,
	readFileSync,
	renameSync,
	rmSync,
	symlinkSync,
	truncateSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { MemoryFileSystem } from '../support/memory-file-system.ts'
import { runModule } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

afterEach(() => vi.restoreAllMocks())

const seqsIn = async (path: string) => (await collect(readJsonl(path))).map(({ seq }) => seq)

/** An appender with lines 1 to 3, which no look has seen yet. */
function started(options: ConstructorParameters<typeof JsonlAppender>[1] = {}) {
	const path = join(temporaryFolder(), 'node.jsonl')
	const appender = new JsonlAppender(path, options)
	for (const seq of [1, 2, 3]) appender.append(record(seq))
	return { path, appender }
}

describe('a file that another program', () => {
	const nothing = { renamed: 0, removed: 0, truncated: 0 }
	const cases: readonly {
		readonly title: string
		readonly change: (path: string) => void
		/** Seqs in the file at the end: 1 to 3 were written before the change, 4 to 6 after it. */
		readonly seqs: readonly number[]
		readonly stats: object
	}[] = [
		{
			title: 'removed',
			change: unlinkSync,
			seqs: [1, 2, 3, 4, 5, 6],
			stats: { rewritten: 6, lost: 0, changes: { ...nothing, removed: 1 } },
		},
		{
			title: 'renamed',
			change: (path) => renameSync(path, `${path}.1`),
			seqs: [],
			stats: { rewritten: 0, lost: 0, changes: { ...nothing, renamed: 1 } },
		},
		{
			title: 'renamed and removed',
			change: (path) => {
				renameSync(path, `${path}.1`)
				unlinkSync(`${path}.1`)
			},
			seqs: [1, 2, 3, 4, 5, 6],
			stats: { rewritten: 6, lost: 0, changes: { ...nothing, removed: 1 } },
		},
		{
			title: 'removed, while another name leads to it',
			change: (path) => {
				linkSync(path, `${path}.1`)
				unlinkSync(path)
			},
			seqs: [],
			stats: { rewritten: 0, lost: 0, changes: { ...nothing, renamed: 1 } },
		},
		{
			title: 'replaced',
			change: (path) => {
				writeFileSync(`${path}.new`, '# new\n{"half')
				renameSync(`${path}.new`, path)
			},
			seqs: [1, 2, 3, 4, 5, 6],
			stats: { rewritten: 6, lost: 0, changes: { ...nothing, removed: 1 } },
		},
		{
			title: 'truncated',
			change: (path) => truncateSync(path),
			seqs: [4, 5, 6],
			stats: { rewritten: 0, lost: 3, changes: { ...nothing, truncated: 1 } },
		},
		{
			title: 'truncated within a line',
			change: (path) => truncateSync(path, readFileSync(path).length - 1),
			seqs: [1, 2, 5, 6],
			stats: { rewritten: 0, lost: 2, changes: { ...nothing, truncated: 1 } },
		},
		{
			title: 'truncated and refilled with something longer',
			change: (path) => writeFileSync(path, `# ${'x'.repeat(5000)}\n`),
			seqs: [4, 5, 6],
			stats: { rewritten: 0, lost: 3 },
		},
		{
			title: 'truncated and refilled with the same number of other bytes',
			change: (path) => writeFileSync(path, `#${'x'.repeat(readFileSync(path).length - 2)}\n`),
			seqs: [4, 5, 6],
			stats: { rewritten: 0, lost: 3 },
		},
		{
			title: 'appended to, whole lines and a part of one',
			change: (path) => appendFileSync(path, '# a comment\n{"half'),
			seqs: [1, 2, 3, 5, 6],
			stats: { rewritten: 0, lost: 1, changes: nothing },
		},
	]

	for (const { title, change, seqs, stats } of cases) {
		for (const told of ['flush', 'reopen', 'sync', 'close'] as const) {
			test(`${title} is noticed before ${told} returns`, async () => {
				const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
				vi.spyOn(performance, 'now').mockReturnValue(1) // no look except the one of the call
				const { path, appender } = started()
				change(path)
				for (const seq of [4, 5, 6]) appender.append(record(seq))
				await appender[told]()
				expect(appender.stats()).toMatchObject(stats)
				expect(await seqsIn(path)).toEqual(seqs)
				if (seqs.length === 0) expect(await seqsIn(`${path}.1`)).toEqual([1, 2, 3, 4, 5, 6])
				const losses = warned.mock.calls.filter(([, how]) => Object(how).code === 'MESH_CHAIN_LINES_LOST')
				expect(losses).toHaveLength(appender.stats().lost > 0 ? 1 : 0)
				await appender.close()
			})
		}
	}

	test('removed is noticed by the first append 100 ms after the last look', async () => {
		const now = vi.spyOn(performance, 'now').mockReturnValue(1)
		const { path, appender } = started()
		unlinkSync(path)
		now.mockReturnValue(100)
		appender.append(record(4))
		expect(existsSync(path)).toBe(false)
		now.mockReturnValue(101)
		appender.append(record(5))
		expect(await seqsIn(path)).toEqual([1, 2, 3, 4, 5])
		await appender.close()
	})

	test('removed is noticed without further appends, and a missing folder is reported once', async () => {
		const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const folder = join(temporaryFolder(), 'logs')
		mkdirSync(folder)
		const path = join(folder, 'node.jsonl')
		const appender = new JsonlAppender(path)
		appender.append(record(1))
		rmSync(folder, { recursive: true })
		await vi.waitFor(() => expect(warned).toHaveBeenCalledOnce(), 60_000)
		expect(() => appender.append(record(2))).toThrow(expect.objectContaining({ retryable: true }))
		expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
		await expect(appender.sync()).rejects.toMatchObject({ code: 'SYNC_FAILED' })
		mkdirSync(folder)
		await vi.waitFor(async () => expect(await seqsIn(path)).toEqual([1]), 60_000)
		appender.append(record(2))
		await appender.close()
		expect(await seqsIn(path)).toEqual([1, 2])
		expect(warned).toHaveBeenCalledOnce()
	})

	test('removed for good is reported by close, with a count', async () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const folder = join(temporaryFolder(), 'logs')
		mkdirSync(folder)
		const appender = new JsonlAppender(join(folder, 'node.jsonl'))
		appender.append(record(1))
		rmSync(folder, { recursive: true })
		await expect(appender.close()).rejects.toMatchObject({ code: 'CLOSE_FAILED' })
		expect(appender.stats().lost).toBe(1)
	})

	const obstacles: readonly [string, (path: string, chain: string) => unknown][] = [
		['a folder', (path) => mkdirSync(path)],
		['a FIFO', (path) => execFileSync('mkfifo', [path])],
		['a symbolic link to nowhere', (path) => symlinkSync(`${path}.nowhere`, path)],
		['a device', (path) => symlinkSync('/dev/null', path)],
		['a chain', (path, chain) => copyFileSync(chain, path)],
	]
	test.each(obstacles)('replaced by %s waits until that is gone, and changes nothing', async (_what, put) => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const chain = await closedChain()
		const { path, appender } = started()
		unlinkSync(path)
		put(path, chain)
		expect(() => new JsonlAppender(path)).toThrow(expect.objectContaining({ code: 'FILE_UNWRITABLE' }))
		expect(() => appender.flush()).toThrow(expect.objectContaining({ code: 'WRITE_FAILED' }))
		expect(() => appender.append(record(4))).toThrow(expect.objectContaining({ retryable: true }))
		rmSync(path, { recursive: true })
		appender.append(record(4))
		await appender.close()
		expect(await seqsIn(path)).toEqual([1, 2, 3, 4])
	})

	test('renamed is on disk and closed when sync resolves', async () => {
		const disk = new FaultyFileSystem()
		const { path, appender } = started({ fs: disk })
		renameSync(path, `${path}.1`)
		disk.calls.length = 0
		disk.syncs = 0
		await appender.sync()
		expect(disk.syncs).toBe(2)
		await appender.close()
		expect(disk.calls.filter(({ name }) => name === 'closeSync').length).toBeGreaterThanOrEqual(2)
	})
})

async function closedChain(): Promise<string> {
	const path = join(temporaryFolder(), 'a.chain')
	await new FileChainAppender(path).close()
	return path
}

test('processes that append to one file never overwrite each other', async () => {
	const path = join(temporaryFolder(), 'node.jsonl')
	const program = `
		import { JsonlAppender, MeshLoop } from 'mesh-chain'
		const appender = new JsonlAppender(${JSON.stringify(path)})
		const loop = new MeshLoop(appender, { nodeId: process.argv.at(-1) })
		for (let i = 0; i < 200; i++) {
			loop.info('line ' + i, { text: 'x'.repeat(i * 50) })
			if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
		}
		await loop.close()
		console.log(JSON.stringify(appender.stats()))`
	const writers = await Promise.all(['a', 'b', 'c'].map((id) => runModule(program, [id])))
	for (const { stdout } of writers) expect(JSON.parse(stdout)).toMatchObject({ written: 200, lost: 0 })
	const lines = readJsonl(path)
	const records = await collect(lines)
	expect(records).toHaveLength(600)
	for (const id of ['a', 'b', 'c']) {
		const own = records.filter(({ nodeId }) => nodeId === id).map(({ message }) => message)
		expect(own).toEqual(Array.from({ length: 200 }, (_unused, index) => `line ${index}`))
	}
})

test("a short write leaves a blank line, and another writer's next line is whole", async () => {
	const path = join(temporaryFolder(), 'node.jsonl')
	let short = 0
	const writeSync: FileSystem['writeSync'] = (fd, bytes, offset, length, position) => {
		const fitting = position === null && short-- > 0 ? Math.floor(length / 2) : length
		return nodeFileSystem.writeSync(fd, bytes, offset, fitting, position)
	}
	const first = new JsonlAppender(path, { fs: { ...nodeFileSystem, writeSync } })
	const second = new JsonlAppender(path)
	first.append(record(1))
	short = 1
	expect(() => first.append(record(2))).toThrow(expect.objectContaining({ retryable: true }))
	second.append(record(3))
	first.append(record(2))
	await first.close()
	await second.close()
	expect([first, second].map((each) => each.stats().lost)).toEqual([0, 0])
	const lines = readJsonl(path)
	expect((await collect(lines)).map(({ seq }) => seq)).toEqual([1, 3, 2])
	expect(lines.skipped).toMatchObject({ blank: 1, notJson: 0 })
})

test('a line is found in a file that was truncated and then outgrew its last size', async () => {
	const { path, appender } = started()
	appender.flush()
	truncateSync(path)
	appender.append(record(4))
	appendFileSync(path, `# ${'x'.repeat(5000)}\n`)
	appender.flush()
	expect(appender.stats()).toMatchObject({ lost: 0, changes: { truncated: 1 } })
	expect(await seqsIn(path)).toEqual([4])
	await appender.close()
})

describe('whatever happens to the file', () => {
	const PATH = '/node.jsonl'
	const step = fc.oneof(
		{
			weight: 8,
			arbitrary: fc.record({ type: fc.constant('append' as const), writer: fc.nat(1), size: fc.nat(40) }),
		},
		{
			weight: 2,
			arbitrary: fc.record({ type: fc.constant('short' as const), writer: fc.nat(1), room: fc.nat(120) }),
		},
		{
			weight: 1,
			arbitrary: fc.record({ type: fc.constant('fail' as const), writer: fc.nat(1), call: fc.nat(12) }),
		},
		{ weight: 2, arbitrary: fc.record({ type: fc.constant('look' as const), writer: fc.nat(1) }) },
		{
			weight: 2,
			arbitrary: fc.record({
				type: fc.constantFrom('remove' as const, 'rename' as const, 'replace' as const, 'clear' as const),
			}),
		},
		{ weight: 1, arbitrary: fc.record({ type: fc.constant('truncate' as const), keep: fc.nat(1000) }) },
	)

	test('a line is readable once and whole, or counted, or its file was removed or cut later', () => {
		vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		vi.spyOn(performance, 'now').mockReturnValue(1) // looks are steps
		fc.assert(
			fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
				const memory = new MemoryFileSystem()
				const writers = [0, 1].map((id) => {
					const disk = new FaultyFileSystem(memory)
					return {
						id,
						disk,
						appender: new JsonlAppender(PATH, { fs: disk }),
						unseen: new Set<string>(),
						looksAgain: false,
						all: 0,
					}
				})
				/** Lines that a removal or truncation took after their writer had seen them in the file. */
				const taken = new Set<string>()
				const written = new Set<string>()
				let renames = 0
				const take = (keep: Buffer) => {
					const before = linesOf(memory.get(PATH))
					const after = new Set(linesOf(keep))
					for (const line of before) {
						const isUnseen = writers.some(({ unseen }) => unseen.has(line))
						if (!after.has(line) && !isUnseen) taken.add(line)
					}
				}
				const look = (writer: (typeof writers)[number]) => {
					try {
						writer.appender.flush()
						writer.unseen.clear()
						writer.looksAgain = false
					} catch {
						writer.looksAgain = true
					}
				}
				for (const each of steps) {
					const writer = 'writer' in each ? writers[each.writer]! : writers[0]!
					const { disk, appender } = writer
					if (each.type === 'append' || each.type === 'short' || each.type === 'fail') {
						if (each.type === 'short') disk.roomBytes = each.room
						if (each.type === 'fail') disk.failOnce(each.call, 'EIO')
						const message = `${writer.id}:${writer.all++}:${'x'.repeat('size' in each ? each.size : 0)}`
						// After a failed look, an append starts with a look.
						if (writer.looksAgain) writer.unseen.clear()
						try {
							appender.append(record(writer.all, { message }))
							written.add(message)
							writer.unseen.add(message)
						} catch {}
						// If the write itself succeeds, the failure occurs in a look.
						if (each.type === 'fail') look(writer)
						disk.heal()
					} else if (each.type === 'look') look(writer)
					else if (memory.paths.includes(PATH)) {
						if (each.type === 'remove') {
							take(Buffer.alloc(0))
							memory.unlinkSync(PATH)
						} else if (each.type === 'rename') memory.renameSync(PATH, `${PATH}.${++renames}`)
						else if (each.type === 'replace') {
							take(Buffer.alloc(0))
							memory.put(PATH, Buffer.from('# new\n'))
						} else {
							const fd = memory.openSync(PATH, 0)
							const size = 'keep' in each ? Math.min(each.keep, memory.get(PATH).length) : 0
							take(memory.get(PATH).subarray(0, size))
							memory.ftruncateSync(fd, size)
							memory.closeSync(fd)
						}
					}
				}
				for (const writer of writers) writer.appender.flush()
				const found = memory.paths.flatMap((path) => linesOf(memory.get(path)))
				expect(new Set(found).size).toBe(found.length)
				for (const line of found) expect(written).toContain(line)
				const missing = [...written].filter((line) => !found.includes(line) && !taken.has(line))
				const lost = writers.reduce((sum, { appender }) => sum + appender.stats().lost, 0)
				expect(lost).toBeGreaterThanOrEqual(missing.length)
				for (const { appender } of writers) void appender.close()
			}),
			{ numRuns: 2000 },
		)
	})

	function linesOf(bytes: Buffer): string[] {
		return bytes
			.toString()
			.split('\n')
			.slice(0, -1)
			.flatMap((line) => {
				try {
					return [JSON.parse(line).message as string]
				} catch {
					return []
				}
			})
	}
})
