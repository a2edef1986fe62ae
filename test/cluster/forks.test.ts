/**
 * One chain id in a stream, with any number of subjects and writers. A renamed node is one chain, and two
 * forks of a copied chain are never mixed.
 */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { headers } from '@nats-io/transport-node'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type ForwardOptions, forwardChain, openStream, pullStream } from '../../src/cluster/index.ts'
import { framesOf, recordsOf } from '../../src/cluster/message.ts'
import { MessageBuilder } from '../../src/cluster/message-builder.ts'
import { NO_SUMS, SUMS_HEADER } from '../../src/cluster/message-sums.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { isGap, type LogRecord } from '../../src/model/record.ts'
import { SEED } from '../support/counts.ts'
import { eventually } from '../support/nats-cluster.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { meshChain } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

const CHAIN_ID = '0123456789abcdef0123456789abcdef'
const OTHER_ID = 'fedcba9876543210fedcba9876543210'

let made = 0

function newStream() {
	const stream = `l${++made}`
	const into = join(temporaryFolder(), 'pulled')
	mkdirSync(into)
	const options: ForwardOptions = {
		servers: server.url,
		stream,
		subjectPrefix: stream,
		create: {},
		pollIntervalMs: 10,
	}
	return { stream, address: `${server.url}/${stream}`, options, into }
}

/** Writes `count` records in a new epoch. */
async function write(path: string, count: number, text: string, nodeId: string | null = null) {
	const loop = new MeshLoop(new FileChainAppender(path), nodeId === null ? {} : { nodeId })
	for (let index = 0; index < count; index++) loop.info(`${text} ${index}`)
	await loop.close()
}

function forwarderOf(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	onTestFinished(() => forwarder.close().catch(() => {}))
	return forwarder
}

async function forwarded(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	try {
		await forwarder.flushed()
	} finally {
		await forwarder.close().catch(() => {})
	}
	return forwarder.stats()
}

async function recordsIn(path: string): Promise<LogRecord[]> {
	const chain = await openChain(path)
	try {
		return await collect(chain.records())
	} finally {
		await chain.close()
	}
}

async function read(address: string, query = {}): Promise<LogRecord[]> {
	const chain = await openStream(address)
	try {
		return await collect(chain.records(query))
	} finally {
		await chain.close()
	}
}

async function subjectsIn(stream: string): Promise<string[]> {
	const { state } = await server.manager.streams.info(stream, { subjects_filter: '>' })
	return Object.keys(state.subjects ?? {}).sort()
}

/** Returns all records of a stream as stored, message by message. */
async function storedIn(stream: string, chainId: string): Promise<LogRecord[]> {
	const { state } = await server.manager.streams.info(stream)
	const records: LogRecord[] = []
	for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
		const message = await server.manager.streams.getMessage(stream, { seq })
		records.push(...recordsOf(framesOf(message!.data, chainId))!)
	}
	return records
}

async function idOf(path: string): Promise<string> {
	const chain = await openChain(path)
	await chain.close()
	return chain.chainId
}

/** Collects mesh-chain's warnings from now on. */
function warnings(): string[] {
	const said: string[] = []
	const warned = (warning: Error & { readonly code?: string }) => void said.push(String(warning.code))
	process.on('warning', warned)
	onTestFinished(() => void process.off('warning', warned))
	return said
}

/** Publishes groups of records, each as one message, like a program that ignores the other subjects. */
async function published(stream: string, node: string, groups: LogRecord[][], chainId = CHAIN_ID) {
	await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] }).catch(() => {})
	const builder = new MessageBuilder(chainId, { targetBytes: 100_000, bytesMax: 500_000 }, NO_SUMS)
	for (const group of groups) {
		for (const each of group) builder.add(each)
		for (const { body, sums } of builder.take()) {
			const head = headers()
			head.set(SUMS_HEADER, JSON.stringify(sums))
			await server.client.publish(`${stream}.${node}.${chainId}`, body, { headers: head })
		}
	}
}

