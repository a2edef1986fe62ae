/**
 * Servers that require authentication: each method admits a client with the right credentials, and gives all
 * others a reason. No output shows a secret.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { NatsAccess } from '../../src/cluster/credentials.ts'
import { type Forwarder, forwardChain, openStream } from '../../src/cluster/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { MeshChainError } from '../../src/model/errors.ts'
import { Authority, type Certificate, newNkey, Operator } from '../support/nats-secrets.ts'
import { type NatsServer, startNats } from '../support/nats-server.ts'
import { meshChain } from '../support/process.ts'
import { collect } from '../support/records.ts'

const WAYS = ['a password', 'a token', 'an nkey', 'credentials', 'TLS', 'a client certificate'] as const

interface Way {
	/** Lines of the server configuration. */
	readonly config: string
	readonly right: NatsAccess
	/** Wrong credentials, each with the expected error message. */
	readonly wrong: readonly (readonly [access: NatsAccess, message: RegExp])[]
}

const PASSWORD = 'this is not to be shown'
const WRONG = 'nor is this to be shown'
const GIVEN =
	/Authorization Violation: the given user, token, nkey or JWT is wrong, expired or unknown to the server$/
const NOT_GIVEN =
	/Authorization Violation: the server requires a user, token, nkeyFile or credsFile, but none/
const NOT_TRUSTED =
	/caFile must contain the certificate of the authority that signed the server's certificate$/
const NO_CERTIFICATE = /no answer in time; .*: check certFile and keyFile$/

let folder: string
let ways: Record<(typeof WAYS)[number], Way>
let operator: Operator
let authority: Authority
let client: Certificate
let stranger: Certificate
const servers = new Map<string, NatsServer>()
/**
 * All pieces of this length, of all secrets created here. Showing twelve characters of a secret is too much.
 */
const SHOWN = 12
const pieces = new Set<string>()
const warnings: string[] = []
const keep = (...secrets: readonly string[]) => {
	for (const secret of secrets) for (const piece of piecesOf(secret)) pieces.add(piece)
}
const warned = (warning: Error) => void warnings.push(inspect(warning))

beforeAll(async () => {
	process.on('warning', warned)
	folder = mkdtempSync(join(tmpdir(), 'mesh-chain-access-'))
	ways = newWays()
	for (const way of WAYS) servers.set(way, await serverFor(ways[way].config))
})
afterAll(async () => {
	process.off('warning', warned)
	for (const server of servers.values()) await server.stop()
	rmSync(folder, { recursive: true, force: true })
})

function newWays(): typeof ways {
	operator = new Operator()
	authority = new Authority(folder, 'authority')
	const other = new Authority(folder, 'other')
	const own = authority.sign('server')
	client = authority.sign('client')
	stranger = other.sign('stranger')
	keep(PASSWORD, WRONG, own.secret, client.secret, stranger.secret)
	const { caFile } = authority
	const pair = ({ certFile, keyFile }: Certificate) => ({ certFile, keyFile })
	const encrypted = `cert_file: "${own.certFile}", key_file: "${own.keyFile}", ca_file: "${caFile}"`
	const { publicKey, seed } = nkey()
	return {
		'a password': {
			config: `authorization { user: mesh, password: "${PASSWORD}" }`,
			right: { user: 'mesh', password: PASSWORD },
			wrong: [
				[{ user: 'mesh', password: WRONG }, GIVEN],
				[{ user: 'mesh' }, GIVEN],
				[{}, NOT_GIVEN],
			],
		},
		'a token': {
			config: `authorization { token: "${PASSWORD}" }`,
			right: { token: PASSWORD },
			wrong: [
				[{ token: WRONG }, GIVEN],
				[{}, NOT_GIVEN],
			],
		},
		'an nkey': {
			config: `authorization { users: [ { nkey: ${publicKey} } ] }`,
			right: { nkeyFile: file(`${seed}\n`) },
			wrong: [
				[{ nkeyFile: file(nkey().seed) }, GIVEN],
				[{}, NOT_GIVEN],
			],
		},
		credentials: {
			config: operator.config,
			right: { credsFile: file(creds()) },
			wrong: [
				[{ credsFile: file(creds(new Operator())) }, GIVEN],
				[{ credsFile: file(creds(operator, { exp: 1 })) }, GIVEN],
				[{}, NOT_GIVEN],
			],
		},
		TLS: {
			config: `tls { ${encrypted} }`,
			right: { tls: { caFile } },
			wrong: [
				[{ tls: { caFile: other.caFile } }, NOT_TRUSTED],
				[{ tls: true }, NOT_TRUSTED],
				[{}, NOT_TRUSTED],
			],
		},
		'a client certificate': {
			config: `tls { ${encrypted}, verify: true }`,
			right: { tls: { caFile, ...pair(client) } },
			wrong: [
				[{ tls: { caFile, ...pair(stranger) } }, NO_CERTIFICATE],
				[{ tls: { caFile } }, NO_CERTIFICATE],
				[{ tls: pair(client) }, NOT_TRUSTED],
			],
		},
	}
}

