/** Repairs a damaged chain. `repair-files.ts` does the work. */
import { checkBoolean, checkOptionNames } from '../../model/check.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import type { RepairReport } from '../chain.ts'
import type { VerifyProgress } from './verify.ts'

/** Options of `repairChain`. */
export interface RepairOptions {
	/** Whether to report the actions of a repair without performing them. Default: false. */
	readonly dryRun?: boolean | undefined
	/** Called each time another part of the chain has been checked. */
	readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

/**
 * Repairs a chain that no writer has open. A second repair has nothing to do. If the process is killed during
 * a repair, every readable record stays readable, and another repair finishes the work.
 *
 * @throws {MeshChainError} The same codes as `openChain`, `INVALID_OPTION`, `CHAIN_LOCKED`, `CHAIN_SEALED`,
 * or `REPAIR_FAILED` if a file operation fails.
 */
export async function repairChain(path: string, options: RepairOptions = {}): Promise<RepairReport> {
	checkOptionNames(options, ['dryRun', 'onProgress', 'fs'])
	const { dryRun = false, onProgress, fs = nodeFileSystem } = options
	checkBoolean('dryRun', dryRun)
	// Loaded when it is used, because most services only write.
	const { repairFiles } = await import('./repair-files.ts')
	return repairFiles(path, dryRun, { fs, ...(onProgress === undefined ? {} : { onProgress }) })
}
