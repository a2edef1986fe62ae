/**
 * Foreign code that misbehaves repeatedly costs no memory: after 20,000 failures at each seam, a process uses
 * no more than before.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CALLS = 20_000
/**
 * A promise with its reactions takes about 300 bytes. One leaked promise per call would exceed this limit
 * four times.
 */
const GROWTH_MAX = 1.5 * 1024 * 1024

const MEETING_IT = `
	import { setFlagsFromString } from 'node:v8'
	import { runInNewContext } from 'node:vm'
	import { BufferingAppender, FileChainAppender, MeshLoop, TeeAppender, openChain, replay } from 'mesh-chain'
	import { consume } from 'mesh-chain/consume'
	setFlagsFromString('--expose-gc')
	const gc = runInNewContext('gc')
	const [, path, seam, calls] = process.argv
	process.on('warning', () => {})
	process.on('unhandledRejection', (thrown) => { console.log('unhandled', thrown); process.exit(1) })

	const throws = () => { throw new TypeError('a getter') }
	const revoked = () => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy }
	const odd = [
		() => new Promise(() => {}),
		() => Promise.reject(new Error('rejected')),
		() => ({ then() {} }),
		() => ({ then(resolve) { resolve(); resolve() } }),
		() => ({ get then() { return throws() } }),
		() => ({ then(_resolve, reject) { reject(revoked()) } }),
		revoked,
		throws,
		() => { throw revoked() },
		() => Symbol('odd'),
	]
	let met = 0
	const act = () => odd[met++ % odd.length]()
	const turn = () => new Promise((next) => setImmediate(next))
	const settled = () => odd[[1, 3, 5, 7, 8, 9][met++ % 6]]()

	const loops = {
		listener: () => { const loop = new MeshLoop(); loop.on('log', act); return loop },
		clock: () => new MeshLoop(new BufferingAppender({ capacity: 100 }), { clock: act }),
		context: () => new MeshLoop(new BufferingAppender({ capacity: 100 }), { context: act }),
		transform: () => new MeshLoop(new BufferingAppender({ capacity: 100 }), { transform: act }),
		append: () => new MeshLoop({ append: act }),
		settledAppend: () => new MeshLoop({ append: settled }),
		child: () => new MeshLoop(new TeeAppender(new FileChainAppender(path), { append: act })),
		flush: () => new MeshLoop({ append() {}, flush: act, sync: act }),
	}
	const step = seam in loops ? publishing(loops[seam]()) : seam === 'target' ? replaying() : await consuming()

	function publishing(loop) {
		return async () => {
			loop.info('hello', { met })
			try { loop.flush() } catch {}
		}
	}
	function replaying() {
		const line = { level: 'info', kind: 'log', message: 'x', daemonId: null, nodeId: null }
		const records = [{ seq: 1, epoch: 1, tsMs: 1, ...line }]
		return () => replay(records, { write: settled, flush: settled }, { retries: 0 })
	}
	async function consuming() {
		const loop = new MeshLoop(new FileChainAppender(path))
		const chain = await openChain(path)
		consume(chain, 'odd', settled, { retries: 0, pollIntervalMs: 1 }).done.catch(() => {})
		return async () => { loop.info('hello') }
	}

	async function held() {
		for (let count = 0; count < 4; count++) { await turn(); gc() }
		return process.memoryUsage().heapUsed
	}
	async function meet(times) {
		for (let count = 0; count < times; count++) {
			await step()
			if (count % 100 === 0) await turn()
		}
	}
	// As long as it takes to fill every queue that has a bound: that of a tee has 16,384 records.
	await meet(calls)
	const before = await held()
	await meet(calls)
	console.log((await held()) - before)
	process.exit(0)
`

test.each([
	'listener',
	'clock',
	'context',
	'transform',
	'append',
	'settledAppend',
	'child',
	'flush',
	'target',
	'consumer',
])('a misbehaving %s costs no memory', async (seam) => {
	const path = join(temporaryFolder(), 'node.chain')
	const { status, stdout, stderr } = await runModule(MEETING_IT, [path, seam, String(CALLS)])
	expect([seam, status, stderr]).toEqual([seam, 0, expect.any(String)])
	expect(Number(stdout), stdout).toBeLessThan(GROWTH_MAX)
})
