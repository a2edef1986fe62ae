/**
 * Compares a repaired file with the one that it replaced, `….before-repair-…`. A repair changes every later
 * link of its file, so the next file does not link to it any more: only the original can show that the repair
 * took nothing away and put nothing in.
 *
 * The original is believed only as far as the next file links to it. Where bytes in it cannot be read, its
 * link is not known. A head that was kept elsewhere therefore asks for more: see `linked`.
 */
import { basename, dirname, join } from 'node:path'
import { MeshChainError } from '../../model/errors.ts'
import { isGap } from '../../model/record.ts'
import { endsRepaired, sameId } from '../files/segments.ts'
import type { Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { openFile } from '../read/open-file.ts'
import { firstCovered, rowsOf } from '../scan/frame-rows.ts'
import { type OpenSegment, walkFile } from '../scan/walk.ts'
import { FileJudge, Sums } from './file-judge.ts'
import { EVIDENCE, Findings } from './findings.ts'

/** What the next file says of the one before it. */
export interface Seam {
	readonly end: number
	readonly link: Uint8Array
}

/**
 * - `linked`: the repaired file is what a repair makes of its original, and every link of the original was
 *   worked out and fits.
 * - `fits`: the same, but for links of the original over bytes that cannot be read.
 * - `differs`: the next file links to an original, and that one was changed, or the repaired file is not what
 *   a repair makes of it.
 * - `none`: there is no original that the next file links to.
 */
export type OriginalCheck = 'linked' | 'fits' | 'differs' | 'none'

/**
 * A file is repaired a few times at most; more files of such a name were put there to keep a verification
 * busy.
 */
const ORIGINALS_MAX = 8

/**
 * @param repaired a file that ends in an anchor of a repair.
 * @param seam undefined where the next file is missing: then no original is linked to.
 */
export async function checkOriginal(repaired: OpenSegment, seam: Seam | undefined): Promise<OriginalCheck> {
	const originals = await openOriginals(repaired)
	try {
		// A file that was repaired twice has two originals: the second is itself what a repair made of the first.
		const reached = new Set<OpenSegment>()
		const next = [repaired]
		let isBorneOut = false
		for (let file = next.pop(); file !== undefined; file = next.pop()) {
			for (const original of originals) {
				if (reached.has(original) || !(await isRepairOf(file, original, seam))) continue
				reached.add(original)
				const link = await linkOf(original, seam)
				if (link === 'linked' && sameHeader(original, repaired)) return 'linked'
				if (['linked', 'fits', 'unknown'].includes(link)) isBorneOut = true
				else next.push(original)
			}
		}
		if (isBorneOut) return 'fits'
		for (const original of originals) {
			if (['linked', 'fits', 'changed'].includes(await linkOf(original, seam))) return 'differs'
		}
		return 'none'
	} finally {
		for (const { system, fd } of originals) await system.close(fd)
	}
}

async function openOriginals({ path, chainPath, system, identity }: OpenSegment): Promise<OpenSegment[]> {
	const prefix = `${basename(path)}.before-repair-`
	const names = system.readdirSync(dirname(path)).filter((name) => name.startsWith(prefix))
	const found: OpenSegment[] = []
	for (const name of names.sort().slice(0, ORIGINALS_MAX)) {
		try {
			const file = await openFile(join(dirname(path), name), chainPath, system)
			const { id, segment } = file.identity
			if (sameId(id, identity.id) && segment === identity.segment) found.push(file)
			else await system.close(file.fd)
		} catch (error) {
			// A file that cannot be opened, or is not a chain, is not an original.
			if (!(error instanceof MeshChainError)) throw error
		}
	}
	return found
}

/** How far a file counts that the next one says ended there. */
async function endOf({ system, fd, path, identity }: OpenSegment, seam: Seam | undefined): Promise<number> {
	const { size } = await system.fstat(fd)
	if (seam === undefined || size <= seam.end || endsRepaired(system, path, size, identity)) return size
	return seam.end
}

/** What a judge says of the link of an original up to the seam. */
async function linkOf(
	original: OpenSegment,
	seam: Seam | undefined,
): Promise<'linked' | 'fits' | 'unknown' | 'changed' | 'differs'> {
	const findings = new Findings()
	let isBroken = false
	const judge = new FileJudge(original, {
		findings,
		isFollowed: true,
		sums: new Sums(false),
		verdictAt: () => 'damaged',
		onBreak: () => {
			isBroken = true
		},
		onAnchor: () => {},
	})
	const { size } = await original.system.fstat(original.fd)
	const end = Math.min(size, seam?.end ?? size)
	for await (const entries of walkFile(original, HEADER_BYTES, end)) {
		for (const entry of entries) await judge.take(entry)
	}
	// No repair touches a file with evidence of a deliberate change.
	const isChanged = findings.hasAny(EVIDENCE)
	// What a repair has made is not what the next file followed, unless that says so.
	const isRepair = endsRepaired(original.system, original.path, size, original.identity)
	if (isRepair && size !== seam?.end) return 'differs'
	if (seam === undefined || size < seam.end) return isChanged ? 'differs' : 'unknown'
	const { link, isReadable } = await judge.endAt(end)
	const isLinked = link === Buffer.from(seam.link).toString('hex')
	if (isChanged) return isLinked ? 'changed' : 'differs'
	if (isLinked) return isBroken ? 'fits' : 'linked'
	return isReadable ? 'differs' : 'unknown'
}

/**
 * Whether a file is what a repair makes of another: the same frames, but for gaps where the other cannot be
 * read. Where the file cannot be read itself, because it was damaged since, there is nothing to compare.
 */
async function isRepairOf(
	file: OpenSegment,
	original: OpenSegment,
	seam: Seam | undefined,
): Promise<boolean> {
	const { size } = await file.system.fstat(file.fd)
	const readable = readableFrames(original, await endOf(original, seam))
	const next = async () => (await readable.next()).value?.frame
	try {
		let expected = await next()
		for await (const { frame, followsUnreadable: isBehindBad } of readableFrames(file, size)) {
			const from = frame === undefined ? Number.POSITIVE_INFINITY : firstCovered(frame)
			while (isBehindBad && expected !== undefined && expected.baseSeq < from) expected = await next()
			if (frame === undefined) break
			if (expected !== undefined && isSameFrame(frame, expected)) {
				expected = await next()
				continue
			}
			// A gap in the place of a readable frame leaves that frame of the original unmatched.
			if (!isGapOfRepair(frame)) return false
		}
		return expected === undefined
	} finally {
		await readable.return(undefined)
	}
}

interface ReadableFrame {
	/** Undefined for the end of the file. */
	readonly frame: Frame | undefined
	/** Unreadable bytes precede it. */
	readonly followsUnreadable: boolean
}

/** The frames that a repair keeps. */
async function* readableFrames(
	file: OpenSegment,
	end: number,
): AsyncGenerator<ReadableFrame, undefined, undefined> {
	let nextSeq = 1
	let isBehindBad = false
	for await (const entries of walkFile(file, HEADER_BYTES, end)) {
		for (const entry of entries) {
			if (entry.type === 'anchor') continue
			if (entry.type === 'bad' || rowsOf(entry.frame) === undefined) {
				isBehindBad = true
				continue
			}
			const { frame } = entry
			if (frame.baseSeq < nextSeq) continue
			nextSeq = frame.baseSeq + frame.rows
			yield { frame, followsUnreadable: isBehindBad }
			isBehindBad = false
		}
	}
	yield { frame: undefined, followsUnreadable: isBehindBad }
	return undefined
}

/** The place of a frame is in its checksum alone. */
function isSameFrame(a: Frame, b: Frame): boolean {
	const contentOf = ({ bytes, rowsEnd, length }: Frame) => bytes.subarray(rowsEnd - length + 11, rowsEnd)
	return a.length === b.length && contentOf(a).equals(contentOf(b))
}

function isGapOfRepair(frame: Frame): boolean {
	const [only, second] = rowsOf(frame) ?? []
	return only !== undefined && second === undefined && isGap(only) && only.data?.cause === 'damaged'
}

function sameHeader(a: OpenSegment, b: OpenSegment): boolean {
	return a.identity.headerBytes.equals(b.identity.headerBytes)
}
