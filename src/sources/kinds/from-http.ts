/** A source that sends a GET request. */
import { parseExactJson } from '../../codec/exact-json.ts'
import { checkFunction, checkIsObject, checkOptionNames, invalidOption } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import type { Source } from '../source.ts'

/** Maximum size of a response body, in bytes. The limit equals the maximum size of a record's `data`. */
const BODY_BYTES_MAX = 1024 * 1024

/** Byte order marks, which override the content type, as in browsers. */
const BYTE_ORDER_MARKS = [
	[[0xef, 0xbb, 0xbf], 'utf-8'],
	[[0xff, 0xfe], 'utf-16le'],
	[[0xfe, 0xff], 'utf-16be'],
] as const

/** Options for `fromHttp`. */
export interface HttpOptions {
	/** Request headers. Default: none. */
	readonly headers?: Readonly<Record<string, string>> | undefined
	/**
	 * Function that extracts the value from the response body. A JSON body is passed as parsed data, in which
	 * integers beyond 2^53 − 1 are bigints. Any other body is passed as a string. Default: the value is the
	 * complete body.
	 */
	readonly value?: ((body: unknown) => unknown) | undefined
}

/**
 * Returns a source that sends a GET request to a URL. A read fails if the status is not 2xx, or if the body
 * is larger than 1 MiB, contains bytes that are invalid in its charset, or is not valid JSON although its
 * content type is JSON. The byte order mark determines the charset. Without one, the content type does.
 * Default: UTF-8.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, for example if the URL contains credentials. Pass credentials in
 * the headers.
 */
export function fromHttp(url: string | URL, options: HttpOptions = {}): Source {
	checkOptionNames(options, ['headers', 'value'])
	const { headers = {}, value = (body) => body } = options
	checkIsObject('headers', headers)
	checkFunction('value', value)
	const address = addressOf(url)
	return {
		async read(signal) {
			const response = await answerOf(address, { headers, signal })
			const bytes = await bodyOf(response)
			if (!response.ok) throw new Error(`${shown(address)} returned status ${response.status}`)
			const contentType = response.headers.get('content-type') ?? ''
			const text = decoded(bytes, contentType, address)
			return value(/\bjson\b/i.test(contentType) ? parsed(text, address) : text)
		},
	}
}

/**
 * Sends the request.
 *
 * @throws {Error} If the request fails. The message includes the reason, which `fetch` provides only in the
 * cause of its error.
 */
async function answerOf(address: URL, init: RequestInit): Promise<Response> {
	try {
		return await fetch(address, init)
	} catch (error) {
		if (init.signal?.aborted) throw error
		throw new Error(`${shown(address)} cannot be reached: ${causeOf(error)}`, { cause: error })
	}
}

/**
 * Returns the message of the innermost cause. If several addresses were tried, returns the message for the
 * first one.
 */
function causeOf(error: unknown): string {
	const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: readonly unknown[] }
	const inner = cause ?? errors?.[0]
	return inner === undefined ? messageOf(error) : causeOf(inner)
}

/**
 * Decodes a body.
 *
 * @throws {Error} If bytes are invalid in the charset, or if Node does not support the charset.
 */
function decoded(bytes: Uint8Array, contentType: string, address: URL): string {
	const named = /charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1]
	const charset =
		BYTE_ORDER_MARKS.find(([mark]) => mark.every((byte, at) => bytes[at] === byte))?.[1] ?? named
	try {
		// The decoder removes a byte order mark.
		return new TextDecoder(charset ?? 'utf-8', { fatal: true }).decode(bytes)
	} catch (error) {
		throw new Error(`the body from ${shown(address)} is not ${charset ?? 'utf-8'}: ${messageOf(error)}`, {
			cause: error,
		})
	}
}

function parsed(text: string, address: URL): unknown {
	try {
		return parseExactJson(text)
	} catch (error) {
		throw new Error(`the body from ${shown(address)} is not JSON: ${messageOf(error)}`, { cause: error })
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function addressOf(url: string | URL): URL {
	if (!URL.canParse(String(url))) throw invalidOption('url', url, 'a URL')
	const address = new URL(url)
	if (!/^https?:$/.test(address.protocol)) throw invalidOption('url', url, 'an http or https URL')
	// Error messages include the address and are stored, so the address must not contain credentials.
	if (address.username === '' && address.password === '') return address
	throw new MeshChainError(
		'INVALID_OPTION',
		`the URL ${shown(address)} must not contain a user name or password: pass them in the headers`,
	)
}

async function bodyOf(response: Response): Promise<Uint8Array> {
	const chunks: Uint8Array[] = []
	let bytes = 0
	for await (const chunk of response.body ?? []) {
		bytes += chunk.length
		if (bytes > BODY_BYTES_MAX)
			throw new Error(`the body from ${shown(new URL(response.url))} is larger than ${BODY_BYTES_MAX} bytes`)
		chunks.push(chunk)
	}
	return Buffer.concat(chunks)
}

/** Returns the address without its query and credentials, which may be secret. */
function shown({ origin, pathname }: URL): string {
	return origin + pathname
}
