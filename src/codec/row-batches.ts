/**
 * The rows of a block in batches that are decoded when they are asked for: what a block takes in memory is bounded, whatever its rows hold.
 *
 * Invariant: a batch is given only of a block in which every row is a record; a large one is decoded twice for that, a batch at a time.
 */
import { isGap, type LogRecord } from '../model/record.ts'
import type { RowBlock } from './row-block.ts'
import { decodeRows } from './row-decoder.ts'
import { valueEnd } from './structure.ts'

/** A batch is closed when its rows hold this much; a larger single row is one batch. Writers make frames of 16 KiB where they can. */
const BATCH_BYTES_TARGET = 256 * 1024

/** Batches in order; each call of `at` may decode anew. */
export interface RowBatches {
	readonly length: number
	at(index: number): LogRecord[] | undefined
}

/**
 * The rows of a block at or above a level.
 *
 * @throws {RangeError} as {@link decodeRows}
 */
export function rowBatches(block: RowBlock, levelIndexMin = 0): RowBatches {
	if (block.rows === 1 || block.end - block.start <= BATCH_BYTES_TARGET)
		return [decodeRows(block, levelIndexMin)]
	const parts = cut(block)
	for (const [index, part] of parts.entries()) {
		const [first] = decodeRows(part, levelIndexMin)
		if (index > 0 && first !== undefined && isGap(first)) throw new RangeError('a $gap that opens no frame')
	}
	return {
		length: parts.length,
		at: (index) => (parts[index] === undefined ? undefined : decodeRows(parts[index], levelIndexMin)),
	}
}

function cut(block: RowBlock): RowBlock[] {
	const { bytes, end, baseSeq } = block
	const parts: RowBlock[] = []
	let { start } = block
	let [pos, before] = [start, 0]
	for (let rows = 1; rows <= block.rows; rows++) {
		pos = valueEnd(bytes, pos, end)
		if (pos < 0) throw new RangeError(`expected ${block.rows} rows, found ${rows - 1}`)
		if (pos - start < BATCH_BYTES_TARGET && rows < block.rows) continue
		// What follows the last row is that part's to complain of.
		const partEnd = rows === block.rows ? end : pos
		parts.push({ ...block, start, end: partEnd, rows: rows - before, baseSeq: baseSeq + before })
		start = pos
		before = rows
	}
	return parts
}
