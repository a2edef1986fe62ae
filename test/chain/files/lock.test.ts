import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import { nodeFileSystem } from '../../../src/platform/file-system.ts'
import { newChainPath } from '../../support/chains.ts'
import { FaultyFileSystem } from '../../support/faulty-file-system.ts'
import { leaveLock } from '../../support/killed.ts'
import { runModule, startModule } from '../../support/process.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const HOLDER = `
	import { FileChainAppender } from 'mesh-chain'
	const appender = new FileChainAppender(process.argv.at(-1))
	console.log('open')
	setInterval(() => {}, 1000)
`
const CONTENDER = `
	import { FileChainAppender } from 'mesh-chain'
	try {
		const appender = new FileChainAppender(process.argv.at(-1))
		console.log(JSON.stringify({ epoch: appender.epoch }))
		await appender.close()
	} catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })) }
`

async function contend(path: string, env: Record<string, string> = {}) {
	const { stdout, stderr } = await runModule(CONTENDER, [path], { env })
	expect(stderr).not.toContain('Error')
	return JSON.parse(stdout)
}

// A PATH without flock(1) simulates a system without it.
for (const [name, env] of [
	['with the kernel holding the lock', {}],
	['without flock', { PATH: '/nowhere' }],
] as const) {
	test(`${name}, a live holder keeps its lock, even when stopped, and a dead one blocks nobody`, async () => {
		const path = newChainPath()
		const holder = startModule(HOLDER, [path])
		if (holder.stdout) await once(holder.stdout, 'data')
		expect(await contend(path, env)).toMatchObject({
			code: 'CHAIN_LOCKED',
			message: expect.stringContaining(`process ${holder.pid}`),
		})
		holder.kill('SIGSTOP')
		expect(await contend(path, env)).toMatchObject({ code: 'CHAIN_LOCKED' })
		holder.kill('SIGCONT')
		const closed = once(holder, 'close')
		holder.kill('SIGKILL')
		await closed
		expect(existsSync(`${path}.lock`)).toBe(true)
		expect(await contend(path, env)).toEqual({ epoch: 2 })
		expect(existsSync(`${path}.lock`)).toBe(false)
	})
}

test('without flock, a holder on another host is not judged dead, and the message gives advice', async () => {
	const path = newChainPath()
	leaveLock(path, { kernel: false, pid: 1, host: 'elsewhere' })
	const refused = await contend(path, { PATH: '/nowhere' })
	expect(refused).toMatchObject({
		code: 'CHAIN_LOCKED',
		message: expect.stringContaining('process 1 on "elsewhere"'),
	})
	expect(refused.message).toContain(`remove "${path}.lock"`)
})

test('a failed attempt leaves no lock file', () => {
	const folder = temporaryFolder()
	for (const call of ['lockSync', 'ftruncateSync'] as const) {
		const system = new FaultyFileSystem()
		system.fail(call, 'EIO')
		expect(() => new FileChainAppender(join(folder, 'node.chain'), { fs: system })).toThrow('EIO')
		expect(readdirSync(folder)).toEqual([])
	}
})

test('on a file system without hard links, the kernel locks the file in place', async () => {
	const path = newChainPath()
	const linkSync = () => {
		throw Object.assign(new Error('EPERM: link'), { code: 'EPERM' })
	}
	const fs = { ...nodeFileSystem, linkSync }
	const appender = new FileChainAppender(path, { fs })
	expect(() => new FileChainAppender(path, { fs })).toThrow(expect.objectContaining({ code: 'CHAIN_LOCKED' }))
	expect(await contend(path)).toMatchObject({ code: 'CHAIN_LOCKED' })
	await appender.close()
	expect(readdirSync(join(path, '..')).toSorted()).toEqual(['node.chain', 'node.chain.durable'])
	leaveLock(path, { kernel: true })
	const next = new FileChainAppender(path, { fs })
	expect(next.epoch).toBe(2)
	await next.close()
	expect(existsSync(`${path}.lock`)).toBe(false)
})

test('a lock that is a symbolic link is not followed', async () => {
	const folder = temporaryFolder()
	const path = join(folder, 'node.chain')
	const victim = join(folder, 'victim')
	writeFileSync(victim, 'precious')
	symlinkSync(victim, `${path}.lock`)
	expect(await contend(path)).toMatchObject({ code: 'CHAIN_UNWRITABLE' })
	expect(readFileSync(victim, 'utf8')).toBe('precious')
})
