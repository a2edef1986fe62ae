import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { canonicalise, MARKER_REASONS } from '../../src/codec/canonical.ts'
import { shownMessage, shownUrl, withoutQueries } from '../../src/codec/web-object.ts'
import {
	AxiosHeaders,
	axiosError,
	expressRequest,
	fastifyRequest,
	gotError,
	headersWith,
	koaRequest,
	sentRequest,
	serverErrors,
	serverResponse,
	superagentError,
	superagentResponse,
	undiciErrors,
} from '../support/web-clients.ts'

const SECRET = 'z7Qw9Kp2'
const withheld = { $unserializable: 'withheld' }

/** Returns the canonical form of a value, which must not contain the secret. */
function formOf(value: unknown): unknown {
	const { value: form } = canonicalise({ value })
	expect(JSON.stringify(form)).not.toContain(SECRET)
	return (form as { value: unknown }).value
}

describe('messages of node:http', () => {
	test('are recorded without headers, bodies and sockets, on both sides', async () => {
		const forms: Record<string, unknown> = {}
		const server = createServer((request: IncomingMessage, response: ServerResponse) => {
			response.setHeader('set-cookie', SECRET)
			forms['request'] = formOf(request)
			forms['response'] = formOf(response)
			response.writeHead(202).end(SECRET)
		}).listen(0, '127.0.0.1')
		onTestFinished(() => void server.close())
		await once(server, 'listening')
		const { port } = server.address() as AddressInfo
		const sent = send({
			port,
			host: '127.0.0.1',
			method: 'PUT',
			path: `/orders/7?token=${SECRET}`,
			headers: { authorization: SECRET },
			auth: `user:${SECRET}`,
		}).end(SECRET)
		const [received] = (await once(sent, 'response')) as [IncomingMessage]
		forms['sent'] = formOf(sent)
		forms['received'] = formOf(received)
		received.resume()
		await once(received, 'end')
		expect(forms).toEqual({
			request: {
				method: 'PUT',
				url: '/orders/7?…',
				remoteAddress: '127.0.0.1',
				remotePort: expect.any(Number),
			},
			response: { statusCode: 200 },
			sent: expect.objectContaining({ method: 'PUT', url: 'http://127.0.0.1/orders/7?…' }),
			received: { statusCode: 202 },
		})
	})

	test('that are not complete are never copied field by field', () => {
		const form = formOf(
			Object.assign(Object.create({ headers: {} }), { rawHeaders: [SECRET], socket: SECRET }),
		)
		expect(form).toEqual({})
	})
})

describe('requests and responses', () => {
	test('of Fetch', () => {
		const init = { method: 'POST', body: SECRET, headers: { authorization: SECRET } }
		expect(formOf(new Request(`https://example.com/a?token=${SECRET}#${SECRET}`, init))).toEqual({
			method: 'POST',
			url: 'https://example.com/a?…',
		})
		const response = new Response(SECRET, { status: 404, headers: { 'set-cookie': SECRET } })
		expect(formOf(response)).toEqual({ statusCode: 404 })
	})

	test('of frameworks', () => {
		expect(formOf(expressRequest(SECRET))).toEqual({
			id: 'r-1',
			method: 'POST',
			url: '/api/orders/7?…',
		})
		expect(formOf(fastifyRequest(SECRET))).toEqual({ id: 'req-1', method: 'POST', url: '/orders/7?…' })
		expect(formOf(koaRequest(SECRET))).toEqual({ method: 'POST', url: '/orders/7?…' })
		expect(formOf(serverResponse(SECRET))).toEqual({ statusCode: 201 })
	})

	test('of clients', () => {
		expect(formOf(sentRequest(SECRET))).toEqual({ method: 'POST', url: 'https://example.com/orders/7?…' })
		expect(formOf(superagentResponse(SECRET))).toEqual({ statusCode: 402 })
	})

	test('are not mistaken for other instances', () => {
		class Message {
			headers = { a: 1 }
			body = 'text'
		}
		class Invoice {
			header = 'Invoice'
			status = 200
		}
		class Call {
			method = 'getUser'
			headers = {}
			params = [1]
		}
		expect(formOf([new Message(), new Invoice(), new Call()])).toEqual([
			{ headers: { a: 1 }, body: 'text' },
			{ header: 'Invoice', status: 200 },
			{ method: 'getUser', headers: {}, params: [1] },
		])
	})

	test('as plain objects keep their fields, which redaction and serializers select', () => {
		const plain = { method: 'GET', url: '/a?b=1', headers: { a: 1 }, statusCode: 200 }
		expect(formOf(plain)).toEqual(plain)
	})

	test('whose getters throw or return promises have the other fields', () => {
		const request = Object.create({
			headers: {},
			get method(): string {
				return 'GET'
			},
			get url(): string {
				return '/a'
			},
			get id(): string {
				throw new Error('mine')
			},
			get socket(): unknown {
				return Promise.reject(new Error('mine'))
			},
		})
		expect(formOf(request)).toEqual({ method: 'GET', url: '/a' })
	})
})

