/**
 * RELIABILITY, row 13: sixteen processes compete for one chain. Its holder is killed or stopped, its lock is
 * removed by force, its pid is reused by another process or shared by two worker threads.
 */
import { once } from 'node:events'
import { readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { nodeFileSystem } from '../../src/platform/file-system.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { leaveLock } from '../support/killed.ts'
import { checkRecords, readAll } from '../support/oracle.ts'
import { type RunOptions, run, runModule, startModule } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const CONTENDERS = 16

/**
 * Opens the chain, at once or on a signal on its stdin, appends one record of its own, syncs, and closes or
 * stays.
 */
const CONTENDER = `
	import { FileChainAppender } from 'mesh-chain'
	const [path, name, then, waitMs] = process.argv.slice(-4)
	try {
		const appender = new FileChainAppender(path, { lockWaitMs: Number(waitMs) })
		const append = async () => {
			const seq = appender.nextSeq
			appender.append({
				seq, epoch: appender.epoch, tsMs: seq, level: 'info', kind: 'log', message: 'of ' + name,
				daemonId: null, nodeId: null, chainPending: false,
			})
			await appender.sync()
			return seq
		}
		const seq = await append()
		process.on('SIGUSR2', () => append().then(
			(seq) => console.log(JSON.stringify({ seq })),
			(error) => console.log(JSON.stringify({ code: error.code, stray: appender.stats().strayRecords })),
		))
		console.log(JSON.stringify({ seq, epoch: appender.epoch, segment: appender.stats().segment }))
		if (then === 'stay') setInterval(() => {}, 1000)
		else await appender.close()
	} catch (error) { console.log(JSON.stringify({ code: error.code })) }
`

interface Told {
	readonly code?: string
	readonly seq?: number
	readonly epoch?: number
	readonly stray?: number
}

async function contend(path: string, name: string, waitMs = 0, options: RunOptions = {}): Promise<Told> {
	const { stdout, stderr } = await runModule(CONTENDER, [path, name, 'close', String(waitMs)], options)
	if (stdout === '') throw new Error(stderr)
	return JSON.parse(stdout)
}

async function startHolder(path: string, options: RunOptions = {}) {
	const child = startModule(CONTENDER, [path, 'holder', 'stay', '0'], options)
	child.stderr?.resume()
	const [first] = await once(child.stdout!, 'data')
	return { child, told: JSON.parse(String(first)) as Told }
}

test('16 contenders: one holder at a time; a killed one blocks nobody, a stopped one stays', async () => {
	const rounds = sizeOf('CONTENTIONS')
	let won = 0
	let refused = 0
	for (let round = 0; round < rounds; round++) {
		const path = join(temporaryFolder(), 'node.chain')
		const { child, told } = await startHolder(path)
		expect(told).toMatchObject({ seq: 1, epoch: 1 })
		const kind = ['killed', 'stopped', 'running'][round % 3]
		const closed = once(child, 'close')
		if (kind === 'killed') {
			child.kill('SIGKILL')
			await closed
		} else if (kind === 'stopped') child.kill('SIGSTOP')
		const all = await Promise.all(
			Array.from({ length: CONTENDERS }, (_unused, index) => contend(path, `contender ${index}`)),
		)
		const winners = all.filter(({ code }) => code === undefined)
		for (const { code } of all) if (code !== undefined) expect(code).toBe('CHAIN_LOCKED')
		if (kind === 'killed') expect(winners.length).toBeGreaterThan(0)
		else expect(winners).toEqual([])
		// Each holder had the chain alone: its own seq and its own epoch.
		const seqs = winners.map(({ seq }) => seq!).sort((a, b) => a - b)
		expect(seqs).toEqual(winners.map((_unused, index) => index + 2))
		expect(new Set(winners.map(({ epoch }) => epoch)).size).toBe(winners.length)
		child.kill('SIGKILL')
		await closed
		expect(await readAll(path, nodeFileSystem)).toHaveLength(1 + winners.length)
		expect(readdirSync(join(path, '..')).filter((name) => /^node-/.test(name))).toEqual([])
		won += winners.length
		refused += all.length - winners.length
	}
	tellCounts(13, 'contenders for one chain', {
		rounds,
		contenders: CONTENDERS,
		won,
		refused,
		'two winners at once': 0,
	})
}, 7_200_000)

test('sixteen waiting writers get the chain one after another', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const all = await Promise.all(
		Array.from({ length: CONTENDERS }, (_unused, index) => contend(path, `contender ${index}`, 60_000)),
	)
	expect(all.map(({ seq }) => seq!).sort((a, b) => a - b)).toEqual(all.map((_unused, index) => index + 1))
	expect(await readAll(path, nodeFileSystem)).toHaveLength(CONTENDERS)
	expect((await verifyChain(path)).findings).toEqual([])
})

