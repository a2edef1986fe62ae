/**
 * RELIABILITY, row 1: a real process kills itself with SIGKILL before, within or after any call to the file
 * system: while it opens, writes a frame, rotates, moves after a failed fsync, or repairs.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { nodeFileSystem } from '../../src/platform/file-system.ts'
import { compare, filesAt } from '../support/compare-with-oracle.ts'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { leaveLock } from '../support/killed.ts'
import { checkRecovery, readAll } from '../support/oracle.ts'
import { runModule } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const messageOf = (seq: number) => `message ${seq} ${'x'.repeat((seq * 97) % 400)}`

/**
 * Runs `task` with a file system that kills the process at call number `killAt`, counted from the start of
 * the task. A write is half done first. Prints on stdout what is acknowledged.
 */
const VICTIM = `
	import { writeSync } from 'node:fs'
	import { FileChainAppender, nodeFileSystem, repairChain } from 'mesh-chain'
	const [path, task, killAt] = process.argv.slice(-3)
	let left = Infinity
	let failing = false
	const die = () => process.kill(process.pid, 'SIGKILL')
	const fs = Object.fromEntries(Object.entries(nodeFileSystem).map(([name, call]) => [name, (...args) => {
		if (left-- === 0) {
			if (name === 'writeSync') nodeFileSystem.writeSync(args[0], args[1], args[2], args[3] >> 1, args[4])
			die()
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000)
		}
		if (failing && name === 'fdatasync')
			return Promise.reject(Object.assign(new Error('forced'), { code: 'EIO' }))
		return call(...args)
	}]))
	const messageOf = ${messageOf.toString()}
	const arm = () => { left = Number(killAt) }
	const tell = (seq) => writeSync(1, seq + '\\n')
	const line = (seq, epoch) => ({
		seq, epoch, tsMs: seq, level: 'info', kind: 'log', message: messageOf(seq),
		daemonId: null, nodeId: null, chainPending: false,
	})
	if (task === 'repair') {
		arm()
		await repairChain(path, { fs })
		tell('done')
	} else {
		if (task === 'open') arm()
		const disk = task === 'disk' || task === 'move'
		const rotation = task === 'rotate' ? { rotateRecords: 32 } : {}
		const appender = new FileChainAppender(path, { fs, durability: disk ? 'disk' : 'os', ...rotation })
		const first = appender.nextSeq
		for (let seq = first; seq < first + 19; seq++) {
			appender.append(line(seq, appender.epoch))
			appender.flush()
			if (!disk) tell(seq)
		}
		await appender.sync()
		tell(first + 18)
		if (task !== 'open') arm()
		for (let seq = first + 19; seq < first + 24; seq++) {
			appender.append(line(seq, appender.epoch))
			if (disk) {
				failing = task === 'move' && seq === first + 20
				await appender.sync().then(() => tell(seq), () => { failing = false })
			} else {
				appender.flush()
				tell(seq)
				await appender.sync()
			}
			await new Promise((resolve) => setImmediate(resolve))
		}
		await appender.close()
		tell('done')
	}
`

interface Ended {
	readonly isDone: boolean
	readonly acknowledged: number
}

async function runVictim(path: string, task: string, killAt: number): Promise<Ended> {
	const { stdout, signal, stderr } = await runModule(VICTIM, [path, task, String(killAt)])
	const told = stdout.split('\n').filter(Boolean)
	const isDone = told.at(-1) === 'done'
	if (!isDone && signal !== 'SIGKILL')
		throw new Error(`the victim of ${task} ${killAt} ended by itself: ${stderr}`)
	return { isDone, acknowledged: Math.max(0, ...told.filter((line) => line !== 'done').map(Number)) }
}

/** Interval between the calls that are killed: 1 in `npm run test:soak`, larger in `npm test`. */
const STEP = sizeOf('KILL_STEP')

for (const task of ['open', 'frame', 'disk', 'rotate', 'move']) {
	test(`killed at any call during ${task}, a writer loses nothing that it acknowledged`, async () => {
		let kills = 0
		let torn = 0
		for (let killAt = 0; ; killAt += STEP) {
			const folder = temporaryFolder()
			const path = join(folder, 'node.chain')
			// An earlier run, so that opening has something to recover.
			const before = new FileChainAppender(path)
			for (let seq = 1; seq <= 10; seq++) before.append(record(seq, { message: messageOf(seq) }))
			await before.close()
			const { isDone, acknowledged } = await runVictim(path, task, killAt)
			if (isDone) break
			kills++
			const { tornBytes } = await endOf(path)
			if (tornBytes > 0) torn++
			const expected = {
				acknowledged: Math.max(10, acknowledged),
				published: 34,
				fs: nodeFileSystem,
				messageOf,
			}
			await compare(`${task}, killed at call ${killAt}`, filesAt(folder))
			await checkRecovery(path, expected)
			await compare(`${task}, opened again after a kill at call ${killAt}`, filesAt(folder))
			expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
		}
		expect(kills).toBeGreaterThan(3)
		tellCounts(1, `SIGKILL within ${task}`, { kills, 'torn tails': torn, 'acknowledged and lost': 0 })
	})
}

test('a repair killed at any call loses no record, and another repair finishes the work', async () => {
	const folder = temporaryFolder()
	const whole = join(folder, 'node.chain')
	const appender = new FileChainAppender(whole, { rotateRecords: 100 })
	for (let seq = 1; seq <= 250; seq++) {
		appender.append(record(seq, { message: messageOf(seq) }))
		if (seq % 25 === 0) {
			await appender.sync()
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	await appender.close()
	const names = readdirSync(folder).filter((name) => name.endsWith('.chain'))
	for (const name of names) {
		const bytes = readFileSync(join(folder, name))
		writeFileSync(join(folder, name), bytes.fill(0xc1, 3000, 3100))
	}
	leaveLock(whole)
	const readable = (await readAll(whole, nodeFileSystem)).filter(({ kind }) => kind !== '$gap')
	let kills = 0
	for (let killAt = 0; ; killAt += STEP) {
		const copy = join(folder, `copy-${killAt}`)
		mkdirSync(copy)
		for (const name of readdirSync(folder))
			if (/^node/.test(name)) copyFileSync(join(folder, name), join(copy, name))
		const path = join(copy, 'node.chain')
		const { isDone } = await runVictim(path, 'repair', killAt)
		if (!isDone) kills++
		await compare(`a repair, killed at call ${killAt}`, filesAt(copy))
		const left = await readAll(path, nodeFileSystem)
		expect(left.filter(({ kind }) => kind !== '$gap')).toEqual(readable)
		expect(await repairChain(path)).toMatchObject({ ok: true })
		expect(await repairChain(path)).toMatchObject({ actions: [], ok: true })
		const found = await readAll(path, nodeFileSystem)
		expect(found.filter(({ kind }) => kind !== '$gap')).toEqual(readable)
		expect((await verifyChain(path)).ok).toBe(true)
		if (isDone) break
	}
	expect(kills).toBeGreaterThan(5)
	tellCounts(1, 'SIGKILL within repair', { kills, 'readable records lost': 0 })
})

async function endOf(path: string) {
	const chain = await openChain(path)
	try {
		return await chain.end()
	} finally {
		await chain.close()
	}
}
