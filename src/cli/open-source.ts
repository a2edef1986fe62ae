/** What a command line names: the file of a chain, or chains in a stream of JetStream. */
import { type Chain, openChain, type TailQuery } from '../chain/index.ts'
import type { NatsAccess, TlsFiles } from '../cluster/credentials.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'

/** How one gets into a server of NATS, by the variables that the program `nats` has for it too: no secret is an argument. */
export const ACCESS_HELP =
	'NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, and NATS_CA, NATS_CERT, NATS_KEY for TLS say how to get in'

export function isStreamAddress(name: string): boolean {
	return /^(?:nats|tls):\/\//i.test(name)
}

/** @throws {MeshChainError} what `openChain` and `openStream` throw. */
export async function openHistory(name: string): Promise<Chain> {
	if (!isStreamAddress(name)) return openChain(name)
	const { openStream } = await loadCluster()
	return openStream(name, accessFrom(process.env))
}

/** What comes into a stream, while it is followed, of chains that were not there; of a file, and where seqs are asked for, nothing. */
export async function newcomersTo(
	name: string,
	{
		chainId,
		chains = [{ chainId }],
	}: Pick<Chain, 'chainId'> & { readonly chains?: readonly Pick<Chain, 'chainId'>[] },
	query: TailQuery & { readonly signal: AbortSignal },
): Promise<AsyncIterable<LogRecord>> {
	const hasSeqs = [query.fromSeq, query.afterSeq, query.toSeq].some((seq) => seq !== undefined)
	if (!isStreamAddress(name) || hasSeqs) return none()
	const { discoverChains: newcomers } = await import('../cluster/discover-chains.ts')
	const known = chains.map((chain) => chain.chainId)
	return newcomers(name, accessFrom(process.env), known, query)
}

async function* none(): AsyncGenerator<never> {}

/** What needs NATS is loaded here only: everything else works without it. */
export async function loadCluster() {
	try {
		return await import('../cluster/index.ts')
	} catch (error) {
		const { code } = error as { readonly code?: unknown }
		if (code !== 'ERR_MODULE_NOT_FOUND' || !messageOf(error).includes("'@nats-io/")) throw error
		throw new MeshChainError(
			'CLUSTER_UNREACHABLE',
			'a stream needs the client of NATS, which is not installed: npm install @nats-io/transport-node @nats-io/jetstream',
		)
	}
}

/** Variables that are set to nothing are not set. */
export function accessFrom(environment: NodeJS.ProcessEnv): NatsAccess {
	const { NATS_USER, NATS_PASSWORD, NATS_TOKEN, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY } =
		environment
	const tls: TlsFiles = given({ caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY })
	return {
		...given({
			user: NATS_USER,
			password: NATS_PASSWORD,
			token: NATS_TOKEN,
			credsFile: NATS_CREDS,
			nkeyFile: NATS_NKEY,
		}),
		...(Object.keys(tls).length === 0 ? {} : { tls }),
	}
}

function given(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
	return Object.fromEntries(
		Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])),
	)
}
