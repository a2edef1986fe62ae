/** Every target of the project passes the contract suite that foreign targets are tested with. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { recordFromJson } from '../../src/codec/json-dialect.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { LogRecord } from '../../src/model/record.ts'
import { AppenderTarget } from '../../src/replay/targets/appender-target.ts'
import { LoopTarget } from '../../src/replay/targets/loop-target.ts'
import { ProcessTarget } from '../../src/replay/targets/process-target.ts'
import { StreamTarget } from '../../src/replay/targets/stream-target.ts'
import { targetContract } from '../../src/testing/index.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { run } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/** The resources of a target under test. */
const beside = new WeakMap<object, unknown>()
const linesOf = (text: string) => text.split('\n').filter(Boolean).map(recordFromJson)

describe('a function', () => {
	targetContract(
		() => {
			const records: LogRecord[] = []
			const target = (record: LogRecord) => {
				records.push(record)
			}
			beside.set(target, records)
			return target
		},
		{ describe, test },
		{ readBack: (target) => beside.get(target) as LogRecord[] },
	)
})

describe('a loop', () => {
	targetContract(
		() => {
			const appender = new BufferingAppender()
			const target = new LoopTarget(new MeshLoop(appender))
			beside.set(target, appender)
			return target
		},
		{ describe, test },
		{ readBack: (target) => (beside.get(target) as BufferingAppender).captured() },
	)
})

describe('another chain', () => {
	targetContract(
		() => {
			const disk = new FaultyFileSystem()
			const path = join(temporaryFolder(), 'node.chain')
			const target = new AppenderTarget(new FileChainAppender(path, { fs: disk, pendingBytesMax: 4096 }))
			beside.set(target, { path, disk })
			return target
		},
		{ describe, test },
		{
			readBack: async (target) => {
				const chain = await openChain((beside.get(target) as { path: string }).path)
				const records = await collect(chain.records())
				await chain.close()
				return records
			},
			breakEnd: (target) => (beside.get(target) as { disk: FaultyFileSystem }).disk.failWrites('EIO'),
		},
	)
})

describe('JSON Lines', () => {
	targetContract(
		() => {
			const disk = new FaultyFileSystem()
			const appender = new JsonlAppender(join(temporaryFolder(), 'node.jsonl'), { fs: disk })
			const target = new AppenderTarget(appender)
			beside.set(target, { path: appender.path, disk })
			return target
		},
		{ describe, test },
		{
			readBack: (target) => collect(readJsonl((beside.get(target) as { path: string }).path)),
			breakEnd: (target) => (beside.get(target) as { disk: FaultyFileSystem }).disk.failWrites('EIO'),
		},
	)
})

describe('a stream', () => {
	targetContract(
		() => {
			const stream = new PassThrough()
			const chunks: Buffer[] = []
			stream.on('data', (chunk: Buffer) => chunks.push(chunk))
			const target = new StreamTarget(stream)
			beside.set(target, { stream, chunks })
			return target
		},
		{ describe, test },
		{
			readBack: (target) =>
				linesOf(Buffer.concat((beside.get(target) as { chunks: Buffer[] }).chunks).toString()),
			breakEnd: (target) => (beside.get(target) as { stream: PassThrough }).stream.destroy(),
		},
	)
})

describe('a socket', () => {
	targetContract(
		async () => {
			const server = createServer().listen(0, '127.0.0.1')
			onTestFinished(() => void server.close())
			await once(server, 'listening')
			const accepted = once(server, 'connection')
			const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
			const [peer] = (await accepted) as [Socket]
			const chunks: Buffer[] = []
			peer.on('data', (chunk: Buffer) => chunks.push(chunk))
			const target = new StreamTarget(socket, { name: 'the socket' })
			beside.set(target, { peer, socket, chunks })
			return target
		},
		{ describe, test },
		{
			readBack: async (target) => {
				const { peer, socket, chunks } = beside.get(target) as {
					peer: Socket
					socket: Socket
					chunks: Buffer[]
				}
				socket.end()
				await once(peer, 'end')
				return linesOf(Buffer.concat(chunks).toString())
			},
			breakEnd: async (target) => {
				const { peer, socket } = beside.get(target) as Record<string, Socket>
				const gone = once(socket!, 'close')
				peer!.resetAndDestroy()
				await gone.catch(() => {})
			},
		},
	)
})

describe('a program', () => {
	targetContract(
		() => {
			const path = join(temporaryFolder(), 'read.jsonl')
			const target = new ProcessTarget(`cat > '${path}'`)
			beside.set(target, path)
			return target
		},
		{ describe, test },
		{ readBack: (target) => linesOf(readFileSync(beside.get(target) as string, 'utf8')) },
	)
})

test('the contract suite detects a target that breaks it, under node:test', async () => {
	const { status, stdout } = await run(process.execPath, [
		'--test-reporter=tap',
		'--input-type=module',
		'-e',
		`
		import { describe, test } from 'node:test'
		import { targetContract } from 'mesh-chain/testing'
		const kept = new WeakMap()
		const create = () => {
			const records = []
			const target = (record) => void (record.kind === 'order' && records.push(record))
			kept.set(target, records)
			return target
		}
		targetContract(create, { describe, test }, { readBack: (target) => kept.get(target) })
		`,
	])
	expect(status).toBe(1)
	expect(stdout).toMatch(/# pass 5\n# fail 1\n/)
})
