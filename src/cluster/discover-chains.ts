/** Chains that come into a stream while it is followed: a node that begins to forward, a service that starts anew with a chain of its own. */
import type { TailQuery } from '../chain/chain.ts'
import { interleave } from '../merge/interleave.ts'
import type { LogRecord } from '../model/record.ts'
import { wait } from '../platform/wait.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import type { NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { chainsIn, isNamedBy, type StreamChains } from './open-stream.ts'
import type { FoundStream } from './stream.ts'
import { StreamChain } from './stream-chain.ts'
import type { ChainSource } from './subjects.ts'

const LOOK_MS = 2_000

/**
 * The records of all chains that an address names and that are not known, from the first one on; each says by its origin whose it was.
 *
 * @param query with the signal that ends it.
 */
export async function* discoverChains(
	address: string,
	access: NatsAccess,
	known: readonly string[],
	query: TailQuery & { readonly signal: AbortSignal },
): AsyncGenerator<LogRecord> {
	const parsed = parseAddress(address)
	if (parsed.chainIds.length > 0) return
	const cluster = await openCluster(connectionOptions(parsed.servers, access))
	const over = new AbortController()
	const signal = AbortSignal.any([query.signal, over.signal])
	try {
		yield* behind(known)
	} finally {
		over.abort()
		await cluster.close()
	}

	/** Those that come next, and with them those that come after them. */
	async function* behind(before: readonly string[]): AsyncGenerator<LogRecord> {
		const found = await next(cluster, parsed, before, signal)
		if (found === undefined) return
		const tails = found.chains.map((source) => tailOf(found.stream, source))
		const all = [...before, ...found.chains.map(({ chainId }) => chainId)]
		yield* interleave([...tails, behind(all)], () => over.abort())
	}

	async function* tailOf(name: FoundStream, source: ChainSource): AsyncGenerator<LogRecord> {
		const stream = await joinSubjects(cluster, name, source)
		const chain = new StreamChain(address, stream, async () => {})
		const { chainId } = chain
		for await (const record of chain.tail({ ...query, signal }))
			yield { ...record, origin: record.origin ?? { chainId, epoch: record.epoch, seq: record.seq } }
	}
}

/** None where the signal aborts. Servers that do not answer are asked again: whoever follows waits for them too. */
async function next(
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
