/**
 * Runs a query over one file of a chain, and returns a gap wherever records are missing. seek.ts selects the
 * stretches, and collectors.ts selects the records in them.
 */
import { matches } from '../../model/filter.ts'
import { isUnsyncedAt } from '../files/watermark-file.ts'
import type { ContinuityState, WalkedFile } from '../scan/continuity.ts'
import { entryEnd, type ScanEntry } from '../scan/scan.ts'
import { type OpenSegment, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import type { Batches, EntryCollector, View } from './collectors.ts'
import { causeOfAbsence, gapBeforeFirst, removedGap } from './missing-files.ts'
import type { ResolvedQuery } from './query.ts'
import { findStretches, type Stretch, wholeFile } from './seek.ts'

/**
 * Returns the properties of a file that a walk needs. The watermark is read only if something is unreadable.
 */
export function walkedFile(file: OpenSegment): WalkedFile {
	return {
		firstSeq: file.identity.firstSeq,
		isUnsynced: (offset, bootId) => isUnsyncedAt(file, offset, bootId),
	}
}

/** Yields the gap before the first file, if there is one. */
export async function* missingStart<T>(
	files: ChainFiles,
	listed: readonly ChainFile[],
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const gap = await gapBeforeFirst(files, listed)
	if (gap !== undefined && matches(gap, query)) yield [view.ofGap(gap)]
}

/** Yields the matches in one file, in the order that the query requests. */
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

/**
 * Maximum number of items in a batch that contains several small frames. Passing a batch through all
 * generators takes longer than decoding a small frame.
 */
const JOINED_ITEMS_MAX = 256

interface ListedStretch {
	readonly file: OpenSegment
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
		let joined: T[] = []
		for (const entry of entries) {
			const batches = collector.take(entry)
			const only = batches.length === 1 ? batches.at(0)! : []
			if (batches.length <= 1 && joined.length + only.length <= JOINED_ITEMS_MAX) joined.push(...only)
			else {
				if (joined.length > 0) yield joined
				joined = []
				// The batches of a large frame are decoded and passed on one at a time.
				for (let index = 0; index < batches.length; index++) {
					const batch = batches.at(index)!
					if (batch.length > 0) yield batch as T[]
				}
			}
			if (collector.isPastEnd) break
		}
		if (joined.length > 0) yield joined
		if (collector.isPastEnd) return
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

/** Returns the gap between the last record of a file and the next file, if there is one. */
async function missingAfter<T>(
	files: ChainFiles,
	{ listed: { nextFirstSeq, isNextMissing }, stretch }: ListedStretch,
	collector: EntryCollector<T>,
): Promise<readonly T[]> {
	if (!stretch.isTail || nextFirstSeq === undefined) return []
	const cause = isNextMissing ? await causeOfAbsence(files, nextFirstSeq) : undefined
	return collector.upTo(nextFirstSeq, cause)
}

/** A part of a stretch, small enough to be reversed in memory. */
interface Window {
	readonly from: number
	readonly to: number
	/**
	 * State of a collector that has handled everything before the window; undefined at the beginning of the
	 * stretch.
	 */
	readonly state: ContinuityState | undefined
}

/** Size of a window, in bytes. Most stretches are shorter. */
const REVERSED_BYTES = 256 * 1024

async function* backward<T>(
	files: ChainFiles,
	part: ListedStretch,
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const windows = await windowsOf(part, query, view)
	for (const [index, { from, to, state }] of [...windows.entries()].reverse()) {
		const collector = collectorOf(part, query, view)
		if (state !== undefined) collector.resumeAt(state)
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

/**
 * Splits a stretch into windows, from first to last. Each window ends after an entry that verifies, so that a
 * walk over one window finds the same entries as a walk over the stretch.
 */
async function windowsOf<T>(part: ListedStretch, query: ResolvedQuery, view: View<T>): Promise<Window[]> {
	const { from, to } = part.stretch
	if (to - from <= REVERSED_BYTES) return [{ from, to, state: undefined }]
	const windows: Window[] = []
	const collector = collectorOf(part, query, view)
	let begun: Pick<Window, 'from' | 'state'> = { from, state: undefined }
	for await (const entries of walkFile(part.file, from, to)) {
		for (const entry of entries) {
			collector.pass(entry)
			const end = entryEnd(entry)
			if (entry.type !== 'bad' && end - begun.from >= REVERSED_BYTES) {
				windows.push({ ...begun, to: end })
				begun = { from: end, state: collector.state() }
			}
			if (collector.isPastEnd) return end > begun.from ? [...windows, { ...begun, to: end }] : windows
		}
	}
	return [...windows, { ...begun, to }]
}

/**
 * Returns an entry whose bytes stay valid while the walk continues. Small frames are decoded immediately and
 * need no copy.
 */
function held(entry: ScanEntry): ScanEntry {
	if (entry.type !== 'frame' || entry.frame.length <= REVERSED_BYTES) return entry
	const { frame } = entry
	const start = frame.rowsEnd - frame.length
	const bytes = Buffer.from(frame.bytes.subarray(start, frame.rowsEnd))
	const moved = { rowsStart: frame.rowsStart - start, rowsEnd: frame.length }
	return { type: 'frame', frame: { ...frame, bytes, ...moved } }
}