function run(fromSeq: number, toSeq: number, epoch = 1, text = 'line'): LogRecord[] {
	return Array.from({ length: toSeq - fromSeq + 1 }, (_unused, index) =>
		record(fromSeq + index, { epoch, message: `${text} ${fromSeq + index}` }),
	)
}

describe('a node that is renamed', () => {
	test.each(['by its option', 'by its host name, when the file has retained nothing older'])(
		'%s keeps the subject of its chain',
		async (how) => {
			const { stream, address, options, into } = newStream()
			const path = join(temporaryFolder(), 'node.chain')
			const names = how === 'by its option' ? ['alpha', 'beta', 'gamma'] : []
			for (const [round, name] of ['alpha', 'beta', 'gamma'].entries()) {
				await write(path, 50, name, name)
				await forwarded(path, { ...options, ...(names[round] === undefined ? {} : { node: names[round]! }) })
			}
			expect(await subjectsIn(stream)).toEqual([`${stream}.alpha.${await idOf(path)}`])
			expect(await read(address)).toEqual(await recordsIn(path))
			await pullStream(address, into)
			expect(readdirSync(into)).toEqual(['alpha.chain'])
			expect(await recordsIn(join(into, 'alpha.chain'))).toEqual(await recordsIn(path))
		},
	)
})

