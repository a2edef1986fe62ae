/** Names chains in a stream: `nats://host:4222/stream?node=api-1`. What follows the `?` is a query as in any URL: a `+` in the name of a node is `%2B` there, a blank `%20` or `+`. */
import { invalidOption } from '../model/check.ts'
import { checkServers } from './connection.ts'
import { isStreamAddress } from './is-stream-address.ts'
import { checkStreamName } from './stream.ts'

export interface StreamAddress {
	readonly servers: readonly string[]
	readonly stream: string
	/** Only chains of these nodes; of all where there is none. */
	readonly nodes: readonly string[]
	/** Only these chains; all where there is none. */
	readonly chainIds: readonly string[]
}

const FORM = 'an address such as nats://host:4222/stream or nats://a:4222,b:4222/stream?node=api-1'

/** @throws {MeshChainError} `INVALID_OPTION` */
export function parseAddress(address: unknown): StreamAddress {
	if (typeof address !== 'string' || !isStreamAddress(address)) throw invalidOption('address', address, FORM)
	const [, scheme = '', rest = ''] = /^(nats|tls):\/\/(.*)$/is.exec(address) ?? []
	const [place = '', query = ''] = splitAt(rest, '?')
	const [hosts = '', path = ''] = splitAt(place, '/')
	// What stands before an @ is nobody's to see.
	if (hosts.includes('@') || path === '')
		throw invalidOption('address', hosts.includes('@') ? '…' : address, FORM)
	const stream = decoded(path)
	if (stream === undefined) throw invalidOption('address', address, FORM)
	const params = new URLSearchParams(query)
	for (const name of params.keys())
		if (name !== 'node' && name !== 'chain')
			throw invalidOption('a parameter of the address', name, 'node or chain')
	return {
		servers: checkServers(hosts.split(',').map((host) => `${scheme.toLowerCase()}://${host}`)),
		stream: checkStreamName(stream),
		nodes: params.getAll('node'),
		chainIds: params.getAll('chain'),
	}
}

function decoded(text: string): string | undefined {
	try {
		return decodeURIComponent(text)
	} catch {
		return undefined
	}
}

function splitAt(text: string, mark: string): [string, string] {
	const at = text.indexOf(mark)
	return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