test('streams, sockets and agents become counted markers', () => {
	const stream = Readable.from([SECRET])
	stream.unshift(SECRET)
	const agent = new Agent({ host: SECRET })
	const { value, markers } = canonicalise([stream, agent])
	expect(value).toEqual([{ $unserializable: 'not data' }, { $unserializable: 'not data' }])
	expect(markers).toBe(2)
})

describe('headers', () => {
	test('keep their entries, except those that identify a user, which are counted', () => {
		const given = { authorization: SECRET, 'Proxy-Authorization': SECRET, Cookie: SECRET, accept: '*/*' }
		const headers = new Headers({ ...given, 'set-cookie': SECRET })
		const { value, markers } = canonicalise(headers)
		expect(value).toEqual({
			accept: '*/*',
			authorization: withheld,
			cookie: withheld,
			'proxy-authorization': withheld,
			'set-cookie': withheld,
		})
		expect(markers).toBe(4)
		expect(MARKER_REASONS).toContain('withheld')
	})

	test('that are repeated are withheld too', () => {
		const headers = new Headers({ a: '1' })
		headers.append('set-cookie', `a=${SECRET}`)
		headers.append('set-cookie', `b=${SECRET}`)
		expect(formOf(headers)).toEqual({
			$map: [
				['a', '1'],
				['set-cookie', withheld],
				['set-cookie', withheld],
			],
		})
	})

	test('of Axios are withheld in any case', () => {
		const { 'x-custom': _custom, ...headers } = headersWith(SECRET)
		expect(formOf(new AxiosHeaders(headers))).toEqual({
			Authorization: withheld,
			cookie: withheld,
			accept: '*/*',
		})
	})
})

describe('a URL', () => {
	test('loses its user information', () => {
		expect(formOf(new URL(`https://ada:${SECRET}@example.com/a?b=1#c`))).toBe(
			'https://[withheld]@example.com/a?b=1#c',
		)
		expect(formOf(new URL(`https://${SECRET}@example.com/`))).toBe('https://[withheld]@example.com/')
		expect(formOf(new URL('https://example.com/@a?b=c@d'))).toBe('https://example.com/@a?b=c@d')
	})

	test.each([
		['/a/b', '/a/b'],
		['/a?b=1', '/a?…'],
		['/a#b?c', '/a'],
		['*', '*'],
		[`//user:${SECRET}@host/a`, '//[withheld]@host/a'],
		[`https://user:${SECRET}@a@host/a?b`, 'https://[withheld]@host/a?…'],
		['/a//b@c', '/a//b@c'],
		['https://host/a@b', 'https://host/a@b'],
	])('of a request, %j, is shown as %j', (url, expected) => {
		expect(shownUrl(url)).toBe(expected)
	})
})

