/**
 * Creates the gaps for missing files: before the first file of a chain, and wherever a file was removed while
 * the chain was being read.
 */
import { type GapData, gapRecord, type LogRecord } from '../../model/record.ts'
import { asUnexplained } from '../answer.ts'
import { readHolder } from '../files/lock-holder.ts'
import type { Anchor } from '../format/anchor.ts'
import { anchorBefore } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'

type GapRecord = LogRecord<'$gap', GapData>

/**
 * Returns the gap before the first file of a chain. Its cause is `retained` if the newest anchor records that
 * retention removed the records, and `damaged` otherwise. A sealed file that is read on its own is only part
 * of a chain, so no gap precedes it.
 */
export async function gapBeforeFirst(
	files: ChainFiles,
	listed: readonly ChainFile[],
): Promise<GapRecord | undefined> {
	const [first] = listed
	if (first === undefined || first.identity.firstSeq <= 1) return undefined
	if (listed.length === 1 && (await isPart(files))) return undefined
	const { firstSeq } = first.identity
	return gapOf(1, firstSeq - 1, await causeOfAbsence(files, firstSeq), first)
}

/**
 * Returns the gap for a file that was removed after it was listed. Its cause is `retained` if the newest
 * anchor records that retention removed the records, and `damaged` otherwise.
 */
export async function removedGap(files: ChainFiles, file: ChainFile): Promise<GapRecord | undefined> {
	const { identity, nextFirstSeq = 1 } = file
	if (nextFirstSeq <= identity.firstSeq) return undefined
	return gapOf(identity.firstSeq, nextFirstSeq - 1, await causeOfAbsence(files, nextFirstSeq), file)
}

/** Returns why the files with seqs below `beforeSeq` are missing. */
export async function causeOfAbsence(files: ChainFiles, beforeSeq: number): Promise<'retained' | 'damaged'> {
	return (await keptFromSeq(files)) >= beforeSeq ? 'retained' : 'damaged'
}

/**
 * Returns the first seq that retention keeps, according to the newest file. The writer records this seq
 * before it removes any file.
 */
export async function keptFromSeq(files: ChainFiles): Promise<number> {
	return (await newestAnchor(files))?.keptFromSeq ?? 1
}

async function newestAnchor(files: ChainFiles): Promise<Anchor | undefined> {
	const listing = files.holdLast()
	try {
		const { last } = listing
		const { size } = await last.system.fstat(last.fd)
		return await anchorBefore(last, size)
	} finally {
		files.release(listing)
	}
}

/**
 * Returns whether the path of the chain refers to a sealed file and no writer has the chain open. A writer
 * that has sealed a file but not yet renamed it still has the chain open.
 */
async function isPart(files: ChainFiles): Promise<boolean> {
	const { system, chainPath } = files.held
	const isSealed = (await newestAnchor(files))?.reason === 'sealed'
	return isSealed && files.heldIsLive && readHolder(system, chainPath) === undefined
}

function gapOf(fromSeq: number, toSeq: number, cause: GapData['cause'], { identity }: ChainFile): GapRecord {
	const tsMs = identity.createdMs ?? 0
	const gap = gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, { epoch: 1, tsMs })
	return cause === 'damaged' ? asUnexplained(gap) : gap
}
