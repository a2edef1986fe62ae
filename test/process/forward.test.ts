/** Checks how `mesh-chain forward` ends, and its exit status. */
import { once } from 'node:events'
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { meshChain, ROOT, start } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const server = natsForFile({
	config: `max_payload: 131072
		authorization { users: [
			{ user: admin, password: p }
			{ user: mute, password: p, permissions: { publish: { deny: "mute.>" } } }
		] }`,
	as: { user: 'admin', pass: 'p' },
})

const as = (user: string, password = 'p') => ({ env: { NATS_USER: user, NATS_PASSWORD: password } })

async function chainOf(records: number, text = 'a record'): Promise<string> {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'a' })
	for (let index = 0; index < records; index++) {
		loop.info(text)
		loop.flush()
	}
	await loop.close()
	return path
}

function toStream(stream: string): string[] {
	return ['--to', `${server.url}/${stream}`, '--subject-prefix', stream, '--create', '--once']
}

test('--once ends with the reason when the servers refuse', async () => {
	const path = await chainOf(5)
	const denied = await meshChain(['forward', path, ...toStream('mute')], as('mute'))
	expect([denied.status, denied.stderr]).toEqual([
		2,
		expect.stringMatching(/^mesh-chain: STREAM_REFUSED: .* Permissions Violation for Publish to "mute\.a/m),
	])
	const stranger = await meshChain(['forward', path, ...toStream('mute')], as('mute', 'wrong'))
	expect([stranger.status, stranger.stderr]).toEqual([
		2,
		expect.stringMatching(/^mesh-chain: CLUSTER_UNREACHABLE: .*Authorization Violation/m),
	])
})

test('an interruption before everything is acknowledged is normal, except with --once', async () => {
	const path = await chainOf(5)
	const [none, ...rest] = ['--to', 'nats://127.0.0.1:1/mesh', '--once']
	for (const [args, status] of [
		[[none!, ...rest], 143],
		[[none!, rest[0]!], 0],
	] as const) {
		const child = start(process.execPath, [join(ROOT, 'dist/cli/main.js'), 'forward', path, ...args])
		let stderr = ''
		child.stderr!.on('data', (piece: Buffer) => {
			stderr += piece.toString()
		})
		while (!stderr.includes('FORWARD_FAILING')) await sleep(20)
		child.kill('SIGTERM')
		expect((await once(child, 'close'))[0]).toBe(status)
		expect(stderr).toMatch(
			/0 records forwarded in 0 messages, .*; last error: cannot use JetStream at nats:\/\/127.0.0.1:1/,
		)
		expect(stderr.includes('interrupted before every record was acknowledged')).toBe(status === 143)
	}
})

test('--once forwards every chain that it can, then reports the others', async () => {
	const paths = [await chainOf(5), join(temporaryFolder(), 'none.chain')]
	const { status, stderr } = await meshChain(['forward', ...paths, ...toStream('several')], as('admin'))
	expect([status, stderr]).toEqual([
		2,
		expect.stringMatching(/node\.chain: 5 records forwarded in 1 message/),
	])
	expect(stderr).toMatch(/^mesh-chain: CHAIN_NOT_FOUND: .*none\.chain/m)
})

test('--once ends with status 3 after oversized records, or if the stream is ahead of the file', async () => {
	const large = await chainOf(
		2,
		Array.from({ length: 200_000 }, () => Math.random().toString(36)[2]).join(''),
	)
	const lost = await meshChain(['forward', large, ...toStream('large')], as('admin'))
	expect([lost.status, lost.stderr]).toEqual([
		3,
		expect.stringMatching(
			/: 2 records forwarded in .*, 2 of them replaced by a gap because they are too large for a message$/m,
		),
	])
	const cut = await chainOf(50)
	expect((await meshChain(['forward', cut, ...toStream('cut')], as('admin'))).status).toBe(0)
	truncateSync(cut, 1_000)
	const behind = await meshChain(['forward', cut, ...toStream('cut')], as('admin'))
	expect([behind.status, behind.stderr]).toEqual([
		3,
		expect.stringMatching(/: 0 records forwarded .*, the stream was \d+ seqs ahead of the file$/m),
	])
})
