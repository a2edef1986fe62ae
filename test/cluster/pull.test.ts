/** `pullStream` turns a forwarded chain into a file with the same records, whatever happens meanwhile. */
import {
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DiscardPolicy, RetentionPolicy } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { ChainBuilder } from '../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { type ForwardOptions, forwardChain, pullStream } from '../../src/cluster/index.ts'
import { MessageBuilder } from '../../src/cluster/message-builder.ts'
import { NO_SUMS, SUMS_HEADER } from '../../src/cluster/message-sums.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { gapRecord, isGap, type LogRecord } from '../../src/model/record.ts'
import { nodeFileSystem } from '../../src/platform/file-system.ts'
import { freePort } from '../support/free-port.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { startNats } from '../support/nats-server.ts'
import { startModule } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

let made = 0

/** A separate stream, with options for forwarding to it and a folder to pull into. */
function newStream() {
	const stream = `p${++made}`
	const options: ForwardOptions = { servers: server.url, stream, subjectPrefix: stream, create: {} }
	const into = join(temporaryFolder(), 'pulled')
	mkdirSync(into)
	return { stream, address: `${server.url}/${stream}`, options, into }
}

async function written(
	path: string,
	nodeId: string,
	fill: (loop: MeshLoop) => void,
	options: FileChainOptions = {},
) {
	const loop = new MeshLoop(new FileChainAppender(path, options), { nodeId })
	fill(loop)
	await loop.close()
}

async function forwarded(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	await forwarder.flushed()
	await forwarder.close()
}

async function recordsIn(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	try {
		return await collect(chain.records())
	} finally {
		await chain.close()
	}
}

async function idOf(path: string): Promise<string> {
	const chain = await openChain(path)
	await chain.close()
	return chain.chainId
}

/**
 * Checks that the records and the chain id equal those of the source, and that the file is an ordinary chain.
 */
async function expectSame(pulled: string, source: string) {
	expect(await recordsIn(pulled)).toEqual(await recordsIn(source))
	expect(await idOf(pulled)).toBe(await idOf(source))
	await expectWhole(pulled)
}

async function expectWhole(path: string) {
	const { ok, findings } = await verifyChain(path)
	expect([ok, findings.filter(({ kind }) => kind !== 'gap')]).toEqual([true, []])
}

const CHAIN_ID = '0123456789abcdef0123456789abcdef'

/** Publishes records like the forwarder of a chain, each group as one message. */
async function published(stream: string, node: string, groups: LogRecord[][], chainId = CHAIN_ID) {
	await server.manager.streams
		.add({
			name: stream,
			subjects: [`${stream}.*.*`],
			retention: RetentionPolicy.Limits,
			discard: DiscardPolicy.Old,
		})
		.catch(() => {})
	const builder = new MessageBuilder(chainId, { targetBytes: 100_000, bytesMax: 500_000 }, NO_SUMS)
	for (const group of groups) {
		for (const each of group) builder.add(each)
		for (const message of builder.take()) {
			const head = headers()
			head.set(SUMS_HEADER, JSON.stringify(message.sums))
			await server.client.publish(`${stream}.${node}.${chainId}`, message.body, { headers: head })
		}
	}
}

function run(fromSeq: number, toSeq: number, epoch = 1): LogRecord[] {
	return Array.from({ length: toSeq - fromSeq + 1 }, (_unused, index) =>
		record(fromSeq + index, { epoch, message: `epoch ${epoch}, ${fromSeq + index}` }),
	)
}

const KINDS_OF_DATA: unknown[] = [
	undefined,
	null,
	true,
	0.1,
	Number.NaN,
	2 ** 40,
	5n,
	2n ** 90n,
	'grüße 🙂',
	new Uint8Array([1, 2, 255]),
	new Date(1_700_000_000_123),
	[1, [2, { a: null }]],
	{ __proto__: null, nested: { deep: ['x'] } },
	new Error('as data'),
	'x'.repeat(100_000),
]

