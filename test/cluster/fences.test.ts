/**
 * The messages without records that a forwarder sends first: no older message is stored after them, and
 * readers skip them.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JetStreamManager } from '@nats-io/jetstream'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import {
	type ForwardOptions,
	forwardChain,
	JetStreamAppender,
	openStream,
	pullStream,
} from '../../src/cluster/index.ts'
import { framesOf, isFence, recordsOf } from '../../src/cluster/message.ts'
import { parseSubject } from '../../src/cluster/subjects.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { eventually, type NatsCluster, newNatsCluster } from '../support/nats-cluster.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

function newChain() {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	const loop = new MeshLoop(appender, { nodeId: 'api-1' })
	onTestFinished(() => loop.close())
	return { path, loop, chainId: appender.chainId }
}

interface Stored {
	/** Seqs of the records, in stream order. */
	readonly seqs: number[]
	/** One item for each message: `F` for a fence, otherwise the number of records. */
	readonly messages: (number | 'F')[]
}

/** Reads the stream with the plain client. */
async function storedIn({ streams }: JetStreamManager, stream: string): Promise<Stored> {
	const stored: Stored = { seqs: [], messages: [] }
	const { state } = await streams.info(stream)
	for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
		const message = await streams.getMessage(stream, { seq })
		if (message === null) continue
		const { subject, data } = message
		const records = isFence(message) ? [] : recordsOf(framesOf(data, parseSubject(subject)!.chainId))!
		stored.seqs.push(...records.map((record) => record.seq))
		stored.messages.push(records.length || 'F')
	}
	return stored
}

/** The same of a cluster, in which a request fails while there is an election. */
async function storedInCluster(cluster: NatsCluster, stream: string): Promise<Stored> {
	const manager = await cluster.manager()
	return eventually(`${stream} can be read`, () => storedIn(manager, stream))
}

const upTo = (count: number) => Array.from({ length: count }, (_unused, index) => index + 1)

test('messages repeated while the leader cannot store are stored once, even without ids', async () => {
	const cluster = await newNatsCluster()
	await cluster.startAll()
	const { path, loop } = newChain()
	const create = { replicas: 3, duplicateWindowMs: 100 }
	const setUp = forwardChain(path, { servers: cluster.urls, create })
	loop.info('first')
	loop.flush()
	await setUp.flushed()
	await setUp.close()
	const leader = await cluster.leaderOf('mesh')
	const forwarder = forwardChain(path, {
		servers: cluster.urls[leader]!,
		pollIntervalMs: 10,
		ackTimeoutMs: 1_000,
	})
	onTestFinished(() => forwarder.close())
	const direct = new JetStreamAppender({ servers: cluster.urls[leader]!, node: 'direct', ackTimeoutMs: 500 })
	const service = new MeshLoop(direct)
	onTestFinished(() => service.close())
	for (const each of [loop, service]) each.info('second')
	loop.flush()
	await forwarder.flushed()
	await eventually('the direct one is there', async () => direct.committedSeq === 1)

	const others = [0, 1, 2].filter((index) => index !== leader)
	for (const index of others) cluster.freeze(index)
	for (const each of [loop, service]) each.info('third')
	loop.flush()
	await eventually('they were sent again', async () => forwarder.stats().failures >= 3)
	await eventually('and this one', async () => direct.stats().failures >= 1)
	// Messages in flight are stored between the request for the position and the fences.
	const { resumes } = forwarder.stats()
	await eventually('the stream was looked at again', async () => forwarder.stats().resumes > resumes)
	for (const index of others) cluster.thaw(index)
	await forwarder.flushed()
	await eventually('all is acknowledged', async () => direct.committedSeq === 2)

	const { seqs, messages } = await storedInCluster(cluster, 'mesh')
	expect(seqs.toSorted((a, b) => a - b)).toEqual([1, 1, 2, 2, 3])
	// Two before each first message, and further ones sent meanwhile.
	expect(messages.filter((each) => each === 'F').length).toBeGreaterThan(6)

	const address = `${cluster.address}/mesh?node=api-1`
	const seqsRead = await eventually('the stream can be read', async () => {
		await using chain = await openStream(address)
		return (await collect(chain.records())).map(({ seq }) => seq)
	})
	expect(seqsRead).toEqual([1, 2, 3])
}, 300_000)