let made = 0
const newPath = (ending: string) => join(folder, `${++made}.${ending}`)

function file(content: string, path = newPath('secret')): string {
	writeFileSync(path, content)
	return path
}

function nkey() {
	const made = newNkey()
	keep(made.seed)
	return made
}

function creds(by = operator, claims = {}): string {
	const made = by.newCreds(claims)
	keep(...made.secrets)
	return made.text
}

function serverFor(config: string, port?: number, storeDir = newPath('store')): Promise<NatsServer> {
	const args = ['-c', file(`${config}\n`, newPath('conf'))]
	return startNats({ storeDir, args, ...(port === undefined ? {} : { port }) })
}

async function chainOf(records: number): Promise<string> {
	const path = newPath('chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'a' })
	for (let index = 0; index < records; index++) loop.info(`line ${index}`)
	await loop.close()
	return path
}

/** The certificate is issued for this name. */
const at = ({ port }: NatsServer) => `nats://localhost:${port}`

function forwarderTo(server: NatsServer, path: string, access: NatsAccess): Forwarder {
	return forwardChain(path, { servers: at(server), create: {}, ackTimeoutMs: 300, ...access })
}

async function until(what: string, is: () => boolean): Promise<void> {
	const deadline = Date.now() + 30_000
	while (!is()) {
		if (Date.now() > deadline) throw new Error(`timed out: ${what}`)
		await sleep(10)
	}
}

async function outcome(call: () => unknown): Promise<unknown> {
	try {
		return await call()
	} catch (error) {
		return error
	}
}

function piecesOf(text: string): string[] {
	return Array.from({ length: Math.max(0, text.length - SHOWN + 1) }, (_unused, at) =>
		text.slice(at, at + SHOWN),
	)
}

function expectNoSecret(shown: unknown): void {
	const text = inspect(shown, { depth: Number.POSITIVE_INFINITY, showHidden: true, maxStringLength: null })
	const plain = text.replaceAll('\\n', '\n')
	if (piecesOf(plain).some((piece) => pieces.has(piece))) throw new Error(`shows a secret: ${plain}`)
}

test.each(WAYS)('a client with %s is admitted', async (way) => {
	const server = servers.get(way)!
	const { right } = ways[way]
	const forwarder = forwarderTo(server, await chainOf(5), right)
	await forwarder.flushed()
	expectNoSecret([forwarder, forwarder.stats()])
	await forwarder.close()
	const chain = await openStream(`${at(server)}/mesh`, right)
	expect(await collect(chain.records())).toHaveLength(5)
	expectNoSecret([chain, await chain.info()])
	await chain.close()
})

// These tests run concurrently, because they wait for answers that never arrive.
test.concurrent('a forwarder warns when its access is revoked, and continues when readmitted', async () => {
	const storeDir = newPath('store')
	const users = (password: string) => `authorization { user: mesh, password: "${password}" }`
	const first = await serverFor(users(PASSWORD), undefined, storeDir)
	const running = [first]
	try {
		const path = newPath('chain')
		const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'a' })
		loop.info('first')
		loop.flush()
		const forwarder = forwarderTo(first, path, { user: 'mesh', password: PASSWORD })
		await forwarder.flushed()
		await first.stop()
		running.push(await serverFor(users(WRONG), first.port, storeDir))
		loop.info('second')
		await loop.close()
		await until('it reports the reason', () => GIVEN.test(forwarder.stats().lastError ?? ''))
		expect(warnings.filter((warning) => warning.includes(path))).toEqual([
			expect.stringContaining('Authorization Violation: the given user'),
		])
		expectNoSecret([forwarder, forwarder.stats(), warnings])
		await running[1]!.stop()
		running.push(await serverFor(users(PASSWORD), first.port, storeDir))
		await forwarder.flushed()
		expect(forwarder.stats()).toMatchObject({ records: 2, lastError: undefined })
		await forwarder.close()
	} finally {
		for (const server of running) await server.stop()
	}
})