describe('a pulled chain', () => {
	test('of each node has the same records, with all data, epochs, gaps and origins', async () => {
		const { address, options, into } = newStream()
		const source = temporaryFolder()
		const [plain, rotated, odd] = ['plain', 'rotated', 'odd'].map((name) =>
			join(source, `${name}.chain`),
		) as [string, string, string]
		for (let epoch = 0; epoch < 3; epoch++)
			await written(plain, 'api-1', (loop) => {
				for (let index = 0; index < 1000; index++)
					loop.emit(index % 3 === 0 ? 'order' : 'log', KINDS_OF_DATA[index % 14], {
						level: (['trace', 'debug', 'info', 'warn', 'error'] as const)[index % 5]!,
						daemonId: index % 2 === 0 ? index : BigInt(index),
						tsMs: 1_700_000_000_000 - index,
					})
				loop.emit('large', KINDS_OF_DATA.at(-1))
				loop.publish({
					kind: '$gap',
					message: 'of elsewhere',
					data: { fromSeq: 1, toSeq: 3, count: 3, cause: 'evicted' },
					origin: { chainId: CHAIN_ID, epoch: 1, seq: 3 },
				})
			})
		await written(
			rotated,
			'worker.eu',
			(loop) => {
				for (let index = 0; index < 20_000; index++) loop.info(`line ${index}`, { index })
			},
			{ rotateRecords: 3000, retain: { records: 9000 } } as FileChainOptions,
		)
		const appender = new FileChainAppender(odd)
		appender.append(record(1, { epoch: appender.epoch, nodeId: '../a b%' }))
		appender.append(record(50, { epoch: appender.epoch }))
		await appender.close()
		for (const path of [plain, rotated, odd]) await forwarded(path, options)

		const progress: number[] = []
		const { ended, records, chains } = await pullStream(address, into, {
			onProgress: (each) => progress.push(each.records),
		})
		expect(chains.map(({ node, path }) => [node, path])).toEqual([
			['../a b%', join(into, '%2E.%2Fa%20b%25.chain')],
			['api-1', join(into, 'api-1.chain')],
			['worker.eu', join(into, 'worker.eu.chain')],
		])
		expect([ended, progress.at(-1)]).toEqual(['complete', records])
		for (const [index, path] of [odd, plain, rotated].entries()) {
			const pulled = chains[index]!
			await expectSame(pulled.path, path)
			const all = await recordsIn(path)
			expect(pulled).toMatchObject({
				records: all.filter((each) => !isGap(each)).length,
				gaps: all.filter(isGap).length,
				fromSeq: 1,
				toSeq: all.at(-1)!.seq,
				superseded: 0,
				unreadable: 0,
				outOfOrder: 0,
			})
		}
		expect(readdirSync(into).sort()).toEqual(['%2E.%2Fa%20b%25.chain', 'api-1.chain', 'worker.eu.chain'])
	})

	test('gets only new records when pulled again, and is untouched if there are none', async () => {
		const { address, options, into } = newStream()
		const path = join(temporaryFolder(), 'node.chain')
		const pulled = join(into, 'api-1.chain')
		const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'api-1' })
		let seq = 0
		for (const count of [500, 1, 3000]) {
			for (let index = 0; index < count; index++) loop.info(`line ${index}`)
			loop.flush()
			await forwarded(path, options)
			expect((await pullStream(address, into)).chains[0]).toMatchObject({
				records: count,
				fromSeq: seq + 1,
				toSeq: seq + count,
			})
			seq += count
			await expectSame(pulled, path)
			const before = readFileSync(pulled)
			expect((await pullStream(address, into)).chains[0]).toMatchObject({ records: 0, fromSeq: undefined })
			expect(readFileSync(pulled).equals(before)).toBe(true)
		}
		await loop.close()
		await written(path, 'api-1', (again) => again.info('of the next epoch'))
		await forwarded(path, options)
		expect((await pullStream(address, into)).records).toBe(1)
		await expectSame(pulled, path)
		expect(readdirSync(into)).toEqual(['api-1.chain'])
	})

	test('can be forwarded to a new stream, and pulled from there into an equal file', async () => {
		const [first, second] = [newStream(), newStream()]
		const path = join(temporaryFolder(), 'node.chain')
		for (let epoch = 0; epoch < 2; epoch++)
			await written(path, 'api-1', (loop) => {
				for (let index = 0; index < 1000; index++) loop.info(`line ${index}`)
			})
		await forwarded(path, first.options)
		await pullStream(first.address, first.into)
		await forwarded(join(first.into, 'api-1.chain'), second.options)
		await pullStream(second.address, second.into)
		await expectSame(join(second.into, 'api-1.chain'), path)
	})

	test('has a gap for removed records, at the start and after a late pull', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 10), run(11, 20), run(21, 30)])
		await server.manager.streams.purge(stream, { seq: 2 })
		const [head] = (await pullStream(address, into)).chains
		expect(head).toMatchObject({ records: 20, gaps: 1, fromSeq: 1, toSeq: 30 })
		await published(stream, 'n', [run(31, 40), run(41, 50)])
		await server.manager.streams.purge(stream, { seq: 5 })
		expect((await pullStream(address, into)).chains[0]).toMatchObject({ records: 10, gaps: 1, fromSeq: 31 })
		const records = await recordsIn(head!.path)
		expect(records.filter(isGap).map(({ data }) => data)).toEqual([
			{ fromSeq: 1, toSeq: 10, count: 10, cause: 'retained' },
			{ fromSeq: 31, toSeq: 40, count: 10, cause: 'retained' },
		])
		expect(records.filter((each) => !isGap(each))).toEqual([...run(11, 30), ...run(41, 50)])
		await expectWhole(head!.path)
	})

	test('reports unreadable messages and records out of order', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 10)])
		await server.client.publish(`${stream}.n.${CHAIN_ID}`, 'no frame')
		await published(stream, 'n', [run(11, 20), run(21, 30), run(5, 8), run(31, 40)])
		await server.manager.streams.deleteMessage(stream, 4)
		const [chain] = (await pullStream(address, into)).chains
		expect(chain).toMatchObject({ records: 30, gaps: 1, unreadable: 1, outOfOrder: 4 })
		expect((await recordsIn(chain!.path)).filter(isGap).map(({ data }) => data)).toEqual([
			{ fromSeq: 21, toSeq: 30, count: 10, cause: 'retained' },
		])
		expect((await pullStream(address, into)).records).toBe(0)
	})
})

