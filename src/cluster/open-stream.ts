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

/** Options for opening a stream: access to the servers. */
export interface StreamOptions extends NatsAccess {}

/**
 * Opens the chains that were forwarded to a stream, as {@link openChain} opens a file: with ranges by seq and
 * time, filters, following and gaps. An address that names one chain, or a node with one chain, opens that
 * chain. Any other address opens the merged history of all matching chains, as {@link mergeChains} does. A
 * chain whose node was renamed is one chain, whichever of its nodes is named. A chain that is forwarded later
 * is not part of a history that is already open.
 *
 * A seek by seq or time is a bisection over the messages of the chain: about 20 requests in a long chain.
 * Levels, kinds and texts are filtered in this process. `info` combines the headers of the first and the last
 * message. The servers do not know how the file ends, nor its epochs. Records that are removed from the
 * stream during a read appear as a `$gap` with the cause `retained`.
 *
 * @param address `nats://host:4222/stream`, with any number of `node=api-1` or `chain=<id>` in its query.
 * Several servers are separated by commas. `tls://` requires encryption. Write `%2B` for a `+` in a node
 * name, as in any URL.
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`,
 * `CHAIN_NOT_FOUND`; while reading, `CLUSTER_UNREACHABLE` if the servers do not return within 30 seconds,
 * `STREAM_NOT_FOUND` if the stream is deleted, `STREAM_REPLACED` if it is deleted and created again,
 * `CHAIN_NOT_FOUND` if a chain is removed before any of it was read.
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
		// The name must be an address again; the scheme before the first server applies to all servers.
		const name = `${parsed.servers.map((server, at) => (at === 0 ? server : server.replace(/^\w+:\/\//, ''))).join(',')}/${parsed.stream}`
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

/** Returns whether an address names a chain: by its id, and by the node of any of its subjects. */
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

/** Returns the error for an address that names no chain of the stream. */
export function noChain({ stream, nodes, chainIds }: StreamAddress): MeshChainError {
	const wanted = [
		...nodes.map((node) => `of node ${show(node)}`),
		...chainIds.map((id) => `with the id ${show(id)}`),
	]
	const which = ['no chain', wanted.join(' or ')].filter(Boolean).join(' ')
	return new MeshChainError(
		'CHAIN_NOT_FOUND',
		`the stream ${show(stream)} has ${which}: is it forwarded there?`,
	)
}
