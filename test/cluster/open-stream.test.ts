/** `openStream` when all or part of a stream cannot be read: what it reports. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { forwardChain, openStream, pullStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { natsForFile } from '../support/nats-for-file.ts'
import { startNats } from '../support/nats-server.ts'
import { meshChain } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const PASSWORD = 'a password'
/** Permissions that a reader needs according to docs/guarantees/cluster.md. */
const NEEDED = [
	'$JS.API.INFO',
	'$JS.API.STREAM.INFO.*',
	'$JS.API.STREAM.MSG.GET.*',
	'$JS.API.CONSUMER.CREATE.>',
	'$JS.API.CONSUMER.INFO.>',
	'$JS.API.CONSUMER.MSG.NEXT.>',
	'$JS.API.CONSUMER.DELETE.>',
]
/** Users, each with the one subject it may not publish to; `all` may do everything. */
const USERS = new Map([
	['reader', undefined],
	['noInfo', '$JS.API.INFO'],
	['noStream', '$JS.API.STREAM.INFO.*'],
	['noGet', '$JS.API.STREAM.MSG.GET.*'],
	['noCreate', '$JS.API.CONSUMER.CREATE.>'],
	['noNext', '$JS.API.CONSUMER.MSG.NEXT.>'],
])

const users = [...USERS].map(([user, denied]) => {
	const publish = NEEDED.filter((subject) => subject !== denied).map((subject) => `"${subject}"`)
	const permissions = `{ publish: [${publish}], subscribe: ["_INBOX.>"] }`
	return `{ user: ${user}, password: "${PASSWORD}", permissions: ${permissions} }`
})
const server = natsForFile({
	config: `authorization { users: [{ user: all, password: "${PASSWORD}" }, ${users.join(', ')}] }`,
	as: { user: 'all', pass: PASSWORD },
})
let address: string
beforeAll(async () => {
	address = `${server.url}/mesh`
	const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-'))
	const path = join(folder, 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'n' })
	for (let index = 0; index < 10; index++) loop.info(`line ${index}`)
	await loop.close()
	const forwarder = forwardChain(path, {
		servers: server.url,
		user: 'all',
		password: PASSWORD,
		create: {},
	})
	await forwarder.flushed()
	await forwarder.close()
	rmSync(folder, { recursive: true, force: true })
})

describe('permissions', () => {
	test('as documented suffice to read, follow and pull', async () => {
		const access = { user: 'reader', password: PASSWORD }
		const chain = await openStream(address, access)
		expect(await collect(chain.records())).toHaveLength(10)
		expect((await chain.info()).records).toBe(10)
		const over = new AbortController()
		for await (const { seq } of chain.tail({ signal: over.signal })) if (seq === 10) over.abort()
		await chain.close()
		expect((await pullStream(address, temporaryFolder(), access)).records).toBe(10)
	})

	test.each([...USERS].filter(([, denied]) => denied !== undefined))(
		'a reader that lacks one ends at once and names it: %s',
		async (user, denied) => {
			const begunMs = performance.now()
			const access = { user, password: PASSWORD }
			const subject = denied!.slice(0, -1).replaceAll(/[$.]/g, '\\$&')
			const told = {
				code: user === 'noInfo' ? 'CLUSTER_UNREACHABLE' : 'STREAM_REFUSED',
				message: expect.stringMatching(
					new RegExp(`Publish to "${subject}.*docs/guarantees/cluster.md lists`),
				),
			}
			await expect(pullStream(address, temporaryFolder(), access)).rejects.toMatchObject(told)
			const following = async () => {
				const chain = await openStream(address, access)
				try {
					for await (const _record of chain.tail({ signal: AbortSignal.timeout(20_000) }));
				} finally {
					await chain.close()
				}
			}
			await expect(following()).rejects.toMatchObject(told)
			expect(performance.now() - begunMs).toBeLessThan(5_000)
		},
	)
})

test('a program whose server freezes while it connects reports that and ends', async () => {
	const frozen = await startNats({ storeDir: temporaryFolder() })
	try {
		frozen.freeze()
		const { status, stderr } = await meshChain(['dump', `${frozen.url}/mesh`])
		expect([status, stderr]).toEqual([2, expect.stringContaining('no answer in time')])
	} finally {
		await frozen.stop()
	}
})