describe('after a later epoch reused seqs', () => {
	const lost = [run(1, 60), run(61, 100)]
	const again = [run(81, 90, 2), run(91, 120, 2), run(121, 130, 3)]
	const wanted = [...run(1, 80), ...run(81, 120, 2), ...run(121, 130, 3)]

	test.each(['in one pull', 'by a pull after each message'])(
		'the file follows the source, and the lost records go to a separate file: %s',
		async (how) => {
			const { stream, address, into } = newStream()
			let superseded = 0
			for (const [index, group] of [...lost, ...again].entries()) {
				await published(stream, 'n', [group])
				if (how === 'in one pull' && index < lost.length + again.length - 1) continue
				for (const chain of (await pullStream(address, into)).chains) superseded += chain.superseded
				await expectWhole(join(into, 'n.chain'))
			}
			expect(superseded).toBe(20)
			expect(readdirSync(into).sort()).toEqual(['n.chain', 'n.chain.superseded-e2'])
			expect(await recordsIn(join(into, 'n.chain'))).toEqual(wanted)
			const beside = join(into, 'n.chain.superseded-e2')
			expect((await recordsIn(beside)).filter((each) => !isGap(each))).toEqual(run(81, 100))
			expect(await idOf(beside)).toBe(CHAIN_ID)
			await expectWhole(beside)
			expect((await pullStream(address, into)).records).toBe(0)
		},
	)

	test('the whole file may be superseded, more than once', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 10), run(1, 5, 2), run(1, 3, 3), run(4, 6, 3)])
		const [chain] = (await pullStream(address, into)).chains
		expect(chain).toMatchObject({ superseded: 15, fromSeq: 1, toSeq: 6 })
		expect(await recordsIn(chain!.path)).toEqual(run(1, 6, 3))
		const beside = await Promise.all(chain!.supersededPaths.map(recordsIn))
		expect(beside).toEqual([run(1, 10), run(1, 5, 2)])
	})

	test('the file is unchanged until its replacement is whole', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [...lost])
		await pullStream(address, into)
		await published(stream, 'n', [...again])
		const failing = {
			...nodeFileSystem,
			renameSync: () => {
				throw Object.assign(new Error('no'), { code: 'EIO' })
			},
		}
		await expect(pullStream(address, into, { fs: failing })).rejects.toMatchObject({
			code: 'CHAIN_UNWRITABLE',
		})
		expect(await recordsIn(join(into, 'n.chain'))).toEqual(run(1, 100))
		await expectWhole(join(into, 'n.chain'))
		expect(await pullStream(address, into)).toMatchObject({ records: 50 })
		expect(await recordsIn(join(into, 'n.chain'))).toEqual(wanted)
		// Keeping records twice is better than losing them.
		expect(readdirSync(into).sort()).toEqual(['n.chain', 'n.chain.superseded-e2', 'n.chain.superseded-e2-2'])
	})

	test('a gap in the source supersedes nothing: the file keeps its records', async () => {
		const { stream, address, into } = newStream()
		const gap = gapRecord(
			{ fromSeq: 8, toSeq: 12, count: 5, cause: 'unsynced' },
			{ epoch: 2, tsMs: 1_700_000_000_000 },
		)
		await published(stream, 'n', [run(1, 10), [gap, ...run(13, 15, 2)]])
		const [chain] = (await pullStream(address, into)).chains
		expect(chain).toMatchObject({ records: 13, gaps: 1, superseded: 0 })
		const records = await recordsIn(chain!.path)
		expect(records.filter((each) => !isGap(each))).toEqual([...run(1, 10), ...run(13, 15, 2)])
		expect(records.find(isGap)!.data).toEqual({ fromSeq: 11, toSeq: 12, count: 2, cause: 'unsynced' })
		await expectWhole(chain!.path)
	})
})

