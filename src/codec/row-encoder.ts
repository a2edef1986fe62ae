/**
 * Encodes records as MessagePack rows, one after another, in one growing buffer:
 *
 * [dTs, level, kind | nil, message | nil, daemonId, nodeId, origin, data]
 *
 * `dTs` is the record's time relative to a base time that the caller passes. A nil `kind` means `'log'`, and
 * a nil `message` means that the message equals the kind. Trailing nils are omitted, except that the row of a
 * record with `data` always has eight columns. `seq` and `epoch` are not in the row, because readers derive
 * them from the frame. `data-encoder.ts` encodes `data`.
 */
import { LogAppendError } from '../model/errors.ts'
import { PACKED_DATA_BYTES_MAX, SEQ_MAX } from '../model/limits.ts'
import {
	isRecordTime,
	type LogRecord,
	levelIndex,
	type PublisherId,
	type RecordOrigin,
} from '../model/record.ts'
import { ByteWriter } from './byte-writer.ts'
import { encodeData } from './data-encoder.ts'
import { DEFAULT_KIND, rowColumns } from './row-columns.ts'
import { RowRope } from './row-rope.ts'

const FIXED_PART_BYTES_MAX = 64
const BYTES_PER_UNIT_MAX = 3

export class RowEncoder {
	readonly #writer = new ByteWriter()
	#ascii = true
	/** Rows that follow the rows in the writer. Their times are relative to {@link #ropeTsMs}. */
	readonly #rope = new RowRope()
	#ropeTsMs = 0

	/** Number of bytes since the last {@link reset}. It is a lower bound until {@link finish} is called. */
	get length(): number {
		return this.#writer.pos + this.#rope.length
	}

	/** Upper bound on the {@link length} after {@link finish}. */
	get lengthMax(): number {
		return this.#writer.pos + this.#rope.length * BYTES_PER_UNIT_MAX
	}

