/** Whole programs, run from the build: what is left of a loop when its process is told to end, or dies. */
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { runModule, says, startModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const IMPORTS = `import { FileChainAppender, MeshLoop, closeOnSignal, recordCrashes } from './dist/index.js'
const path = process.argv[1]
`

/** A process that publishes once, says that it is ready, and stays. */
const SERVICE = `${IMPORTS}
const loop = new MeshLoop(new FileChainAppender(path))
closeOnSignal(loop)
loop.info('hello')
setInterval(() => {}, 1000)
console.log('ready')
`

async function messages(path: string): Promise<string[]> {
	const chain = await openChain(path)
	const records = await collect(chain.records())
	await chain.close()
	return records.map(({ message }) => message)
}

async function endOf(child: ReturnType<typeof startModule>): Promise<[number | null, NodeJS.Signals | null]> {
	return (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
}

describe('closeOnSignal', () => {
	test.each(['SIGTERM', 'SIGINT'] as const)(
		'on %s closes the chain, and the process ends by the signal',
		async (signal) => {
			const path = join(temporaryFolder(), 'node.chain')
			const child = startModule(SERVICE, [path])
			await says(child, 'ready')
			child.kill(signal)
			expect(await endOf(child)).toEqual([null, signal])
			const chain = await openChain(path)
			expect((await chain.info()).state).toBe('closed')
			await chain.close()
			expect(await messages(path)).toEqual(['hello'])
		},
	)

	test('leaves ending the process to others who listen, and does not listen any more', async () => {
		const source = `${IMPORTS}
const loop = new MeshLoop(new FileChainAppender(path))
closeOnSignal(loop)
process.on('SIGTERM', () => {
	setTimeout(() => {
		console.log(process.listenerCount('SIGTERM'), process.listenerCount('SIGINT'), loop.info('late') === undefined)
		process.exit(7)
	}, 200)
})
setInterval(() => {}, 1000)
process.kill(process.pid, 'SIGTERM')
`
		const ended = await runModule(source, [join(temporaryFolder(), 'node.chain')])
		expect(ended).toMatchObject({ status: 7, signal: null, stdout: '1 0 true\n' })
	})

	test('a second signal while an appender hangs ends the process at once', async () => {
		const source = `${IMPORTS}
const loop = new MeshLoop({ append() {}, close: () => new Promise(() => {}) })
closeOnSignal(loop)
setInterval(() => {}, 1000)
process.once('SIGTERM', () => setTimeout(() => console.log('still closing'), 100))
console.log('ready')
`
		const child = startModule(source)
		await says(child, 'ready')
		child.kill('SIGTERM')
		await says(child, 'still closing')
		child.kill('SIGTERM')
		expect(await endOf(child)).toEqual([null, 'SIGTERM'])
	})

	test('closes every loop even when one of them cannot, and says so', async () => {
		const source = `${IMPORTS}
const bad = new MeshLoop({ append() {}, close: () => Promise.reject(new Error('EIO')) })
const good = new MeshLoop(new FileChainAppender(path))
good.info('hello')
closeOnSignal(bad, good)
setInterval(() => {}, 1000)
process.kill(process.pid, 'SIGTERM')
`
		const path = join(temporaryFolder(), 'node.chain')
		const ended = await runModule(source, [path])
		expect(ended.signal).toBe('SIGTERM')
		expect(ended.stderr).toMatch(/MESH_CHAIN_CLOSE_FAILED.*EIO/)
		expect(await messages(path)).toEqual(['hello'])
	})

	test('can be undone', async () => {
		const source = `${IMPORTS}
const undo = closeOnSignal(new MeshLoop())
undo()
console.log(process.listenerCount('SIGTERM'), process.listenerCount('SIGINT'))
`
		expect((await runModule(source)).stdout).toBe('0 0\n')
	})

	test('without a loop, or with something else, is refused', async () => {
		const source = `${IMPORTS}
for (const args of [[], [undefined], [{}]]) {
	try { closeOnSignal(...args) } catch (error) { console.log(error.code) }
}
`
		expect((await runModule(source)).stdout).toBe('INVALID_OPTION\n'.repeat(3))
	})
})

describe('recordCrashes', () => {
	const crash = (last: string) => `${IMPORTS}
const loop = new MeshLoop(new FileChainAppender(path), { level: 'error' })
recordCrashes(loop)
setImmediate(() => { ${last} })
`

	test.each([
		['an exception', "throw new TypeError('boom')", 'TypeError: boom', 'uncaughtException'],
		['a rejection', "Promise.reject(new RangeError('boom'))", 'RangeError: boom', 'unhandledRejection'],
		['a text', "throw 'boom'", 'string: boom', 'uncaughtException'],
	])(
		'%s nobody caught is in the chain, and the process still dies of it',
		async (_title, last, message, origin) => {
			const path = join(temporaryFolder(), 'node.chain')
			const ended = await runModule(crash(last), [path])
			expect(ended.status).toBe(1)
			expect(ended.stderr).toContain('boom')
			const chain = await openChain(path)
			const records = await collect(chain.records())
			await chain.close()
			expect(records).toEqual([expect.objectContaining({ kind: '$crash', level: 'error', message })])
			expect(records[0]?.data).toMatchObject({ origin })
		},
	)

	test('the error keeps its stack', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await runModule(crash("throw new Error('boom')"), [path])
		const chain = await openChain(path)
		const [record] = await collect(chain.records())
		await chain.close()
		const { error } = record!.data as { error: { name: string; stack: string } }
		expect(error.name).toBe('Error')
		expect(error.stack).toMatch(/boom\n\s+at /)
	})

	test('can be undone', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		await runModule(
			crash("throw new Error('boom')").replace('recordCrashes(loop)', 'recordCrashes(loop)()'),
			[path],
		)
		expect(await messages(path)).toEqual([])
	})
})

describe('a process that ends', () => {
	test('gives what its loop still holds to the appender, in order', async () => {
		const source = `${IMPORTS}
import { writeSync } from 'node:fs'
let failing = true
const append = (record) => {
	if (failing) throw new Error('not yet')
	writeSync(1, record.message + '\\n')
}
const loop = new MeshLoop({ append })
loop.info('one')
loop.info('two')
failing = false
process.exit(3)
`
		const ended = await runModule(source)
		expect(ended).toMatchObject({ status: 3, stdout: 'one\ntwo\n' })
	})

	test('is not kept alive by a loop whose appender fails', async () => {
		const source = `${IMPORTS}
const loop = new MeshLoop({ append() { throw new Error('never') } })
loop.info('one')
`
		// A process that is kept alive never ends.
		expect((await runModule(source)).status).toBe(0)
	})
})
