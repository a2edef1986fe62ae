/**
 * Divides the rows of a block into batches that are decoded on demand. This limits the memory used for a
 * block, regardless of the contents of its rows.
 *
 * Invariant: batches exist only for a block in which every row is a record. Because this is checked first, a
 * large block is decoded twice, one batch at a time.
 */
import { isGap, type LogRecord } from '../model/record.ts'
import type { RowBlock } from './row-block.ts'
import { decodeRows } from './row-decoder.ts'
import { valueEnd } from './structure.ts'

/**
 * Size in bytes at which a batch is complete. The row that reaches this size is the last row of the batch.
 * Most frames form a single batch, because writers create frames of 16 KiB where possible.
 */
const BATCH_BYTES_TARGET = 256 * 1024

/** Batches in order. Each call to `at` may decode the rows again. */
export interface RowBatches {
	readonly length: number
	at(index: number): LogRecord[] | undefined
}

/**
 * Returns the rows of a block that are at or above a level, in batches.
 *
 * @throws {RangeError} The same errors as {@link decodeRows}.
 */
export function rowBatches(block: RowBlock, levelIndexMin = 0): RowBatches {
	if (block.rows === 1 || block.end - block.start <= BATCH_BYTES_TARGET)
		return [decodeRows(block, levelIndexMin)]
	const parts = cut(block)
	for (const [index, part] of parts.entries()) {
		const [first] = decodeRows(part, levelIndexMin)
		if (index > 0 && first !== undefined && isGap(first))
			throw new RangeError('found a $gap that is not at the start of its frame')
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
		// The last part includes any bytes after the last row, so that decoding this part detects them.
		const partEnd = rows === block.rows ? end : pos
		parts.push({ ...block, start, end: partEnd, rows: rows - before, baseSeq: baseSeq + before })
		start = pos
		before = rows
	}
	return parts
}
