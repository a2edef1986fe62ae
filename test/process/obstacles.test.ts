import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { repairChain } from '../../src/chain/verify/repair.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type FileSystem, nodeFileSystem } from '../../src/platform/file-system.ts'
import { run, runModule } from '../support/process.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/**
 * Puts each kind of obstacle at each of mesh-chain's paths, and runs every operation, in a child process that
 * can be killed if it hangs.
 */
const EVERYTHING = `
	import { execFileSync } from 'node:child_process'
	import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
	import { join } from 'node:path'
	import { FileChainAppender, openChain, repairChain, verifyChain } from 'mesh-chain'
	process.on('warning', () => {})
	const folder = process.argv.at(-1)
	const record = (seq, epoch) => ({
		seq, epoch, tsMs: seq, level: 'info', kind: 'log', message: 'm' + seq,
		daemonId: null, nodeId: null, chainPending: false,
	})
	const append = async (path) => {
		const appender = new FileChainAppender(path, { rotateRecords: 3 })
		try {
			for (let index = 0; index < 7; index++) {
				appender.append(record(appender.nextSeq, appender.epoch))
				await appender.sync()
			}
		} finally { await appender.close() }
	}
	const read = async (path) => {
		const chain = await openChain(path)
		try {
			for await (const each of chain.records()) each.seq
			await chain.info()
			await chain.end()
		} finally { await chain.close() }
	}
	const bind = 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])'
	const obstacles = {
		pipe: (path) => execFileSync('mkfifo', [path]),
		folder: (path) => mkdirSync(path),
		nowhere: (path) => symlinkSync('/nowhere/at/all', path),
		loop: (path) => symlinkSync(path, path),
		elsewhere: (path) => {
			writeFileSync(folder + '/precious', 'precious')
			symlinkSync(folder + '/precious', path)
		},
		socket: (path) => execFileSync('python3', ['-c', bind, path]),
		device: (path) => execFileSync('mknod', [path, 'c', '1', '5']),
	}
	const whole = mkdtempSync(folder + '/whole-')
	await append(join(whole, 'node.chain'))
	const names = ['node.chain', 'node.chain.lock', 'node.chain.durable', 'node-1.chain', 'node-8.chain']
	const works = Object.entries({ append, read, verify: verifyChain, repair: repairChain })
	let done = 0
	const odd = []
	for (const name of names)
	for (const [kind, put] of Object.entries(obstacles))
	for (const [what, work] of works) {
		const place = mkdtempSync(folder + '/p-')
		cpSync(whole, place, { recursive: true })
		rmSync(join(place, name), { force: true })
		try { put(join(place, name)) } catch { continue }
		const begun = performance.now()
		try { await work(join(place, 'node.chain')) } catch (error) {
			if (typeof error.code !== 'string' || error.name !== 'MeshChainError')
				odd.push([name, kind, what, String(error)])
		}
		if (performance.now() - begun > 20_000) odd.push([name, kind, what, 'took too long'])
		done++
		rmSync(place, { recursive: true, force: true })
	}
	console.log(JSON.stringify({ done, odd }))
`

test('any obstacle at a path of mesh-chain leads at once to a coded error or is handled', async () => {
	const folder = temporaryFolder()
	const { stdout, stderr } = await runModule(EVERYTHING, [folder])
	const { done, odd } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}')
	expect(odd, stderr).toEqual([])
	expect(done).toBeGreaterThan(100)
	expect(readFileSync(join(folder, 'precious'), 'utf8')).toBe('precious')
}, 180_000)

test('a lock that this user may not read makes the state unknown, with the reason', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	appender.append(record(1))
	await appender.sync()
	const openSync: FileSystem['openSync'] = (name, flags, mode) => {
		if (name.endsWith('.lock'))
			throw Object.assign(new Error('EACCES: forced by the test'), { code: 'EACCES' })
		return nodeFileSystem.openSync(name, flags, mode)
	}
	const fs = { ...nodeFileSystem, openSync }
	const chain = await openChain(path, { fs })
	const unknown = { state: 'unknown', unknownBecause: expect.stringContaining('EACCES') }
	expect(await chain.info()).toMatchObject(unknown)
	expect(await chain.end()).toMatchObject(unknown)
	await chain.close()
	const { findings } = await verifyChain(path, { fs })
	expect(findings).toMatchObject([{ kind: 'notClosed', message: expect.stringContaining('is unknown') }])
	await appender.close()
})

test('a repair reports that the live file is missing', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path, { rotateRecords: 2 })
	for (let seq = 1; seq <= 5; seq++) {
		appender.append(record(seq))
		await appender.sync()
		await new Promise((resolve) => setImmediate(resolve))
	}
	await appender.close()
	rmSync(path)
	const { ok, left } = await repairChain(path)
	expect([ok, left.map(({ kind }) => kind)]).toEqual([false, expect.arrayContaining(['missingFile'])])
})

test('another user never sees a live writer as dead: the state is open or unknown', async () => {
	if (process.getuid?.() !== 0) return
	const main = join(import.meta.dirname, '../../dist/cli/main.js')
	for (const [mode, lockMode, expected] of [
		[0o644, undefined, /open by process/],
		[0o644, 0o600, /it is unknown whether a writer has it open/],
	] as const) {
		const folder = temporaryFolder()
		chmodSync(folder, 0o755)
		const path = join(folder, 'node.chain')
		const appender = new FileChainAppender(path, { mode })
		appender.append(record(1))
		await appender.sync()
		if (lockMode !== undefined) chmodSync(`${path}.lock`, lockMode)
		const { stdout } = await run('setpriv', [
			'--reuid=65534',
			'--clear-groups',
			process.execPath,
			main,
			'info',
			path,
		])
		expect(stdout).toMatch(expected)
		expect(stdout).not.toMatch(/crashed/)
		await appender.close()
		expect(existsSync(`${path}.lock`)).toBe(false)
	}
})
