/**
 * Publishes objects that carry a secret, with the redaction that docs/how-to/without-secrets.md describes,
 * and searches the bytes of the chain for the secret.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { asyncContext } from '../../src/loop/async-context.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import { SECRET_PATHS } from '../../src/loop/secret-paths.ts'
import { errorSerializer, requestSerializer, responseSerializer } from '../../src/loop/web-serializers.ts'
import { Recorder } from '../../src/recorder/recorder.ts'
import { temporaryFolder } from '../support/temporary.ts'
import {
	AxiosHeaders,
	axiosError,
	axiosResponse,
	expressRequest,
	fastifyRequest,
	gotError,
	koaRequest,
	nodeFetchError,
	receivedRequest,
	sentRequest,
	serverErrors,
	serverResponse,
	socketWith,
	superagentError,
	superagentResponse,
	undiciErrors,
} from '../support/web-clients.ts'

const context = asyncContext()

/** The redaction of docs/how-to/without-secrets.md. */
const REDACTION: MeshLoopOptions = {
	redact: SECRET_PATHS,
	serializers: {
		req: requestSerializer({ headers: ['user-agent'] }),
		request: requestSerializer(),
		res: responseSerializer(),
		response: responseSerializer(),
		error: errorSerializer(),
		err: errorSerializer(),
	},
	context,
}

