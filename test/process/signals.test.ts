/**
 * Runs whole programs from the build: checks what remains of a loop when a signal ends its process, or an
 * error does.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { runModule, says, startModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const IMPORTS = `import {
	FileChainAppender, MeshLoop, TeeAppender, closeOnSignal, recordCrashes,
} from './dist/index.js'
const path = process.argv[1]
`

/** A process that publishes once, reports that it is ready, and keeps running. */
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

	test('a second signal while an appender hangs ends the process at once', async () => {
		const source = `${IMPORTS}
const close = () => {
	console.log('still closing')
	return new Promise(() => {})
}
const loop = new MeshLoop({ append() {}, close, closeTimeoutMs: 1e9 })
closeOnSignal(loop)
setInterval(() => {}, 1000)
console.log('ready')
`
		const child = startModule(source)
		await says(child, 'ready')
		child.kill('SIGTERM')
		await says(child, 'still closing')
		child.kill('SIGTERM')
		expect(await endOf(child)).toEqual([null, 'SIGTERM'])
	})

	test('closes every loop even if one of them fails, and reports the failure', async () => {
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

	test('refuses a call without a loop, or with another value', async () => {
		const source = `${IMPORTS}
const loop = new MeshLoop()
const odd = [[], [undefined], [{}], [{ before() {} }], [5, {}]]
const options = [{ before: 5 }, { drainTimeoutMs: 0 }, { after() {} }]
for (const args of [...odd, ...options.map((each) => [loop, each])]) {
	try { closeOnSignal(...args) } catch (error) { console.log(error.code) }
}
`
		expect((await runModule(source)).stdout).toBe('INVALID_OPTION\n'.repeat(8))
	})
})

/** A service in which the listeners of the signal, or `before`, take time and publish in the meantime. */
const DRAINING = `${IMPORTS}
const loop = new MeshLoop(new FileChainAppender(path))
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const drain = async () => {
	loop.info('draining')
	await wait(300)
	loop.info('drained')
}
setInterval(() => {}, 1000)
`
const GO = `\nprocess.kill(process.pid, 'SIGTERM')\n`

