/** The way into a stream for readers. */
import type { Chain } from '../chain/index.ts'
import { show } from '../guard/show.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { checkOptionNames } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { ACCESS_NAMES, type NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { type FoundStream, findStream, unreachable } from './stream.ts'
import { StreamChain } from './stream-chain.ts'
import { type ChainSource, chainsOf } from './subjects.ts'

export interface StreamOptions extends NatsAccess {}

/**
 * Opens what was forwarded to a stream, as {@link openChain} opens a file: ranges by seq and time, filters, following, gaps. An address that names one chain, or
 * the one chain of a node, gives that; any other gives the merged history of all of them, as {@link mergeChains} does.
 * A chain whose node was renamed is one chain, whichever of its nodes is named.
 *
 * Those are the chains that are there by then: one that comes later is in what is opened later.
 *
 * A seek by seq or time is a bisection over the messages of the chain, some 20 of them in a long one. Levels, kinds and texts are looked for here. `info` knows
 * what the headers of the first and the last message say; how the file ends, and its epochs, the servers do not know.
 *
 * @param address `nats://host:4222/stream`, with `?node=api-1` or `?chain=<id>`, each as often as needed; several servers with commas between them; `tls://` where it
 * must be encrypted. A `+` in the name of a node is `%2B`, as in any URL.
 * What is removed from the stream while it is read is a `$gap` with the cause `retained`.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `CHAIN_NOT_FOUND`; while reading
 * `CLUSTER_UNREACHABLE` where the servers do not come back within half a minute, `STREAM_NOT_FOUND` where the stream is deleted,
 * `STREAM_REPLACED` where it is made again, `CHAIN_NOT_FOUND` where a chain is removed before anything of it was read.
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
	checkOptionNames(options, ACCESS_NAMES)
	const cluster = await openCluster(connectionOptions(parsed.servers, options))
	try {
		const found = await chainsIn(cluster, parsed.stream)
		const sources = found.chains.filter((source) => isNamedBy(parsed, source))
		if (sources.length === 0) throw noChain(parsed)
		let open = sources.length
		const release = async () => {
			if (--open === 0) await cluster.close()
		}
		// An address again: what comes before the first server holds for all of them.
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

/** Whether an address names a chain, by its id and a node of any of its subjects. */
export function isNamedBy({ nodes, chainIds }: StreamAddress, { chainId, subjects }: ChainSource): boolean {
	return (
		(nodes.length === 0 || subjects.some(({ node }) => nodes.includes(node))) &&
		(chainIds.length === 0 || chainIds.includes(chainId))
	)
}

export interface StreamChains {
	readonly stream: FoundStream
	readonly chains: readonly ChainSource[]
}

/** All chains of a stream. @throws {MeshChainError} `STREAM_NOT_FOUND`, `CLUSTER_UNREACHABLE` */
export async function chainsIn(cluster: Cluster, name: string): Promise<StreamChains> {
	const stream = await findStream(cluster, name)
	try {
		const { state } = await cluster.manager.streams.info(name, { subjects_filter: '>' })
		return { stream, chains: chainsOf(Object.keys(state.subjects ?? {})) }
	} catch (error) {
		throw unreachable(cluster, name, error)
	}
}

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