describe('several chains of a node', () => {
	const [first, second, third] = ['a', 'b', 'c'].map((digit) => digit.repeat(32)) as [string, string, string]

	test('have one file each, which they keep; the oldest chain has the plain name', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 3)], second)
		await published(stream, 'n', [run(1, 5)], first)
		const names = async (query = '') =>
			(await pullStream(address + query, into)).chains.map(({ chainId, path, records }) => [
				chainId,
				path.slice(into.length + 1),
				records,
			])
		expect(await names()).toEqual([
			[second, 'n.chain', 3],
			[first, 'n-aaaaaaaa.chain', 5],
		])
		await published(stream, 'n', [run(1, 7)], third)
		await server.manager.streams.purge(stream, { filter: `${stream}.n.${second}` })
		await published(stream, 'n', [run(6, 6)], first)
		expect(await names(`?chain=${first}`)).toEqual([[first, 'n-aaaaaaaa.chain', 1]])
		// The file of a chain that is no longer in the stream is not reused for another chain.
		await expect(names()).rejects.toMatchObject({ code: 'CHAIN_MISMATCH' })
		expect(await recordsIn(join(into, 'n.chain'))).toEqual(run(1, 3))
	})

	test('are selected by the address', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'm', [run(1, 3)], first)
		await published(stream, 'n', [run(1, 4)], second)
		await published(stream, 'o', [run(1, 5)], third)
		await pullStream(`${address}?node=m&node=o`, into)
		expect(readdirSync(into).sort()).toEqual(['m.chain', 'o.chain'])
		await pullStream(`${address}?chain=${second}`, into)
		expect(readdirSync(into).sort()).toEqual(['m.chain', 'n.chain', 'o.chain'])
	})
})

