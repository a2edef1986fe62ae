/** The way into a stream for readers. */
import type { Chain } from '../chain/chain.ts'
import { MeshChainError } from '../errors.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { checkOptionNames } from '../options.ts'
import { show } from '../record.ts'
import { ACCESS_NAMES, type NatsAccess } from './access.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import { ChainStream } from './chain-stream.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { notFound, streamInfo, unreachable } from './stream.ts'
import { StreamChain } from './stream-chain.ts'
import { type ChainSubject, parseSubject } from './subjects.ts'

export interface StreamOptions extends NatsAccess {}

/**
 * Opens what was forwarded to a stream, as {@link openChain} opens a file: ranges by seq and time, filters, following, gaps. An address that names one chain, or
 * the one chain of a node, gives that; any other gives the merged history of all of them, as {@link mergeChains} does.
 *
 * Those are the chains that are there by then: one that comes later is in what is opened later.
 *
 * A seek by seq or time is a bisection over the messages of the chain, some 20 of them in a long one. Levels, kinds and texts are looked for here. `info` knows
 * what the headers of the first and the last message say; how the file ends, and its epochs, the servers do not know.
 *
 * @param address `nats://host:4222/stream`, with `?node=api-1` or `?chain=<id>`, each as often as needed; several servers with commas between them; `tls://` where it
 * must be encrypted. A `+` in the name of a node is `%2B`, as in any URL.
 * @throws {MeshChainError} `INVALID_OPTION`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`, `CHAIN_NOT_FOUND`; while reading
 * `CLUSTER_UNREACHABLE` where the servers do not come back within half a minute.
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
		const sources = await chainsIn(cluster, parsed)
		if (sources.length === 0) throw noChain(parsed)
		let open = sources.length
		const release = async () => {
			if (--open === 0) await cluster.close()
		}
		// An address again: what comes before the first server holds for all of them.
		const name = `${parsed.servers.map((server, at) => (at === 0 ? server : server.replace(/^\w+:\/\//, ''))).join(',')}/${parsed.stream}`
		const chains = sources.map(
			(source) =>
				new StreamChain(name, new ChainStream(cluster, parsed.stream, source, sources.length), release),
		)
		return chains.length === 1 ? chains[0]! : mergeChains(chains)
	} catch (error) {
		await cluster.close()
		throw error
	}
}

/** Those that the address names, by node and id. */
async function chainsIn(cluster: Cluster, address: StreamAddress): Promise<ChainSubject[]> {
	return (await allChainsIn(cluster, address.stream)).filter((source) => isNamedBy(address, source))
}

export function isNamedBy({ nodes, chainIds }: StreamAddress, { node, chainId }: ChainSubject): boolean {
	return (nodes.length === 0 || nodes.includes(node)) && (chainIds.length === 0 || chainIds.includes(chainId))
}

/** @throws {MeshChainError} `STREAM_NOT_FOUND`, `CLUSTER_UNREACHABLE` */
export async function allChainsIn(cluster: Cluster, stream: string): Promise<ChainSubject[]> {
	if ((await streamInfo(cluster, stream)) === undefined) throw notFound(stream)
	try {
		const { state } = await cluster.manager.streams.info(stream, { subjects_filter: '>' })
		return Object.keys(state.subjects ?? {})
			.map(parseSubject)
			.filter((source) => source !== undefined)
			.sort((a, b) => (a.subject < b.subject ? -1 : 1))
	} catch (error) {
		throw unreachable(cluster, stream, error)
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
