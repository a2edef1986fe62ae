/**
 * Discovers chains that appear in a stream while the stream is followed. A chain appears when a node starts
 * forwarding, or when a service restarts with a new chain.
 */
import type { TailQuery } from '../chain/index.ts'
import { interleave } from '../merge/interleave.ts'
import type { LogRecord } from '../model/record.ts'
import { wait } from '../platform/wait.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { checkAccess, type NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { chainsIn, isNamedBy, type StreamChains } from './open-stream.ts'
import type { FoundStream } from './stream.ts'
import { StreamChain } from './stream-chain.ts'
import type { ChainSource } from './subjects.ts'

const LOOK_MS = 2_000

/**
 * Yields the records of all chains that match an address, except known chains. Starts at the first record of
 * each chain. The `origin` of a record identifies its chain.
 *
 * @param known Ids of the chains to skip.
 * @param query Query for each chain, with the signal that ends the discovery.
 */
export async function* discoverChains(
	address: string,
	access: NatsAccess,
	known: readonly string[],
	query: TailQuery & { readonly signal: AbortSignal },
): AsyncGenerator<LogRecord> {
	const parsed = parseAddress(address)
	if (parsed.chainIds.length > 0) return
	const cluster = await openCluster(connectionOptions(parsed.servers, checkAccess(access)))
	const over = new AbortController()
	const signal = AbortSignal.any([query.signal, over.signal])
	try {
		yield* chainsBeyond(known)
	} finally {
		over.abort()
		await cluster.close()
	}

	/** Follows the next chains that appear, and then, recursively, the chains that appear after them. */
	async function* chainsBeyond(knownIds: readonly string[]): AsyncGenerator<LogRecord> {
		const discovered = await discover(cluster, parsed, knownIds, signal)
		if (discovered === undefined) return
		const tails = discovered.chains.map((source) => tailOf(discovered.stream, source))
		const all = [...knownIds, ...discovered.chains.map(({ chainId }) => chainId)]
		yield* interleave([...tails, chainsBeyond(all)], () => over.abort())
	}

	async function* tailOf(stream: FoundStream, source: ChainSource): AsyncGenerator<LogRecord> {
		const reader = await joinSubjects(cluster, stream, source)
		const chain = new StreamChain(address, reader, async () => {})
		const { chainId } = chain
		for await (const record of chain.tail({ ...query, signal }))
			yield { ...record, origin: record.origin ?? { chainId, epoch: record.epoch, seq: record.seq } }
	}
}

/**
 * Waits for new chains and returns them. Keeps waiting while the servers do not answer. Returns undefined if
 * the signal aborts.
 */
async function discover(
	cluster: Cluster,
	address: StreamAddress,
	known: readonly string[],
	signal: AbortSignal,
): Promise<StreamChains | undefined> {
	while (!signal.aborted) {
		const all = await chainsIn(cluster, address.stream).catch(() => undefined)
		const chains = all?.chains.filter(
			(source) => isNamedBy(address, source) && !known.includes(source.chainId),
		)
		if (all !== undefined && chains !== undefined && chains.length > 0) return { ...all, chains }
		await wait(LOOK_MS, signal)
	}
	return undefined
}
