/**
 * Collects the open frame: the rows of its records, and their summary for the frame's header and the next
 * anchor. Does no I/O.
 */
import { RowEncoder } from '../../codec/row-encoder.ts'
import { LogAppendError } from '../../model/errors.ts'
import { isGap, isOwnKind, LOG_LEVELS, type LogRecord, levelIndex } from '../../model/record.ts'
import { type Extent, PRESENCE_GAP, PRESENCE_PLAIN } from '../format/anchor.ts'
import {
	encodeFrame,
	FLAG_ASCII,
	FLAG_CONTROL,
	FRAME_BYTES_MAX,
	FRAME_ROWS_MAX,
	frameBytesMax,
} from '../format/frame.ts'

/**
 * Number of rows and number of row bytes at which a frame is finished. Only a larger record or batch exceeds
 * these numbers.
 */
const FRAME_ROWS_TARGET = 250
const FRAME_BYTES_TARGET = 16 * 1024

export class FrameInProgress {
	readonly #rows = new RowEncoder()
	#count = 0
	#baseSeq = 0
	#baseTsMs = 0
	#flags = 0
	#isAscii = false
	readonly #levels = new Array<number>(LOG_LEVELS.length).fill(0)
	#presence = PRESENCE_PLAIN
	#minTsMs = Number.POSITIVE_INFINITY
	#maxTsMs = Number.NEGATIVE_INFINITY

	get isEmpty(): boolean {
		return this.#count === 0
	}

	/** Size of the rows, in bytes. */
	get bytes(): number {
		return this.#rows.length
	}

	/** Whether the frame has reached its target size. */
	get isFull(): boolean {
		return this.#count >= FRAME_ROWS_TARGET || this.#rows.length >= FRAME_BYTES_TARGET
	}

	/** Number of records in the frame by level, not counting gaps. Valid until {@link clear} is called. */
	get levelCounts(): readonly number[] {
		return this.#levels
	}

	get extent(): Extent {
		return { minTsMs: this.#minTsMs, maxTsMs: this.#maxTsMs, presence: this.#presence }
	}

	/**
	 * Adds a record.
	 *
	 * @throws {LogAppendError} `BATCH_TOO_LARGE` if the frame would become too large. The error is not
	 * retryable, and the record is not in the frame.
	 */
	push(record: LogRecord): void {
		if (this.#count === FRAME_ROWS_MAX) throw tooLarge(record.seq, `${FRAME_ROWS_MAX} records`)
		const isFirst = this.#count === 0
		const baseTsMs = isFirst ? record.tsMs : this.#baseTsMs
		this.#rows.encode(record, baseTsMs)
		if (this.#rows.lengthMax > FRAME_BYTES_MAX - 64) throw tooLarge(record.seq, `${FRAME_BYTES_MAX} bytes`)
		if (isFirst) {
			this.#baseSeq = record.seq
			this.#baseTsMs = baseTsMs
		}
		this.#count++
		this.#addUp(record)
	}

	/** Finishes the rows. Returns the maximum size of the encoded frame, in bytes. */
	finish(): number {
		this.#isAscii = this.#rows.finish()
		return frameBytesMax(this.#rows.length)
	}

	/**
	 * Writes the finished frame to `target`, starting at `pos`. Returns the length of the frame.
	 *
	 * @param offset the offset of the frame in its file.
	 */
	encode(target: Buffer, pos: number, epoch: number, offset: number, idChecksum: number): number {
		const header = {
			flags: this.#flags | (this.#isAscii ? FLAG_ASCII : 0),
			epoch,
			baseSeq: this.#baseSeq,
			baseTsMs: this.#baseTsMs,
			rows: this.#count,
		}
		return encodeFrame(target, pos, header, this.#rows, offset, idChecksum)
	}

	/** Removes all rows. */
	clear(): void {
		this.#rows.reset()
		this.#count = 0
		this.#flags = 0
		this.#presence = PRESENCE_PLAIN
		this.#levels.fill(0)
		this.#minTsMs = Number.POSITIVE_INFINITY
		this.#maxTsMs = Number.NEGATIVE_INFINITY
	}

	#addUp(record: LogRecord): void {
		const level = levelIndex(record.level)
		this.#flags |= 1 << level
		if (isOwnKind(record.kind)) {
			this.#flags |= FLAG_CONTROL
			this.#presence &= ~PRESENCE_PLAIN
			if (isGap(record)) {
				this.#presence |= PRESENCE_GAP
				return
			}
		}
		this.#presence |= 1 << level
		this.#levels[level]! += 1
		if (record.tsMs < this.#minTsMs) this.#minTsMs = record.tsMs
		if (record.tsMs > this.#maxTsMs) this.#maxTsMs = record.tsMs
	}
}

function tooLarge(seq: number, bound: string): LogAppendError {
	return new LogAppendError(`a frame can contain at most ${bound}`, {
		code: 'BATCH_TOO_LARGE',
		retryable: false,
		seq,
	})
}