test.concurrent.each(WAYS)(
	'a server that requires %s refuses anything else and gives the reason',
	async (way) => {
		const server = servers.get(way)!
		await Promise.all(
			ways[way].wrong.map(async ([access, message]) => {
				const path = await chainOf(1)
				const forwarder = forwarderTo(server, path, access)
				const error = (await outcome(() => openStream(`${at(server)}/mesh`, access))) as MeshChainError
				expect(error).toBeInstanceOf(MeshChainError)
				expect([error.code, error.message]).toEqual(['CLUSTER_UNREACHABLE', expect.stringMatching(message)])
				expect(error.message).toContain(at(server))
				await until('the forwarder reports the problem', () => forwarder.stats().lastError !== undefined)
				const { state, records, lastError } = forwarder.stats()
				expect([state, records, lastError]).toEqual(['connecting', 0, expect.stringMatching(message)])
				await until('it warns', () => warnings.some((warning) => warning.includes(path)))
				expectNoSecret([error, forwarder, forwarder.stats()])
				await forwarder.close()
				const said = warnings.filter((warning) => warning.includes(path))
				expect(said).toEqual([expect.stringContaining('MESH_CHAIN_FORWARD_FAILING')])
				expect(said[0]).toContain(lastError)
				expect(said[0]).toContain('the forwarder retries, and the chain keeps all records')
			}),
		)
		expectNoSecret(warnings)
	},
)

test.concurrent.each(['an nkey', 'credentials'] as const)(
	'a refused forwarder retries, and is admitted once its file of %s is correct',
	async (way) => {
		const isNkey = way === 'an nkey'
		const { publicKey, seed } = nkey()
		const right = isNkey ? seed : creds()
		const server = isNkey
			? await serverFor(`authorization { users: [ { nkey: ${publicKey} } ] }`)
			: servers.get(way)!
		try {
			const path = file(isNkey ? nkey().seed : creds(operator, { exp: 1 }))
			const forwarder = forwarderTo(server, await chainOf(3), { [isNkey ? 'nkeyFile' : 'credsFile']: path })
			await until('it is refused', () => forwarder.stats().failures >= 2)
			rmSync(path)
			const { failures } = forwarder.stats()
			await until('it continues without the file', () => forwarder.stats().failures >= failures + 2)
			expect(forwarder.stats().lastError).toMatch(GIVEN)
			file(right, path)
			await forwarder.flushed()
			// An answer may have arrived too late: then the stream is asked, and the records are not counted
			// twice.
			expect(forwarder.stats()).toMatchObject({ acknowledged: { seq: 3 }, lastError: undefined })
			await forwarder.close()
		} finally {
			if (isNkey) await server.stop()
		}
	},
)

test.concurrent.each<[string, 'credentials' | 'a client certificate', () => Record<string, string>, RegExp]>([
	['NATS_CREDS', 'credentials', () => ({ NATS_CREDS: file(creds()) }), NOT_GIVEN],
	[
		'NATS_CA, NATS_CERT and NATS_KEY',
		'a client certificate',
		() => ({ NATS_CA: authority.caFile, NATS_CERT: client.certFile, NATS_KEY: client.keyFile }),
		NOT_TRUSTED,
	],
])('the program authenticates with %s without showing it', async (_what, way, env, told) => {
	const address = `${at(servers.get(way)!)}/program`
	const to = ['--to', address, '--subject-prefix', 'program', '--create', '--once']
	const [path, variables] = [await chainOf(5), env()]
	const sent = await meshChain(['forward', path, ...to], { env: variables })
	expect([sent.status, sent.stderr]).toEqual([0, expect.stringContaining('5 records forwarded')])
	const [refused, unusable] = await Promise.all([
		meshChain(['dump', address]),
		meshChain(['dump', address], { env: { ...variables, [Object.keys(variables).at(-1)!]: file(WRONG) } }),
	])
	expect([refused.status, refused.stderr.trim()]).toEqual([2, expect.stringMatching(told)])
	expect([unusable.status, unusable.stderr]).toEqual([2, expect.stringContaining('FILE_UNREADABLE')])
	expectNoSecret([sent, refused, unusable])
})

test('a credentials file may have Windows line ends, a seed file may include its public key', async () => {
	const text = creds().trimEnd().replaceAll('\n', '\r\n')
	const { seed } = nkey()
	const publicKey = nkeys.fromSeed(Buffer.from(seed)).getPublicKey()
	const server = await serverFor(`authorization { users: [ { nkey: ${publicKey} } ] }`)
	try {
		for (const [to, access] of [
			[servers.get('credentials')!, { credsFile: file(text) }],
			[server, { nkeyFile: file(`${seed}\n${publicKey}\n`) }],
		] as const) {
			const forwarder = forwarderTo(to, await chainOf(1), access)
			await forwarder.flushed()
			await forwarder.close()
		}
	} finally {
		await server.stop()
	}
})

