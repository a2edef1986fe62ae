/** What is missing where whole files are: at the head of a chain, and where one was removed while it was read. */
import { type GapData, gapRecord, type LogRecord } from '../../record.ts'
import { asUnexplained } from '../answer.ts'
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
	const newest = await newestAnchor(files, listed.at(-1)!)
	if (listed.length === 1 && newest?.reason === 'sealed') return undefined
	const cause = (newest?.keptFromSeq ?? 1) >= first.identity.firstSeq ? 'retained' : 'damaged'
	return gapOf(1, first.identity.firstSeq - 1, cause, first)
}

/** A file that was listed, and gone when it was its turn: removed by retention, where the chain says so. */
export async function removedGap(files: ChainFiles, file: ChainFile): Promise<GapRecord | undefined> {
	const { identity, nextFirstSeq = 1 } = file
	if (nextFirstSeq <= identity.firstSeq) return undefined
	return gapOf(identity.firstSeq, nextFirstSeq - 1, await causeOfAbsence(files, nextFirstSeq), file)
}

/** Why files are gone that stood before a seq. */
export async function causeOfAbsence(files: ChainFiles, beforeSeq: number): Promise<'retained' | 'damaged'> {
	const newest = await newestAnchor(files, files.list().at(-1)!)
	return (newest?.keptFromSeq ?? 1) >= beforeSeq ? 'retained' : 'damaged'
}

function gapOf(fromSeq: number, toSeq: number, cause: GapData['cause'], { identity }: ChainFile): GapRecord {
	const tsMs = Number.isNaN(identity.createdMs) ? 0 : identity.createdMs
	const gap = gapRecord({ fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }, { epoch: 1, tsMs })
	return cause === 'damaged' ? asUnexplained(gap) : gap
}

/** The newest anchor of a file of a chain. */
export async function newestAnchor(files: ChainFiles, live: ChainFile) {
	const file = await files.open(live)
	if (file === undefined) return undefined
	try {
		const { size } = await file.system.fstat(file.fd)
		return await anchorBefore(file, size)
	} finally {
		await files.close(file)
	}
}
