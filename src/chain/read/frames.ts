/**
 * The records of a chain behind a seq as the frames that they were written in, verified and not decoded, with a gap wherever some are missing: for whoever
 * copies them. What a reader of records makes of the same entries is in `query.ts`.
 */
import { matches, resolveFilter } from '../../filter.ts'
import type { LogRecord } from '../../record.ts'
import type { Frame } from '../format/frame.ts'
import { Continuity } from '../scan/continuity.ts'
import { type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { removedGap } from './head-gap.ts'
import { missingHead, walkedFile } from './matching.ts'
import { resolveQuery } from './query.ts'
import { findStretches } from './seek.ts'

/** One of the two. A frame that holds the seq may hold records before it. */
export type FrameOrGap =
	| { readonly frame: Frame; readonly gap?: undefined }
	| { readonly frame?: undefined; readonly gap: LogRecord }

/** Up to the end that the chain has. The bytes of the frames are overwritten when the next but one batch is asked for. */
export async function* framesAfter(files: ChainFiles, afterSeq: number): AsyncGenerator<FrameOrGap[]> {
	const query = resolveQuery({ afterSeq })
	const listed = files.list()
	for await (const gaps of missingHead(files, listed, query)) yield gaps.map((gap) => ({ gap }))
	for (const file of listed) {
		if ((file.nextFirstSeq ?? Number.POSITIVE_INFINITY) <= query.fromSeq) continue
		const open = await files.open(file)
		if (open === undefined) {
			const gap = await removedGap(files, file)
			if (gap !== undefined && matches(gap, query)) yield [{ gap }]
			continue
		}
		try {
			yield* framesIn(open, file, afterSeq)
		} finally {
			await files.close(open)
		}
	}
}

async function* framesIn(
	file: OpenFile,
	{ end, nextFirstSeq }: ChainFile,
	afterSeq: number,
): AsyncGenerator<FrameOrGap[]> {
	const query = resolveQuery({ afterSeq })
	const filter = resolveFilter({ afterSeq })
	const { size } = await file.system.fstat(file.fd)
	const isFollowed = nextFirstSeq !== undefined
	for await (const stretch of findStretches(file, Math.min(size, end ?? size), query)) {
		const continuity = new Continuity(stretch.anchor, { ...walkedFile(file), isFollowed })
		const wanted = (gap: LogRecord | undefined): FrameOrGap[] =>
			gap !== undefined && matches(gap, filter) ? [{ gap }] : []
		for await (const entries of walkFile(file, stretch.from, stretch.to)) {
			const found: FrameOrGap[] = []
			for (const entry of entries) {
				if (entry.type === 'bad') found.push(...wanted(continuity.bad(entry.place)))
				else if (entry.type === 'anchor') found.push(...wanted(continuity.anchor(entry.anchor)))
				else {
					const { frame } = entry
					found.push(...wanted(continuity.frame(frame)))
					if (frame.baseSeq + frame.rows - 1 > afterSeq) found.push({ frame })
				}
			}
			if (found.length > 0) yield found
		}
		if (stretch.isTail && nextFirstSeq !== undefined) {
			const missing = wanted(continuity.upTo(nextFirstSeq))
			if (missing.length > 0) yield missing
		}
	}
}
