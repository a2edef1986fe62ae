/** Following several chains while they are written, within one process. */
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Chain, TailQuery } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { ChainBuilder } from '../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import type { LogRecord } from '../../src/model/record.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { trackedFileSystem } from '../support/open-files.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const FAST = { pollIntervalMs: 5 }
const START_MS = 1_700_000_000_000

interface Node {
	readonly appender: FileChainAppender
	/** Appends `count` records, each with a unique message. */
	write(count: number, fields?: Partial<LogRecord>): void
}

function node(folder: string, nodeId: string, options: FileChainOptions = {}): Node {
	const appender = new FileChainAppender(join(folder, `${nodeId}.chain`), options)
	onTestFinished(() => appender.close().catch(() => {}))
	const write = (count: number, fields: Partial<LogRecord> = {}) => {
		for (let left = count; left > 0; left--) {
			const seq = appender.nextSeq
			appender.append(record(seq, { nodeId, message: `${nodeId} ${seq}`, tsMs: START_MS + seq, ...fields }))
		}
		appender.flush()
	}
	return { appender, write }
}

async function mergedOf(nodes: readonly Node[], fs?: FileSystem): Promise<Chain> {
	const chains = await Promise.all(
		nodes.map(({ appender }) => openChain(appender.path, fs === undefined ? {} : { fs })),
	)
	const merged = mergeChains(chains)
	onTestFinished(() => merged.close())
	return merged
}

function follow(merged: Chain, query: TailQuery = {}): AsyncIterator<LogRecord> {
	const tail = merged.tail({ ...FAST, ...query })[Symbol.asyncIterator]()
	onTestFinished(async () => void (await tail.return?.()))
	return tail
}

async function take(tail: AsyncIterator<LogRecord>, count: number): Promise<LogRecord[]> {
	const found: LogRecord[] = []
	while (found.length < count) {
		const { value, done } = await tail.next()
		if (done) throw new Error(`the tail ended after ${found.length} of ${count} records`)
		found.push(value)
	}
	return found
}

/**
 * Checks that each record of each node appears once, in the order of its node, and numbered in the order of
 * arrival.
 */
function expectEach(found: readonly LogRecord[], nodes: readonly Node[], firstSeq = 1): void {
	expect(found.map(({ seq }) => seq)).toEqual(found.map((_record, index) => firstSeq + index))
	for (const { appender } of nodes) {
		const ours = found.filter(({ origin }) => origin?.chainId === appender.chainId)
		expect(ours.map(({ origin }) => origin?.seq)).toEqual(
			Array.from({ length: appender.nextSeq - 1 }, (_unused, index) => index + 1),
		)
	}
}

const messages = (records: readonly LogRecord[]) => records.map(({ message }) => message)

test('history comes first and by time, then new records of several writers, each once', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b', 'c'].map((name) => node(folder, name))
	for (const { write } of nodes) write(1_000)
	const tail = follow(await mergedOf(nodes))
	const history = await take(tail, 3_000)
	expect(messages(history.slice(0, 6))).toEqual(['a 1', 'b 1', 'c 1', 'a 2', 'b 2', 'c 2'])
	expect(history.map(({ tsMs }) => tsMs)).toEqual(history.map(({ tsMs }) => tsMs).toSorted((a, b) => a - b))
	nodes[2]!.write(1)
	expect(messages(await take(tail, 1))).toEqual(['c 1001'])
	// It has an earlier time, but is still returned when it arrives.
	nodes[0]!.write(1, { tsMs: 1 })
	expect(messages(await take(tail, 1))).toEqual(['a 1001'])
	nodes[1]!.write(5)
	expectEach([...history, ...(await take(tail, 5))].slice(-5), [], 3_003)
})

test(`no record is lost at the seam while writers write and rotate (MESH_CHAIN_SEED=${SEED})`, async () => {
	const random = randomFrom(SEED)
	for (let round = 0; round < 5; round++) {
		const folder = temporaryFolder()
		const nodes = ['a', 'b', 'c', 'd'].map((name) =>
			node(folder, name, random() < 0.5 ? { rotateRecords: 150 } : {}),
		)
		for (const { write } of nodes) write(Math.floor(random() * 600))
		const tail = follow(await mergedOf(nodes))
		const written = () => nodes.reduce((sum, { appender }) => sum + appender.nextSeq - 1, 0)
		const found: LogRecord[] = []
		for (let turn = 0; turn < 40; turn++) {
			const { write, appender } = nodes[Math.floor(random() * nodes.length)]!
			write(Math.floor(random() * 30))
			if (random() < 0.3) await appender.sync()
			found.push(...(await take(tail, Math.floor(random() * Math.min(150, written() - found.length)))))
		}
		found.push(...(await take(tail, written() - found.length)))
		expectEach(found, nodes)
	}
})

test('filters apply to history and to new records', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	const [a, b] = nodes as [Node, Node]
	for (const { write } of nodes) {
		write(300)
		write(1, { level: 'error' })
	}
	const tail = follow(await mergedOf(nodes), { level: 'warn' })
	expect(messages(await take(tail, 2))).toEqual(['a 301', 'b 301'])
	a.write(2)
	b.write(1, { level: 'warn' })
	expect(messages(await take(tail, 1))).toEqual(['b 302'])
})

test('with durableOnly a record is returned once it is on disk, and not before', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	const [a, b] = nodes as [Node, Node]
	for (const { write } of nodes) write(10)
	await a.appender.sync()
	a.write(5)
	const tail = follow(await mergedOf(nodes), { durableOnly: true })
	const first = await take(tail, 10)
	expect(messages(first)).toEqual(Array.from({ length: 10 }, (_unused, index) => `a ${index + 1}`))
	const next = take(tail, 10)
	await b.appender.sync()
	expect((await next).every(({ nodeId }) => nodeId === 'b')).toBe(true)
	await a.appender.sync()
	const last = await take(tail, 5)
	expectEach([...first, ...(await next), ...last], nodes)
})

