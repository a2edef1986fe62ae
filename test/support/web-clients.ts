/**
 * Objects with the shapes that web frameworks and HTTP clients create, each with a secret in every place
 * where one can be. The packages themselves are not needed: only their shapes matter.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

const URL_WITH_SECRET = (secret: string) =>
	`https://user:${secret}@example.com/orders/7?token=${secret}#${secret}`

export function headersWith(secret: string): Record<string, string> {
	return { Authorization: `Bearer ${secret}`, cookie: `id=${secret}`, 'x-custom': secret, accept: '*/*' }
}

/** Headers of Axios: the names are fields, and `toJSON` returns them. */
export class AxiosHeaders {
	[name: string]: unknown
	constructor(headers: Readonly<Record<string, string>>) {
		Object.assign(this, headers)
	}
	get [Symbol.toStringTag](): string {
		return 'AxiosHeaders'
	}
	toJSON(): Record<string, unknown> {
		return Object.assign(Object.create(null), this)
	}
}

export function axiosConfig(secret: string): object {
	return {
		url: `/orders/7?token=${secret}`,
		baseURL: `https://user:${secret}@example.com/api/`,
		method: 'post',
		headers: new AxiosHeaders(headersWith(secret)),
		auth: { username: 'ada', password: secret },
		data: JSON.stringify({ card: secret }),
		params: { token: secret },
	}
}

export function axiosResponse(secret: string): object {
	return {
		status: 402,
		statusText: 'Payment Required',
		headers: new AxiosHeaders({ 'set-cookie': secret, 'x-custom': secret }),
		data: { card: secret },
		config: axiosConfig(secret),
		request: sentRequest(secret),
	}
}

/** An error of Axios. Without `response`, the server did not answer. */
export function axiosError(secret: string, hasResponse = true): Error {
	class AxiosError extends Error {
		get isAxiosError(): boolean {
			return true
		}
		toJSON(): object {
			return { ...this }
		}
	}
	const error = new AxiosError(hasResponse ? 'Request failed with status code 402' : 'connect ECONNREFUSED')
	error.name = 'AxiosError'
	Object.assign(error, { code: 'ERR_BAD_REQUEST', config: axiosConfig(secret), request: sentRequest(secret) })
	return hasResponse ? Object.assign(error, { response: axiosResponse(secret), status: 402 }) : error
}

/** A request that a client of `node:http` sent. */
export function sentRequest(secret: string): object {
	class ClientRequest {
		method = 'POST'
		path = `/orders/7?token=${secret}`
		host = 'example.com'
		protocol = 'https:'
		_header = `POST / HTTP/1.1\r\nauthorization: Bearer ${secret}\r\n`
		socket = socketWith(secret)
		_options = { headers: headersWith(secret), auth: `user:${secret}` }
		getHeaders(): object {
			return headersWith(secret)
		}
	}
	return new ClientRequest()
}

export function socketWith(secret: string): Socket {
	return Object.assign(new Socket(), { _host: secret, session: Buffer.from(secret) })
}

/** A request that a server received. Its fields are as a framework leaves them. */
export function receivedRequest(secret: string): IncomingMessage {
	const request = new IncomingMessage(socketWith(secret))
	request.method = 'POST'
	request.url = `/orders/7?token=${secret}`
	const headers = headersWith(secret)
	request.rawHeaders.push(...Object.entries(headers).flat())
	for (const [name, value] of Object.entries(headers)) request.headers[name.toLowerCase()] = value
	return request
}

/** A request of Express: its prototype is between the object and `IncomingMessage.prototype`. */
export function expressRequest(secret: string): object {
	const request = receivedRequest(secret)
	Object.setPrototypeOf(request, Object.create(IncomingMessage.prototype, { get: { value: () => secret } }))
	return Object.assign(request, {
		originalUrl: `/api/orders/7?token=${secret}`,
		url: `/7?token=${secret}`,
		body: { card: secret },
		query: { token: secret },
		cookies: { id: secret },
		session: { user: secret },
		id: 'r-1',
	})
}

/** A request of Fastify: it wraps a message, and its headers are a getter. */
export function fastifyRequest(secret: string): object {
	class FastifyRequest {
		id = 'req-1'
		raw = receivedRequest(secret)
		body = { card: secret }
		query = { token: secret }
		params = { token: secret }
		get method(): string {
			return 'POST'
		}
		get url(): string | undefined {
			return this.raw.url
		}
		get headers(): object {
			return this.raw.headers
		}
		get socket(): unknown {
			return this.raw.socket
		}
	}
	return new FastifyRequest()
}

