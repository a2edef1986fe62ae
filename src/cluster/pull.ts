/** Pulls chains from a stream into files. */
import { resolve } from 'node:path'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { checkFileSystem, checkMode, checkPath, checkSignal } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	optional,
	optionalFunction,
	type ResolvedOptions,
	withDefault,
} from '../model/define-options.ts'
import { type ErrorCode, MeshChainError, messageOf } from '../model/errors.ts'
import { exists, type FileSystem, nodeFileSystem, systemCode } from '../platform/file-system.ts'
import { parseAddress, type StreamAddress } from './address.ts'
import type { ChainReader } from './chain-reader.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { ACCESS_RULES, type NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { chainsIn, isNamedBy, noChain } from './open-stream.ts'
import { ChainPull, type PulledChain, type PullTarget } from './pull-chain.ts'
import { type NamedChain, pathsOf } from './pull-paths.ts'

/** Options of {@link pullStream}. */
export interface PullOptions extends NatsAccess {
	/** Permissions of new files. Default: `0o600`. */
	readonly mode?: number | undefined
	/** Function that is called after each message. */
	readonly onProgress?: ((progress: PullProgress) => void) | undefined
	/**
	 * Signal that ends the pull after the current message; records that were already pulled remain in the
	 * files.
	 */
	readonly signal?: AbortSignal | undefined
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

/** The progress of a pull. */
export interface PullProgress {
	/** Number of records pulled so far, from all chains. */
	readonly records: number
	/** Chain that is being pulled. */
	readonly chain: PulledChain
	/** Index of the current chain, starting at 1. */
	readonly index: number
	/** Number of chains to pull. */
	readonly chains: number
}

/** The result of a pull. */
export interface PullSummary {
	/**
	 * How the pull ended: `aborted` if the signal was aborted, otherwise `complete`. After an abort, the next
	 * pull continues where this one ended.
	 */
	readonly ended: 'complete' | 'aborted'
	/** Chains that were pulled, in full or in part. */
	readonly chains: readonly PulledChain[]
	/** Number of records pulled, from all chains. */
	readonly records: number
}

/**
 * Writes each chain that an address matches to a file, with the same chain id and the same records, including
 * their seq, epoch, time and origin. A later pull continues where each file ends, even if the previous pull
 * was killed. Each file is a readable chain at all times. A chain whose node was renamed keeps its existing
 * file.
 *
 * A chain is written to `<node>.chain`, or to `<node>-<first 8 digits of the chain id>.chain` if the node has
 * an older chain. Characters that a file name cannot contain become `%XX`. Records that the stream no longer
 * has become a `$gap` with the cause `retained`. Records that cannot be read become a `$gap` with the cause
 * `damaged`. A power loss can remove forwarded records from the end of the original chain. If the original
 * chain later reuses their seqs, the pulled file follows the original chain. The lost records are moved to a
 * separate chain, `<file>.superseded-e<epoch>`, and are counted.
 *
 * @param address Address such as `nats://host:4222/stream`, with any number of `node=api-1` and `chain=<id>`
 * query parameters. Separate several servers with commas.
 * @param folder Folder for the files, which is created if it does not exist.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`,
 * `STREAM_NOT_FOUND`; `STREAM_REPLACED` if the stream is deleted and created again during the pull; or
 * `CHAIN_NOT_FOUND` if no chain matches the address, or if a matching chain was removed from the stream. The
 * other errors affect a single file: `CHAIN_MISMATCH` if the file belongs to another chain or another program
 * has written to it, `NOT_A_CHAIN`, `CHAIN_DAMAGED` and `CHAIN_LOCKED`. That file is left unchanged, and the
 * pull rejects after it has pulled the other chains.
 *
 * @example
 * ```ts
 * import { pullStream } from 'mesh-chain/cluster'
 *
 * const { chains } = await pullStream('nats://127.0.0.1:4222/mesh', 'cluster')
 * for (const { path, records } of chains) console.log(path, records)
 * ```
 */
export async function pullStream(
	address: string,
	folder: string,
	options: PullOptions = {},
): Promise<PullSummary> {
	const parsed = parseAddress(address)
	const resolved = PULL_OPTIONS.resolve(options)
	const { mode, fs: system } = resolved
	const target = { folder: checkFolder(folder, system), system, mode }
	const cluster = await openCluster(connectionOptions(parsed.servers, resolved))
	try {
		const pulls = await choosePulls(cluster, parsed, target)
		return await runPulls(cluster, pulls, resolved)
	} finally {
		await cluster.close()
	}
}

const PULL_RULES = {
	...ACCESS_RULES,
	mode: withDefault(0o600, checkMode),
	onProgress: optionalFunction<(progress: PullProgress) => void>(),
	signal: optional(checkSignal),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<PullOptions>

const PULL_OPTIONS = defineOptions(PULL_RULES)

type ResolvedPullOptions = ResolvedOptions<typeof PULL_RULES>

/** Folder for pulled files. */
interface PullTargetFolder {
	readonly folder: string
	readonly system: FileSystem
	readonly mode: number
}

/** A chain to pull. */
interface ChosenPull {
	readonly reader: ChainReader
	/** File for the chain, or the error that prevents the pull. */
	readonly target: PullTarget | MeshChainError
}

/** Selects the chains that match an address, chooses a file for each of them, and creates the folder. */
async function choosePulls(
	cluster: Cluster,
	address: StreamAddress,
	{ folder, system, mode }: PullTargetFolder,
): Promise<ChosenPull[]> {
	const { stream, chains } = await chainsIn(cluster, address.stream)
	const sources = chains.filter((source) => isNamedBy(address, source))
	if (sources.length === 0) throw noChain(address)
	const readers: ChainReader[] = []
	for (const source of sources)
		readers.push(await joinSubjects(cluster, stream, source, { nodes: address.nodes }))
	const sorted = await byAge(readers)
	makeFolder(folder, system)
	const idsInStream = new Set(chains.map(({ chainId }) => chainId))
	const paths = pathsOf(system, folder, sorted.map(namesOf), idsInStream)
	return sorted.map((reader, index) => {
		const path = paths[index]!
		return { reader, target: typeof path === 'string' ? { system, path, mode } : path }
	})
}

/**
 * Pulls one chain after another. After a failure that affects only one chain, the other chains are still
 * pulled. The first such failure is then thrown.
 */
async function runPulls(
	cluster: Cluster,
	chosen: readonly ChosenPull[],
	{ onProgress, signal }: Pick<ResolvedPullOptions, 'onProgress' | 'signal'>,
): Promise<PullSummary> {
	const chains: PulledChain[] = []
	let records = 0
	let failure: MeshChainError | undefined
	for (const [index, { reader, target }] of chosen.entries()) {
		if (signal?.aborted) break
		try {
			if (target instanceof MeshChainError) throw target
			const pull = new ChainPull(reader, target)
			for await (const _ of untilAborted(pull.run(), cluster, signal)) {
				const chain = pull.counts
				const progress = { records: records + chain.records, chain, index: index + 1, chains: chosen.length }
				discard(onProgress?.(progress))
			}
			chains.push(pull.counts)
			records += pull.counts.records
		} catch (error) {
			if (!concernsOneChain(error)) throw error
			failure ??= error
		}
	}
	if (failure !== undefined) throw failure
	return { ended: signal?.aborted ? 'aborted' : 'complete', chains, records }
}

/**
 * Runs the steps of a pull until the signal aborts. On an abort, disconnects instead of waiting for servers
 * that do not answer.
 */
async function* untilAborted(
	steps: AsyncGenerator<void>,
	cluster: Cluster,
	signal: AbortSignal | undefined,
): AsyncGenerator<void> {
	const disconnect = () => void cluster.close()
	signal?.addEventListener('abort', disconnect)
	try {
		for await (const step of steps) {
			yield step
			if (signal?.aborted) return
		}
	} catch (error) {
		const isOurs = signal?.aborted && error instanceof MeshChainError && error.code === 'CLUSTER_UNREACHABLE'
		if (!isOurs) throw error
	} finally {
		signal?.removeEventListener('abort', disconnect)
	}
}

/** Codes of the errors after which no other chain can be pulled. */
const STREAM_ERRORS: readonly ErrorCode[] = [
	'CLUSTER_UNREACHABLE',
	'STREAM_REFUSED',
	'STREAM_NOT_FOUND',
	'STREAM_REPLACED',
]

function concernsOneChain(error: unknown): error is MeshChainError {
	return error instanceof MeshChainError && !STREAM_ERRORS.includes(error.code)
}

function namesOf({ chainId, subjects }: ChainReader): NamedChain {
	return { chainId, nodes: subjects.map(({ source }) => source.node) }
}

/**
 * Sorts the readers by node, and the chains of one node by age, so that the oldest chain receives the plain
 * name.
 */
async function byAge(readers: readonly ChainReader[]): Promise<ChainReader[]> {
	const isShared = ({ node }: ChainReader) => readers.filter((other) => other.node === node).length > 1
	const aged: { readonly reader: ChainReader; readonly firstStreamSeq: number }[] = []
	for (const reader of readers) {
		const first = isShared(reader) ? await reader.subjects[0]!.firstFrom(1) : undefined
		aged.push({ reader, firstStreamSeq: first?.streamSeq ?? 0 })
	}
	aged.sort((a, b) =>
		a.reader.node === b.reader.node
			? a.firstStreamSeq - b.firstStreamSeq
			: a.reader.node < b.reader.node
				? -1
				: 1,
	)
	return aged.map(({ reader }) => reader)
}

/**
 * Checks that a path is a folder or does not exist. A missing folder is created only when there is a chain to
 * pull.
 *
 * @throws {MeshChainError} `INVALID_PATH`
 */
function checkFolder(folder: unknown, system: FileSystem): string {
	const path = resolve(checkPath('a folder', folder))
	try {
		if (system.statSync(path).isDirectory()) return path
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return path
		throw noFolder(path, error)
	}
	throw new MeshChainError('INVALID_PATH', `${show(path)} is not a folder: pass the path of a folder`, {
		path,
	})
}

function makeFolder(path: string, system: FileSystem): void {
	try {
		if (exists(system, path)) return
		if (system.mkdirSync === undefined) throw new Error('it does not exist; create it first')
		system.mkdirSync(path)
	} catch (error) {
		throw noFolder(path, error)
	}
}

function noFolder(path: string, cause: unknown): MeshChainError {
	const text = `cannot pull into the folder ${show(path)}: ${messageOf(cause)}`
	return new MeshChainError('INVALID_PATH', text, { path, cause })
}
