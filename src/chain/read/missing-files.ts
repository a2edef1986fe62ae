/** What is missing where whole files are: at the head of a chain, and where one was removed while it was read. */
import { type GapData, gapRecord, type LogRecord } from '../../model/record.ts'
import { asUnexplained } from '../answer.ts'
import { readHolder } from '../files/lock-holder.ts'
import type { Anchor } from '../format/anchor.ts'
import { anchorBefore } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'

type GapRecord = LogRecord<'$gap', GapData>

/**
 * The records before the first file of a chain: removed by retention where its newest anchor says so, and lost otherwise. A sealed
 * file that is read by itself is only a part, and misses nothing.
 */
export async function headGap(
	files: ChainFiles,
	listed: readonly ChainFile[],
): Promise<GapRecord | undefined> {
	const [first] = listed
	if (first === undefined || first.identity.firstSeq <= 1) return undefined
	if (listed.length === 1 && (await isPart(files))) return undefined
	const { firstSeq } = first.identity
	return gapOf(1, firstSeq - 1, await causeOfAbsence(files, firstSeq), first)
}

/** A file that was listed, and gone when it was its turn: removed by retention, where the chain says so. */
export async function removedGap(files: ChainFiles, file: ChainFile): Promise<GapRecord | undefined> {
	const { identity, nextFirstSeq = 1 } = file
	if (nextFirstSeq <= identity.firstSeq) return undefined
	return gapOf(identity.firstSeq, nextFirstSeq - 1, await causeOfAbsence(files, nextFirstSeq), file)
}

/** Why files are gone that stood before a seq. */
export async function causeOfAbsence(files: ChainFiles, beforeSeq: number): Promise<'retained' | 'damaged'> {
	return (await keptFromSeq(files)) >= beforeSeq ? 'retained' : 'damaged'
}

/** The first seq that retention has left, as the newest file says now: it says so before anything is removed. */
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

/** Whether the name of the chain leads to a file that was sealed and is no writer's: between seal and new name, it is a chain's. */
async function isPart(files: ChainFiles): Promise<boolean> {
	const { system, chainPath } = files.held
	const isSealed = (await newestAnchor(files))?.reason === 'sealed'
	return isSealed && files.heldIsLive && readHolder(system, chainPath) === undefined
}

function gapOf(fromSeq: number, toSeq: number, cause: GapData['cause'], { identity }: ChainFile): GapRecord {
	const tsMs = Number.isNaN(identity.createdMs) ? 0 : identity.createdMs
	const gap = gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, { epoch: 1, tsMs })
	return cause === 'damaged' ? asUnexplained(gap) : gap
}
