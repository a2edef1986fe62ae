/** Runs `mesh-chain tail` and `dump -f` while another process writes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { meshChain, ROOT } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

function openLoop(): { readonly path: string; readonly loop: MeshLoop } {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	onTestFinished(() => loop.close())
	return { path, loop }
}

function publish(loop: MeshLoop, from: number, to: number): void {
	for (let index = from; index <= to; index++) loop.info(`message ${index}`)
	loop.flush()
}

/** Starts a command and collects its lines. */
function start(...args: string[]) {
	const child = spawn(process.execPath, [join(ROOT, 'dist', 'cli', 'main.js'), ...args], {
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	onTestFinished(() => void child.kill('SIGKILL'))
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const ended = once(child, 'close').then(([status, signal]) => ({ status, signal }))
	return {
		ended,
		kill: (signal: NodeJS.Signals) => child.kill(signal),
		async seqs(count: number): Promise<number[]> {
			const seqs: number[] = []
			while (seqs.length < count) seqs.push(JSON.parse((await lines.next()).value ?? '').seq)
			return seqs
		},
	}
}

test('tail prints the newest records in order', async () => {
	const { path, loop } = openLoop()
	publish(loop, 1, 25)
	loop.warn('odd')
	publish(loop, 27, 40)
	const seqsOf = async (...args: string[]) => {
		const { status, stdout } = await meshChain(['tail', path, ...args])
		expect(status).toBe(0)
		return stdout === ''
			? []
			: stdout
					.trimEnd()
					.split('\n')
					.map((line) => JSON.parse(line).seq)
	}
	expect(await seqsOf()).toEqual([31, 32, 33, 34, 35, 36, 37, 38, 39, 40])
	expect(await seqsOf('-n', '2')).toEqual([39, 40])
	expect(await seqsOf('-n', '0')).toEqual([])
	expect(await seqsOf('-l', 'warn')).toEqual([26])
	expect(await seqsOf('--to-seq', '5', '-n', '2')).toEqual([4, 5])
})

test.each([['tail', ['-n', '1000']] as const, ['dump', []] as const])(
	'%s -f prints history and then new records, until a signal ends it quietly',
	async (command, args) => {
		for (const signal of ['SIGINT', 'SIGTERM'] as const) {
			const { path, loop } = openLoop()
			publish(loop, 1, 300)
			const follower = start(command, path, '-f', ...args)
			expect(await follower.seqs(300)).toEqual(Array.from({ length: 300 }, (_unused, index) => index + 1))
			publish(loop, 301, 302)
			expect(await follower.seqs(2)).toEqual([301, 302])
			follower.kill(signal)
			expect(await follower.ended).toEqual({ status: 0, signal: null })
		}
	},
)

test.each(['tail', 'dump'])(
	'%s -f ends quietly even if it is interrupted at its first line',
	async (command) => {
		const { path, loop } = openLoop()
		publish(loop, 1, 300)
		for (let round = 0; round < 5; round++) {
			const follower = start(command, path, '-f')
			await follower.seqs(1)
			follower.kill('SIGINT')
			expect(await follower.ended).toEqual({ status: 0, signal: null })
		}
	},
)

test('tail -f -n 0 prints only new records, and only matching ones', async () => {
	const { path, loop } = openLoop()
	publish(loop, 1, 50)
	const follower = start('tail', path, '-f', '-n', '0', '-l', 'warn')
	// The command does not report when it is ready, so records are published until the first one is printed.
	const ticking = setInterval(() => {
		loop.info('not this')
		loop.warn('this')
	}, 20)
	onTestFinished(() => clearInterval(ticking))
	const [first, second] = await follower.seqs(2)
	expect(first).toBeGreaterThan(50)
	expect(second).toBe(first! + 2)
})

test('dump -f ends by itself when its limit or its last seq is reached', async () => {
	const { path, loop } = openLoop()
	publish(loop, 1, 10)
	const limited = start('dump', path, '-f', '-n', '12')
	const bounded = start('dump', path, '-f', '--to-seq', '13')
	expect(await limited.seqs(10)).toHaveLength(10)
	expect(await bounded.seqs(10)).toHaveLength(10)
	publish(loop, 11, 20)
	expect(await limited.seqs(2)).toEqual([11, 12])
	expect(await bounded.seqs(3)).toEqual([11, 12, 13])
	expect((await limited.ended).status).toBe(0)
	expect((await bounded.ended).status).toBe(0)
})

test('the removal of the followed file ends it with a coded error', async () => {
	const { path, loop } = openLoop()
	publish(loop, 1, 3)
	const child = start('tail', path, '-f')
	await child.seqs(3)
	const { unlinkSync } = await import('node:fs')
	unlinkSync(path)
	expect(await child.ended).toEqual({ status: 2, signal: null })
})

test('--follow and --reverse exclude each other', async () => {
	const { path, loop } = openLoop()
	publish(loop, 1, 1)
	const { status, stderr } = await meshChain(['dump', path, '-f', '-r'])
	expect(status).toBe(2)
	expect(stderr).toContain('cannot be combined with --reverse')
})
