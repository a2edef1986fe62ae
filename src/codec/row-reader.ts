/**
 * Reads the rows of one block, for `row-decoder.ts`. A plain row is decoded in one method, and any other row
 * column by column.
 */
import {
	GAP_KIND,
	isEpoch,
	isOwnKind,
	isRecordTime,
	isSeq,
	isWholeGap,
	LOG_LEVELS,
	type LogRecord,
	type PublisherId,
	type RecordOrigin,
} from '../model/record.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { DataReader } from './data-reader.ts'
import { NO_BLOCK, type RowBlock } from './row-block.ts'
import { DEFAULT_KIND, ROW_COLUMNS_MAX, ROW_COLUMNS_MIN } from './row-columns.ts'
import { valueEnd } from './structure.ts'
import { isAsciiIn, utf8Text } from './text-bytes.ts'

/** The flag of a block with kinds that start with `$`. The lower bits represent levels. */
const OWN_KINDS = 1 << LOG_LEVELS.length
/** The character code of `$`. */
const DOLLAR = 0x24
/** Maximum number of rows in a block that is flagged as ASCII but whose strings are checked one by one. */
const ROWS_CHECKED_MAX = 4
/** Used instead of a message's lead byte if the row ends before the message. */
const NO_MESSAGE = -1
/** Maximum time delta of a plain row, in milliseconds. */
const PLAIN_DELTA_MAX = 0x7f

/** Sums over the rows that were read so far. */
export interface SumsUnderWay {
	readonly levels: number[]
	minTsMs: number
	maxTsMs: number
}

export class RowReader {
	readonly #data = new DataReader()
	#block = NO_BLOCK
	#bytes = NO_BLOCK.bytes
	/** The bytes of the block, with one character per byte. */
	#text = ''
	#levelIndexMin = 0
	/** Whether every time that a plain row can have is valid. {@link plainRow} requires this. */
	#takesPlain = false
	#pos = 0
	/** Flags that the rows decoded so far require. */
	#flags = 0
	/**
	 * Whether the strings of plain rows are checked for ASCII one by one. In a large block that is flagged as
	 * ASCII, it is faster to compare the number of bytes above 0x7f with {@link #highBytes} at the end.
	 */
	#checksStrings = false
	/**
	 * Number of bytes above 0x7f in the headers of plain rows and anywhere in other rows. All further such
	 * bytes are in strings of plain rows.
	 */
	#highBytes = 0
	/** Start of the rows after the last plain row without data; -1 if there are none. */
	#otherStart = -1

	/**
	 * Starts at the first row of a block.
	 *
	 * @param text The bytes of the block, with one character per byte. It may be empty if no string is decoded.
	 * @throws {RangeError} If the base time is invalid.
	 */
	open(
		block: RowBlock,
		levelIndexMin: number,
		text = block.bytes.toString('latin1', block.start, block.end),
	): void {
		this.#block = block
		this.#levelIndexMin = levelIndexMin
		this.#bytes = block.bytes
		this.#pos = block.start
		this.#flags = 0
		this.#highBytes = 0
		this.#otherStart = -1
		this.#text = text
		this.#checksStrings = !block.ascii || block.rows <= ROWS_CHECKED_MAX
		this.#data.open(block.bytes, this.#text, block.start)
		if (!isRecordTime(block.baseTsMs)) throw this.#malformed('a base time')
		this.#takesPlain = block.baseTsMs <= TIME_MAX_MS - PLAIN_DELTA_MAX
	}

	/** Releases the block. */
	close(): void {
		this.#block = NO_BLOCK
		this.#bytes = NO_BLOCK.bytes
		this.#text = ''
		this.#data.close()
	}

