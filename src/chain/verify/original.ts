/**
 * Compares a repaired file with the original that it replaced, `….before-repair-…`. A repair changes all
 * later links in the file, so the next file no longer links to the repaired file. Only the original can show
 * that the repair removed nothing and added nothing.
 *
 * The original is trusted only to the extent that the next file links to it. If bytes in the original are
 * unreadable, its link is unknown. Therefore a check against a head that was stored elsewhere accepts only
 * the result `linked`.
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

/** The end of a file, as recorded in the header of the next file. */
export interface Seam {
	readonly end: number
	readonly link: Uint8Array
}

/**
 * - `linked`: repairing the original produces the repaired file, and every link in the original was
 *   recomputed and is correct.
 * - `fits`: the same, except that links over unreadable bytes in the original are unknown.
 * - `differs`: the next file links to an original, but that original was changed, or repairing it does not
 *   produce the repaired file.
 * - `none`: the next file does not link to any original.
 */
export type OriginalCheck = 'linked' | 'fits' | 'differs' | 'none'

/**
 * Maximum number of originals that are checked. A file is rarely repaired more than a few times. A larger
 * number of originals indicates an attempt to slow down the verification.
 */
const ORIGINALS_MAX = 8

/**
 * Checks a repaired file against its originals.
 *
 * @param seam the seam to the next file; undefined if that file is missing. In that case, nothing links to an
 * original.
 */
export async function checkOriginal(repaired: OpenSegment, seam: Seam | undefined): Promise<OriginalCheck> {
	const originals = await openOriginals(repaired)
	try {
		// A file that was repaired twice has two originals; the second is the result of the first repair.
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

/** Returns the offset up to which a file belongs to the chain: the seam, or the end of the file. */
async function endOf({ system, fd, path, identity }: OpenSegment, seam: Seam | undefined): Promise<number> {
	const { size } = await system.fstat(fd)
	if (seam === undefined || size <= seam.end || endsRepaired(system, path, size, identity)) return size
	return seam.end
}

/** Checks the link of an original at the seam. */
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
	// A repair never changes a file with evidence of a deliberate change.
	const isChanged = findings.hasAny(EVIDENCE)
	// The next file continues a repaired file only if its header records the end of that file.
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
 * Returns whether a repair of the original produces the file: the same frames, with gaps where the original
 * is unreadable. Parts of the file that became unreadable after the repair are not compared.
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
			// If the gap replaces a readable frame, that frame in the original remains unmatched.
			if (!isGapOfRepair(frame)) return false
		}
		return expected === undefined
	} finally {
		await readable.return(undefined)
	}
}

interface ReadableFrame {
	/** The frame; undefined at the end of the file. */
	readonly frame: Frame | undefined
	/** Whether unreadable bytes precede the frame. */
	readonly followsUnreadable: boolean
}

/** Yields the frames that a repair keeps. */
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

/**
 * Returns whether two frames have the same content. Ignores their checksums, which depend on their offsets.
 */
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