describe('a chain under several subjects', () => {
	const all = run(1, 120)

	test('is one chain for every reader, in seq order', async () => {
		const cut = fc.array(fc.integer({ min: 2, max: 120 }), { minLength: 0, maxLength: 8 })
		const part = fc.record({ node: fc.constantFrom('alpha', 'beta', 'gamma'), repeats: fc.boolean() })
		const parts = fc.array(part, { minLength: 9, maxLength: 9 })
		await fc.assert(
			fc.asyncProperty(cut, parts, fc.integer(), async (cuts, spread, turn) => {
				const { stream, address, into } = newStream()
				const edges = [1, ...new Set(cuts.toSorted((a, b) => a - b)), 121]
				const bySubject = new Map<string, LogRecord[][]>()
				for (const [index, from] of edges.slice(0, -1).entries()) {
					const { node, repeats } = spread[index]!
					const to = edges[index + 1]! - 1
					const own = bySubject.get(node) ?? []
					bySubject.set(node, own)
					const sent = own.at(-1)?.at(-1)?.seq ?? 0
					// Overlaps with records that another subject already has.
					const start = repeats ? Math.max(sent + 1, from - 7) : from
					own.push(all.slice(start - 1, to))
				}
				// Each subject is in order; their interleaving is arbitrary.
				const subjects = [...bySubject]
				for (let index = 0; index < subjects.length; index++) {
					const [node, groups] = subjects[(index + Math.abs(turn)) % subjects.length]!
					await published(stream, node, groups)
				}
				expect(await read(address)).toEqual(all)
				expect(await read(address, { reverse: true })).toEqual(all.toReversed())
				expect((await read(address, { fromSeq: 40, toSeq: 90 })).map(({ seq }) => seq)).toEqual(
					run(40, 90).map(({ seq }) => seq),
				)
				for (const [node] of subjects) expect(await read(`${address}?node=${node}`)).toEqual(all)
				const { chains } = await pullStream(address, into)
				expect(chains).toMatchObject([{ records: 120, gaps: 0, outOfOrder: 0, forks: 0 }])
				expect(await recordsIn(chains[0]!.path)).toEqual(all)
				const chain = await openStream(address)
				expect(await chain.info()).toMatchObject({
					records: 120,
					firstSeq: 1,
					lastSeq: 120,
					gaps: { count: 0 },
				})
				await chain.close()
				await server.manager.streams.delete(stream)
			}),
			{ numRuns: 15, seed: SEED, endOnFailure: true },
		)
	})

	test('is followed under each subject', async () => {
		const { stream, address } = newStream()
		await published(stream, 'alpha', [run(1, 10)])
		await published(stream, 'beta', [run(11, 20)])
		const chain = await openStream(address)
		const over = new AbortController()
		const seqs: number[] = []
		for await (const { seq } of chain.tail({ signal: over.signal })) {
			seqs.push(seq)
			if (seq === 20) await published(stream, 'alpha', [run(21, 30)])
			if (seq === 30) await published(stream, 'beta', [run(31, 40)])
			if (seq === 40) over.abort()
		}
		await chain.close()
		expect(seqs).toEqual(run(1, 40).map(({ seq }) => seq))
	})

	test('keeps its pulled file, even when the subject of that name is gone', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'alpha', [run(1, 10)])
		await pullStream(address, into)
		await published(stream, 'beta', [run(11, 20)])
		await server.manager.streams.purge(stream, { filter: `${stream}.alpha.*` })
		const [pulled] = (await pullStream(address, into)).chains
		expect([pulled!.path, pulled!.records, pulled!.gaps]).toEqual([join(into, 'alpha.chain'), 10, 0])
		expect(readdirSync(into)).toEqual(['alpha.chain'])
		expect(await recordsIn(join(into, 'alpha.chain'))).toEqual(run(1, 20))
	})

	test('with different records of one identity is reported as a fork; other chains are read', async () => {
		const { stream, address, into } = newStream()
		await published(stream, 'alpha', [run(1, 20), run(21, 30)])
		await published(stream, 'beta', [run(1, 20), run(21, 25, 1, 'another')])
		await published(stream, 'healthy', [run(1, 7)], OTHER_ID)
		const said = warnings()
		const whole = await read(address)
		expect(whole.filter(({ origin }) => origin!.chainId === OTHER_ID)).toHaveLength(7)
		const own = whole.filter(({ origin }) => origin!.chainId === CHAIN_ID)
		expect(own.map(({ message }) => message)).toEqual(run(1, 30).map(({ message }) => message))
		await eventually('it is said', async () => said.includes('MESH_CHAIN_CHAIN_FORKED'))
		// Each node selects its fork; they are never mixed.
		expect(await read(`${address}?chain=${CHAIN_ID}&node=alpha`)).toEqual(run(1, 30))
		expect(await read(`${address}?chain=${CHAIN_ID}&node=beta`)).toEqual([
			...run(1, 20),
			...run(21, 25, 1, 'another'),
		])
		const dump = await meshChain(['dump', address, '-o', 'ndjson'])
		expect([dump.status, dump.stdout.trim().split('\n').length]).toEqual([3, 37])
		expect(dump.stderr).toContain('CHAIN_FORKED')
		expect(await recordsIn(await pulledPath(address, into))).toEqual(run(1, 30))
		const pull = await meshChain(['pull', address, '--to', into])
		expect([pull.status, pull.stderr]).toEqual([
			3,
			expect.stringContaining('1 subject left out because of a fork of the chain'),
		])
	})

	test('is reported even if its forks moved to later epochs at different seqs', async () => {
		const { stream, address } = newStream()
		await published(stream, 'alpha', [run(1, 20), run(21, 30, 2), run(31, 40, 3)])
		const another = [run(21, 40, 2, 'another'), run(41, 60, 2, 'another'), run(61, 80, 3, 'another')]
		await published(stream, 'beta', [run(1, 20), ...another])
		const own = [...run(1, 20), ...run(21, 30, 2), ...run(31, 40, 3)]
		expect(await read(address)).toEqual(own)
		expect(await read(address, { reverse: true })).toEqual(own.toReversed())
		expect(await read(`${address}?node=beta`)).toEqual([...run(1, 20), ...another.flat()])
	})

	test('has no fork after a power loss removed its end and its node was renamed', async () => {
		const { stream, address } = newStream()
		await published(stream, 'alpha', [run(1, 20), run(21, 30)])
		await published(stream, 'beta', [run(11, 25), run(26, 40, 2)])
		expect(await read(address)).toEqual([...run(1, 30), ...run(26, 40, 2)])
	})
})

