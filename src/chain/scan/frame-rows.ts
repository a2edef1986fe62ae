/** Reads the rows of a frame on demand: its records, the seqs that it covers, and its sums. */
import { type RowBatches, rowBatches } from '../../codec/row-batches.ts'
import { GAP_KIND, type GapData, isGap, LOG_LEVELS, type LogRecord, levelIndex } from '../../model/record.ts'
import { EMPTY_EXTENT, type Extent, extentOf, joinExtents } from '../format/anchor.ts'
import { FLAG_ASCII, FLAG_CONTROL, type Frame } from '../format/frame.ts'

/** Returns the rows of a frame as a block for decoding. */
export function rowBlockOf(frame: Frame) {
	return {
		bytes: frame.bytes,
		start: frame.rowsStart,
		end: frame.rowsEnd,
		rows: frame.rows,
		epoch: frame.epoch,
		baseSeq: frame.baseSeq,
		baseTsMs: frame.baseTsMs,
		flags: frame.flags,
		ascii: (frame.flags & FLAG_ASCII) !== 0,
	}
}

/**
 * Returns the rows of a frame in batches, optionally only the rows at or above a level. Returns undefined if
 * any row is not a record. The rows of a large frame are decoded on demand, from the frame's bytes.
 */
export function rowBatchesOf(frame: Frame, levelIndexMin = 0): RowBatches | undefined {
	try {
		return rowBatches(rowBlockOf(frame), levelIndexMin)
	} catch {
		return undefined
	}
}

/** Returns the rows of a frame one by one, or undefined if any row is not a record. */
export function rowsOf(frame: Frame): Iterable<LogRecord> | undefined {
	const batches = rowBatchesOf(frame)
	if (batches === undefined) return undefined
	return batches.length === 1 ? batches.at(0)! : inBatches(batches)
}

function* inBatches(batches: RowBatches): Generator<LogRecord> {
	for (let index = 0; index < batches.length; index++) yield* batches.at(index)!
}

/**
 * Returns the first seq that a frame covers. A `$gap` at the start of the frame also covers the missing seqs
 * before the base seq.
 */
export function firstCovered(frame: Frame): number {
	if ((frame.flags & FLAG_CONTROL) === 0) return frame.baseSeq
	const first = rowBatchesOf(frame)?.at(0)?.[0]
	if (first === undefined || first.kind !== GAP_KIND || first.origin !== undefined) return frame.baseSeq
	return (first.data as GapData).fromSeq
}

/**
 * Returns how much the rows of a frame add to the sums in an anchor. If any row is not a record, the frame
 * adds nothing.
 */
export function frameSums(frame: Frame): { readonly levelCounts: number[]; readonly extent: Extent } {
	const levelCounts = LOG_LEVELS.map(() => 0)
	let extent = EMPTY_EXTENT
	const batches = rowBatchesOf(frame) ?? []
	for (let index = 0; index < batches.length; index++) {
		for (const record of batches.at(index)!) {
			extent = joinExtents(extent, extentOf(record))
			if (!isGap(record)) levelCounts[levelIndex(record.level)]! += 1
		}
	}
	return { levelCounts, extent }
}
