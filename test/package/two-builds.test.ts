/** Tests both builds in one process: each accepts the objects of the other, and singletons exist once. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ROOT, run } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const PROGRAM = JSON.stringify(join(ROOT, 'dist/cli/main.js'))
const SUBPATHS = ['', '/cluster', '/journal', '/recorder', '/sources', '/testing']

/** Runs a program in which `esm` and `cjs` are the builds; resolves to its output. */
async function mixed(
	source: string,
	subpath = '',
	expected: object = { status: 0, stderr: '' },
): Promise<string> {
	const file = `${subpath === '' ? '' : `${subpath.slice(1)}/`}index`
	const esm = JSON.stringify(join(ROOT, 'dist', `${file}.js`))
	const cjs = JSON.stringify(join(ROOT, 'dist/cjs', `${file}.cjs`))
	const root = JSON.stringify(join(ROOT, 'dist/index.js'))
	const rootCjs = JSON.stringify(join(ROOT, 'dist/cjs/index.cjs'))
	const program = `
		import { createRequire } from 'node:module'
		const require = createRequire(import.meta.url)
		const [esm, cjs] = [await import(${esm}), require(${cjs})]
		const [root, rootCjs] = [await import(${root}), require(${rootCjs})]
		${source}
	`
	const ended = await run(process.execPath, ['--input-type=module', '-e', program], {
		cwd: temporaryFolder(),
	})
	expect(ended).toMatchObject(expected)
	return ended.stdout
}

test.each(SUBPATHS)('mesh-chain%s exports the same names from both builds', async (subpath) => {
	const printed = await mixed(
		'console.log(JSON.stringify([Object.keys(esm).sort(), Object.keys(cjs).sort(), esm === cjs]))',
		subpath,
	)
	const [esm, cjs, isSame] = JSON.parse(printed) as [string[], string[], boolean]
	expect(cjs).toEqual(esm)
	expect(esm.length).toBeGreaterThan(0)
	expect(isSame).toBe(false)
})

describe.each([
	['ES modules', 'CommonJS', 'esm', 'cjs'],
	['CommonJS', 'ES modules', 'cjs', 'esm'],
])('objects made by the %s build are accepted by the %s build', (_one, _other, one, other) => {
	test('a chain appender in a loop, the chain in a merge, a replay and a consumer', async () => {
		const printed = await mixed(`
			const [one, other] = [${one}, ${other}]
			const loop = new other.MeshLoop(new one.FileChainAppender('a.chain'))
			loop.info('hello')
			await loop.close()
			const chain = await one.openChain('a.chain')
			const merged = other.mergeChains([chain])
			for await (const { message } of merged.records()) console.log(message)
			console.log((await other.replay(chain, () => {})).replayed)
			await merged.close()
			await chain.close()
		`)
		expect(printed).toBe('hello\n1\n')
	})

	test('an error is an instance of the class in either build', async () => {
		const printed = await mixed(`
			const [one, other] = [${one}, ${other}]
			const missing = await one.openChain('none.chain').catch((error) => error)
			const append = new one.LogAppendError('full')
			class Own extends other.MeshChainError {}
			console.log(JSON.stringify([
				missing instanceof other.MeshChainError, missing instanceof other.LogAppendError,
				missing instanceof Own,
				append instanceof other.LogAppendError, append instanceof other.MeshChainError,
				new Error('x') instanceof other.MeshChainError, ({}) instanceof other.MeshChainError,
			]))
		`)
		expect(JSON.parse(printed)).toEqual([true, false, false, true, true, false, false])
	})

	test('an appender in use is in use for both', async () => {
		const printed = await mixed(`
			const [one, other] = [${one}, ${other}]
			const appender = new one.BufferingAppender()
			new one.MeshLoop(appender)
			try { new other.MeshLoop(appender) } catch (error) { console.log(error.code) }
		`)
		expect(printed).toBe('APPENDER_IN_USE\n')
	})

	test('records that are published while the process exits are in both chains', async () => {
		const printed = await mixed(`
			const [one, other] = [${one}, ${other}]
			const before = process.listenerCount('exit')
			const a = new one.MeshLoop(new one.FileChainAppender('a.chain'))
			const b = new other.MeshLoop(new other.FileChainAppender('b.chain'))
			process.on('exit', () => { a.info('last of a'); b.info('last of b') })
			process.on('exit', () => {
				const { execFileSync } = require('node:child_process')
				for (const name of ['a', 'b']) {
					const line = execFileSync(process.execPath, [${PROGRAM}, 'dump', name + '.chain'])
					console.log(JSON.parse(line).message)
				}
			})
			console.log(process.listenerCount('exit') - before - 2)
		`)
		expect(printed.trim().split('\n').slice(1)).toEqual(['last of a', 'last of b'])
		// Both builds share one listener.
		expect(printed.split('\n')[0]).toBe('1')
	})

	test('a signal closes no loop before the application has drained for all of them', async () => {
		const program = `
			const [one, other] = [${one}, ${other}]
			const slow = new one.MeshLoop(new one.BufferingAppender())
			const quick = new other.MeshLoop(new other.BufferingAppender())
			const drained = () => new Promise((resolve) => setTimeout(() => {
				console.log(quick.info('the other one drains') !== undefined)
				resolve()
			}, 200))
			one.closeOnSignal(slow, { before: drained })
			other.closeOnSignal(quick, { before: () => {} })
			setTimeout(() => {}, 10_000)
			process.kill(process.pid, 'SIGTERM')
		`
		expect(await mixed(program, '', { signal: 'SIGTERM', stderr: '' })).toBe('true\n')
	})
})

test.each([
	['recorder', "new ours.Recorder(loop); new ours.BlackBox(loop); console.log('ok')"],
	['sources', "const m = new ours.SourceManager(loop); await m.close(); console.log('ok')"],
])('a loop of either build is accepted by mesh-chain/%s of the other', async (subpath, source) => {
	for (const [ours, theirs] of [
		['esm', 'rootCjs'],
		['cjs', 'root'],
	]) {
		const printed = await mixed(
			`const ours = ${ours}; const loop = new ${theirs}.MeshLoop(); ${source}; await loop.close()`,
			`/${subpath}`,
		)
		expect(printed).toBe('ok\n')
	}
})

test('the program and the library depend only on packages that CommonJS can require', () => {
	const required = createRequire(import.meta.url)(join(ROOT, 'dist/cjs/index.cjs')) as { MeshLoop: unknown }
	expect(required.MeshLoop).toBeTypeOf('function')
})