/** Data that carries a secret, by what it is. */
const DATA: Readonly<Record<string, (secret: string) => unknown>> = {
	'a request of node:http': (s) => ({ request: receivedRequest(s) }),
	'a request under a key of its own': (s) => ({ incoming: receivedRequest(s) }),
	'a request that is the data': (s) => receivedRequest(s),
	'a request of Express': (s) => ({ req: expressRequest(s) }),
	'a request of Express in an array': (s) => [[expressRequest(s)]],
	'a request of Fastify': (s) => ({ call: fastifyRequest(s) }),
	'a request of Koa': (s) => ({ ctx: koaRequest(s) }),
	'a request of Fetch': (s) => ({
		sent: new Request(`https://example.com/a?token=${s}`, {
			method: 'POST',
			body: s,
			headers: { authorization: s },
		}),
	}),
	'a request that a client sent': (s) => ({ sent: sentRequest(s) }),
	'a request as a plain object': (s) => ({
		req: { method: 'GET', url: `/?t=${s}`, headers: { authorization: s, 'x-custom': s }, body: s },
	}),
	'a response of node:http': (s) => ({ res: serverResponse(s) }),
	'a response under a key of its own': (s) => ({ outgoing: serverResponse(s) }),
	'a response of Fetch': (s) => ({ got: new Response(s, { headers: { 'set-cookie': s } }) }),
	'a response of Axios': (s) => ({ response: axiosResponse(s) }),
	'a response of superagent': (s) => ({ answer: superagentResponse(s) }),
	'an error of Axios': (s) => axiosError(s),
	'an error of Axios under a key': (s) => ({ failure: axiosError(s) }),
	'an error of Axios without a response': (s) => ({ err: axiosError(s, false) }),
	'an error of got': (s) => ({ error: gotError(s) }),
	'an error of node-fetch': (s) => nodeFetchError(s),
	'an error of superagent': (s) => ({ error: superagentError(s) }),
	'an error of a response in undici': (s) => undiciErrors(s)[0],
	'an error of a socket in undici': (s) => undiciErrors(s)[1],
	'an error of a parser in undici': (s) => undiciErrors(s)[2],
	'an error of the parser of a server': (s) => serverErrors(s)[0],
	'an error of a body parser': (s) => serverErrors(s)[1],
	'an error of request-promise': (s) => serverErrors(s)[2],
	'an error of ky': (s) => serverErrors(s)[3],
	'an error of an unknown client': (s) => ({ err: Object.assign(new Error('no'), { unknown: { key: s } }) }),
	'an error with a cause': (s) => new Error('outer', { cause: axiosError(s) }),
	'an error with causes of causes': (s) =>
		new Error('a', { cause: new Error('b', { cause: Object.assign(new Error('c'), { password: s }) }) }),
	'an AggregateError': (s) => new AggregateError([...undiciErrors(s), gotError(s)], 'all failed'),
	'Headers by themselves': (s) => new Headers({ authorization: s, 'proxy-authorization': s, cookie: s }),
	'repeated Headers': (s) => {
		const headers = new Headers({ accept: '*/*' })
		headers.append('set-cookie', s)
		headers.append('set-cookie', s)
		return { headers }
	},
	'headers of Axios': (s) => ({ headers: new AxiosHeaders({ Authorization: s }) }),
	'headers in upper case': (s) => ({ headers: { AUTHORIZATION: s, COOKIE: s, 'SET-COOKIE': [s] } }),
	'headers in mixed case': (s) => ({ a: { b: { 'Proxy-Authorization': s, 'X-Api-Key': s } } }),
	'raw headers': (s) => ({ rawHeaders: ['Authorization', s] }),
	'nested arrays': (s) => [[[[{ password: s }]]]],
	'a Map': (s) => new Map([['password', s]]),
	'a Map with other keys': (s) =>
		new Map<unknown, unknown>([
			[1, { token: s }],
			['token', s],
			[{ token: s }, 1],
		]),
	'Maps in Maps': (s) => new Map([['a', new Map([['b', new Map([['api_key', s]])]])]]),
	'a Set': (s) => new Set([{ secret: s }]),
	'the result of toJSON': (s) => ({ user: { toJSON: () => ({ accessToken: s, refresh_token: s }) } }),
	'a class instance': (s) =>
		new (class Login {
			passphrase = s
		})(),
	'an object without a prototype': (s) => Object.assign(Object.create(null), { credentials: { key: s } }),
	'a getter': (s) => Object.defineProperty({}, 'password', { enumerable: true, get: () => s }),
	'a proxy': (s) => new Proxy({ password: s }, {}),
	'a URL with user information': (s) => ({ target: new URL(`postgres://user:${s}@example.com/db`) }),
	'search parameters': (s) => new URLSearchParams({ token: s }),
	'repeated search parameters': (s) => new URLSearchParams(`token=${s}&token=${s}`),
	'a form': (s) => {
		const form = new FormData()
		form.set('password', s)
		return { form }
	},
	bytes: (s) => ({ token: Buffer.from(s) }),
	'keys in mixed case': (s) => ({ PassWord: s, ClientSecret: s }),
	'a body': (s) => ({ body: { user: 'ada', password: s, items: [{ jwt: s }] } }),
	'a socket': (s) => ({ connection: socketWith(s) }),
	'an agent': (s) => ({ agent: new Agent({ host: s }) }),
	'a stream': (s) => {
		const stream = new Readable({ read() {} })
		stream.push(s)
		return { stream }
	},
	'a deep object': (s) => {
		let data: object = { private_key: s }
		for (let depth = 0; depth < 25; depth++) data = { deeper: data }
		return data
	},
}