describe('a pull that was stopped continues', () => {
	test('after its process was killed at any moment', async () => {
		const { address, options, into } = newStream()
		const path = join(temporaryFolder(), 'node.chain')
		for (let epoch = 0; epoch < 4; epoch++)
			await written(path, 'api-1', (loop) => {
				for (let index = 0; index < 25_000; index++) loop.info(`line ${index}`, { index, epoch })
			})
		await forwarded(path, { ...options, messageBytes: 16 * 1024 })
		const pulled = join(into, 'api-1.chain')
		const source = await recordsIn(path)
		const puller = `
			import { pullStream } from 'mesh-chain/cluster'
			let said = 0
			await pullStream(${JSON.stringify(address)}, ${JSON.stringify(into)}, {
				onProgress: () => { if (said++ === 0) console.log('begun') },
			})
			console.log('done')`
		let had = 0
		let killed = 0
		for (let round = 0; round < 10; round++) {
			const child = startModule(puller)
			const closed = new Promise<NodeJS.Signals | null>((resolve) =>
				child.once('close', (_code, signal) => resolve(signal)),
			)
			child.stdout!.once('data', () => setTimeout(() => child.kill('SIGKILL'), Math.random() * 60))
			if ((await closed) === 'SIGKILL') killed++
			if (!existsSync(pulled)) continue
			const { ok, findings } = await verifyChain(pulled)
			expect([ok, findings.filter(({ severity }) => severity === 'damage')]).toEqual([true, []])
			const records = await recordsIn(pulled)
			expect(records.length).toBeGreaterThanOrEqual(had)
			expect(records).toEqual(source.slice(0, records.length))
			had = records.length
		}
		expect(killed).toBeGreaterThan(0)
		const { records } = await pullStream(address, into)
		expect(records).toBe(source.length - had)
		await expectSame(pulled, path)
		expect(readdirSync(into)).toEqual(['api-1.chain'])
	}, 200_000)

	test('from a file torn at any position', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 300), run(301, 600), run(601, 700, 2)])
		const pulled = join(into, 'n.chain')
		await pullStream(address, into)
		const { size } = statSync(pulled)
		for (const bytes of [1, 262, 263, 264, 300, 2000, 9000, 20_000].filter((each) => each < size - 600)) {
			truncateSync(pulled, size - bytes)
			await pullStream(address, into)
			expect(await recordsIn(pulled)).toEqual([...run(1, 600), ...run(601, 700, 2)])
			await expectWhole(pulled)
		}
		expect(readdirSync(into)).toEqual(['n.chain'])
	})

	test('after a power loss left a hole: the unsynced part is kept aside and pulled again', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 300), run(301, 600), run(601, 700)])
		const pulled = join(into, 'n.chain')
		await pullStream(address, into)
		// Without the mark of its end, no part of the file is known to be on disk.
		const bytes = readFileSync(pulled).subarray(0, -263)
		bytes.fill(0, bytes.length >> 1, (bytes.length >> 1) + 512)
		writeFileSync(pulled, bytes)
		expect((await pullStream(address, into)).records).toBeGreaterThan(100)
		expect(await recordsIn(pulled)).toEqual(run(1, 700))
		await expectWhole(pulled)
		expect(readdirSync(into).sort()).toEqual(['n.chain', expect.stringMatching(/^n\.chain\.cut-\d+-/)])
	})

	test('after an abort, which it reports', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 300), run(301, 600), run(601, 700)])
		const over = new AbortController()
		const first = await pullStream(address, into, { signal: over.signal, onProgress: () => over.abort() })
		expect(first).toMatchObject({ ended: 'aborted', records: 300 })
		await expectWhole(join(into, 'n.chain'))
		expect(await pullStream(address, into, { signal: over.signal })).toMatchObject({
			ended: 'aborted',
			chains: [],
		})
		expect(await pullStream(address, into)).toMatchObject({ ended: 'complete', records: 400 })
		expect(await recordsIn(join(into, 'n.chain'))).toEqual(run(1, 700))
	})
})

test('an aborted pull does not wait for servers that are gone', async () => {
	const storeDir = temporaryFolder()
	const own = await startNats({ storeDir })
	onTestFinished(() => own.stop())
	const into = temporaryFolder()
	const path = join(temporaryFolder(), 'node.chain')
	await written(path, 'n', (loop) => {
		for (let index = 0; index < 5000; index++) loop.info(`line ${index}`)
	})
	await forwarded(path, { servers: own.url, create: {}, messageBytes: 1024 })
	const over = new AbortController()
	let isKilled = false
	const pull = pullStream(`${own.url}/mesh`, into, {
		signal: over.signal,
		onProgress: () => {
			if (isKilled) return
			isKilled = true
			void own.kill().then(() => setTimeout(() => over.abort(), 200))
		},
	})
	const began = performance.now()
	const { ended, records } = await pull
	expect(performance.now() - began).toBeLessThan(10_000)
	expect(ended).toBe('aborted')
	expect(await recordsIn(join(into, 'n.chain'))).toEqual((await recordsIn(path)).slice(0, records))
	await expectWhole(join(into, 'n.chain'))
})

