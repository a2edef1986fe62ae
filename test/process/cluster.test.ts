/** Runs the program with streams instead of files, and a forwarder in a process of its own. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { startNats } from '../support/nats-server.ts'
import { meshChain, start } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile()

async function chainOf(nodeId: string, records: number): Promise<string> {
	const path = join(temporaryFolder(), `${nodeId}.chain`)
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId })
	for (let index = 0; index < records; index++)
		loop.emit('order', { index }, { tsMs: 1_000_000 + 10 * index })
	await loop.close()
	return path
}

const lines = (text: string) => text.trim().split('\n')

test('the same commands read the forwarded chains of two nodes and their files', async () => {
	const paths = [await chainOf('a', 20), await chainOf('b', 20)]
	const address = `${server.url}/two`
	const to = ['--to', address, '--subject-prefix', 'two', '--once']
	const missing = await meshChain(['forward', ...paths, ...to])
	expect([missing.status, missing.stderr]).toEqual([2, expect.stringContaining('STREAM_NOT_FOUND')])
	const sent = await meshChain(['forward', ...paths, ...to, '--create', '--retain', '30d'])
	expect([sent.status, sent.stdout]).toEqual([0, ''])
	expect(lines(sent.stderr)).toHaveLength(2)
	expect(sent.stderr).toMatch(/a\.chain: 20 records forwarded in 1 message, acknowledged up to seq 20$/m)

	const unknown = await meshChain(['dump', `${address}?chain=zz`])
	expect([unknown.status, unknown.stderr]).toEqual([
		2,
		'mesh-chain: CHAIN_NOT_FOUND: the stream "two" has no chain with the id "zz": ' +
			'check that the chain is forwarded to this stream\n',
	])

	const dumpOf = async (...args: string[]) =>
		lines((await meshChain(['dump', ...args, '-o', 'ndjson'])).stdout)
	expect(await dumpOf(address)).toHaveLength(40)
	const one = await dumpOf(`${address}?node=b`)
	expect(one).toEqual(await dumpOf(paths[1]!))
	const merged = await meshChain(['merge', ...paths])
	expect(await dumpOf(address)).toEqual(lines(merged.stdout))
	const asMerge = await meshChain(['merge', address, '--to', join(temporaryFolder(), 'all.chain')])
	expect([asMerge.status, asMerge.stderr]).toEqual([0, expect.stringContaining('40 records from 2 chains')])
	const exported = await meshChain(['export', `${address}?node=a`])
	expect(exported.stdout).toBe((await meshChain(['export', paths[0]!])).stdout)
	const newest = await meshChain(['tail', `${address}?node=a`, '-n', '3', '-o', 'ndjson'])
	expect(lines(newest.stdout)).toEqual((await dumpOf(paths[0]!)).slice(-3))
	const ofBoth = await meshChain(['tail', address, '-n', '5', '-o', 'ndjson'])
	expect(lines(ofBoth.stdout).map((line) => JSON.parse(line).seq)).toEqual([1, 2, 3, 4, 5])
	expect((await meshChain(['info', address])).stdout.split('\n')[0]).toBe(address)
	const target = join(temporaryFolder(), 'again.chain')
	const replayed = await meshChain(['replay', `${address}?node=a`, '--to', target, '--speed', 'max'])
	expect([replayed.status, (await dumpOf(target)).length]).toEqual([0, 20])
	const { stdout } = await meshChain(['info', `${address}?node=a`, '-o', 'json'])
	expect(JSON.parse(stdout)).toMatchObject({ records: 20, firstSeq: 1, lastSeq: 20, levels: { info: 20 } })
})

test('following a stream includes nodes that begin later', async () => {
	const [first, second] = [await chainOf('a', 3), await chainOf('b', 4)]
	const address = `${server.url}/later`
	const to = ['--to', address, '--subject-prefix', 'later', '--once', '--create']
	await meshChain(['forward', first, ...to])
	const child = start(process.execPath, ['dist/cli/main.js', 'tail', address, '-f', '-o', 'ndjson'])
	let said = ''
	child.stdout!.on('data', (piece: Buffer) => {
		said += piece.toString()
	})
	const isSaid = async (count: number) => {
		while (lines(said).length < count) await new Promise((resolve) => setTimeout(resolve, 20))
	}
	await isSaid(3)
	await meshChain(['forward', second, ...to])
	await isSaid(7)
	expect(lines(said).map((line) => JSON.parse(line).nodeId)).toEqual([
		...Array(3).fill('a'),
		...Array(4).fill('b'),
	])
	const ended = new Promise((resolve) => child.once('close', resolve))
	child.kill('SIGINT')
	expect(await ended).toBe(0)
})

describe('reports errors', () => {
	const there = () => `${server.url}/nowhere`
	test.each<[string, () => string[], string]>([
		['a missing stream', () => ['dump', there()], 'STREAM_NOT_FOUND'],
		['a missing server', () => ['dump', 'nats://127.0.0.1:1/mesh'], 'CLUSTER_UNREACHABLE'],
		['no stream', () => ['dump', server.url], 'INVALID_OPTION: address must be'],
		['a password', () => ['dump', 'nats://me:secret@127.0.0.1/mesh'], 'INVALID_OPTION: address must be'],
		['a parameter', () => ['dump', `${there()}?color=red`], 'node or chain'],
		['a name that cannot be decoded', () => ['dump', `${server.url}/%zz`], 'INVALID_OPTION: address must be'],
		['an impossible port', () => ['dump', 'nats://127.0.0.1:99999/mesh'], 'INVALID_OPTION: a server'],
		['a scheme in capitals', () => ['dump', there().replace('nats', 'NATS')], 'STREAM_NOT_FOUND'],
		[
			'a server without TLS, although TLS is required',
			() => ['dump', there().replace('nats', 'tls')],
			'CLUSTER_UNREACHABLE: cannot use JetStream at tls://127.0.0.1:',
		],
		['nothing to forward', () => ['forward', '--to', there()], 'forward requires at least one chain'],
		['nowhere to forward to', () => ['forward', 'a.chain'], '--to is missing: name the stream'],
		['a password in --to', () => ['forward', 'a.chain', '--to', 'nats://me:secret@h/mesh'], 'NATS_PASSWORD'],
		['an address to forward', () => ['forward', there(), '--to', there()], 'forward sends files'],
		[
			'settings without --create',
			() => ['forward', 'a.chain', '--to', there(), '--replicas', '3'],
			'add --create',
		],
		[
			'a length of time',
			() => ['forward', 'a.chain', '--to', there(), '--create', '--retain', 'long'],
			'--retain must be a duration such as',
		],
		[
			'two durations to keep',
			() => ['forward', 'a.chain', '--to', there(), '--create', '--retain', '1d', '--retain', '2d'],
			'--retain accepts at most one duration and one size, not 1d and 2d',
		],
		[
			'a chain that is not there',
			() => ['forward', 'none.chain', '--to', there(), '--create'],
			'CHAIN_NOT_FOUND',
		],
	])('%s', async (_what, args, message) => {
		const { status, stderr, stdout } = await meshChain(args())
		expect([status, stdout]).toEqual([2, ''])
		expect(stderr).toContain(message)
		expect(stderr).not.toMatch(/secret|\n {4}at /)
	})
})

test.each([
	['a name', 'user: "mesh", password: "a password"', { NATS_USER: 'mesh', NATS_PASSWORD: 'a password' }],
	['a token', 'token: "a token"', { NATS_TOKEN: 'a token' }],
])(
	'the environment provides %s to a server that requires it',
	async (_what, authorization, env) => {
		const path = await chainOf('a', 5)
		const config = join(temporaryFolder(), 'users.conf')
		writeFileSync(config, `authorization { ${authorization} }\n`)
		const guarded = await startNats({ storeDir: temporaryFolder(), args: ['-c', config] })
		try {
			const address = `${guarded.url}/mesh`
			const refused = await meshChain(['dump', address])
			expect([refused.status, refused.stderr]).toEqual([
				2,
				expect.stringMatching(/CLUSTER_UNREACHABLE.*[Aa]uthorization/),
			])
			const sent = await meshChain(['forward', path, '--to', address, '--create', '--once'], { env })
			expect([sent.status, sent.stderr]).toEqual([0, expect.stringContaining('5 records forwarded')])
			const dump = await meshChain(['dump', address], { env })
			expect([dump.status, dump.stderr, lines(dump.stdout).length]).toEqual([0, '', 5])
		} finally {
			await guarded.stop()
		}
	},
	30_000,
)
