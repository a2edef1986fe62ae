/** A source that is asked over HTTP. */
import { parseExactJson } from '../../codec/exact-json.ts'
import { checkFunction, checkIsObject, checkOptionNames, invalidOption } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import type { Source } from '../source.ts'

/** More than a record can hold. */
const BODY_BYTES_MAX = 1024 * 1024

/** They decide before the content type does, as in browsers. */
const BYTE_ORDER_MARKS = [
	[[0xef, 0xbb, 0xbf], 'utf-8'],
	[[0xff, 0xfe], 'utf-16le'],
	[[0xfe, 0xff], 'utf-16be'],
] as const

export interface HttpOptions {
	readonly headers?: Readonly<Record<string, string>>
	/**
	 * The value in a response's body: parsed where it is JSON, with a bigint for each integer beyond 2^53 − 1, and a text otherwise. Default: all
	 * of it.
	 */
	readonly value?: (body: unknown) => unknown
}

/**
 * Scans an address with GET. Any status but 2xx is an error, and so is a body above 1 MiB or one that its charset (by byte order mark, by the
 * content type, or UTF-8) does not allow.
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
			if (!response.ok) throw new Error(`${shown(address)} answered with status ${response.status}`)
			const contentType = response.headers.get('content-type') ?? ''
			const text = decoded(bytes, contentType, address)
			return value(/\bjson\b/i.test(contentType) ? parsed(text, address) : text)
		},
	}
}

/** @throws {Error} which says why: what `fetch` throws leaves that to its cause. */
async function answerOf(address: URL, init: RequestInit): Promise<Response> {
	try {
		return await fetch(address, init)
	} catch (error) {
		if (init.signal?.aborted) throw error
		throw new Error(`${shown(address)} cannot be reached: ${causeOf(error)}`, { cause: error })
	}
}

/** The innermost reason. Where several addresses were tried, that of the first. */
function causeOf(error: unknown): string {
	const { cause, errors } = error as { readonly cause?: unknown; readonly errors?: readonly unknown[] }
	const inner = cause ?? errors?.[0]
	return inner === undefined ? messageOf(error) : causeOf(inner)
}

/** @throws {Error} for bytes that the charset does not have, and for a charset that Node does not. */
function decoded(bytes: Uint8Array, contentType: string, address: URL): string {
	const named = /charset\s*=\s*"?([^\s";]+)/i.exec(contentType)?.[1]
	const charset =
		BYTE_ORDER_MARKS.find(([mark]) => mark.every((byte, at) => bytes[at] === byte))?.[1] ?? named
	try {
		// It leaves out a byte order mark.
		return new TextDecoder(charset ?? 'utf-8', { fatal: true }).decode(bytes)
	} catch (error) {
		throw new Error(`${shown(address)} sends what is not ${charset ?? 'utf-8'}: ${messageOf(error)}`, {
			cause: error,
		})
	}
}

function parsed(text: string, address: URL): unknown {
	try {
		return parseExactJson(text)
	} catch (error) {
		throw new Error(`${shown(address)} sends what is not JSON: ${messageOf(error)}`, { cause: error })
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function addressOf(url: string | URL): URL {
	if (!URL.canParse(String(url))) throw invalidOption('url', url, 'the address of a page')
	const address = new URL(url)
	if (!/^https?:$/.test(address.protocol)) throw invalidOption('url', url, 'an address of http or https')
	// Errors tell the address, and are kept.
	if (address.username === '' && address.password === '') return address
	throw new MeshChainError('INVALID_OPTION', `${shown(address)}: a name and password belong into the headers`)
}

async function bodyOf(response: Response): Promise<Uint8Array> {
	const chunks: Uint8Array[] = []
	let bytes = 0
	for await (const chunk of response.body ?? []) {
		bytes += chunk.length
		if (bytes > BODY_BYTES_MAX)
			throw new Error(`${shown(new URL(response.url))} sends more than ${BODY_BYTES_MAX} bytes`)
		chunks.push(chunk)
	}
	return Buffer.concat(chunks)
}

/** Without what may be secret in it. */
function shown({ origin, pathname }: URL): string {
	return origin + pathname
}
