import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterAll, describe, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { ConsoleAppender } from '../../src/appenders/console-appender.ts'
import { NoOpAppender } from '../../src/appenders/no-op.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { JsonlAppender } from '../../src/jsonl/jsonl-appender.ts'
import { readJsonl } from '../../src/jsonl/read-jsonl.ts'
import { appenderContract } from '../../src/testing/index.ts'
import { FakePipe } from '../appenders/fake-pipe.ts'
import { FaultyFileSystem } from '../support/faulty-file-system.ts'
import { collect } from '../support/records.ts'

const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-contract-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const nextPath = () => join(folder, `${++files}.chain`)

async function readBack({ path }: { path: string }) {
	const chain = await openChain(path)
	try {
		return await collect(chain.records())
	} finally {
		await chain.close()
	}
}

describe('NoOpAppender', () => appenderContract(() => new NoOpAppender(), { describe, test }))

describe('BufferingAppender', () =>
	appenderContract(
		() => new BufferingAppender(),
		{ describe, test },
		{ readBack: (appender) => appender.captured() },
	))

for (const durability of ['os', 'disk'] as const) {
	describe(`FileChainAppender, ${durability}`, () => {
		const disks = new WeakMap<FileChainAppender, FaultyFileSystem>()
		appenderContract(
			() => {
				const disk = new FaultyFileSystem()
				const appender = new FileChainAppender(nextPath(), { durability, fs: disk })
				disks.set(appender, disk)
				return appender
			},
			{ describe, test },
			{
				readBack,
				breakMedium: (appender) => {
					const disk = disks.get(appender)
					disk?.failWrites('ENOSPC')
					return () => disk?.heal()
				},
			},
		)
	})
}

describe('JsonlAppender', () => {
	const disks = new WeakMap<JsonlAppender, FaultyFileSystem>()
	appenderContract(
		() => {
			const disk = new FaultyFileSystem()
			const appender = new JsonlAppender(nextPath(), { fs: disk })
			disks.set(appender, disk)
			return appender
		},
		{ describe, test },
		{
			readBack: ({ path }) => collect(readJsonl(path)),
			breakMedium: (appender) => {
				const disk = disks.get(appender)
				disk?.failWrites('ENOSPC')
				return () => disk?.heal()
			},
		},
	)
})

describe('TeeAppender', () => {
	const files = new WeakMap<TeeAppender, FileChainAppender>()
	appenderContract(
		() => {
			const file = new FileChainAppender(nextPath())
			const tee = new TeeAppender(file, new BufferingAppender())
			files.set(tee, file)
			return tee
		},
		{ describe, test },
		{ readBack: (tee) => readBack(files.get(tee) as FileChainAppender) },
	)
})

describe('TeeAppender, a child with a filter', () => {
	const files = new WeakMap<TeeAppender, FileChainAppender>()
	appenderContract(
		() => {
			const file = new FileChainAppender(nextPath())
			const tee = new TeeAppender({ appender: file, filter: () => true }, new BufferingAppender())
			files.set(tee, file)
			return tee
		},
		{ describe, test },
		{ readBack: (tee) => readBack(files.get(tee) as FileChainAppender) },
	)
})

describe('ConsoleAppender, a pipe', () => {
	const pipes = new WeakMap<ConsoleAppender, FakePipe>()
	appenderContract(
		() => {
			const pipe = new FakePipe()
			pipe.writeBytesMax = 100
			const appender = new ConsoleAppender({ fs: pipe.system })
			pipes.set(appender, pipe)
			return appender
		},
		{ describe, test },
		{
			readBack: (appender) => pipes.get(appender)!.lines as never,
			breakMedium: (appender) => {
				const pipe = pipes.get(appender)!
				pipe.roomBytes = 50
				return () => {
					pipe.roomBytes = Number.POSITIVE_INFINITY
				}
			},
		},
	)
})

describe('ConsoleAppender, a stream', () => {
	const texts = new WeakMap<ConsoleAppender, string[]>()
	appenderContract(
		() => {
			const written: string[] = []
			const stream = new Writable({
				write(chunk, _encoding, done) {
					written.push(String(chunk))
					setImmediate(done)
				},
			})
			const appender = new ConsoleAppender({ stream })
			texts.set(appender, written)
			return appender
		},
		{ describe, test },
		{
			readBack: (appender) =>
				texts
					.get(appender)!
					.join('')
					.split('\n')
					.slice(0, -1)
					.map((line) => JSON.parse(line)),
		},
	)
})

describe('a slow asynchronous appender', () => {
	const create = () => {
		const held: Parameters<BufferingAppender['append']>[0][] = []
		return {
			held,
			async append(record: (typeof held)[number]) {
				await new Promise((resolve) => setTimeout(resolve, 1))
				held.push(record)
			},
		}
	}
	appenderContract(create, { describe, test }, { readBack: (appender) => appender.held })
})
