/** Runs services under process managers: `cluster`, and `node --watch`. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { ROOT, runModule, says, start } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

test('under cluster, each worker has a chain of its own, named by its pid', async () => {
	const folder = temporaryFolder()
	const { status, stderr } = await runModule(
		`
		import cluster from 'node:cluster'
		import { FileChainAppender, MeshLoop } from 'mesh-chain'
		if (cluster.isPrimary) {
			cluster.setupPrimary({ execArgv: process.execArgv, args: [process.argv.at(-1)] })
			for (let worker = 1; worker <= 3; worker++) cluster.fork()
		} else {
			const loop = new MeshLoop(new FileChainAppender(process.argv.at(-1) + '/node-{pid}.chain'))
			loop.info('of worker ' + cluster.worker.id)
			await loop.close()
			cluster.worker.disconnect()
		}
		`,
		[folder],
	)
	expect([status, stderr]).toEqual([0, ''])
	const chains = readdirSync(folder).filter((name) => name.endsWith('.chain'))
	expect(chains).toHaveLength(3)
	const told = await Promise.all(
		chains.map(async (name) => {
			const chain = await openChain(join(folder, name))
			const [first] = await collect(chain.records())
			await chain.close()
			return first?.message
		}),
	)
	expect(told.sort()).toEqual(['of worker 1', 'of worker 2', 'of worker 3'])
})

test('under node --watch, each start is an opening of one chain, and earlier ones are closed', async () => {
	// Inside the project, so that `mesh-chain` resolves to this build.
	mkdirSync(join(ROOT, '.tmp'), { recursive: true })
	const folder = mkdtempSync(join(ROOT, '.tmp', 'watched-'))
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
	const program = join(folder, 'service.mjs')
	const save = (name: string) =>
		writeFileSync(
			program,
			`import { closeOnSignal, FileChainAppender, MeshLoop } from 'mesh-chain'
			const path = ${JSON.stringify(join(folder, 'node.chain'))}
			const loop = new MeshLoop(new FileChainAppender(path, { lockWaitMs: 5000 }))
			closeOnSignal(loop)
			loop.info(${JSON.stringify(name)})
			setInterval(() => {}, 1000)
			console.log('ready')
			`,
		)
	save('first')
	const watcher = start(process.execPath, ['--watch', program], { cwd: folder })
	await says(watcher, 'ready')
	const again = says(watcher, 'ready')
	save('second')
	await again
	const ended = new Promise((resolve) => watcher.once('close', resolve))
	watcher.kill('SIGTERM')
	await ended
	const chain = await openChain(join(folder, 'node.chain'))
	expect((await collect(chain.records())).map(({ message }) => message)).toEqual(['first', 'second'])
	expect((await chain.info()).epochs.map(({ state }) => state)).toEqual(['closed', 'closed'])
	await chain.close()
})