async function pulledPath(address: string, into: string): Promise<string> {
	const { chains } = await pullStream(address, into)
	return chains.find(({ chainId }) => chainId === CHAIN_ID)!.path
}

describe('a chain that was copied and continued twice', () => {
	/** Creates 30 records in two epochs, and a copy of the folder. */
	async function copied() {
		const path = join(temporaryFolder(), 'node.chain')
		await write(path, 20, 'common')
		await write(path, 10, 'common')
		const copy = join(temporaryFolder(), 'copy')
		cpSync(dirname(path), copy, { recursive: true })
		return { path, copy: join(copy, 'node.chain') }
	}

	const cases = fc.record({
		isForwardedBefore: fc.boolean(),
		epochs: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
		counts: fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 })),
		isRenamed: fc.boolean(),
		/** Whether each message of the first fork holds one epoch. */
		isByEpoch: fc.boolean(),
	})

	test('is reported by the second forwarder, whatever the length of each copy, and never mixed', async () => {
		await fc.assert(
			fc.asyncProperty(cases, async ({ isForwardedBefore, epochs, counts, isRenamed, isByEpoch }) => {
				const { stream, options } = newStream()
				const { path, copy } = await copied()
				if (isForwardedBefore) await forwarded(path, options)
				for (const [index, file] of [path, copy].entries())
					for (let epoch = 0; epoch < epochs[index]!; epoch++) {
						await write(file, counts[index]!, `life ${index}`)
						if (isByEpoch && index === 0) await forwarded(path, options)
					}
				await forwarded(path, options)
				const second = forwardChain(copy, { ...options, ...(isRenamed ? { node: 'clone' } : {}) })
				await expect(second.flushed()).rejects.toMatchObject({ code: 'CHAIN_FORKED', path: copy })
				await expect(second.done).rejects.toMatchObject({ code: 'CHAIN_FORKED' })
				expect(await storedIn(stream, await idOf(path))).toEqual(await recordsIn(path))
				// The first copy continues.
				await write(path, 3, 'life 0')
				await forwarded(path, options)
				expect(await storedIn(stream, await idOf(path))).toEqual(await recordsIn(path))
				await server.manager.streams.delete(stream)
			}),
			{
				numRuns: 15,
				seed: SEED,
				endOnFailure: true,
				// In each epoch, the second copy ends before the first one begins it.
				examples: [
					[
						{
							isForwardedBefore: false,
							epochs: [3, 3],
							counts: [16, 3],
							isRenamed: false,
							isByEpoch: true,
						},
					],
				],
			},
		)
	})

	test.each([false, true])('ends one of two concurrent forwarders: renamed %s', async (isRenamed) => {
		const { stream, options } = newStream()
		const { path, copy } = await copied()
		await forwarded(path, options)
		const loops = [path, copy].map((file) => new MeshLoop(new FileChainAppender(file)))
		for (const loop of loops) onTestFinished(() => loop.close())
		const forwarders = [
			forwarderOf(path, options),
			forwarderOf(copy, isRenamed ? { ...options, node: 'clone' } : options),
		]
		const ended = Promise.race(
			forwarders.map(async ({ done }, index) => done.then(undefined, (error) => ({ index, error }))),
		)
		let isOver = false
		const writing = (async () => {
			for (let index = 0; !isOver; index++) {
				for (const [life, loop] of loops.entries()) {
					loop.info(`life ${life}, ${index}`)
					loop.flush()
				}
				await new Promise((resolve) => setTimeout(resolve, 5))
			}
		})()
		const { index, error } = (await ended) as { index: number; error: unknown }
		isOver = true
		await writing
		expect(error).toMatchObject({ code: 'CHAIN_FORKED' })
		const other = [path, copy][1 - index]!
		await forwarders[1 - index]!.flushed()
		expect(await storedIn(stream, await idOf(path))).toEqual(await recordsIn(other))
	})

	test('is reported when two forwarders start at the same time under different names', async () => {
		const { stream, options } = newStream()
		const path = join(temporaryFolder(), 'node.chain')
		const loop = new MeshLoop(new FileChainAppender(path))
		onTestFinished(() => loop.close())
		const forwarder = forwarderOf(path, options)
		await eventually('it has looked', async () => forwarder.stats().state === 'waiting')
		await published(stream, 'another', [run(1, 5)], await idOf(path))
		for (let index = 0; index < 3; index++) loop.info(`line ${index}`)
		loop.flush()
		await expect(forwarder.done).rejects.toMatchObject({ code: 'CHAIN_FORKED' })
	})

	test('is not a fork if only one copy is written; that copy continues', async () => {
		const { stream, options } = newStream()
		const { path, copy } = await copied()
		await forwarded(path, options)
		await write(copy, 5, 'moved')
		await forwarded(copy, options)
		expect(await storedIn(stream, await idOf(path))).toEqual(await recordsIn(copy))
		const said = warnings()
		expect(await forwarded(path, options)).toMatchObject({ ahead: 5, records: 0 })
		await eventually('it is said', async () => said.includes('MESH_CHAIN_CHAIN_BEHIND'))
	})
})

