/**
 * Opens everything that a command line names: chains, folders of chains, patterns for paths, and addresses of
 * streams. Several chains are read as one history, in time order.
 */
import { resolve } from 'node:path'
import { type Chain, chainOfSealedFile, chainsIn } from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { show } from '../guard/show.ts'
import { attempt } from '../guard/values.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { nodeFileSystem } from '../platform/file-system.ts'
import { isPathPattern, matchingPaths } from '../platform/matching-paths.ts'
import { openHistory } from './open-source.ts'
import { printed } from './printable.ts'
import type { Terminal } from './terminal.ts'

/** One chain or stream of a command line. */
export interface OpenedHistory {
	/** Path or address, as a person would type it. */
	readonly name: string
	readonly chain: Chain
}

/** The chains that a command has opened and must close. */
export interface OpenedHistories {
	/** The only chain, or all chains merged. */
	readonly chain: Chain
	readonly histories: readonly OpenedHistory[]
	/** Error of the first chain that was skipped because it could not be opened; undefined if there is none. */
	readonly failure: unknown
}

/**
 * Opens the chains that a command line names. If there are several, a chain that cannot be opened is reported
 * and skipped, and so is a copy of another one.
 *
 * @throws {MeshChainError} `CHAIN_NOT_FOUND` if a folder or a pattern names no chain, and the error of the
 * only chain, or of the first one if none can be opened.
 */
export async function openHistories(
	arguments_: readonly string[],
	terminal: Terminal,
): Promise<OpenedHistories> {
	const names = withoutParts([...new Set(arguments_.flatMap(namesFor))])
	if (names.length === 1) return only({ name: names[0]!, chain: await openHistory(names[0]!, terminal) })
	const opened: OpenedHistory[] = []
	const failures: unknown[] = []
	for (const name of names) {
		try {
			opened.push({ name, chain: await openHistory(name, terminal) })
		} catch (error) {
			failures.push(error)
			terminal.stderr.write(printed`mesh-chain: ${name} was skipped: ${failureReason(error)}\n`)
		}
	}
	const histories = await withoutCopies(opened, terminal)
	const [first, ...more] = histories
	if (first === undefined) throw failures[0]
	const failure = failures[0]
	if (more.length === 0) return { ...only(first), failure }
	return { chain: mergeChains(histories.map(({ chain }) => chain)), histories, failure }
}

function failureReason(error: unknown): string {
	return error instanceof MeshChainError ? `${error.code}: ${error.message}` : messageOf(error)
}

function only(history: OpenedHistory): OpenedHistories {
	return { chain: history.chain, histories: [history], failure: undefined }
}

/** Removes sealed files whose chain is also named. The chain contains their records. */
function withoutParts(names: readonly string[]): string[] {
	const named = new Set(names.map((name) => resolve(name)))
	return names.filter((name) => {
		const owner = isStreamAddress(name) ? undefined : chainOfSealedFile(name)
		return owner === undefined || !named.has(resolve(owner))
	})
}

/** Returns the chains that one argument of a command line names. */
function namesFor(name: string): readonly string[] {
	if (isStreamAddress(name)) return [name]
	const stat = attempt(() => nodeFileSystem.statSync(name), undefined)
	if (stat === undefined && isPathPattern(name)) {
		const chains = matchingPaths(name).flatMap(chainsAt)
		if (chains.length > 0) return chains
		throw new MeshChainError('CHAIN_NOT_FOUND', `no chain matches ${show(name)}`)
	}
	if (stat?.isFile() !== false) return [name]
	const chains = attempt(() => chainsIn(name), [])
	if (chains.length > 0) return chains
	throw new MeshChainError('CHAIN_NOT_FOUND', `there is no chain in the folder ${show(name)}`)
}

/** Returns the chain at a path, or the chains in the folder at that path. */
function chainsAt(path: string): readonly string[] {
	const isFile = attempt(() => nodeFileSystem.statSync(path).isFile(), false)
	if (!isFile) return attempt(() => chainsIn(path), [])
	return isSidecar(path) ? [] : [path]
}

/** Returns whether a pattern such as `node*` matches a file that only accompanies a chain. */
function isSidecar(path: string): boolean {
	return ['.durable', '.lock'].some((end) => path.endsWith(end) && isPresent(path.slice(0, -end.length)))
}

function isPresent(path: string): boolean {
	return attempt(() => nodeFileSystem.statSync(path).isFile(), false)
}

/** Closes, reports and skips each chain that is already among the others. */
async function withoutCopies(
	histories: readonly OpenedHistory[],
	terminal: Terminal,
): Promise<OpenedHistory[]> {
	const distinct: OpenedHistory[] = []
	for (const history of histories) {
		const { name, chain } = history
		const other = distinct.find((known) => idsOf(known.chain).some((id) => idsOf(chain).includes(id)))
		if (other === undefined) {
			distinct.push(history)
			continue
		}
		await chain.close()
		terminal.stderr.write(printed`mesh-chain: ${name} was skipped: it is the same chain as ${other.name}\n`)
	}
	return distinct
}

function idsOf({ chainId, chains }: Chain): readonly string[] {
	return chains === undefined ? [chainId] : chains.map((chain) => chain.chainId)
}
