/** Opens the source that a command line names: a chain file, or chains in a NATS stream. */
import { type Chain, openChain, type TailQuery } from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { natsAccess } from './nats-credentials.ts'
import type { Terminal } from './terminal.ts'

/**
 * Opens a chain or a stream.
 *
 * @throws {MeshChainError} The same codes as `openChain` and `openStream`.
 */
export async function openHistory(name: string, { env }: Terminal): Promise<Chain> {
	if (!isStreamAddress(name)) return openChain(name)
	const { openStream } = await loadCluster()
	return openStream(name, natsAccess(env))
}

type KnownChain = Pick<Chain, 'chainId'>

/**
 * Returns the records of chains that are added to a stream while it is being followed. Returns no records for
 * a file. If the query contains seqs, new chains are ignored, because a seq identifies a different record in
 * each chain.
 */
export async function newChainsOf(
	name: string,
	{ chainId, chains = [{ chainId }] }: KnownChain & { readonly chains?: readonly KnownChain[] },
	query: TailQuery & { readonly signal: AbortSignal },
	{ env }: Terminal,
): Promise<AsyncIterable<LogRecord>> {
	const hasSeqs = [query.fromSeq, query.afterSeq, query.toSeq].some((seq) => seq !== undefined)
	if (!isStreamAddress(name) || hasSeqs) return nothing()
	const { discoverChains } = await import('../cluster/discover-chains.ts')
	const known = chains.map((chain) => chain.chainId)
	return discoverChains(name, natsAccess(env), known, query)
}

async function* nothing(): AsyncGenerator<never> {}

/** Loads the code that depends on the NATS client, which is an optional dependency. */
export async function loadCluster() {
	try {
		return await import('../cluster/index.ts')
	} catch (error) {
		const { code } = error as { readonly code?: unknown }
		if (code !== 'ERR_MODULE_NOT_FOUND' || !messageOf(error).includes("'@nats-io/")) throw error
		throw new MeshChainError(
			'CLUSTER_UNREACHABLE',
			'streams need the NATS client, which is not installed: ' +
				'npm install @nats-io/transport-node @nats-io/jetstream',
		)
	}
}
