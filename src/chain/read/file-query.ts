/** What one file of a chain has that answers a query, with a gap wherever some of it is missing. */
import { matches } from '../../model/filter.ts'
import { isUnsyncedPlace } from '../files/watermark-file.ts'
import type { ContinuityMark, WalkedFile } from '../scan/continuity.ts'
import { entryEnd, type ScanEntry } from '../scan/scan.ts'
import { type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { causeOfAbsence, headGap, removedGap } from './missing-files.ts'
import type { Batches, EntryCollector, ResolvedQuery, View } from './query.ts'
import { findStretches, type Stretch, wholeFile } from './seek.ts'

/** What a walk must know of a file; the watermark is looked at when something cannot be read. */
export function walkedFile({ system, chainPath, identity }: OpenFile): WalkedFile {
	const { firstSeq } = identity
	return {
		firstSeq,
		isUnsynced: (offset, bootId) => isUnsyncedPlace(system, chainPath, identity, offset, bootId),
	}
}

/** The gap before the first of the files. */
export async function* missingHead<T>(
	files: ChainFiles,
	listed: readonly ChainFile[],
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const gap = await headGap(files, listed)
	if (gap !== undefined && matches(gap, query)) yield [view.ofGap(gap)]
}

/** What matches in one file, in the order that the query asks for. */
export async function* matchingIn<T>(
	files: ChainFiles,
	listed: ChainFile,
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const file = await files.open(listed)
	if (file === undefined) {
		const gap = await removedGap(files, listed)
		if (gap !== undefined && matches(gap, query)) yield [view.ofGap(gap)]
		return
	}
	try {
		const { size } = await file.system.fstat(file.fd)
		const end = Math.min(size, listed.end ?? size)
		const isWhole = query.isEverything && !query.reverse
		for await (const stretch of isWhole ? [wholeFile(end)] : findStretches(file, end, query)) {
			const part = { file, listed, stretch }
			yield* query.reverse ? backward(files, part, query, view) : forward(files, part, query, view)
		}
	} finally {
		await files.close(file)
	}
}

interface ListedStretch {
	readonly file: OpenFile
	readonly listed: ChainFile
	readonly stretch: Stretch
}

async function* forward<T>(
	files: ChainFiles,
	part: ListedStretch,
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const { file, stretch } = part
	const collector = collectorOf(part, query, view)
	for await (const entries of walkFile(file, stretch.from, stretch.to)) {
		for (const entry of entries) {
			const batches = collector.take(entry)
			for (let index = 0; index < batches.length; index++) {
				const batch = batches.at(index)!
				if (batch.length > 0) yield batch as T[]
			}
			if (collector.isPastEnd) return
		}
	}
	const missing = await missingAfter(files, part, collector)
	if (missing.length > 0) yield missing as T[]
}

function collectorOf<T>(
	{ file, listed, stretch }: ListedStretch,
	query: ResolvedQuery,
	view: View<T>,
): EntryCollector<T> {
	const isFollowed = listed.nextFirstSeq !== undefined
	return view.collector(query, stretch.anchor, { ...walkedFile(file), isFollowed })
}

/** What is missing between the last record of a file and the next file. */
async function missingAfter<T>(
	files: ChainFiles,
	{ listed: { nextFirstSeq, isNextMissing }, stretch }: ListedStretch,
	collector: EntryCollector<T>,
): Promise<readonly T[]> {
	if (!stretch.isTail || nextFirstSeq === undefined) return []
	const cause = isNextMissing ? await causeOfAbsence(files, nextFirstSeq) : undefined
	return collector.upTo(nextFirstSeq, cause)
}

/** A part of a stretch, as much as is held in memory while it is turned round. */
interface Window {
	readonly from: number
	readonly to: number
	/** Where a collector is that has taken everything before it; undefined at the beginning of the stretch. */
	readonly mark: ContinuityMark | undefined
}

/** So much of a stretch is read before it is turned round: most stretches are shorter. */
const WINDOW_BYTES = 256 * 1024

async function* backward<T>(
	files: ChainFiles,
	part: ListedStretch,
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const windows = await windowsOf(part, query, view)
	for (const [index, { from, to, mark }] of [...windows.entries()].reverse()) {
		const collector = collectorOf(part, query, view)
		if (mark !== undefined) collector.goOnAt(mark)
		const found: Batches<T>[] = []
		for await (const entries of walkFile(part.file, from, to)) {
			for (const entry of entries) if (!collector.isPastEnd) found.push(collector.take(held(entry)))
		}
		const isLast = index === windows.length - 1 && !collector.isPastEnd
		if (isLast) found.push([await missingAfter(files, part, collector)])
		for (const batches of found.reverse()) {
			for (let at = batches.length - 1; at >= 0; at--) {
				const batch = batches.at(at)!
				if (batch.length > 0) yield [...batch].reverse()
			}
		}
	}
}

/** The windows of a stretch, first to last; each ends behind an entry that verifies, so that a walk of it alone meets the same ones. */
async function windowsOf<T>(part: ListedStretch, query: ResolvedQuery, view: View<T>): Promise<Window[]> {
	const { from, to } = part.stretch
	if (to - from <= WINDOW_BYTES) return [{ from, to, mark: undefined }]
	const windows: Window[] = []
	const collector = collectorOf(part, query, view)
	let begun: Pick<Window, 'from' | 'mark'> = { from, mark: undefined }
	for await (const entries of walkFile(part.file, from, to)) {
		for (const entry of entries) {
			collector.pass(entry)
			const end = entryEnd(entry)
			if (entry.type !== 'bad' && end - begun.from >= WINDOW_BYTES) {
				windows.push({ ...begun, to: end })
				begun = { from: end, mark: collector.mark() }
			}
			if (collector.isPastEnd) return end > begun.from ? [...windows, { ...begun, to: end }] : windows
		}
	}
	return [...windows, { ...begun, to }]
}

/** An entry whose bytes are not overwritten when the walk goes on; what is small is decoded at once and needs none. */
function held(entry: ScanEntry): ScanEntry {
	if (entry.type !== 'frame' || entry.frame.length <= WINDOW_BYTES) return entry
	const { frame } = entry
	const start = frame.rowsEnd - frame.length
	const bytes = Buffer.from(frame.bytes.subarray(start, frame.rowsEnd))
	const moved = { rowsStart: frame.rowsStart - start, rowsEnd: frame.length }
	return { type: 'frame', frame: { ...frame, bytes, ...moved } }
}