test('with durableOnly, records on disk are merged by time, even without a watermark', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	for (const { write, appender } of nodes) {
		write(3)
		await appender.sync()
	}
	const builder = new ChainBuilder(join(folder, 'built.chain'))
	for (let seq = 1; seq <= 3; seq++) builder.push(record(seq, { message: `built ${seq}` }))
	builder.finish()
	const marked = follow(await mergedOf(nodes), { durableOnly: true })
	expect(messages(await take(marked, 6))).toEqual(['a 1', 'b 1', 'a 2', 'b 2', 'a 3', 'b 3'])
	const merged = mergeChains([
		await openChain(nodes[0]!.appender.path),
		await openChain(join(folder, 'built.chain')),
	])
	onTestFinished(() => merged.close())
	const found = await take(follow(merged, { durableOnly: true }), 6)
	expect(messages(found).toSorted()).toEqual(['a 1', 'a 2', 'a 3', 'built 1', 'built 2', 'built 3'])
})

test('a signal ends it before it begins, in the history, and while it waits', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	for (const { write } of nodes) write(2_000)
	const { system, open } = trackedFileSystem()
	const merged = await mergedOf(nodes, system)

	expect((await follow(merged, { signal: AbortSignal.abort() }).next()).done).toBe(true)

	const within = new AbortController()
	let seen = 0
	for await (const _record of merged.tail({ ...FAST, signal: within.signal })) {
		if (++seen === 100) within.abort()
	}
	expect(seen).toBeLessThan(1_000)

	const stop = new AbortController()
	const tail = follow(merged, { signal: stop.signal, pollIntervalMs: 60_000 })
	await take(tail, 4_000)
	const waiting = tail.next()
	stop.abort()
	expect(await waiting).toEqual({ value: undefined, done: true })
	expect(open.size).toBe(2)
})

test('return() ends it while next() is waiting, and leaves no file open', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name, { rotateRecords: 20 }))
	const { system, open } = trackedFileSystem()
	const merged = await mergedOf(nodes, system)
	for (const { write, appender } of nodes) {
		for (let turn = 0; turn < 3; turn++) {
			write(20)
			await appender.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	const tail = follow(merged, { pollIntervalMs: 60_000 })
	await take(tail, 120)
	const waiting = tail.next()
	expect((await tail.return?.())?.done).toBe(true)
	expect((await waiting).done).toBe(true)
	expect(open.size).toBe(2)
})

test('stopping it in the history or after it leaves no file open', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	for (const { write } of nodes) write(600)
	const { system, open } = trackedFileSystem()
	const merged = await mergedOf(nodes, system)
	for (const last of [10, 1_205]) {
		let seen = 0
		for await (const _record of merged.tail(FAST)) {
			seen++
			if (seen === 1_200) for (const { write } of nodes) write(10)
			if (seen === last) break
		}
		expect(seen).toBe(last)
		expect(open.size).toBe(2)
	}
})

test('an error in one chain ends it with that error, however busy the others are', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b', 'c'].map((name) => node(folder, name))
	const [a, b, c] = nodes as [Node, Node, Node]
	for (const { write } of nodes) write(3)
	const { system, open } = trackedFileSystem()
	const tail = follow(await mergedOf(nodes, system))
	await take(tail, 9)
	unlinkSync(a.appender.path)
	const thrown = await (async () => {
		// The other two always have more records.
		for (let turn = 0; turn < 10_000; turn++) {
			b.write(2)
			c.write(2)
			await tail.next()
		}
		return 'nothing'
	})().catch((error) => error)
	expect(thrown).toMatchObject({ code: 'CHAIN_REPLACED', path: a.appender.path })
	expect((await tail.next()).done).toBe(true)
	expect(open.size).toBe(3)
})

test('closing one chain or all of them during a tail is reported', async () => {
	const folder = temporaryFolder()
	const nodes = ['a', 'b'].map((name) => node(folder, name))
	for (const { write } of nodes) write(1)
	const all = await mergedOf(nodes)
	const tail = follow(all)
	await take(tail, 2)
	const waiting = expect(tail.next()).rejects.toMatchObject({ code: 'CHAIN_CLOSED' })
	await all.close()
	await waiting

	const [a, b] = await Promise.all(nodes.map(({ appender }) => openChain(appender.path)))
	onTestFinished(() => a!.close())
	const other = follow(mergeChains([a!, b!]))
	await take(other, 2)
	const next = expect(other.next()).rejects.toMatchObject({ code: 'CHAIN_CLOSED', path: b!.path })
	await b!.close()
	await next
})

test('invalid options are refused at once', async () => {
	const merged = await mergedOf([node(temporaryFolder(), 'a')])
	const refused = (query: object, code: string) =>
		expect(() => merged.tail(query as TailQuery), JSON.stringify(query)).toThrow(
			expect.objectContaining({ code }),
		)
	for (const name of ['afterSeq', 'fromSeq', 'toSeq']) refused({ [name]: 1 }, 'INVALID_FILTER')
	refused({ pollIntervalMs: 0 }, 'INVALID_OPTION')
	refused({ durableOnly: 1 }, 'INVALID_OPTION')
	refused({ signal: {} }, 'INVALID_OPTION')
	refused({ limit: 3 }, 'INVALID_FILTER')
	refused({ reverse: true }, 'INVALID_FILTER')
	refused({ colour: 'red' }, 'INVALID_FILTER')
})