	/**
	 * Decodes the next row if it is plain and not below the level. Returns undefined for any other row, without
	 * side effects. Nearly all rows are plain: they are at most 127 ms after the base time, and have a message
	 * of less than 64 KiB or none, a short ASCII kind that does not start with `$`, ids that are short ASCII
	 * strings or nil, and no origin. For speed, the position is kept in a local variable.
	 */
	plainRow(index: number): LogRecord | undefined {
		if (!this.#takesPlain) return undefined
		const text = this.#text
		const { baseSeq, baseTsMs, epoch, start: base, end } = this.#block
		const bytes = this.#bytes
		let pos = this.#pos
		// A row that extends beyond the end of the block or buffer is detected below, because its computed end is
		// too large or invalid.
		const columns = bytes[pos]! - 0x90
		const dTs = bytes[pos + 1]!
		const levelIndex = bytes[pos + 2]!
		const kindLead = bytes[pos + 3]!
		const isPlain = columns >= 3 && columns <= ROW_COLUMNS_MAX && columns !== 7 && dTs <= PLAIN_DELTA_MAX
		if (!isPlain || levelIndex < this.#levelIndexMin || levelIndex >= LOG_LEVELS.length) return undefined
		pos += 4
		let kind = DEFAULT_KIND
		const kindStart = pos
		if (kindLead !== 0xc0) {
			if (kindLead <= 0xa0 || kindLead >= 0xc0 || bytes[pos] === DOLLAR) return undefined
			pos += kindLead - 0xa0
			kind = text.substring(kindStart - base, pos - base)
		}
		const kindEnd = pos
		const messageLead = columns > 3 ? bytes[pos++]! : NO_MESSAGE
		let length = 0
		/** Number of bytes above 0x7f in the length of the message. */
		let highInLength = 0
		if (messageLead === 0xd9) {
			length = bytes[pos++]!
			highInLength = length >> 7
		} else if (messageLead === 0xda) {
			length = bytes[pos]! * 0x100 + bytes[pos + 1]!
			highInLength = (bytes[pos]! >> 7) + (bytes[pos + 1]! >> 7)
			pos += 2
		} else if (messageLead >= 0xa0 && messageLead < 0xc0) length = messageLead - 0xa0
		else if (messageLead !== 0xc0 && messageLead !== NO_MESSAGE) return undefined
		const messageEnd = pos + length
		const daemonEnd = columns > 4 ? shortTextEnd(bytes, messageEnd) : messageEnd
		const nodeEnd = columns > 5 ? shortTextEnd(bytes, daemonEnd) : daemonEnd
		if (!(messageEnd <= daemonEnd && daemonEnd <= nodeEnd && nodeEnd <= end)) return undefined
		const daemonId =
			daemonEnd - messageEnd > 1 ? text.substring(messageEnd + 1 - base, daemonEnd - base) : null
		const nodeId = nodeEnd - daemonEnd > 1 ? text.substring(daemonEnd + 1 - base, nodeEnd - base) : null
		const hasData = columns === ROW_COLUMNS_MAX
		const checksStrings = hasData || this.#checksStrings
		let message = kind
		if (messageLead !== 0xc0 && messageLead !== NO_MESSAGE) {
			const found = checksStrings
				? utf8Text(bytes, pos, messageEnd, text, base)
				: text.substring(pos - base, messageEnd - base)
			// Only an ASCII string has as many UTF-16 code units as bytes.
			if (found === undefined || (this.#block.ascii && found.length !== length)) return undefined
			message = found
		}
		if (checksStrings) {
			const isAscii =
				isAsciiIn(bytes, kindStart, kindEnd) &&
				isAsciiIn(bytes, messageEnd + 1, daemonEnd) &&
				isAsciiIn(bytes, daemonEnd + 1, nodeEnd)
			if (!isAscii) return undefined
		}
		let data: unknown
		if (hasData) {
			data = bytes[nodeEnd] === 0xc0 ? this.#data.read(nodeEnd + 1, end) : undefined
			if (data === undefined) return undefined
			if (this.#otherStart < 0) this.#otherStart = this.#pos
			this.#pos = this.#data.end
		} else {
			if (this.#otherStart >= 0) this.#countOthers()
			this.#pos = nodeEnd
			// Counts the header of the array, one byte for each column except the first two, and the length of a
			// long message.
			this.#highBytes += columns - 1 + highInLength
		}
		this.#flags |= 1 << levelIndex
		const seq = baseSeq + index
		const tsMs = baseTsMs + dTs
		const level = LOG_LEVELS[levelIndex]!
		return hasData
			? { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false, data }
			: { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false }
	}

	/** Decodes the next row. Returns undefined if the row is below the level. */
	row(index: number): LogRecord | undefined {
		const { baseSeq, epoch } = this.#block
		if (this.#otherStart < 0) this.#otherStart = this.#pos
		const columns = this.#columns()
		const tsMs = this.#time()
		const levelIndex = this.#levelIndex()
		const level = LOG_LEVELS[levelIndex]!
		if (levelIndex < this.#levelIndexMin) {
			this.#skip(columns - ROW_COLUMNS_MIN)
			return undefined
		}
		const kind = columns > 2 ? (this.#textOrNil() ?? DEFAULT_KIND) : DEFAULT_KIND
		if (isOwnKind(kind)) this.#flags |= OWN_KINDS
		const message = columns > 3 ? (this.#textOrNil() ?? kind) : kind
		const daemonId = columns > 4 ? this.#id() : null
		const nodeId = columns > 5 ? this.#id() : null
		const origin = columns > 6 ? this.#origin() : undefined
		const seq = baseSeq + index
		const data = columns < ROW_COLUMNS_MAX ? undefined : this.#readData()
		// An impossible gap is refused, because readers rely on the data of a gap.
		if (kind === GAP_KIND && origin === undefined && (index > 0 || !isWholeGap({ seq, data }))) {
			throw this.#malformed('a $gap at the start of its frame with a valid range')
		}
		// Literals are used because V8 is much slower at adding fields to a copy of an object.
		if (columns < ROW_COLUMNS_MAX) {
			return origin === undefined
				? { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false }
				: { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false, origin }
		}
		return origin === undefined
			? { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false, data }
			: { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false, data, origin }
	}

	/**
	 * Adds at most `rowsMax` rows to the sums and skips them. Stops before the first row that is invalid, or
	 * whose time is not 0 to 127 whole milliseconds after the base time. {@link sumRow} processes such rare
	 * rows. For speed, the position is kept in a local variable.
	 *
	 * @returns The number of skipped rows.
	 */
	sumPlainRows(rowsMax: number, sums: SumsUnderWay): number {
		const bytes = this.#bytes
		const { end, baseTsMs } = this.#block
		const { levels } = sums
		let [dTsMin, dTsMax] = [0x80, -1]
		let pos = this.#pos
		let rows = 0
		for (; rows < rowsMax; rows++) {
			// A position beyond the end of the block or buffer never moves back, so {@link expectEnd} detects rows
			// that extend beyond the end.
			const columns = bytes[pos]! - 0x90
			const dTs = bytes[pos + 1]!
			const levelIndex = bytes[pos + 2]!
			const isPlain = columns >= ROW_COLUMNS_MIN && columns <= ROW_COLUMNS_MAX && dTs < 0x80
			if (!isPlain || !(levelIndex < LOG_LEVELS.length)) break
			let rowEnd = pos + 3
			for (let left = columns - ROW_COLUMNS_MIN; left > 0 && rowEnd >= 0; left--) {
				const lead = bytes[rowEnd]!
				if (lead === 0xc0) rowEnd++
				else if (lead >= 0xa0 && lead < 0xc0) rowEnd += 1 + (lead & 0x1f)
				else if (lead === 0xd9) rowEnd += 2 + bytes[rowEnd + 1]!
				else rowEnd = valueEnd(bytes, rowEnd, end)
			}
			if (!(rowEnd > pos)) break
			pos = rowEnd
			levels[levelIndex]! += 1
			if (dTs < dTsMin) dTsMin = dTs
			if (dTs > dTsMax) dTsMax = dTs
		}
		this.#pos = pos
		if (rows > 0) {
			sums.minTsMs = Math.min(sums.minTsMs, baseTsMs + dTsMin)
			sums.maxTsMs = Math.max(sums.maxTsMs, baseTsMs + dTsMax)
			if (!isRecordTime(sums.maxTsMs)) throw this.#malformed('a valid time')
		}
		return rows
	}

	sumRow(sums: SumsUnderWay): void {
		const columns = this.#columns()
		const tsMs = this.#time()
		const levelIndex = this.#levelIndex()
		sums.levels[levelIndex]! += 1
		if (tsMs < sums.minTsMs) sums.minTsMs = tsMs
		if (tsMs > sums.maxTsMs) sums.maxTsMs = tsMs
		this.#skip(columns - ROW_COLUMNS_MIN)
	}

	/** Skips columns without decoding them. */
	#skip(columns: number): void {
		for (let left = columns; left > 0; left--) {
			const end = valueEnd(this.#bytes, this.#pos, this.#block.end)
			if (end < 0) throw this.#malformed('a value')
			this.#pos = end
		}
	}

	/** Performs the checks that need all rows. */
	expectEnd(): void {
		const { end, start, flags } = this.#block
		if (this.#pos !== end) throw this.#malformed('the end of the frame')
		if ((this.#flags & ~flags) !== 0) throw this.#malformed('flags for every level and kind')
		// Without a plain row, every string was checked one by one.
		if (this.#checksStrings || this.#highBytes === 0) return
		if (this.#otherStart >= 0) this.#countOthers()
		if (this.#highBytes !== this.#highBytesIn(start, end)) {
			throw this.#malformed('only ASCII strings (as flagged)')
		}
	}

	/**
	 * Excludes from the final comparison all rows that are not plain or have data. Their strings were checked
	 * one by one.
	 */
	#countOthers(): void {
		if (!this.#checksStrings) this.#highBytes += this.#highBytesIn(this.#otherStart, this.#pos)
		this.#otherStart = -1
	}

	/** Counts the bytes above 0x7f. Each of them is a character of the text that takes two bytes in UTF-8. */
	#highBytesIn(start: number, end: number): number {
		const base = this.#block.start
		return Buffer.byteLength(this.#text.substring(start - base, end - base)) - (end - start)
	}

	#columns(): number {
		const columns = this.#byte() - 0x90
		if (columns >= ROW_COLUMNS_MIN && columns <= ROW_COLUMNS_MAX) return columns
		throw this.#malformed('a row of 2 to 8 columns')
	}

	#time(): number {
		const tsMs = this.#block.baseTsMs + this.#number()
		if (isRecordTime(tsMs)) return tsMs
		throw this.#malformed('a valid time')
	}

	#levelIndex(): number {
		const index = this.#byte()
		if (index >= LOG_LEVELS.length) throw this.#malformed('a level from 0 to 4')
		this.#flags |= 1 << index
		return index
	}

	#byte(): number {
		if (this.#pos >= this.#block.end) throw this.#malformed('more bytes')
		return this.#bytes[this.#pos++]!
	}

	#take(count: number): number {
		const start = this.#pos
		if (start + count > this.#block.end) throw this.#malformed(`${count} more bytes`)
		this.#pos = start + count
		return start
	}

	#textOrNil(): string | undefined {
		const lead = this.#byte()
		return lead === 0xc0 ? undefined : this.#textBody(lead)
	}

	#textBody(lead: number): string {
		let length: number
		if (lead >= 0xa0 && lead < 0xc0) length = lead & 0x1f
		else if (lead === 0xd9) length = this.#byte()
		else if (lead === 0xda) length = this.#bytes.readUInt16BE(this.#take(2))
		else if (lead === 0xdb) length = this.#bytes.readUInt32BE(this.#take(4))
		else throw this.#malformed('a string')
		const start = this.#take(length)
		const text = utf8Text(this.#bytes, start, start + length, this.#text, this.#block.start)
		if (text === undefined) throw this.#malformed('UTF-8')
		// Only an ASCII string has as many UTF-16 code units as bytes.
		if (this.#block.ascii && text.length !== length) throw this.#malformed('ASCII (as flagged)')
		return text
	}

	#number(): number {
		const value = this.#numberBody(this.#byte())
		if (typeof value !== 'number') throw this.#malformed('a number')
		return value
	}

	#numberBody(lead: number): number | bigint | undefined {
		if (lead < 0x80) return lead
		if (lead >= 0xe0) return lead - 0x100
		switch (lead) {
			case 0xcb:
				return this.#bytes.readDoubleBE(this.#take(8))
			case 0xcc:
				return this.#byte()
			case 0xcd:
				return this.#bytes.readUInt16BE(this.#take(2))
			case 0xce:
				return this.#bytes.readUInt32BE(this.#take(4))
			case 0xcf:
				return this.#bytes.readBigUInt64BE(this.#take(8))
			case 0xd0:
				return this.#bytes.readInt8(this.#take(1))
			case 0xd1:
				return this.#bytes.readInt16BE(this.#take(2))
			case 0xd2:
				return this.#bytes.readInt32BE(this.#take(4))
			case 0xd3:
				return this.#bytes.readBigInt64BE(this.#take(8))
			default:
				return undefined
		}
	}

	#id(): PublisherId | null {
		const lead = this.#byte()
		if (lead === 0xc0) return null
		const id = this.#numberBody(lead) ?? this.#textBody(lead)
		if (typeof id === 'number' && !Number.isFinite(id)) throw this.#malformed('a finite number')
		return id
	}

	#origin(): RecordOrigin | undefined {
		const lead = this.#byte()
		if (lead === 0xc0) return undefined
		if (lead !== 0x93) throw this.#malformed('an origin with three fields')
		const origin = { chainId: this.#textBody(this.#byte()), epoch: this.#number(), seq: this.#number() }
		if (isEpoch(origin.epoch, 0) && isSeq(origin.seq, 0)) return origin
		throw this.#malformed('a valid origin')
	}

	#readData(): unknown {
		const value = this.#data.read(this.#pos, this.#block.end)
		if (value === undefined) throw this.#malformed('data in canonical form')
		this.#pos = this.#data.end
		return value
	}

	#malformed(expected: string): RangeError {
		return new RangeError(`expected ${expected} at byte ${this.#pos - this.#block.start} of the rows`)
	}
}

/** Returns the end of a string of 1 to 31 bytes or of a nil, or -1 for anything else. */
function shortTextEnd(bytes: Buffer, pos: number): number {
	const lead = bytes[pos]!
	if (lead === 0xc0) return pos + 1
	return lead > 0xa0 && lead < 0xc0 ? pos + 1 + (lead & 0x1f) : -1
}
