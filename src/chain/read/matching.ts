/** What one file of a chain has that answers a query, with a gap wherever some of it is missing. */
import { matches } from '../../filter.ts'
import { unsyncedFrom } from '../files/watermark-file.ts'
import type { WalkedFile } from '../scan/continuity.ts'
import { type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { headGap, removedGap } from './head-gap.ts'
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
		if (query.isEverything && !query.reverse) {
			yield* forward(file, wholeFile(end), query, view, listed.nextFirstSeq)
			return
		}
		for await (const stretch of findStretches(file, end, query)) {
			const found = forward(file, stretch, query, view, listed.nextFirstSeq)
			if (query.reverse) yield* backward(found)
			else yield* found
		}
	} finally {
		await files.close(file)
	}
}

async function* forward<T>(
	file: OpenFile,
	stretch: Stretch,
	query: ResolvedQuery,
	view: View<T>,
	nextFirstSeq: number | undefined,
): AsyncGenerator<T[]> {
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
	const missing = collector.upTo(nextFirstSeq)
	if (missing.length > 0) yield missing as T[]
}

async function* backward<T>(batches: AsyncIterable<T[]>): AsyncGenerator<T[]> {
	const found: T[] = []
	for await (const batch of batches) for (const each of batch) found.push(each)
	if (found.length > 0) yield found.reverse()
}
