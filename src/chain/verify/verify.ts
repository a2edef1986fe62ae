/** Verifies a complete chain, file by file: every checksum, row, seq and link. Never writes. */
import { discard } from '../../guard/promises.ts'
import { checkFileSystem, checkFunction, checkOptionNames, checkSignal, ifGiven } from '../../model/check.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import type { VerifyReport } from '../chain.ts'
import { readWatermark } from '../files/watermark-file.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { type ChainFile, ChainFiles } from '../read/chain-files.ts'
import { keptFromSeq } from '../read/missing-files.ts'
import { asReadError, openForReading } from '../read/open-file.ts'
import { entryEnd } from '../scan/scan.ts'
import { walkFile } from '../scan/walk.ts'
import type { OnFinding } from './findings.ts'
import { parseHead } from './head.ts'
import { Judge } from './judge.ts'

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
	return await examine(path, options)
}

/**
 * Verifies like {@link verifyChain}, and calls `onFinding` with every finding, whether or not the report
 * lists it.
 */
export async function examine(
	path: string,
	options: VerifyOptions,
	onFinding?: OnFinding,
): Promise<VerifyReport> {
	const { fs = nodeFileSystem } = options
	const head = options.head === undefined ? undefined : parseHead(options.head)
	ifGiven('signal', options.signal, checkSignal)
	ifGiven('onProgress', options.onProgress, checkFunction)
	const held = await openForReading(path, checkFileSystem('fs', fs))
	try {
		const files = new ChainFiles(held)
		// A watermark read before the files are listed cannot be ahead of them.
		const watermark = readWatermark(held.system, held.chainPath, held.identity.id)
		const listing = files.hold()
		try {
			const keptFromSeqNow = () => keptFromSeq(files)
			const wanted = { head, watermark, keptFromSeq: await keptFromSeqNow(), keptFromSeqNow, onFinding }
			const judge = new Judge(held, listing.files[0]!, wanted)
			for (const file of listing.files) await judgeFile(judge, files, file, options)
			return judge.finish()
		} finally {
			files.release(listing)
		}
	} catch (error) {
		throw asReadError(path, error)
	} finally {
		await held.system.close(held.fd)
	}
}

async function judgeFile(
	judge: Judge,
	files: ChainFiles,
	listed: ChainFile,
	{ signal, onProgress }: VerifyOptions,
): Promise<void> {
	const file = await files.open(listed)
	if (file === undefined) return await judge.removed(listed)
	try {
		const { size } = await file.system.fstat(file.fd)
		await judge.begin(file, size, listed)
		// The superseded end is walked separately. An entry that extends into that end is ignored, both here and
		// by readers.
		const end = Math.max(HEADER_BYTES, Math.min(size, listed.end ?? size))
		for (const [from, to] of [
			[HEADER_BYTES, end],
			[end, size],
		] as const) {
			for await (const entries of walkFile(file, from, to)) {
				signal?.throwIfAborted()
				for (const entry of entries) await judge.take(entry)
				discard(onProgress?.({ path: file.path, bytes: entryEnd(entries.at(-1)!), ofBytes: size }))
			}
		}
		await judge.end()
	} finally {
		await files.close(file)
	}
}