test('a stopped holder whose lock is removed by force learns it on waking, and harms nothing', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { child } = await startHolder(path)
	child.kill('SIGSTOP')
	rmSync(`${path}.lock`)
	const next = await contend(path, 'the next')
	expect(next).toMatchObject({ seq: 2, epoch: 2, segment: 1 })
	const told = once(child.stdout!, 'data')
	child.kill('SIGCONT')
	child.kill('SIGUSR2')
	expect(JSON.parse(String((await told)[0]))).toMatchObject({ code: 'CHAIN_TAKEN_OVER', stray: 1 })
	const found = await readAll(path, nodeFileSystem)
	expect(found.map(({ message }) => message)).toEqual(['of holder', 'of the next'])
	expect((await verifyChain(path)).ok).toBe(true)
})

// Simulates a system without flock, where only the text of the lock file identifies a holder.
const NO_FLOCK = { PATH: '/nowhere' }

test('without flock, a reused pid blocks nobody, and a holder of unknown state keeps its lock', async () => {
	for (const [holder, isFree] of [
		[{ pid: process.pid, startTime: '1' }, true],
		[{ pid: 2 ** 22 - 1, startTime: '1' }, true],
		[{ pid: process.pid, startTime: '1', pidNamespace: 'of another container' }, false],
		[{ pid: 1, startTime: '1', host: 'elsewhere' }, false],
	] as const) {
		const path = join(temporaryFolder(), 'node.chain')
		const appender = new FileChainAppender(path)
		await appender.close()
		const { bootId, pidNamespace } = thisMachine()
		leaveLock(path, { kernel: false, host: hostname(), bootId, pidNamespace, ...holder })
		const told = await contend(path, 'the next', 0, { env: NO_FLOCK })
		expect([holder, told.code]).toEqual([holder, isFree ? undefined : 'CHAIN_LOCKED'])
		// Only the kernel can prove that a holder will never wake up. Without that proof its file is not
		// written to again.
		if (isFree) expect(told).toMatchObject({ segment: 1 })
	}
})

/** Simulates containers: each has its own process 1 and sees no process of the other. */
const CONTAINER = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child']

test('of two containers with the same pid on a shared volume, only one has the chain', async () => {
	const { status, stderr } = await run('unshare', [...CONTAINER.slice(1), 'true'])
	if (status !== 0) {
		throw new Error(
			`this test is not allowed to create pid namespaces: ${stderr}\n` +
				'type: sudo -E npm test (or run it as root in a container with --cap-add SYS_ADMIN)',
		)
	}
	for (const kernel of [true, false]) {
		const within = kernel ? CONTAINER : [...CONTAINER, 'env', `PATH=${NO_FLOCK.PATH}`]
		const path = join(temporaryFolder(), 'node.chain')
		const { child } = await startHolder(path, { within })
		const lock = JSON.parse(nodeFileSystem.readFileSync(`${path}.lock`).toString())
		expect(lock).toMatchObject({ pid: 1, kernel })
		expect((await contend(path, 'the next', 0, { within })).code).toBe('CHAIN_LOCKED')
		const closed = once(child, 'close')
		child.kill('SIGKILL')
		await closed
		// The kernel frees the lock of a dead container. A leftover lock file alone does not show that the
		// holder is dead.
		expect((await contend(path, 'the next', 0, { within })).code).toBe(kernel ? undefined : 'CHAIN_LOCKED')
		expect(await readAll(path, nodeFileSystem)).toHaveLength(kernel ? 2 : 1)
	}
})

test('a holder without flock keeps its lock against one with it; worker threads are separate', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const { stdout, stderr } = await runModule(
		`
		import { Worker } from 'node:worker_threads'
		import { once } from 'node:events'
		const body = \`
			import('mesh-chain').then(({ FileChainAppender }) => {
				const { parentPort, workerData } = require('node:worker_threads')
				try {
					const appender = new FileChainAppender(workerData)
					parentPort.postMessage('open')
					parentPort.once('message', () => appender.close().then(() => process.exit(0)))
				} catch (error) { parentPort.postMessage(error.code) }
			})\`
		const start = () => new Worker(body, { eval: true, execArgv: [], workerData: process.argv.at(-1) })
		const first = start()
		const [a] = await once(first, 'message')
		const second = start()
		const [b] = await once(second, 'message')
		first.postMessage('close')
		await once(first, 'exit')
		const third = start()
		const [c] = await once(third, 'message')
		third.postMessage('close')
		console.log([a, b, c].join())
		`,
		[path],
	)
	expect(stdout.trim(), stderr).toBe('open,CHAIN_LOCKED,open')
	const { bootId, pidNamespace } = thisMachine()
	leaveLock(path, {
		kernel: false,
		pid: process.pid,
		startTime: startTimeOf(process.pid),
		bootId,
		pidNamespace,
	})
	expect((await contend(path, 'one with a kernel')).code).toBe('CHAIN_LOCKED')
	const found = await readAll(path, nodeFileSystem)
	checkRecords(found, { acknowledged: 0, published: 0, fs: nodeFileSystem, messageOf: String })
})

function thisMachine() {
	const bootId = nodeFileSystem.readFileSync('/proc/sys/kernel/random/boot_id').toString().trim()
	return { bootId, pidNamespace: String(nodeFileSystem.statSync('/proc/self/ns/pid').ino) }
}

function startTimeOf(pid: number): string | undefined {
	const stat = nodeFileSystem.readFileSync(`/proc/${pid}/stat`).toString()
	return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}
