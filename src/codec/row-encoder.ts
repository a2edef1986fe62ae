/**
 * Encodes records as MessagePack rows, one after another, in one growing buffer:
 *
 * [dTs, level, kind | nil, message | nil, daemonId, nodeId, origin, data]
 *
 * `dTs` is relative to a base that the caller passes. A nil `kind` means `'log'`, and a nil `message` means
 * that the message equals the kind. Trailing nils are omitted, but a row of eight columns always has `data`,
 * even if `data` is nil. `seq` and `epoch` are not in the row, because readers derive them from the frame.
 * This file encodes the fixed part itself, and msgpackr encodes `data`.
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
import { packInPlace } from './data-packer.ts'
import { DEFAULT_KIND, rowColumns } from './row-columns.ts'
import { RowRope } from './row-rope.ts'

const FIXED_PART_BYTES_MAX = 64
const BYTES_PER_UNIT_MAX = 3
/** Length below which a loop over the characters is faster than a native call. */
const LOOP_LENGTH_MAX = 16

export class RowEncoder {
	#bytes = Buffer.allocUnsafeSlow(64 * 1024)
	#pos = 0
	#ascii = true
	/** Rows that follow the rows in {@link #bytes}. Their times are relative to {@link #ropeTsMs}. */
	readonly #rope = new RowRope()
	#ropeTsMs = 0

	/** Number of bytes since the last {@link reset}. It is a lower bound until {@link finish} is called. */
	get length(): number {
		return this.#pos + this.#rope.length
	}

	/** Upper bound on the {@link length} after {@link finish}. */
	get lengthMax(): number {
		return this.#pos + this.#rope.length * BYTES_PER_UNIT_MAX
	}

	/** Makes {@link length} exact. Returns whether every string in the fixed parts of all rows is ASCII. */
	finish(): boolean {
		if (this.#rope.length > 0 && (this.#pos > 0 || !this.#rope.isAscii())) this.#writeRope()
		return this.#ascii
	}

	/** Writes all rows since the last {@link reset} to `target[pos…]`. Call {@link finish} first. */
	copyTo(target: Buffer, pos: number): void {
		if (this.#pos > 0) this.#bytes.copy(target, pos, 0, this.#pos)
		else this.#rope.copyTo(target, pos)
	}

	reset(): void {
		this.#pos = 0
		this.#ascii = true
		this.#rope.clear()
	}

	/**
	 * Appends the row of one record. Throws and appends nothing if the data cannot be packed, or if no reader
	 * would accept the record.
	 *
	 * @throws {LogAppendError} A non-retryable error, with the code `CHAIN_EXHAUSTED` for a seq above
	 * `SEQ_MAX`.
	 */
	encode(record: LogRecord, baseTsMs: number): void {
		if (!(record.seq <= SEQ_MAX && isRecordTime(record.tsMs))) throw noRecord(record)
		this.#ropeTsMs = baseTsMs
		if (this.#rope.add(record, record.tsMs - baseTsMs)) return
		this.#writeRope()
		const start = this.#pos
		const ascii = this.#ascii
		try {
			this.#encodeRow(record, baseTsMs)
		} catch (thrown) {
			this.#pos = start
			this.#ascii = ascii
			if (thrown instanceof LogAppendError) throw thrown
			const reason = `the record cannot be written as MessagePack (${String(thrown)})`
			throw new LogAppendError(reason, { retryable: false, seq: record.seq, cause: thrown })
		}
	}

	#writeRope(): void {
		const rope = this.#rope
		if (rope.length === 0) return
		this.#reserve(rope.length)
		if (rope.isAscii()) {
			rope.copyTo(this.#bytes, this.#pos)
			this.#pos += rope.length
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
		this.#reserve(FIXED_PART_BYTES_MAX)
		this.#bytes[this.#pos++] = 0x90 | columns
		this.#number(record.tsMs - baseTsMs)
		this.#bytes[this.#pos++] = level
		if (columns > 2) this.#text(kind === DEFAULT_KIND ? undefined : kind)
		if (columns > 3) this.#text(message === kind ? undefined : message)
		if (columns > 4) this.#id(daemonId)
		if (columns > 5) this.#id(nodeId)
		if (columns > 6) this.#origin(origin)
		if (columns > 7) this.#data(data, record.seq)
	}

	#text(text: string | undefined): void {
		if (text === undefined) {
			this.#reserve(1)
			this.#bytes[this.#pos++] = 0xc0
			return
		}
		this.#reserve(5 + text.length * BYTES_PER_UNIT_MAX)
		const written = text.length < LOOP_LENGTH_MAX ? this.#shortAscii(text) : this.#longAscii(text)
		if (written) return
		this.#ascii = false
		this.#textHeader(Buffer.byteLength(text))
		this.#pos += this.#bytes.write(text, this.#pos, 'utf8')
	}

	/**
	 * Writes a short string character by character. Returns false and writes nothing if a character is not
	 * ASCII.
	 */
	#shortAscii(text: string): boolean {
		const { length } = text
		const start = this.#pos
		this.#textHeader(length)
		const bytes = this.#bytes
		let pos = this.#pos
		for (let index = 0; index < length; index++) {
			const unit = text.charCodeAt(index)
			if (unit > 0x7f) {
				this.#pos = start
				return false
			}
			bytes[pos++] = unit
		}
		this.#pos = pos
		return true
	}

	/**
	 * Writes a string as if it were ASCII. Returns false and writes nothing if the string has more bytes than
	 * characters.
	 */
	#longAscii(text: string): boolean {
		const start = this.#pos
		this.#textHeader(text.length)
		const written = this.#bytes.write(text, this.#pos, 'utf8')
		this.#pos = written === text.length ? this.#pos + written : start
		return written === text.length
	}

	#textHeader(byteLength: number): void {
		if (byteLength < 32) this.#bytes[this.#pos++] = 0xa0 | byteLength
		else if (byteLength < 0x100) this.#lead(0xd9, byteLength, 1)
		else if (byteLength < 0x10000) this.#lead(0xda, byteLength, 2)
		else this.#lead(0xdb, byteLength, 4)
	}

