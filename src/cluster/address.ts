/**
 * Parses stream addresses, such as `nats://host:4222/stream?node=api-1`. The query follows the usual URL
 * rules: a `+` in a node name is written as `%2B`, and a space as `%20` or `+`.
 */
import { invalidOption } from '../model/check.ts'
import { checkServers } from './connection.ts'
import { isStreamAddress } from './is-stream-address.ts'
import { checkStreamName } from './stream.ts'

/** A parsed address. */
export interface StreamAddress {
	readonly servers: readonly string[]
	readonly stream: string
	/** Node names in the address; empty if the address matches all nodes. */
	readonly nodes: readonly string[]
	/** Chain ids in the address; empty if the address matches all chains. */
	readonly chainIds: readonly string[]
}

const FORM = 'an address such as nats://host:4222/stream or nats://a:4222,b:4222/stream?node=api-1'

/**
 * Parses the address of a stream, such as `nats://host:4222/stream?node=api-1`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function parseAddress(address: unknown): StreamAddress {
	if (typeof address !== 'string' || !isStreamAddress(address)) throw invalidOption('address', address, FORM)
	const [, scheme = '', rest = ''] = /^(nats|tls):\/\/(.*)$/is.exec(address) ?? []
	const [hostsAndPath = '', query = ''] = splitAt(rest, '?')
	const [hosts = '', path = ''] = splitAt(hostsAndPath, '/')
	// The part before an @ may contain a password, so error messages never show it.
	if (hosts.includes('@') || path === '')
		throw invalidOption('address', hosts.includes('@') ? '…' : address, FORM)
	const stream = decoded(path)
	if (stream === undefined) throw invalidOption('address', address, FORM)
	const params = new URLSearchParams(query)
	for (const name of params.keys())
		if (name !== 'node' && name !== 'chain')
			throw invalidOption('an address parameter', name, 'node or chain')
	return {
		servers: checkServers(
			'servers',
			hosts.split(',').map((host) => `${scheme.toLowerCase()}://${host}`),
		),
		stream: checkStreamName('stream', stream),
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

function splitAt(text: string, separator: string): [string, string] {
	const at = text.indexOf(separator)
	return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
