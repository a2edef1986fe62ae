/**
 * Servers that answer a forwarder but refuse it: what it reports, when it ends, and which permissions
 * suffice.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiscardPolicy } from '@nats-io/jetstream'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type ForwardOptions, forwardChain, openStream, pullStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { eventually } from '../support/nats-cluster.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** Permissions from docs/guarantees/cluster.md, for a stream and a subject prefix named `mesh`. */
const FORWARDER = ['mesh.*.*', '$JS.API.INFO', '$JS.API.STREAM.INFO.mesh', '$JS.API.STREAM.MSG.GET.mesh']
const CREATOR = [...FORWARDER, '$JS.API.STREAM.CREATE.mesh']
const READER = [
	'$JS.API.INFO',
	'$JS.API.STREAM.INFO.mesh',
	'$JS.API.STREAM.MSG.GET.mesh',
	'$JS.API.CONSUMER.CREATE.mesh',
	'$JS.API.CONSUMER.MSG.NEXT.mesh.>',
	'$JS.API.CONSUMER.INFO.mesh.>',
	'$JS.API.CONSUMER.DELETE.mesh.>',
]

const userOf = (name: string, publish: readonly string[]) => {
	const permissions = `{ publish: ${JSON.stringify(publish)}, subscribe: "_INBOX.>" }`
	return `{ user: ${name}, password: p, permissions: ${permissions} }`
}
const server = natsForFile({
	config: `authorization { users: [
		{ user: admin, password: p }
		{ user: mute, password: p, permissions: { publish: { deny: "mute.>" } } }
		${userOf('forwarder', FORWARDER)}
		${userOf('creator', CREATOR)}
		${userOf('reader', READER)}
	] }`,
	as: { user: 'admin', pass: 'p' },
})

const warnings: string[] = []
const warned = (warning: Error) => void warnings.push(warning.message)
beforeAll(() => void process.on('warning', warned))
afterAll(() => void process.off('warning', warned))

const as = (user: string) => ({ user, password: 'p' })

function optionsOf(stream: string, user = 'admin'): ForwardOptions {
	return { servers: server.url, stream, subjectPrefix: stream, ...as(user), pollIntervalMs: 10 }
}

function newChain() {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'api-1' })
	onTestFinished(() => loop.close())
	for (let count = 0; count < 10; count++) loop.info('x'.repeat(100))
	loop.flush()
	return { path, loop }
}

function forwarderOf(path: string, options: ForwardOptions) {
	const forwarder = forwardChain(path, options)
	onTestFinished(() => forwarder.close().catch(() => {}))
	return forwarder
}

const warningsOf = (path: string) => warnings.filter((text) => text.includes(path))

test('a full stream is reported once, and gets all records once it has room', async () => {
	const { path } = newChain()
	const stream = { name: 'full', subjects: ['full.*.*'], max_bytes: 150, discard: DiscardPolicy.New }
	await server.manager.streams.add(stream)
	const forwarder = forwarderOf(path, optionsOf('full'))
	const said = new Set<string | undefined>()
	await eventually('it has tried', async () => {
		if (forwarder.stats().failures > 0) said.add(forwarder.stats().lastError)
		return forwarder.stats().failures >= 3
	})
	await sleep(50)
	expect([...said]).toEqual([
		'the stream "full" accepts no more messages: maximum bytes exceeded. Raise the limits of the stream ' +
			'or its account, or let the stream remove the oldest messages (discard: old)',
	])
	expect(warningsOf(path)).toHaveLength(1)
	await server.manager.streams.update('full', { ...stream, max_bytes: 10_000 })
	await forwarder.flushed()
	expect(forwarder.stats()).toMatchObject({ records: 10, lastError: undefined })

	await server.manager.streams.purge('full')
	await server.manager.streams.update('full', { ...stream, max_bytes: 150 })
	const next = forwarderOf(newChain().path, { ...optionsOf('full'), endWhenRefused: true })
	await expect(next.flushed()).rejects.toMatchObject({ code: 'STREAM_REFUSED' })
	await expect(next.done).rejects.toMatchObject({ code: 'STREAM_REFUSED' })
})

test('a missing publish permission is reported once; with endWhenRefused it ends the forwarder', async () => {
	const { path } = newChain()
	await server.manager.streams.add({ name: 'mute', subjects: ['mute.*.*'] })
	const forwarder = forwarderOf(path, optionsOf('mute', 'mute'))
	await eventually('it has tried', async () => forwarder.stats().failures >= 3)
	const reason = String.raw`Permissions Violation for Publish to "mute\.api-1\..*"`
	const advice = String.raw`docs/guarantees/cluster\.md lists the required permissions`
	expect(forwarder.stats().lastError).toMatch(
		new RegExp(String.raw`^the stream "mute" refuses this user: ${reason} \(${advice}\)$`),
	)
	expect(warningsOf(path)).toHaveLength(1)
	await forwarder.close()
	const ending = forwarderOf(path, { ...optionsOf('mute', 'mute'), endWhenRefused: true })
	await expect(ending.flushed()).rejects.toMatchObject({ code: 'STREAM_REFUSED' })
	await expect(ending.flushed()).rejects.toMatchObject({ code: 'STREAM_REFUSED' })
	const stranger = forwarderOf(path, { ...optionsOf('mute'), password: 'wrong', endWhenRefused: true })
	await expect(stranger.flushed()).rejects.toMatchObject({
		code: 'CLUSTER_UNREACHABLE',
		message: expect.stringContaining('Authorization Violation'),
	})
})

test('the documented permissions suffice to create, forward, read, follow and pull', async () => {
	const { path, loop } = newChain()
	const creator = forwarderOf(path, { ...optionsOf('mesh', 'creator'), create: {}, endWhenRefused: true })
	await creator.flushed()
	await creator.close()
	loop.info('more')
	loop.flush()
	const forwarder = forwarderOf(path, { ...optionsOf('mesh', 'forwarder'), endWhenRefused: true })
	await forwarder.flushed()
	expect(forwarder.stats()).toMatchObject({ records: 1, failures: 0, acknowledged: { seq: 11 } })

	const chain = await openStream(`${server.url}/mesh`, as('reader'))
	onTestFinished(() => chain.close())
	expect(await collect(chain.records())).toHaveLength(11)
	expect(await collect(chain.records({ fromSeq: 11 }))).toHaveLength(1)
	expect(await chain.info()).toMatchObject({ records: 11 })
	for await (const record of chain.tail({ afterSeq: 10 })) {
		expect(record.message).toBe('more')
		break
	}
	const pulled = await pullStream(`${server.url}/mesh`, temporaryFolder(), as('reader'))
	expect(pulled).toMatchObject({ records: 11 })
})
