/** Back to files: the chains that a stream has, each as a file again. */
import { resolve } from 'node:path'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import {
	checkFileSystem,
	checkFunction,
	checkMode,
	checkOptionNames,
	checkPath,
	checkSignal,
	ifGiven,
} from '../model/check.ts'
import { type ErrorCode, MeshChainError, messageOf } from '../model/errors.ts'
import { exists, type FileSystem, nodeFileSystem, systemCode } from '../platform/file-system.ts'
import { parseAddress } from './address.ts'
import type { ChainReader } from './chain-reader.ts'
import { type Cluster, connectionOptions, openCluster } from './connection.ts'
import { ACCESS_NAMES, type NatsAccess } from './credentials.ts'
import { joinSubjects } from './join-subjects.ts'
import { chainsIn, isNamedBy, noChain } from './open-stream.ts'
import { ChainPull, type PulledChain } from './pull-chain.ts'
import { type NamedChain, pathsOf } from './pull-paths.ts'

export interface PullOptions extends NatsAccess {
	/** Of new files. Default `0o600`. */
	readonly mode?: number
	/** Called after each message. */
	readonly onProgress?: (progress: PullProgress) => void
	/** Ends it behind the message that is under way; what came stays. */
	readonly signal?: AbortSignal
	readonly fs?: FileSystem
}

export interface PullProgress {
	/** Records that came so far, of all chains. */
	readonly records: number
	/** The chain that is under way: which one, from 1, and of how many. */
	readonly chain: PulledChain
	readonly index: number
	readonly chains: number
}

export interface PullSummary {
	/** `aborted` by the signal: the next pull goes on where this one ended. */
	readonly ended: 'complete' | 'aborted'
	/** Those that were begun. */
	readonly chains: readonly PulledChain[]
	/** Records that came, of all chains. */
	readonly records: number
}

/**
 * Makes each chain of a stream a file again: the same records, in seq, epoch, time and origin, under the same chain id. Done again, it gets what is new: where a file
 * ends, that pull goes on, also after it was killed. A file is at every moment a chain that can be read. A chain whose node was renamed has one file, and keeps the one it has.
 *
 * A chain is in `<node>.chain`, and in `<node>-<first 8 of its id>.chain` where the node has another one that came before; what a file name may not hold is `%XX`.
 * What the stream does not have any more is a `$gap` with the cause `retained`, what cannot be read in it one that is `damaged`. Where a power loss has taken the end
 * of a source that was forwarded already, and the source has used the seqs again, the file has what the source has; what was lost there is beside it, in the chain
 * `<file>.superseded-e<epoch>`, and counted.
 *
 * @param address `nats://host:4222/stream`, with `?node=api-1` or `?chain=<id>`, each as often as needed; several servers with commas between them.
 * @param folder made where it is not there.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`, `CLUSTER_UNREACHABLE`, `STREAM_NOT_FOUND`; `CHAIN_NOT_FOUND` where the stream has no such
 * chain, or none any more; `CHAIN_MISMATCH` for a file of another chain, or one that somebody has written into, `NOT_A_CHAIN`, `CHAIN_DAMAGED`, `CHAIN_LOCKED`: it is left
 * as it is, and it rejects when the other chains are pulled. `STREAM_REPLACED` where the stream is made again meanwhile.
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
	const { mode = 0o600, onProgress, signal, fs = nodeFileSystem, ...access } = options
	checkOptionNames(access, ACCESS_NAMES)
	checkMode('mode', mode)
	ifGiven('onProgress', onProgress, checkFunction)
	ifGiven('signal', signal, checkSignal)
	const system = checkFileSystem('fs', fs)
	const place = checkFolder(folder, system)
	const cluster = await openCluster(connectionOptions(parsed.servers, access))
	try {
		const { stream, chains } = await chainsIn(cluster, parsed.stream)
		const sources = chains.filter((source) => isNamedBy(parsed, source))
		if (sources.length === 0) throw noChain(parsed)
		const wanted: ChainReader[] = []
		for (const source of sources)
			wanted.push(await joinSubjects(cluster, stream, source, { nodes: parsed.nodes }))
		const sorted = await byAge(wanted)
		makeFolder(place, system)
		const ids = new Set(chains.map(({ chainId }) => chainId))
		const paths = pathsOf(system, place, sorted.map(namesOf), ids)
		const pulls: PulledChain[] = []
		let records = 0
		let failure: MeshChainError | undefined
		for (const [index, chainStream] of sorted.entries()) {
			if (signal?.aborted) break
			try {
				const path = paths[index]!
				if (typeof path !== 'string') throw path
				const pull = new ChainPull(chainStream, { system, path, mode })
				for await (const _ of untilAborted(pull.run(), cluster, signal)) {
					const chain = pull.counts
					const progress = {
						records: records + chain.records,
						chain,
						index: index + 1,
						chains: sorted.length,
					}
					discard(onProgress?.(progress))
				}
				pulls.push(pull.counts)
				records += pull.counts.records
			} catch (error) {
				if (!isOfOneChain(error)) throw error
				failure ??= error
			}
		}
		if (failure !== undefined) throw failure
		return { ended: signal?.aborted ? 'aborted' : 'complete', chains: pulls, records }
	} finally {
		await cluster.close()
	}
}

/** Whoever aborts does not wait for servers that do not answer. */
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

/** Whether the other chains can be pulled all the same. */
function isOfOneChain(error: unknown): error is MeshChainError {
	return error instanceof MeshChainError && !OF_THE_STREAM.includes(error.code)
}

const OF_THE_STREAM: readonly ErrorCode[] = [
	'CLUSTER_UNREACHABLE',
	'STREAM_REFUSED',
	'STREAM_NOT_FOUND',
	'STREAM_REPLACED',
]

function namesOf({ chainId, subjects }: ChainReader): NamedChain {
	return { chainId, nodes: subjects.map(({ source }) => source.node) }
}

/** Of several chains of a node the one that came first has the node's own name. */
async function byAge(chains: readonly ChainReader[]): Promise<ChainReader[]> {
	const isShared = ({ node }: ChainReader) => chains.filter((other) => other.node === node).length > 1
	const aged: { readonly chain: ChainReader; readonly place: number }[] = []
	for (const chain of chains) {
		const first = isShared(chain) ? await chain.subjects[0]!.firstFrom(1) : undefined
		aged.push({ chain, place: first?.streamSeq ?? 0 })
	}
	aged.sort((a, b) =>
		a.chain.node === b.chain.node ? a.place - b.place : a.chain.node < b.chain.node ? -1 : 1,
	)
	return aged.map(({ chain }) => chain)
}

/** Whether a path can be a folder: it is made once it is known that something will be in it. @throws {MeshChainError} `INVALID_PATH` */
function checkFolder(folder: unknown, system: FileSystem): string {
	const path = resolve(checkPath('a folder', folder))
	try {
		if (system.statSync(path).isDirectory()) return path
	} catch (error) {
		if (systemCode(error) === 'ENOENT') return path
		throw noFolder(path, error)
	}
	throw new MeshChainError('INVALID_PATH', `${show(path)} is no folder: name one to pull into`, { path })
}

function makeFolder(path: string, system: FileSystem): void {
	try {
		if (exists(system, path)) return
		if (system.mkdirSync === undefined) throw new Error('it does not exist: create it first')
		system.mkdirSync(path)
	} catch (error) {
		throw noFolder(path, error)
	}
}

function noFolder(path: string, cause: unknown): MeshChainError {
	const text = `${show(path)} cannot be the folder to pull into: ${messageOf(cause)}`
	return new MeshChainError('INVALID_PATH', text, { path, cause })
}