test('no fence is sent without a message, or to a stream with one replica', async () => {
	const cluster = await newNatsCluster()
	await cluster.startAll()
	const { path, loop } = newChain()
	loop.info('first')
	loop.flush()
	const forward = async (options: Partial<ForwardOptions>) => {
		await using forwarder = forwardChain(path, { servers: cluster.urls, ...options })
		await forwarder.flushed()
	}
	await forward({ create: { replicas: 3 } })
	for (let again = 0; again < 3; again++) await forward({})
	expect((await storedInCluster(cluster, 'mesh')).messages).toEqual(['F', 'F', 1])
	await forward({ stream: 'one', subjectPrefix: 'one', create: { replicas: 1 } })
	expect((await storedInCluster(cluster, 'one')).messages).toEqual([1])
}, 120_000)

/** Creates a chain of messages with one record each, and fences as listed. */
async function streamWith(stream: string, messages: readonly ('F' | 'R')[]) {
	const chain = newChain()
	const options = { servers: server.url, stream, subjectPrefix: stream, pollIntervalMs: 10 }
	await server.manager.streams.add({ name: stream, subjects: [`${stream}.*.*`] })
	const subject = `${stream}.api-1.${chain.chainId}`
	for (const message of messages) {
		if (message === 'F') await server.client.publish(subject, new Uint8Array(0))
		else {
			chain.loop.info('record')
			chain.loop.flush()
			await using forwarder = forwardChain(chain.path, options)
			await forwarder.flushed()
		}
	}
	return { ...chain, options, address: `${server.url}/${stream}` }
}

test.each<[string, ('F' | 'R')[], number[]]>([
	['before the first record', ['F', 'F', 'R', 'R'], []],
	['between records', ['R', 'F', 'F', 'R', 'F', 'R'], []],
	['after the last one', ['R', 'R', 'F', 'F'], []],
	[
		'more than one step of the backward search covers',
		['R', ...Array.from({ length: 150 }, () => 'F' as const)],
		[],
	],
	['alone', ['F', 'F'], []],
	['with the last one deleted', ['R', 'F', 'R', 'F', 'F'], [5]],
	['after a deleted record', ['R', 'R', 'F'], [2]],
])('fences %s are skipped', async (what, messages, deleted) => {
	const stream = what.replaceAll(' ', '-')
	const { path, loop, options, address } = await streamWith(stream, messages)
	for (const seq of deleted) await server.manager.streams.deleteMessage(stream, seq)
	const kept = (await storedIn(server.manager, stream)).seqs

	await using reader = await openStream(address)
	expect((await collect(reader.records())).map(({ seq }) => seq)).toEqual(kept)
	expect(await reader.info()).toMatchObject({ records: kept.length, damagedPlaces: 0 })
	const pulled = temporaryFolder()
	expect(await pullStream(address, pulled)).toMatchObject({ records: kept.length })
	loop.info('more')
	loop.flush()
	await using forwarder = forwardChain(path, options)
	await forwarder.flushed()
	const all = upTo(messages.filter((message) => message === 'R').length + 1)
	expect((await storedIn(server.manager, stream)).seqs).toEqual(all)

	// The pull continues in the file created from the earlier messages.
	expect(await pullStream(address, pulled)).toMatchObject({ records: all.length - kept.length })
	await using copy = await openChain(join(pulled, 'api-1.chain'))
	expect((await collect(copy.records())).map(({ seq }) => seq)).toEqual(all)
})

test('a reader that follows a stream skips fences', async () => {
	const { loop, path, options, address, chainId } = await streamWith('followed', ['R'])
	await using reader = await openStream(address)
	const over = new AbortController()
	const seqs: number[] = []
	const reading = (async () => {
		for await (const { seq } of reader.tail({ afterSeq: 0, signal: over.signal })) seqs.push(seq)
	})()
	await eventually('the first one came', async () => seqs.length === 1)
	for (let count = 0; count < 3; count++)
		await server.client.publish(`followed.api-1.${chainId}`, new Uint8Array(0))
	await sleep(100)
	loop.info('second')
	loop.flush()
	await using forwarder = forwardChain(path, options)
	await forwarder.flushed()
	await eventually('the second one came', async () => seqs.length === 2)
	over.abort()
	await reading
	expect(seqs).toEqual([1, 2])
})