/** A request of Koa: its `toJSON` returns all headers. */
export function koaRequest(secret: string): object {
	const prototype = {
		get method() {
			return 'POST'
		},
		get url() {
			return `/orders/7?token=${secret}`
		},
		get header() {
			return headersWith(secret)
		},
		get headers() {
			return headersWith(secret)
		},
		toJSON() {
			return { method: 'POST', url: this.url, header: this.header }
		},
	}
	return Object.assign(Object.create(prototype), {
		req: receivedRequest(secret),
		originalUrl: `/orders/7?token=${secret}`,
	})
}

export function serverResponse(secret: string): ServerResponse {
	const response = new ServerResponse(receivedRequest(secret))
	response.statusCode = 201
	response.setHeader('set-cookie', `id=${secret}`)
	return Object.assign(response, { locals: { user: secret } })
}

/** A response of superagent, with its request and its body. */
export function superagentResponse(secret: string): object {
	class Response {
		req = sentRequest(secret)
		res = receivedRequest(secret)
		text = secret
		body = { card: secret }
		headers = { 'set-cookie': [secret] }
		header = this.headers
		statusCode = 402
		status = 402
	}
	return new Response()
}

export function superagentError(secret: string): Error {
	return Object.assign(new Error('Payment Required'), {
		status: 402,
		response: superagentResponse(secret),
		rawResponse: `{"card":"${secret}"}`,
	})
}

/** An error of got, with its options and its response. */
export function gotError(secret: string): Error {
	class Options {
		headers = headersWith(secret)
		url = new URL(URL_WITH_SECRET(secret))
		json = { card: secret }
		method = 'POST'
	}
	const response = Object.assign(receivedRequest(secret), {
		statusCode: 402,
		method: null,
		body: secret,
		rawBody: Buffer.from(secret),
		requestUrl: new URL(URL_WITH_SECRET(secret)),
	})
	const error = new Error(`Request failed with status code 402: POST ${URL_WITH_SECRET(secret)}`)
	error.name = 'HTTPError'
	return Object.assign(error, { code: 'ERR_NON_2XX_3XX_RESPONSE', options: new Options(), response })
}

/** An error of node-fetch, whose message contains the address. */
export function nodeFetchError(secret: string): Error {
	return Object.assign(new Error(`request to ${URL_WITH_SECRET(secret)} failed, reason: connect`), {
		type: 'system',
		errno: 'ECONNREFUSED',
		code: 'ECONNREFUSED',
		erroredSysCall: 'connect',
	})
}

/** Errors of undici: of a response, of a socket, and of a parser. */
export function undiciErrors(secret: string): readonly Error[] {
	return [
		Object.assign(new Error('Response status code 402'), {
			name: 'ResponseStatusCodeError',
			code: 'UND_ERR_RESPONSE_STATUS_CODE',
			status: 402,
			statusCode: 402,
			body: { card: secret },
			headers: { 'set-cookie': secret },
		}),
		Object.assign(new Error('other side closed'), {
			name: 'SocketError',
			code: 'UND_ERR_SOCKET',
			socket: { localAddress: '127.0.0.1', remoteAddress: '10.0.0.1', session: secret },
		}),
		Object.assign(new Error('Invalid header'), {
			name: 'HTTPParserError',
			code: 'HPE_INVALID_HEADER_TOKEN',
			data: `HTTP/1.1 200 OK\r\nset-cookie: ${secret}\r\n`,
		}),
	]
}

/** An error of a request that a server cannot parse, and one of a body that is not JSON. */
export function serverErrors(secret: string): readonly Error[] {
	return [
		Object.assign(new Error('Parse Error'), {
			code: 'HPE_INVALID_METHOD',
			rawPacket: Buffer.from(`GET / HTTP/1.1\r\nauthorization: ${secret}\r\n`),
		}),
		Object.assign(new SyntaxError('Unexpected end of JSON input'), {
			status: 400,
			statusCode: 400,
			type: 'entity.parse.failed',
			body: `{"card":"${secret}"`,
		}),
		Object.assign(new Error('402 - payment required'), {
			name: 'StatusCodeError',
			statusCode: 402,
			error: { card: secret },
			options: { uri: 'https://example.com', headers: headersWith(secret) },
		}),
		Object.assign(new Error('Payment Required'), {
			name: 'HTTPError',
			request: new Request('https://example.com/orders/7?token=x', { headers: { authorization: secret } }),
			response: new Response(secret, { status: 402, headers: { 'set-cookie': secret } }),
			options: { headers: headersWith(secret), json: { card: secret } },
		}),
	]
}