	#lead(lead: number, value: number, width: 1 | 2 | 4): void {
		this.#bytes[this.#pos] = lead
		this.#pos = this.#bytes.writeUIntBE(value, this.#pos + 1, width)
	}

	#id(id: PublisherId | null): void {
		if (typeof id === 'string') this.#text(id)
		else {
			this.#reserve(9)
			if (typeof id === 'number') this.#number(id)
			else if (typeof id === 'bigint') this.#bigint(id)
			else this.#bytes[this.#pos++] = 0xc0
		}
	}

	/**
	 * Writes an integer of at most 32 bits as an integer, and any other number as a float64, which every
	 * language reads as a number.
	 */
	#number(value: number): void {
		if (value >= 0 && value < 0x80 && value === (value | 0) && !Object.is(value, -0)) {
			this.#bytes[this.#pos++] = value
		} else if (value < 0 && value >= -32 && value === (value | 0)) {
			this.#bytes[this.#pos++] = value & 0xff
		} else if (value > 0 && value <= 0xffff_ffff && value === value >>> 0) {
			if (value < 0x100) this.#lead(0xcc, value, 1)
			else if (value < 0x10000) this.#lead(0xcd, value, 2)
			else this.#lead(0xce, value, 4)
		} else if (value < 0 && value === (value | 0)) {
			const width = value >= -0x80 ? 1 : value >= -0x8000 ? 2 : 4
			this.#bytes[this.#pos] = width === 1 ? 0xd0 : width === 2 ? 0xd1 : 0xd2
			this.#pos = this.#bytes.writeIntBE(value, this.#pos + 1, width)
		} else {
			this.#bytes[this.#pos] = 0xcb
			this.#pos = this.#bytes.writeDoubleBE(value, this.#pos + 1)
		}
	}

	/** Writes a bigint, always with 64 bits, so that readers can distinguish it from a number. */
	#bigint(value: bigint): void {
		this.#bytes[this.#pos] = value < 0n ? 0xd3 : 0xcf
		this.#pos =
			value < 0n
				? this.#bytes.writeBigInt64BE(value, this.#pos + 1)
				: this.#bytes.writeBigUInt64BE(value, this.#pos + 1)
	}

	#origin(origin: RecordOrigin | undefined): void {
		this.#reserve(FIXED_PART_BYTES_MAX)
		if (origin === undefined) {
			this.#bytes[this.#pos++] = 0xc0
			return
		}
		this.#bytes[this.#pos++] = 0x93
		this.#text(origin.chainId)
		this.#reserve(18)
		this.#number(origin.epoch)
		this.#number(origin.seq)
	}

	#data(data: unknown, seq: number): void {
		const packed = packInPlace(data)
		const { start, end } = packed
		if (end - start > PACKED_DATA_BYTES_MAX) {
			throw new LogAppendError(`data of ${end - start} bytes does not fit in a frame`, {
				retryable: false,
				seq,
			})
		}
		this.#reserve(end - start)
		this.#pos += packed.copy(this.#bytes, this.#pos, start, end)
	}

	#reserve(bytes: number): void {
		if (this.#pos + bytes <= this.#bytes.length) return
		const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#pos + bytes))
		this.#bytes.copy(grown, 0, 0, this.#pos)
		this.#bytes = grown
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
