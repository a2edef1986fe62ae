/** Examines a complete chain, file by file, for `verifyChain` and for a repair. Never writes. */
import { discard } from '../../guard/promises.ts'
import { checkFileSystem, checkFunction, checkSignal, ifGiven } from '../../model/check.ts'
import { nodeFileSystem } from '../../platform/file-system.ts'
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
import type { VerifyOptions } from './verify.ts'

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