describe('is refused, and everything stays unchanged, for', () => {
	test('a file of the same chain with another last record than the stream', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 20)])
		const { chains } = await pullStream(address, into)
		const { path, chainId } = chains[0]!
		for (const file of [path, `${path}.durable`]) rmSync(file, { force: true })
		const builder = new ChainBuilder(path, { chainId, mode: 0o600, fs: nodeFileSystem })
		for (const each of run(1, 20)) builder.push(each.seq === 20 ? { ...each, message: 'changed' } : each)
		builder.finish()
		const before = readFileSync(path)
		await expect(pullStream(address, into)).rejects.toMatchObject({ code: 'CHAIN_MISMATCH', path })
		expect(readFileSync(path).equals(before)).toBe(true)
	})

	test('a file of another chain or none, with its own writer, or changed by another program', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 20)])
		const pulled = join(into, 'n.chain')
		const refused = async (code: string) => {
			const before = readFileSync(pulled)
			await expect(pullStream(address, into)).rejects.toMatchObject({ code, path: pulled })
			expect(readFileSync(pulled).equals(before)).toBe(true)
		}
		await written(pulled, 'n', (loop) => loop.info('another chain'))
		await refused('CHAIN_MISMATCH')
		rmSync(`${pulled}.durable`)
		await refused('CHAIN_MISMATCH')
		writeFileSync(pulled, 'something else, and long enough to hold the header of a chain, or two'.repeat(3))
		await refused('NOT_A_CHAIN')
		rmSync(pulled)
		await pullStream(address, into)
		await written(pulled, 'n', (loop) => loop.info('this is not from the stream'))
		await refused('CHAIN_MISMATCH')
		rmSync(`${pulled}.durable`)
		await published(stream, 'n', [run(21, 25), run(26, 30, 2)])
		await refused('CHAIN_MISMATCH')
		const appender = new FileChainAppender(pulled)
		await refused('CHAIN_LOCKED')
		await appender.close()
	})

	test('a file with damage in its synced part', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'n', [run(1, 20)])
		await pullStream(address, into)
		const pulled = join(into, 'n.chain')
		const bytes = readFileSync(pulled)
		bytes[bytes.length - 263 - 200]! ^= 0xff
		writeFileSync(pulled, bytes)
		await published(stream, 'n', [run(5, 9, 2)])
		await expect(pullStream(address, into)).rejects.toMatchObject({ code: 'CHAIN_DAMAGED' })
		expect(readFileSync(pulled).equals(bytes)).toBe(true)
		expect(readdirSync(into)).toEqual(['n.chain'])
	})

	test('a path that is not a folder, a missing or empty stream, unknown node, silent server', async () => {
		const { stream, address, into } = newStream()
		await expect(pullStream(address, into)).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
		await published(stream, 'n', [])
		await expect(pullStream(address, into)).rejects.toMatchObject({ code: 'CHAIN_NOT_FOUND' })
		await published(stream, 'n', [run(1, 2)])
		await expect(pullStream(`${address}?node=m`, join(into, 'none'))).rejects.toMatchObject({
			code: 'CHAIN_NOT_FOUND',
		})
		writeFileSync(join(into, 'file'), '')
		for (const path of [join(into, 'file'), join(into, 'file', 'deeper'), ''])
			await expect(pullStream(address, path)).rejects.toMatchObject({ code: 'INVALID_PATH' })
		const gone = `nats://127.0.0.1:${await freePort()}/${stream}`
		await expect(pullStream(gone, into)).rejects.toMatchObject({ code: 'CLUSTER_UNREACHABLE' })
		await expect(pullStream('mesh', into)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
		await expect(pullStream(address, into, { no: 1 } as object)).rejects.toMatchObject({
			code: 'INVALID_OPTION',
		})
		expect(readdirSync(into)).toEqual(['file'])
	})
})