describe('closeOnSignal keeps records that are published while the application drains', () => {
	const OTHERS = `process.on('SIGTERM', async () => { await drain(); process.exit(7) })`
	const ends = {
		'listens itself and exits': [`closeOnSignal(loop)\n${OTHERS}`, 7, null, 'exited'],
		'listened before': [`${OTHERS}\ncloseOnSignal(loop)`, 7, null, 'exited'],
		'listens once': [`closeOnSignal(loop)\n${OTHERS.replace('.on(', '.once(')}`, 7, null, 'exited'],
		'listened once before': [`${OTHERS.replace('.on(', '.once(')}\ncloseOnSignal(loop)`, 7, null, 'exited'],
		'returns a promise': ['closeOnSignal(loop, { before: drain })', null, 'SIGTERM', 'closed'],
		'returns a thenable that settles twice': [
			'closeOnSignal(loop, { before: () => ({ then(done) { drain().then(() => { done(); done() }) } }) })',
			null,
			'SIGTERM',
			'closed',
		],
		'exits within before': [
			'closeOnSignal(loop, { before: async () => { await drain(); process.exit(9) } })',
			9,
			null,
			'exited',
		],
		'publishes through the loop of another call': [
			'closeOnSignal(loop)\ncloseOnSignal(new MeshLoop(), { before: drain })',
			null,
			'SIGTERM',
			'closed',
		],
	} as const

	test.each(Object.entries(ends))(
		'when the application %s',
		async (_title, [source, status, signal, state]) => {
			const path = join(temporaryFolder(), 'node.chain')
			const ended = await runModule(`${DRAINING}${source}${GO}`, [path])
			expect([ended.status, ended.signal, ended.stderr]).toEqual([status, signal, ''])
			expect(new Set(await messages(path))).toEqual(new Set(['draining', 'drained']))
			await using chain = await openChain(path)
			expect((await chain.info()).state).toBe(state)
		},
	)

	test('until the process runs out of work: closed, with its own exit status', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const source = `${DRAINING}
const server = setInterval(() => {}, 1000)
closeOnSignal(loop)
process.on('SIGTERM', async () => { await drain(); process.exitCode = 5; clearInterval(server) })
${GO}`.replace('setInterval(() => {}, 1000)\n', '')
		const ended = await runModule(source, [path])
		expect([ended.status, ended.signal, ended.stderr]).toEqual([5, null, ''])
		expect(await messages(path)).toEqual(['draining', 'drained'])
		await using chain = await openChain(path)
		expect((await chain.info()).state).toBe('closed')
	})

	test('up to a time limit: listeners that never end are reported, and the loop is closed', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const source = `${DRAINING}
closeOnSignal(loop, { drainTimeoutMs: 100 })
process.on('SIGTERM', () => loop.info('never ending'))
process.on('warning', ({ code }) => {
	if (code !== 'MESH_CHAIN_DRAIN_TIMEOUT') return
	loop.close().then(() => {
		console.log(process.listenerCount('SIGTERM'), loop.info('late') === undefined)
		process.exit(3)
	})
})
${GO}`
		const ended = await runModule(source, [path])
		expect([ended.status, ended.stdout.slice(-7)]).toEqual([3, expect.stringMatching(/[12] true\n$/)])
		expect(ended.stderr).toMatch(/MESH_CHAIN_DRAIN_TIMEOUT.* other listeners of SIGTERM .* within 100 ms/)
		expect(await messages(path)).toEqual(['never ending'])
	})

	test.each([
		['hangs', '() => new Promise(() => {})', /MESH_CHAIN_DRAIN_TIMEOUT.*before .* within 100 ms/],
		['throws', "() => { throw new Error('mine') }", /MESH_CHAIN_BEFORE_CLOSE_FAILED.*mine/],
		['rejects with a symbol', "() => Promise.reject(Symbol('odd'))", /MESH_CHAIN_BEFORE_CLOSE_FAILED.*odd/],
		['resolves with itself', '() => ({ then(done) { done(this) } })', /MESH_CHAIN_BEFORE_CLOSE_FAILED/],
	])('a process whose before %s still ends by the signal', async (_title, before, said) => {
		const path = join(temporaryFolder(), 'node.chain')
		const closing = `closeOnSignal(loop, { before: ${before}, drainTimeoutMs: 100 })`
		const source = `${DRAINING}${closing}\nloop.info('hello')${GO}`
		const ended = await runModule(source, [path])
		expect(ended.signal).toBe('SIGTERM')
		expect(ended.stderr).toMatch(said)
		expect(await messages(path)).toEqual(['hello'])
	})

	test('a second signal ends the wait for before, and the loop is closed', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const source = `${DRAINING}
const before = () => { console.log('begun'); return new Promise(() => {}) }
closeOnSignal(loop, { before, drainTimeoutMs: 1e9 })
loop.info('hello')
console.log('ready')
`
		const child = startModule(source, [path])
		await says(child, 'ready')
		const begun = says(child, 'begun')
		child.kill('SIGINT')
		await begun
		child.kill('SIGINT')
		expect(await endOf(child)).toEqual([null, 'SIGINT'])
		await using chain = await openChain(path)
		expect((await chain.info()).state).toBe('closed')
	})

	test('the init process of a container exits with the status of the signal', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const source = `${DRAINING}
closeOnSignal(loop)
loop.info('hello')
const { pid } = process
Object.defineProperty(process, 'pid', { value: 1 })
process.kill(pid, 'SIGTERM')
`
		expect((await runModule(source, [path])).status).toBe(143)
		expect(await messages(path)).toEqual(['hello'])
	})
})

describe('a signal ends the process although an appender hangs', () => {
	const HANGS = {
		'its append': '{ append: never }',
		'its sync': '{ append() {}, sync: never }',
		'its close': '{ append() {}, close: never }',
		everything: '{ append: never, flush: never, sync: never, close: never }',
	}
	test.each(Object.entries(HANGS))('in %s, and its sibling is closed', async (_title, hanging) => {
		const path = join(temporaryFolder(), 'node.chain')
		const source = `${IMPORTS}
const never = () => new Promise(() => {})
const loop = new MeshLoop(new TeeAppender(new FileChainAppender(path), ${hanging}, { closeTimeoutMs: 300 }))
closeOnSignal(loop)
loop.info('hello')
setInterval(() => {}, 1000)
process.kill(process.pid, 'SIGTERM')
`
		const ended = await runModule(source, [path])
		expect(ended.signal).toBe('SIGTERM')
		expect(ended.stderr).toMatch(/MESH_CHAIN_CLOSE_FAILED.*appender 2/)
		expect(await messages(path)).toEqual(['hello'])
		await using chain = await openChain(path)
		expect((await chain.info()).state).toBe('closed')
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
		'%s that was not caught is recorded, and the process still dies of it',
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
	test('passes the remaining records of its loop to the appender, in order', async () => {
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

	test('is not kept alive by a loop with a failing appender', async () => {
		const source = `${IMPORTS}
const loop = new MeshLoop({ append() { throw new Error('never') } })
loop.info('one')
`
		// A process that is kept alive would never end.
		expect((await runModule(source)).status).toBe(0)
	})
})
