/** What one file of a chain has that answers a query, with a gap wherever some of it is missing. */
import { matches } from '../../filter.ts'
import { unsyncedFrom } from '../files/watermark-file.ts'
import type { WalkedFile } from '../scan/continuity.ts'
import { type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { causeOfAbsence, headGap, removedGap } from './head-gap.ts'
import type { ResolvedQuery, View } from './query.ts'
import { findStretches, type Stretch, wholeFile } from './seek.ts'

/** What a walk must know of a file; the watermark is looked at when something cannot be read. */
export function walkedFile({ system, chainPath, identity }: OpenFile): WalkedFile {
	const { firstSeq } = identity
	return { firstSeq, isUnsynced: (offset) => offset >= unsyncedFrom(system, chainPath, identity) }
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
			const found = forward(files, { file, listed, stretch }, query, view)
			if (query.reverse) yield* backward(found)
			else yield* found
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
	{ file, listed, stretch }: ListedStretch,
	query: ResolvedQuery,
	view: View<T>,
): AsyncGenerator<T[]> {
	const { nextFirstSeq, isNextMissing } = listed
	const isFollowed = nextFirstSeq !== undefined
	const collector = view.collector(query, stretch.anchor, { ...walkedFile(file), isFollowed })
	for await (const entries of walkFile(file, stretch.from, stretch.to)) {
		for (const entry of entries) {
			const batch = collector.take(entry)
			if (batch.length > 0) yield batch as T[]
			if (collector.isPastEnd) return
		}
	}
	if (!stretch.isTail || nextFirstSeq === undefined) return
	const cause = isNextMissing ? await causeOfAbsence(files, nextFirstSeq) : undefined
	const missing = collector.upTo(nextFirstSeq, cause)
	if (missing.length > 0) yield missing as T[]
}

async function* backward<T>(batches: AsyncIterable<T[]>): AsyncGenerator<T[]> {
	const found: T[] = []
	for await (const batch of batches) for (const each of batch) found.push(each)
	if (found.length > 0) yield found.reverse()
}