describe('texts', () => {
	test('of errors of HTTP have addresses without users and queries', () => {
		expect(withoutQueries(`GET https://u:${SECRET}@host/a?b=${SECRET} failed: see "http://x/y?z".`)).toBe(
			'GET https://[withheld]@host/a?… failed: see "http://x/y?…".',
		)
		const error = Object.assign(new Error('POST http://x/a?b=1'), { response: {} })
		expect([shownMessage(error, error.message), shownMessage(null, 'http://x/a?b')]).toEqual([
			'POST http://x/a?…',
			'http://x/a?b',
		])
		expect(formOf(new Error('http://x/a?b=1'))).toMatchObject({ message: 'http://x/a?b=1' })
	})

	test('of any length are searched in linear time', () => {
		const text = 'a.'.repeat(130_000)
		expect(withoutQueries(text)).toBe(text)
	})
})

describe('errors of clients', () => {
	const request = { method: 'POST', url: 'https://example.com/orders/7?…' }

	test('of Axios', () => {
		const config = { method: 'post', url: 'https://[withheld]@example.com/api/orders/7?…' }
		expect(formOf(axiosError(SECRET))).toEqual({
			name: 'AxiosError',
			message: 'Request failed with status code 402',
			stack: expect.any(String),
			code: 'ERR_BAD_REQUEST',
			status: 402,
			config,
			request,
			response: { statusCode: 402 },
		})
		expect(formOf(axiosError(SECRET, false))).toMatchObject({ config, request })
	})

	test('of got and superagent', () => {
		expect(formOf(gotError(SECRET))).toMatchObject({
			name: 'HTTPError',
			code: 'ERR_NON_2XX_3XX_RESPONSE',
			options: { method: 'POST', url: 'https://[withheld]@example.com/orders/7?…' },
			response: { statusCode: 402 },
		})
		expect(formOf(superagentError(SECRET))).toMatchObject({
			message: 'Payment Required',
			status: 402,
			response: { statusCode: 402 },
			rawResponse: withheld,
		})
	})

	test('of undici', () => {
		const [ofResponse, ofSocket, ofParser] = undiciErrors(SECRET).map(formOf)
		expect(ofResponse).toMatchObject({ statusCode: 402, body: withheld, headers: withheld })
		expect(ofSocket).toMatchObject({ code: 'UND_ERR_SOCKET', socket: withheld })
		expect(ofParser).toMatchObject({ code: 'HPE_INVALID_HEADER_TOKEN', data: withheld })
	})

	test('of servers and other clients', () => {
		const [ofPacket, ofBody, ofRequest, ofKy] = serverErrors(SECRET).map(formOf)
		expect(ofPacket).toMatchObject({ code: 'HPE_INVALID_METHOD', rawPacket: withheld })
		expect(ofBody).toMatchObject({ status: 400, type: 'entity.parse.failed', body: withheld })
		expect(ofRequest).toMatchObject({ statusCode: 402, error: withheld, options: withheld })
		expect(ofKy).toMatchObject({ response: { statusCode: 402 }, options: withheld })
	})

	test('are found in causes and in lists of errors', () => {
		const cause = axiosError(SECRET)
		expect(formOf(new Error('outer', { cause }))).toMatchObject({ cause: { response: { statusCode: 402 } } })
		expect(formOf(new AggregateError([cause], 'all'))).toMatchObject({
			errors: [{ response: { statusCode: 402 } }],
		})
	})

	test('whose fields throw have markers, and keep the other fields', () => {
		const error = Object.assign(new Error('no'), { headers: {}, statusCode: 500 })
		Object.defineProperty(error, 'detail', {
			enumerable: true,
			get: () => {
				throw new RangeError('mine')
			},
		})
		expect(formOf(error)).toMatchObject({
			message: 'no',
			statusCode: 500,
			headers: withheld,
			detail: { $unserializable: 'threw RangeError' },
		})
	})

	test('are not mistaken for other errors', () => {
		const error = Object.assign(new Error('invalid'), {
			data: { field: 'name' },
			options: { strict: true },
			config: { path: 'a.json' },
			body: 'text',
			request: 'r-1',
		})
		const { data, options, config, body, request: id } = error
		expect(formOf(error)).toMatchObject({ data, options, config, body, request: id })
	})
})
