/** Runs `mesh-chain pull` as a process: its files, output, exit status and access. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { forwardChain } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { freePort } from '../support/free-port.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { meshChain, ROOT, run, start } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const SECRET = 'not-to-be-shown'
const ACCESS = { NATS_USER: 'reader', NATS_PASSWORD: SECRET }

const server = natsForFile({
	config: `authorization { user: reader, password: ${SECRET} }`,
	as: { user: 'reader', pass: SECRET },
})

let made = 0

/** Creates a stream with a chain of each of two nodes, and a folder to pull into. */
async function twoNodes(records = 1000) {
	const stream = `c${++made}`
	const source = temporaryFolder()
	const paths = ['a', 'b'].map((node) => join(source, `${node}.chain`))
	for (const [index, path] of paths.entries()) {
		const loop = new MeshLoop(new FileChainAppender(path), { nodeId: index === 0 ? 'a' : 'b' })
		for (let each = 0; each < records; each++) loop.info(`line ${each}`, { each })
		await loop.close()
		const forwarder = forwardChain(path, {
			servers: server.url,
			stream,
			subjectPrefix: stream,
			create: {},
			messageBytes: 4096,
			user: 'reader',
			password: SECRET,
		})
		await forwarder.flushed()
		await forwarder.close()
	}
	return { address: `${server.url}/${stream}`, paths, into: join(temporaryFolder(), 'deep', 'cluster') }
}

test('writes the files of all nodes, adds new records, and reproduces the originals', async () => {
	const { address, paths, into } = await twoNodes()
	const first = await meshChain(['pull', address, '--to', into], { env: ACCESS })
	expect([first.status, first.stdout]).toEqual([0, ''])
	const told = ['a', 'b'].map(
		(node) => `mesh-chain: 1,000 records (seq 1 to 1000) written to ${join(into, `${node}.chain`)}\n`,
	)
	expect(first.stderr).toBe(told.join(''))
	expect(readdirSync(into).sort()).toEqual(['a.chain', 'b.chain'])
	for (const [index, path] of paths.entries()) {
		const pulled = join(into, index === 0 ? 'a.chain' : 'b.chain')
		expect((await meshChain(['verify', pulled])).status).toBe(0)
		expect((await meshChain(['dump', pulled])).stdout).toBe((await meshChain(['dump', path])).stdout)
	}
	const second = await meshChain(['pull', `${address}?node=b`, '--to', into], { env: ACCESS })
	expect([second.status, second.stderr]).toEqual([
		0,
		`mesh-chain: 0 records written to ${join(into, 'b.chain')}\n`,
	])
	const quiet = await meshChain(['pull', address, '-q', '--to', into], { env: ACCESS })
	expect(quiet).toMatchObject({ status: 0, stdout: '', stderr: '' })
})

test('an interrupted pull keeps its records, and the next one continues from there', async () => {
	const { address, paths, into } = await twoNodes(20_000)
	const child = start(process.execPath, ['dist/cli/main.js', 'pull', address, '--to', into], { env: ACCESS })
	let stderr = ''
	child.stderr!.on('data', (piece: Buffer) => {
		stderr += piece.toString()
	})
	const ended = new Promise((resolve) => child.once('close', resolve))
	while (!existsSync(join(into, 'a.chain'))) await new Promise((resolve) => setTimeout(resolve, 1))
	child.kill('SIGINT')
	expect(await ended).toBe(130)
	expect(stderr).toMatch(
		/mesh-chain: interrupted: [\d,]+ records pulled so far; the next pull resumes from there\n$/,
	)
	expect((await meshChain(['verify', join(into, 'a.chain')])).status).toBe(0)
	expect((await meshChain(['pull', address, '--to', into], { env: ACCESS })).status).toBe(0)
	for (const [index, path] of paths.entries()) {
		const pulled = join(into, index === 0 ? 'a.chain' : 'b.chain')
		expect((await meshChain(['dump', pulled])).stdout).toBe((await meshChain(['dump', path])).stdout)
	}
})

test('a pull onto a full disk reports the error and its records; the next one continues there', async () => {
	const { address, paths, into } = await twoNodes(20_000)
	const cli = join(ROOT, 'dist', 'cli', 'main.js')
	const bounded = [
		'-c',
		'ulimit -f 256; exec "$@"',
		'--',
		process.execPath,
		cli,
		'pull',
		address,
		'--to',
		into,
	]
	const { status, stderr } = await run('bash', bounded, { env: ACCESS })
	const pulled = String.raw`mesh-chain: [\d,]+ records pulled so far; the next pull resumes from there`
	const failed = String.raw`mesh-chain: CHAIN_UNWRITABLE: cannot write to .*a\.chain": EFBIG`
	expect([status, stderr]).toEqual([2, expect.stringMatching(new RegExp(`^${pulled}\n${failed}`))])
	expect((await meshChain(['pull', address, '--to', into], { env: ACCESS })).status).toBe(0)
	expect((await meshChain(['dump', join(into, 'a.chain')])).stdout).toBe(
		(await meshChain(['dump', paths[0]!])).stdout,
	)
})

test('reports errors with a code and without a secret', async () => {
	const { address, paths, into } = await twoNodes(10)
	const refused = async (args: readonly string[], message: string, env: Record<string, string> = ACCESS) => {
		const { status, stdout, stderr } = await meshChain(['pull', ...args], { env })
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
		expect(stderr).not.toContain(SECRET)
	}
	await refused([], 'requires the address of one stream')
	await refused(['node.chain', '--to', into], 'requires the address of one stream')
	await refused([address], '--to is missing: name the folder')
	await refused([address, '--to', paths[0]!], 'INVALID_PATH')
	await refused([address, '--to', '/proc/nothing/can/be/here'], 'INVALID_PATH')
	await refused([address, '--to', into], 'CLUSTER_UNREACHABLE', {})
	await refused([`nats://127.0.0.1:${await freePort()}/none`, '--to', into], 'CLUSTER_UNREACHABLE')
	await refused([`${server.url}/none`, '--to', into], 'STREAM_NOT_FOUND')
	await refused([`${address}?node=c`, '--to', into], 'CHAIN_NOT_FOUND')
	expect(existsSync(into)).toBe(false)
	mkdirSync(into, { recursive: true })
	writeFileSync(join(into, 'a.chain'), 'this is no chain at all, but long enough to hold the header of one')
	await refused([address, '--to', into], 'NOT_A_CHAIN')
	expect(readFileSync(join(into, 'a.chain'), 'utf8')).toContain('this is no chain')
	// The other chains are pulled nevertheless.
	expect(readdirSync(into).sort()).toEqual(['a.chain', 'b.chain'])
})