	/** Makes {@link length} exact. Returns whether every string outside `data` is ASCII. */
	finish(): boolean {
		if (this.#rope.length > 0 && (this.#writer.pos > 0 || !this.#rope.isAscii())) this.#writeRope()
		return this.#ascii
	}

	/** Writes all rows since the last {@link reset} to `target[pos…]`. Call {@link finish} first. */
	copyTo(target: Buffer, pos: number): void {
		if (this.#writer.pos > 0) this.#writer.bytes.copy(target, pos, 0, this.#writer.pos)
		else this.#rope.copyTo(target, pos)
	}

	reset(): void {
		this.#writer.pos = 0
		this.#ascii = true
		this.#rope.clear()
	}

	/**
	 * Appends the row of one record. Returns false and appends nothing if {@link lengthMax} would exceed
	 * `bytesMax`. Throws and appends nothing if the data cannot be packed, or if no reader would accept the
	 * record.
	 *
	 * @throws {LogAppendError} A non-retryable error, with the code `CHAIN_EXHAUSTED` for a seq above
	 * `SEQ_MAX`.
	 */
	encode(record: LogRecord, baseTsMs: number, bytesMax = Number.POSITIVE_INFINITY): boolean {
		if (!(record.seq <= SEQ_MAX && isRecordTime(record.tsMs))) throw noRecord(record)
		this.#ropeTsMs = baseTsMs
		if (this.#rope.add(record, record.tsMs - baseTsMs)) {
			if (this.lengthMax <= bytesMax) return true
			this.#removeLastFromRope()
			return false
		}
		this.#writeRope()
		const start = this.#writer.pos
		const ascii = this.#ascii
		try {
			this.#encodeRow(record, baseTsMs)
		} catch (thrown) {
			this.#writer.pos = start
			this.#ascii = ascii
			if (thrown instanceof LogAppendError) throw thrown
			const reason = `the record cannot be written as MessagePack (${String(thrown)})`
			throw new LogAppendError(reason, { retryable: false, seq: record.seq, cause: thrown })
		}
		if (this.#writer.pos <= bytesMax) return true
		this.#writer.pos = start
		this.#ascii = ascii
		return false
	}

	/** Builds the rope again without its last row. This is rare, so {@link encode} keeps nothing for it. */
	#removeLastFromRope(): void {
		const kept = this.#rope.records.slice(0, this.#rope.count - 1)
		this.#rope.clear()
		for (const record of kept) this.#rope.add(record, record.tsMs - this.#ropeTsMs)
	}

	#writeRope(): void {
		const rope = this.#rope
		if (rope.length === 0) return
		this.#writer.reserve(rope.length)
		if (rope.isAscii()) {
			rope.copyTo(this.#writer.bytes, this.#writer.pos)
			this.#writer.pos += rope.length
		} else
			for (let index = 0; index < rope.count; index++) this.#encodeRow(rope.records[index]!, this.#ropeTsMs)
		rope.clear()
	}

	#encodeRow(record: LogRecord, baseTsMs: number): void {
		const { kind, message, daemonId, nodeId, origin, data } = record
		const level = levelIndex(record.level)
		if (level < 0)
			throw new LogAppendError(`no such level: ${record.level}`, { retryable: false, seq: record.seq })
		const columns = rowColumns(record)
		const writer = this.#writer
		writer.reserve(FIXED_PART_BYTES_MAX)
		writer.byte(0x90 | columns)
		this.#number(record.tsMs - baseTsMs)
		writer.byte(level)
		if (columns > 2) this.#text(kind === DEFAULT_KIND ? undefined : kind)
		if (columns > 3) this.#text(message === kind ? undefined : message)
		if (columns > 4) this.#id(daemonId)
		if (columns > 5) this.#id(nodeId)
		if (columns > 6) this.#origin(origin)
		if (columns > 7) this.#data(data, record.seq)
	}

	#text(text: string | undefined): void {
		if (text === undefined) this.#nil()
		else if (!this.#writer.text(text)) this.#ascii = false
	}

	#nil(): void {
		this.#writer.reserve(1)
		this.#writer.byte(0xc0)
	}

	#id(id: PublisherId | null): void {
		if (typeof id === 'string') this.#text(id)
		else if (typeof id === 'number') this.#number(id)
		// Always 64 bits wide, so that readers can distinguish a bigint from a number.
		else if (typeof id === 'bigint') this.#writer.bigint64(id)
		else this.#nil()
	}

	/** Writes a number. -0 becomes a float64, which preserves its sign in an id. */
	#number(value: number): void {
		if (Object.is(value, -0)) this.#writer.float(value)
		else this.#writer.number(value)
	}

	#origin(origin: RecordOrigin | undefined): void {
		if (origin === undefined) {
			this.#nil()
			return
		}
		this.#writer.arrayHeader(3)
		this.#text(origin.chainId)
		this.#number(origin.epoch)
		this.#number(origin.seq)
	}

	#data(data: unknown, seq: number): void {
		const writer = this.#writer
		const start = writer.pos
		encodeData(writer, data)
		const length = writer.pos - start
		if (length > PACKED_DATA_BYTES_MAX) {
			throw new LogAppendError(`data of ${length} bytes does not fit in a frame`, {
				retryable: false,
				seq,
			})
		}
	}
}

/**
 * Creates the error for a record that no reader accepts because its seq is above the maximum or its time is
 * invalid.
 */
function noRecord({ seq, tsMs }: LogRecord): LogAppendError {
	if (!(seq <= SEQ_MAX)) {
		const text = `seq ${seq} is above ${SEQ_MAX}, the highest seq of a chain; start a new chain`
		return new LogAppendError(text, { code: 'CHAIN_EXHAUSTED', retryable: false, seq })
	}
	return new LogAppendError(`${tsMs} is not a valid record time`, { retryable: false, seq })
}