describe('a stream that is deleted while a forwarder runs', () => {
	test('is awaited, and gets every record once created again, with a warning and a count', async () => {
		const { stream, options } = newStream()
		const { create: _create, ...without } = options
		const path = join(temporaryFolder(), 'node.chain')
		await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
		await write(path, 10, 'before')
		const said = warnings()
		const events: unknown[] = []
		const recovered = (message: unknown) => void events.push((message as { source: unknown }).source)
		subscribe('mesh-chain:recovered', recovered)
		onTestFinished(() => void unsubscribe('mesh-chain:recovered', recovered))
		const forwarder = forwarderOf(path, without)
		await forwarder.flushed()
		await server.manager.streams.delete(stream)
		await write(path, 10, 'meanwhile')
		await eventually('it is missed', async () => forwarder.stats().failures >= 2)
		expect(forwarder.stats()).toMatchObject({
			lastError: expect.stringContaining('there is no stream'),
			recoveries: 0,
		})
		await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
		await forwarder.flushed()
		expect(await storedIn(stream, await idOf(path))).toEqual(await recordsIn(path))
		await eventually('it is said', async () => said.includes('MESH_CHAIN_FORWARD_RECOVERED'))
		expect(forwarder.stats()).toMatchObject({ recoveries: 1, lastError: undefined })
		expect(events).toEqual([forwarder])
		expect(said).toEqual(['MESH_CHAIN_FORWARD_FAILING', 'MESH_CHAIN_FORWARD_RECOVERED'])
	})

	test('ends the forwarder if it never existed, or with endWhenRefused', async () => {
		const { stream, options } = newStream()
		const { create: _create, ...without } = options
		const path = join(temporaryFolder(), 'node.chain')
		await write(path, 10, 'before')
		await expect(forwarderOf(path, without).done).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
		await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
		const forwarder = forwarderOf(path, { ...without, endWhenRefused: true })
		await forwarder.flushed()
		await server.manager.streams.delete(stream)
		await write(path, 10, 'meanwhile')
		await expect(forwarder.done).rejects.toMatchObject({ code: 'STREAM_NOT_FOUND' })
	})

	test('is noticed even while nothing is written', async () => {
		const { stream, options } = newStream()
		const path = join(temporaryFolder(), 'node.chain')
		await write(path, 10, 'all')
		const forwarder = forwarderOf(path, options)
		await eventually('it has nothing to send', async () => forwarder.stats().state === 'waiting')
		await server.manager.streams.delete(stream)
		await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
		await eventually('it has everything again', async () => (await subjectsIn(stream)).length > 0)
		expect((await storedIn(stream, await idOf(path))).filter((each) => !isGap(each))).toHaveLength(10)
	})
})
