/** Verifies a complete chain, file by file: every checksum, row, seq and link. Never writes. */
import { checkOptionNames } from '../../model/check.ts'
import type { FileSystem } from '../../platform/file-system.ts'
import type { VerifyReport } from '../chain.ts'

/** Progress of a verification or a repair in one file. */
export interface VerifyProgress {
	readonly path: string
	readonly bytes: number
	readonly ofBytes: number
}

/** Options of `verifyChain`. */
export interface VerifyOptions {
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
	/** Signal that stops the verification. When the signal is aborted, the promise rejects with its reason. */
	readonly signal?: AbortSignal | undefined
	/**
	 * A head that was stored elsewhere, in the format of `formatHead` and `mesh-chain info --head`. The chain
	 * must still contain this head, so a truncation or a rewrite of the part before the head is detected.
	 */
	readonly head?: string | undefined
	/** Called each time another part of the chain has been checked. */
	readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/**
 * Reads a complete chain, and reports every deviation from the state in which a writer leaves a chain. The
 * report's `ok` is false if anything is damaged or cannot be checked. Torn tails, and gaps that the chain
 * itself records, do not make it false.
 *
 * Memory use does not grow with the size of the chain or the amount of damage. The report lists the first
 * 1,000 findings of each kind and severity, and counts the others in `findingsNotListed`. Every finding
 * affects the answer and is counted in the totals.
 *
 * @throws {MeshChainError} The same codes as `openChain`, or `INVALID_OPTION`. Damage is reported as a
 * finding, not as an error.
 */
export async function verifyChain(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
	checkOptionNames(options, ['fs', 'signal', 'head', 'onProgress'])
	// Loaded when it is used, because most services only write.
	const { examine } = await import('./examine.ts')
	return await examine(path, options)
}
