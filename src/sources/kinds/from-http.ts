/** A source that is asked over HTTP. */
import { MeshChainError } from '../../errors.ts'
import { checkFunction, checkIsObject, checkOptionNames, invalidOption } from '../../options.ts'
import type { Source } from '../source.ts'

/** More than a record can hold. */
const BODY_BYTES_MAX = 1024 * 1024

export interface HttpOptions {
	readonly headers?: Readonly<Record<string, string>>
	/** The value in a response's body: parsed where it is JSON, and a text otherwise. Default: all of it. */
	readonly value?: (body: unknown) => unknown
}

/** Scans an address with GET. Any status but 2xx, and a body above 1 MiB, is an error. */
export function fromHttp(url: string | URL, options: HttpOptions = {}): Source {
	checkOptionNames(options, ['headers', 'value'])
	const { headers = {}, value = (body) => body } = options
	checkIsObject('headers', headers)
	checkFunction('value', value)
	const address = addressOf(url)
	return {
		async read(signal) {
			const response = await fetch(address, { headers, signal })
			const text = await textOf(response)
			if (!response.ok) throw new Error(`${shown(address)} answered with status ${response.status}`)
			const isJson = /\bjson\b/i.test(response.headers.get('content-type') ?? '')
			return value(isJson ? JSON.parse(text) : text)
		},
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

async function textOf(response: Response): Promise<string> {
	const chunks: Uint8Array[] = []
	let bytes = 0
	for await (const chunk of response.body ?? []) {
		bytes += chunk.length
		if (bytes > BODY_BYTES_MAX)
			throw new Error(`${shown(new URL(response.url))} sends more than ${BODY_BYTES_MAX} bytes`)
		chunks.push(chunk)
	}
	return Buffer.concat(chunks).toString('utf8')
}

/** Without what may be secret in it. */
function shown({ origin, pathname }: URL): string {
	return origin + pathname
}
