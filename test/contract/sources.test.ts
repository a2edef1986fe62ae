/** Every source kind of the project passes the contract suite that foreign sources are tested with. */
import { channel } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
	eventLoopDelay,
	fromChannel,
	fromEmitter,
	fromFunction,
	fromHttp,
	fromIterable,
	fromNats,
	fromStream,
	garbageCollection,
	memoryUsage,
	type SampleSink,
} from '../../src/sources/index.ts'
import { sourceContract } from '../../src/testing/index.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'

describe('an iterable', () => {
	let open = 0
	async function* counting() {
		open++
		try {
			for (let count = 0; ; count++) {
				yield count
				await new Promise((resolve) => setImmediate(resolve))
			}
		} finally {
			open--
		}
	}
	sourceContract(() => fromIterable(counting), { describe, test }, { produce: () => {}, held: () => open })
})

describe('a stream', () => {
	const streams = new Set<PassThrough>()
	const opened = async () => {
		const stream = new PassThrough({ objectMode: true })
		streams.add(stream)
		return stream
	}
	sourceContract(
		() => fromStream(opened),
		{ describe, test },
		{
			produce: () => {
				for (const stream of streams) if (!stream.destroyed) stream.write({ at: 1 })
			},
			held: () => [...streams].filter((stream) => !stream.destroyed).length,
		},
	)
})

describe('an emitter', () => {
	const emitter = new EventEmitter()
	sourceContract(
		() => fromEmitter(emitter, 'value'),
		{ describe, test },
		{
			produce: () => emitter.emit('value', 1),
			held: () => emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0),
		},
	)
})

describe('a diagnostics channel', () => {
	const name = 'mesh-chain-test:contract'
	sourceContract(
		() => fromChannel(name),
		{ describe, test },
		{
			produce: () => channel(name).publish({ at: 1 }),
			held: () => (channel(name).hasSubscribers ? 1 : 0),
		},
	)
})

describe('a subject of NATS', () => {
	let server: NatsServer
	let connection: NatsConnection
	beforeAll(async () => {
		server = await startNats()
		connection = await connect({ servers: server.url, maxReconnectAttempts: -1 })
	})
	afterAll(async () => {
		await connection.close()
		await server.stop()
	})
	sourceContract(
		() => fromNats(connection, 'contract.*'),
		{ describe, test },
		{
			produce: async () => {
				connection.publish('contract.one', '{"at":1}')
				await connection.flush()
			},
		},
	)
})

describe('a function', () => sourceContract(() => fromFunction(() => 1), { describe, test }))

describe('HTTP', () => {
	let server: Server
	beforeAll(async () => {
		server = createServer((_request, response) => {
			response.setHeader('content-type', 'application/json')
			response.end('{"at":1}')
		}).listen(0, '127.0.0.1')
		await once(server, 'listening')
	})
	afterAll(() => {
		server.closeAllConnections()
		server.close()
	})
	sourceContract(() => fromHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), {
		describe,
		test,
	})
})

for (const create of [eventLoopDelay, garbageCollection, memoryUsage]) {
	describe(create.name, () => sourceContract(() => create(), { describe, test }))
}

test('a source that never confirms its subscription fails its check', async () => {
	const cases = new Map<string, () => unknown>()
	const silent = { monitor: ({ signal }: SampleSink) => once(signal, 'abort').then(() => {}) }
	sourceContract(() => silent, {
		describe: (_title: string, define: () => void) => define(),
		test: (title: string, check: () => unknown) => void cases.set(title, check),
	})
	const check = [...cases].find(([title]) => title.startsWith('confirms'))![1]
	await expect(check()).rejects.toThrow('expected opened() or a sample')
})

describe('a source that is slow to open', () => {
	const emitter = new EventEmitter()
	const within = fromEmitter(emitter, 'value')
	const late = {
		monitor: async (sink: Parameters<NonNullable<typeof within.monitor>>[0]) => {
			await new Promise((resolve) => setImmediate(resolve))
			await within.monitor!(sink)
		},
	}
	sourceContract(
		() => late,
		{ describe, test },
		{ produce: () => emitter.emit('value', 1), held: () => emitter.listenerCount('value') },
	)
})
