/** If the code of a process can still run at its end, nothing is lost, and the chain records how it ended. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ChainInfo } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { runModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const OPEN = `
	import { FileChainAppender, MeshLoop, closeOnSignal, recordCrashes } from 'mesh-chain'
	const path = process.argv.at(-1)
	const loop = new MeshLoop(new FileChainAppender(path))
`

async function look(path: string): Promise<{ messages: string[]; kinds: string[]; info: ChainInfo }> {
	const chain = await openChain(path)
	const records = await collect(chain.records())
	const info = await chain.info()
	await chain.close()
	expect(await verifyChain(path)).toMatchObject({ ok: true, records: records.length, findings: [] })
	return {
		messages: records.map((record) => record.message),
		kinds: records.map((record) => record.kind),
		info,
	}
}

async function endOf(source: string) {
	const path = join(temporaryFolder(), 'node.chain')
	const ended = await runModule(OPEN + source, [path])
	return { ended, ...(await look(path)) }
}

test('process.exit in the turn of a publish loses nothing', async () => {
	const { ended, messages, info } = await endOf(`loop.info('last words'); process.exit(3)`)
	expect([ended.status, messages]).toEqual([3, ['last words']])
	expect(info).toMatchObject({ state: 'exited', exitCode: 3 })
})

test('an uncaught exception loses nothing', async () => {
	const { ended, messages, info } = await endOf(`loop.info('last words'); throw new Error('bug')`)
	expect(ended.status).toBe(1)
	expect(ended.stderr).toContain('bug')
	expect(messages).toEqual(['last words'])
	expect(info).toMatchObject({ state: 'exited', exitCode: 1 })
})

test('an unhandled rejection loses nothing', async () => {
	const { messages, info } = await endOf(`loop.info('last words'); Promise.reject(new Error('bug'))`)
	expect(messages).toEqual(['last words'])
	expect(info).toMatchObject({ state: 'exited', exitCode: 1 })
})

test('a normal end without close loses nothing, and nothing keeps the process alive', async () => {
	const { ended, messages, info } = await endOf(`loop.info('last words')`)
	expect([ended.status, messages]).toEqual([0, ['last words']])
	expect(info).toMatchObject({ state: 'exited', exitCode: 0 })
})

test('records published during exit are written, before and after the exit hook of mesh-chain', async () => {
	const { messages, info } = await endOf(`
		process.on('exit', () => loop.info('late'))
		process.prependListener('exit', () => loop.info('early'))
		loop.info('in time')
		process.exitCode = 4
	`)
	expect(messages).toEqual(['in time', 'early', 'late'])
	expect(info).toMatchObject({ state: 'exited', exitCode: 4 })
})

test('an explicit close leaves the state closed, even if the process then exits with an error', async () => {
	const { messages, info } = await endOf(`loop.info('only'); await loop.close(); process.exit(9)`)
	expect(messages).toEqual(['only'])
	expect(info).toMatchObject({ state: 'closed', exitCode: undefined })
})

test('many chains of one process all receive their last records', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const source = `
		const audit = new MeshLoop(new FileChainAppender(path + '.audit'))
		loop.info('log'); audit.info('audit'); process.exit(0)
	`
	await runModule(OPEN + source, [path])
	expect((await look(path)).messages).toEqual(['log'])
	expect((await look(`${path}.audit`)).messages).toEqual(['audit'])
})

test('recordCrashes records the error that ended the process', async () => {
	const { kinds, info, ended } = await endOf(
		`recordCrashes(loop); loop.info('x'); throw new TypeError('bug')`,
	)
	expect(ended.status).toBe(1)
	expect(kinds).toEqual(['log', '$crash'])
	expect(info).toMatchObject({ state: 'exited', exitCode: 1 })
})

test('closeOnSignal closes the chain, and the signal then ends the process', async () => {
	const { ended, messages, info } = await endOf(`
		closeOnSignal(loop)
		loop.info('before')
		setTimeout(() => process.kill(process.pid, 'SIGTERM'), 20)
		setInterval(() => {}, 1000)
	`)
	expect([ended.status, ended.signal]).toEqual([null, 'SIGTERM'])
	expect(messages).toEqual(['before'])
	expect(info.state).toBe('closed')
})

test('an unhandled signal acts like kill -9: written records remain, and the state is crashed', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { signal } = await runModule(
		`${OPEN} loop.error('written'); process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 9)`,
		[path],
	)
	expect(signal).toBe('SIGTERM')
	const chain = await openChain(path)
	expect(await collect(chain.records())).toHaveLength(1)
	expect((await chain.info()).state).toBe('crashed')
	await chain.close()
})

test('a worker thread that ends loses nothing; a second writer in another thread is refused', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const source = `
		import { Worker } from 'node:worker_threads'
		import { once } from 'node:events'
		const path = process.argv.at(-1)
		const code = (more) => \`
			import('mesh-chain').then(({ FileChainAppender, MeshLoop }) => {
				const { parentPort } = require('node:worker_threads')
				try {
					const loop = new MeshLoop(new FileChainAppender(\${JSON.stringify(path)}))
					loop.info('from a worker')
					\${more}
				} catch (error) { parentPort.postMessage(error.code) }
			})\`
		const untilAsked = "parentPort.postMessage('open'); parentPort.once('message', () => process.exit(5))"
		const first = new Worker(code(untilAsked), { eval: true, execArgv: [] })
		const [opened] = await once(first, 'message')
		const second = new Worker(code(''), { eval: true, execArgv: [] })
		const [refused] = await once(second, 'message')
		first.postMessage('end')
		const [status] = await once(first, 'exit')
		console.log(JSON.stringify([opened, refused, status]))
	`
	const { stdout, stderr } = await runModule(source, [path])
	expect(stderr).toBe('')
	expect(JSON.parse(stdout)).toEqual(['open', 'CHAIN_LOCKED', 5])
	expect(await look(path)).toMatchObject({
		messages: ['from a worker'],
		info: { state: 'exited', exitCode: 5 },
	})
})

test('info shows the state open, and the writer, while the writer is alive', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const source = `${OPEN}
		const { openChain } = await import('mesh-chain')
		const chain = await openChain(path)
		const { state, holder } = await chain.info()
		console.log(JSON.stringify([state, holder.pid === process.pid]))
	`
	const { stdout } = await runModule(source, [path])
	expect(JSON.parse(stdout)).toEqual(['open', true])
})
