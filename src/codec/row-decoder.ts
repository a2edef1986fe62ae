/**
 * Decodes MessagePack rows into records. It is the inverse of `row-encoder.ts`, which describes the layout.
 * Never accepts a row that extends beyond the end of its block.
 *
 * Invariant: a loop could have created every decoded record (docs/FORMAT.md, "What a reader treats as
 * damage"). A single invalid row makes the entire block malformed. Errors inside rows that a caller skips by
 * level are not detected.
 */
import { LOG_LEVELS, type LogRecord } from '../model/record.ts'
import type { RowBlock } from './row-block.ts'
import { RowReader, type SumsUnderWay } from './row-reader.ts'

/**
 * Decodes the rows of a block that are at or above a level, in order. With a level filter, the block must not
 * contain a `$gap`.
 *
 * @throws {RangeError} If the bytes are not rows. If the frame has a valid checksum, another program must
 * have written the frame.
 */
export function decodeRows(block: RowBlock, levelIndexMin = 0): LogRecord[] {
	try {
		reader.open(block, levelIndexMin)
		const records: LogRecord[] = []
		for (let index = 0; index < block.rows; index++) {
			const record = reader.plainRow(index) ?? reader.row(index)
			if (record !== undefined) records.push(record)
		}
		reader.expectEnd()
		return records
	} finally {
		reader.close()
	}
}

/** Record counts by level, and the earliest and latest time, of the rows in a block. */
export interface RowSums {
	readonly levels: number[]
	readonly minTsMs: number
	readonly maxTsMs: number
}

/**
 * Computes the sums of rows without decoding records. No row may be a `$gap`.
 *
 * @throws {RangeError} If a row has an invalid structure, level or time. Other errors inside rows are not
 * detected.
 */
export function sumRows(block: RowBlock): RowSums {
	const sums: SumsUnderWay = {
		levels: LOG_LEVELS.map(() => 0),
		minTsMs: Number.POSITIVE_INFINITY,
		maxTsMs: Number.NEGATIVE_INFINITY,
	}
	try {
		reader.open(block, 0, '')
		for (let row = 0; row < block.rows; ) {
			row += reader.sumPlainRows(block.rows - row, sums)
			if (row++ < block.rows) reader.sumRow(sums)
		}
		reader.expectEnd()
		return sums
	} finally {
		reader.close()
	}
}

/**
 * The only reader. It can be shared, because it reads one block at a time, and nothing that it calls reads
 * another block. It is never released, because V8 discards the compiled code of a class if a garbage
 * collection finds no instance. A frame may contain only a single row, so recompiling would be expensive.
 */
const reader = new RowReader()
