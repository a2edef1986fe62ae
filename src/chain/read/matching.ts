/** The records of one file of a chain that answer a query, with a gap wherever some are missing. */
import { matches } from '../../filter.ts'
import type { LogRecord } from '../../record.ts'
import { unsyncedFrom } from '../files/watermark-file.ts'
import type { WalkedFile } from '../scan/continuity.ts'
import { type OpenFile, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { headGap, removedGap } from './head-gap.ts'
import { Collector, type ResolvedQuery } from './query.ts'
import { findStretches, type Stretch, wholeFile } from './seek.ts'

/** What a walk must know of a file; the watermark is looked at when something cannot be read. */
export function walkedFile({ system, chainPath, identity }: OpenFile): WalkedFile {
	const { firstSeq } = identity
	return { firstSeq, isUnsynced: (offset) => offset >= unsyncedFrom(system, chainPath, identity) }
}

/** The gap before the first of the files. */
export async function* missingHead(
	files: ChainFiles,
	listed: readonly ChainFile[],
	query: ResolvedQuery,
): AsyncGenerator<LogRecord[]> {
	const gap = await headGap(files, listed)
	if (gap !== undefined && matches(gap, query)) yield [gap]
}

/** The matching records of one file, in the order that the query asks for. */
export async function* matchingIn(
	files: ChainFiles,
	listed: ChainFile,
	query: ResolvedQuery,
): AsyncGenerator<LogRecord[]> {
	const file = await files.open(listed)
	if (file === undefined) {
		const gap = await removedGap(files, listed)
		if (gap !== undefined && matches(gap, query)) yield [gap]
		return
	}
	try {
		const { size } = await file.system.fstat(file.fd)
		const end = Math.min(size, listed.end ?? size)
		if (query.isEverything && !query.reverse) {
			yield* forward(file, wholeFile(end), query, listed.nextFirstSeq)
			return
		}
		for await (const stretch of findStretches(file, end, query)) {
			const found = forward(file, stretch, query, listed.nextFirstSeq)
			if (query.reverse) yield* backward(found)
			else yield* found
		}
	} finally {
		await files.close(file)
	}
}

async function* forward(
	file: OpenFile,
	stretch: Stretch,
	query: ResolvedQuery,
	nextFirstSeq: number | undefined,
): AsyncGenerator<LogRecord[]> {
	const isFollowed = nextFirstSeq !== undefined
	const collector = new Collector(query, stretch.anchor, { ...walkedFile(file), isFollowed })
	for await (const entries of walkFile(file, stretch.from, stretch.to)) {
		for (const entry of entries) {
			const batch = collector.take(entry)
			if (batch.length > 0) yield batch as LogRecord[]
			if (collector.isPastEnd) return
		}
	}
	if (!stretch.isTail || nextFirstSeq === undefined) return
	const missing = collector.upTo(nextFirstSeq)
	if (missing.length > 0) yield missing as LogRecord[]
}

async function* backward(batches: AsyncIterable<LogRecord[]>): AsyncGenerator<LogRecord[]> {
	const found: LogRecord[] = []
	for await (const batch of batches) for (const record of batch) found.push(record)
	if (found.length > 0) yield found.reverse()
}