const pem = (content: string) => `-----BEGIN CERTIFICATE-----\n${content}\n-----END CERTIFICATE-----\n`
const missing = () => newPath('missing')
const aFolder = () => {
	const path = newPath('folder')
	mkdirSync(path)
	return path
}
const FILES: readonly (readonly [name: string, access: (path: string) => NatsAccess, rightly: string])[] = [
	['nkeyFile', (nkeyFile) => ({ nkeyFile }), 'it contains no user seed'],
	['credsFile', (credsFile) => ({ credsFile }), 'it contains no user JWT with its seed'],
	['caFile', (caFile) => ({ tls: { caFile } }), 'it contains no certificate in PEM'],
	[
		'certFile',
		(certFile) => ({ tls: { certFile, keyFile: client.keyFile } }),
		'it contains no certificate in PEM',
	],
	[
		'keyFile',
		(keyFile) => ({ tls: { certFile: client.certFile, keyFile } }),
		'it contains no private key in PEM',
	],
]

test.each(FILES)(
	'the error for an unusable %s names the file and shows none of its contents',
	async (name, access, rightly) => {
		const { seed } = nkey()
		const account = newNkey(nkeys.createAccount()).seed
		keep(account)
		const half = creds().split('-----BEGIN USER NKEY SEED')[0]!
		const garbage = [
			'',
			PASSWORD,
			`${seed.slice(0, -4)}AAAA`,
			account,
			half,
			half + account,
			pem(''),
			pem(WRONG),
		]
		const there = [missing(), aFolder(), ...garbage.map((content) => file(content))]
		for (const [index, path] of there.entries()) {
			const why = ['cannot read', 'cannot read'][index] ?? rightly
			for (const call of [
				() => forwardChain('any.chain', { servers: 'localhost', ...access(path) }),
				() => openStream('nats://localhost:1/mesh', access(path)),
			]) {
				const error = (await outcome(call)) as MeshChainError
				expect(error).toBeInstanceOf(MeshChainError)
				expect([error.code, error.path]).toEqual(['FILE_UNREADABLE', path])
				expect(error.message).toContain(` the ${name} ${JSON.stringify(path)}: `)
				expect(error.message).toContain(why)
				expectNoSecret(error)
			}
		}
	},
)

test.each(FILES)(
	'a secret given instead of the path of a %s is refused and not shown',
	async (_name, access) => {
		for (const secret of [nkey().seed, creds(), creds().split('\n')[1]!, pem(client.secret)]) {
			const error = (await outcome(() => openStream('nats://localhost:1/mesh', access(secret)))) as Error
			expect(error).toMatchObject({ code: 'INVALID_OPTION' })
			expect(error.message).toMatch(/must be the path of a file, not its contents$/)
			expectNoSecret(error)
		}
	},
)

test.each<[string, () => NatsAccess, string]>([
	['a certificate without its key', () => ({ tls: { certFile: client.certFile } }), 'must be set together'],
	['a key without its certificate', () => ({ tls: { keyFile: client.keyFile } }), 'must be set together'],
	[
		'the key of another certificate',
		() => ({ tls: { certFile: client.certFile, keyFile: stranger.keyFile } }),
		'stranger.key" does not belong to the certificate in the certFile',
	],
])('%s is refused before any server is contacted', async (_what, access, message) => {
	const error = (await outcome(() => openStream('nats://localhost:1/mesh', access()))) as Error
	expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })
	expectNoSecret(error)
})

test('a client that requires TLS never connects without it', async () => {
	const server = await serverFor('debug: false')
	try {
		for (const tls of [true, { caFile: authority.caFile }])
			await expect(openStream(`${at(server)}/mesh`, { tls })).rejects.toMatchObject({
				code: 'CLUSTER_UNREACHABLE',
				message: expect.stringContaining("server does not support 'tls'"),
			})
		const encrypted = at(server).replace('nats:', 'TLS:')
		await expect(openStream(`${encrypted}/mesh`)).rejects.toThrow("server does not support 'tls'")
		const forwarder = forwardChain(await chainOf(1), { servers: encrypted, create: {} })
		await until('it reports the reason', () =>
			/does not support 'tls'/.test(forwarder.stats().lastError ?? ''),
		)
		await forwarder.close()
	} finally {
		await server.stop()
	}
})
