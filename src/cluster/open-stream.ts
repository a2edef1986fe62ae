/** Opens the chains of a stream for reading. */
import type { Chain } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { MeshChainError } from '../model/errors.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { checkAccess, type NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { type FoundStream, findStream, unreachable } from './stream.ts'
import { StreamChain } from './stream-chain.ts'
import { type ChainSource, chainsOf } from './subjects.ts'

/** Options of {@link openStream}, which control access to the servers. */
export interface StreamOptions extends NatsAccess {}

/**
 * Opens the chains in a stream for reading. The result supports the same features as a file opened with
 * {@link openChain}: ranges by seq and time, filters, tails and gaps. If the address matches one chain, the
 * result is that chain. If the address matches several chains, the result is their merged history, as
 * returned by {@link mergeChains}. A chain whose node was renamed is still one chain, and matches each of its
 * node names. A chain that is first forwarded after this call is not part of the result.
 *
 * A seek by seq or time bisects the messages of the chain, which takes about 20 requests for a long chain.
 * Filters by level, kind and text are applied in this process. `info` combines the headers of the first and
 * the last message; for a chain with several subjects, it reads all messages. The servers do not know the
 * epochs of the file or how the file ends. Records that are removed from the stream during a read appear as a
 * `$gap` with the cause `retained`.
 *
 * @param address Address such as `nats://host:4222/stream`, with any number of `node=api-1` and `chain=<id>`
 * query parameters. Separate several servers with commas. `tls://` requires encryption. Write `%2B` for a `+`
 * in a node name, as in any URL.
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`,
 * `CHAIN_NOT_FOUND`. Reads throw `CLUSTER_UNREACHABLE` if the servers do not become available again within 30
 * seconds, `STREAM_NOT_FOUND` if the stream is deleted, `STREAM_REPLACED` if the stream is deleted and
 * created again, and `CHAIN_NOT_FOUND` if a chain is removed before any of its records are read.
 *
 * @example
 * ```ts
 * import { openStream } from 'mesh-chain/cluster'
 *
 * await using history = await openStream('nats://127.0.0.1:4222/mesh?node=api-1')
 * for await (const record of history.records({ level: 'error', limit: 10 })) console.log(record.message)
 * ```
 */
export async function openStream(address: string, options: StreamOptions = {}): Promise<Chain> {
	const parsed = parseAddress(address)
	const cluster = await openCluster(connectionOptions(parsed.servers, checkAccess(options)))
	try {
		const found = await chainsIn(cluster, parsed.stream)
		const sources = found.chains.filter((source) => isNamedBy(parsed, source))
		if (sources.length === 0) throw noChain(parsed)
		let open = sources.length
		const release = async () => {
			if (--open === 0) await cluster.close()
		}
		// The name must itself be a valid address. The scheme before the first server applies to all servers.
		const [first = '', ...others] = parsed.servers
		const servers = [first, ...others.map((server) => server.replace(/^\w+:\/\//, ''))]
		const name = `${servers.join(',')}/${parsed.stream}`
		const options = { nodes: parsed.nodes, readTogether: sources.length }
		const chains = await Promise.all(
			sources.map(
				async (source) =>
					new StreamChain(name, await joinSubjects(cluster, found.stream, source, options), release),
			),
		)
		return chains.length === 1 ? chains[0]! : mergeChains(chains)
	} catch (error) {
		await cluster.close()
		throw error
	}
}

/** Returns whether an address matches the id of a chain and the node of at least one of its subjects. */
export function isNamedBy({ nodes, chainIds }: StreamAddress, { chainId, subjects }: ChainSource): boolean {
	return (
		(nodes.length === 0 || subjects.some(({ node }) => nodes.includes(node))) &&
		(chainIds.length === 0 || chainIds.includes(chainId))
	)
}

/** A stream and its chains. */
export interface StreamChains {
	readonly stream: FoundStream
	readonly chains: readonly ChainSource[]
}

/** Lists all chains of a stream. @throws {MeshChainError} `STREAM_NOT_FOUND`, `CLUSTER_UNREACHABLE` */
export async function chainsIn(cluster: Cluster, name: string): Promise<StreamChains> {
	const stream = await findStream(cluster, name)
	try {
		const { state } = await cluster.manager.streams.info(name, { subjects_filter: '>' })
		return { stream, chains: chainsOf(Object.keys(state.subjects ?? {})) }
	} catch (error) {
		throw unreachable(cluster, name, error)
	}
}

/** Returns the error for an address that matches no chain in the stream. */
export function noChain({ stream, nodes, chainIds }: StreamAddress): MeshChainError {
	const wanted = [
		...nodes.map((node) => `of node ${show(node)}`),
		...chainIds.map((id) => `with the id ${show(id)}`),
	]
	const which = ['no chain', wanted.join(' or ')].filter(Boolean).join(' ')
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} has ${which}: check that the chain is forwarded to this stream`,
	)
}