/** Other ways for a secret to reach a record. */
const WAYS: Readonly<Record<string, (loop: MeshLoop, secret: string) => unknown>> = {
	'the fields of a child': (loop, s) =>
		loop.child({ data: { req: expressRequest(s), token: s, headers: new Headers({ cookie: s }) } }).info('a'),
	'the fields of context': (loop, s) =>
		context.run({ req: receivedRequest(s), password: s }, () => loop.info('a', { b: 1 })),
	emit: (loop, s) => loop.emit('login', { password: s, error: axiosError(s) }, { level: 'warn' }),
	publish: (loop, s) => loop.publish({ kind: 'login', data: { token: s } }),
	publishBatch: (loop, s) => loop.publishBatch([{ data: { token: s } }, { data: [axiosError(s)] }]),
	'a crash': (loop, s) => {
		const stop = recordCrashes(loop)
		process.listeners('uncaughtExceptionMonitor').at(-1)?.(axiosError(s), 'uncaughtException')
		stop()
	},
	'the message of an error of HTTP': (loop, s) => [loop.error(gotError(s)), loop.error(nodeFetchError(s))],
	'the message of a crash by an error of HTTP': (loop, s) => {
		const stop = recordCrashes(loop)
		process.listeners('uncaughtExceptionMonitor').at(-1)?.(gotError(s), 'unhandledRejection')
		stop()
	},
	'the message of an error in an error serializer': (loop, s) => {
		const error = new Error(`cannot connect to https://user:${s}@example.com/a?token=${s}`)
		return loop.info('failed', { err: error })
	},
	'a checkpoint': (loop, s) => {
		const recorder = new Recorder(loop)
		recorder.start()
		recorder.checkpoint({ users: [{ password: s }] })
		recorder.stop()
	},
}

/** Returns the forms in which a secret could be in bytes. */
function formsOf(secret: string): readonly string[] {
	const bytes = Buffer.from(secret)
	const base64 = [0, 1, 2].map((offset) =>
		Buffer.concat([Buffer.alloc(offset), bytes])
			.toString('base64')
			.slice(offset === 0 ? 0 : 4, -4),
	)
	return [secret, bytes.toString('hex'), bytes.toString('utf16le'), [...bytes].join(), ...base64]
}

function bytesIn(folder: string): string {
	return readdirSync(folder)
		.map((name) => readFileSync(join(folder, name), 'latin1'))
		.join('\n')
}

/** Publishes to a chain, closes it, and returns its bytes. */
async function published(publish: (loop: MeshLoop) => unknown, options: MeshLoopOptions): Promise<string> {
	const folder = temporaryFolder()
	const loop = new MeshLoop(new FileChainAppender(join(folder, 'node.chain')), options)
	publish(loop)
	loop.info('the end of the chain')
	await loop.close()
	const bytes = bytesIn(folder)
	expect(loop.stats()).toMatchObject({ hookErrors: 0, appender: { pending: 0 } })
	expect(bytes).toContain('the end of the chain')
	return bytes
}

const newSecret = () => `S${randomBytes(12).toString('hex')}`

describe('the bytes of a chain contain no secret of', () => {
	const ways = Object.entries({
		...Object.fromEntries(
			Object.entries(DATA).map(([name, data]) => [
				name,
				(loop: MeshLoop, secret: string) => loop.error('failed', data(secret)),
			]),
		),
		...WAYS,
	})
	expect(ways.length).toBeGreaterThan(40)

	test.each(ways)('%s', async (_name, publish) => {
		const secret = newSecret()
		const bytes = await published((loop) => publish(loop, secret), REDACTION)
		expect(formsOf(secret).filter((form) => bytes.includes(form))).toEqual([])
	})
})

describe('without any redaction, the bytes of a chain contain no headers, bodies or sockets of', () => {
	const names = Object.keys(DATA).filter(
		(name) =>
			/^(?:an? (?:request|response|error|socket|agent|stream)|Headers|repeated Headers|an Agg)/.test(name) &&
			!/plain object|unknown client|of causes|response of Axios/.test(name),
	)
	expect(names.length).toBeGreaterThan(25)

	test.each(names)('%s', async (name) => {
		const secret = newSecret()
		const bytes = await published((loop) => loop.error('failed', DATA[name]!(secret)), {})
		expect(formsOf(secret).filter((form) => bytes.includes(form))).toEqual([])
	})
})

test('the search finds a secret that is not redacted', async () => {
	const secret = newSecret()
	const bytes = await published((loop) => loop.info('a', { iban: secret }), REDACTION)
	expect(formsOf(secret).some((form) => bytes.includes(form))).toBe(true)
})
