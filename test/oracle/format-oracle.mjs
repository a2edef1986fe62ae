/**
 * A reader, a verifier and a forger of chain files that import nothing from src, so that no mistake can be in
 * both. Reader and verifier were written from docs/FORMAT.md, docs/explanation/verification.md and
 * docs/guarantees/, by an author who had not seen src. If that author had a question, the answer went into
 * FORMAT.md, and the code follows that text. A change of a rule begins in FORMAT.md. If the two readers
 * differ, one of them or FORMAT.md is wrong. The forger writes arbitrary files, and the mutators change them.
 *
 * Reader and verifier never throw because of the bytes of a file. Their work and memory grow with the number
 * of bytes, whatever the bytes claim. `verify` throws if the given head is invalid.
 */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

const VERSION = 1
const OPENED = 0
export const SPAN = 1
export const CLOSED = 2
const SEALED = 3
export const REPAIRED = 4
const GAP = '$gap'
const MAX_EPOCH = 4_294_901_759
const MAX_SEQ = 9_007_194_959_773_695
const MAX_TIME = 8_640_000_000_000_000
const MIB = 1024 * 1024
const HEADER_LENGTH = 102
const ANCHOR_LENGTH = 263
const FRAME_LENGTH_MIN = 27
const FRAME_LENGTH_MAX = 16 * MIB
const SLOT_LENGTH = 87
const DATA_LENGTH_MAX = 4 * MIB
const DATA_DEPTH_MAX = 64
const DATA_OBJECTS_MAX = 262_144
const ORIGINALS_MAX = 8
const CAUSES_WITHOUT_LOSS = new Set(['retained', 'notImported', 'lagged'])
/** Words that cannot be the cause of a gap */
const CAUSES_RESERVED =
	/^(constructor|hasOwnProperty|isPrototypeOf|propertyIsEnumerable|toLocaleString|toString|valueOf)$/
/** A head as text: chain id, last seq and link */
const HEAD_TEXT = /^([0-9a-f]{32}):([0-9]{1,16}):([0-9a-f]{64})$/
const SEVERITIES = ['note', 'loss', 'unchecked', 'damage']
const ANSWERS = ['ok', 'ok, records lost', 'cannot be checked', 'not ok']
const ZEROS = Buffer.alloc(32)

/** The first 12 bytes of a header */
const NAME_BYTES = fixedBytes('0:99 1:aa+mesh-chain')
const HEADER_BYTES = [...NAME_BYTES, ...fixedBytes('13:c410 31:ce 36:cb 45:cb 54:cb 63:c420 97:ce')]
const ANCHOR_BYTES = fixedBytes(`
	0:9f 1:a6+anchor 8:ce 13:c410 31:92ce 37:cb 47:92ce 53:c410 71:cb 80:cb 89:95cb 99:cb 108:cb 117:cb 126:cb
	135:93cb 145:cb 155:cb 164:cb 173:96cb 183:cb 192:cb 201:cb 210:cb 220:cb 229:c420
`)
const SLOT_BYTES = fixedBytes('0:98 1:a7+durable 9:ce 14:c410 32:ce 37:ce 42:cb 51:cb 60:cb 69:c410')

/**
 * @param {string} text stretches of fixed bytes: offset, hex digits, and an optional text after them
 * @returns {[number, number][]} offset and value of each byte
 */
function fixedBytes(text) {
	const stretches = [...text.matchAll(/(\d+):([0-9a-f]+)(?:\+(\S+))?/g)]
	return stretches.flatMap(([, offset, hex, name = '']) => {
		const bytes = [...Buffer.from(hex, 'hex'), ...Buffer.from(name)]
		return bytes.map((byte, index) => [Number(offset) + index, byte])
	})
}

/** Returns whether the bytes from an offset match the fixed bytes, as far as they go up to the end */
function hasFixedBytes(bytes, offset, end, fixed) {
	return fixed.every(([place, byte]) => offset + place >= end || bytes[offset + place] === byte)
}

function isWhole(value, min, max) {
	return Number.isInteger(value) && value >= min && value <= max
}

/** @returns {Buffer} the same bytes */
function asBuffer({ buffer, byteOffset, byteLength }) {
	return Buffer.from(buffer, byteOffset, byteLength)
}

export function sha256(...parts) {
	const hash = createHash('sha256')
	for (const part of parts) hash.update(part)
	return hash.digest()
}

/** @returns {string} 32 hex digits, or '' if the id is absent, zeros or invalid */
function readBootId(text) {
	const hex = String(text ?? '')
		.replaceAll('-', '')
		.toLowerCase()
	return /^[0-9a-f]{32}$/.test(hex) && !/^0+$/.test(hex) ? hex : ''
}

// ---------------------------------------------------------------------------------------------------------
// CRC-32 of any stretch of a file, in constant time
// ---------------------------------------------------------------------------------------------------------

const CRC_POLYNOMIAL = 0xedb88320

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
	let value = index
	for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ CRC_POLYNOMIAL : value >>> 1
	return value
})

/** Returns the product of two polynomials modulo that of the CRC; the highest bit is x^0 */
function multiply(a, b) {
	let product = 0
	for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
		if (a & mask) product ^= b
		b = b & 1 ? (b >>> 1) ^ CRC_POLYNOMIAL : b >>> 1
	}
	return product >>> 0
}

/** CRC_POWERS[n] is x^(8 * 2^n) */
const CRC_POWERS = [0x00800000]
while (2 ** CRC_POWERS.length <= FRAME_LENGTH_MAX) {
	CRC_POWERS.push(multiply(CRC_POWERS.at(-1), CRC_POWERS.at(-1)))
}

/** CRC_SHIFTS[n] contains the products of that power and each byte of a CRC, lowest byte first */
const CRC_SHIFTS = CRC_POWERS.map((power) =>
	Uint32Array.from({ length: 1024 }, (_, index) => multiply(power, (index & 0xff) << (8 * (index >>> 8)))),
)

/** Returns a CRC after `length` further bytes, without the CRC of those bytes */
function shiftCrc(crc, length) {
	for (let bit = 0; length >>> bit !== 0; bit++) {
		if (((length >>> bit) & 1) === 0) continue
		const shifts = CRC_SHIFTS[bit]
		const low = shifts[crc & 0xff] ^ shifts[0x100 | ((crc >>> 8) & 0xff)]
		crc = low ^ shifts[0x200 | ((crc >>> 16) & 0xff)] ^ shifts[0x300 | (crc >>> 24)]
	}
	return crc
}

/** @returns {Uint32Array} the CRC-32 of the first n bytes, for every n */
function prefixCrcs(bytes) {
	const prefixes = new Uint32Array(bytes.length + 1)
	let state = 0xffffffff
	for (let index = 0; index < bytes.length; index++) {
		state = CRC_TABLE[(state ^ bytes[index]) & 0xff] ^ (state >>> 8)
		prefixes[index + 1] = ~state
	}
	return prefixes
}

/** Returns the start of an entry's CRC: the CRC of chain id, segment, offset and length */
function seedOf(id, segment, offset, length) {
	const seed = Buffer.alloc(32)
	id.copy(seed, 0)
	seed.writeUInt32BE(segment, 16)
	seed.writeBigUInt64BE(BigInt(offset), 20)
	seed.writeUInt32BE(length, 28)
	return crc32(seed)
}

// ---------------------------------------------------------------------------------------------------------
// Rows
// ---------------------------------------------------------------------------------------------------------

/** Thrown, and always caught, if a row breaks a rule */
const BROKEN = new Error('a row breaks a rule')

function check(condition) {
	if (!condition) throw BROKEN
}

/** Reads MessagePack values of the rows of one frame */
class RowReader {
	constructor(bytes, position, end, isAsciiOnly) {
		this.bytes = bytes
		this.position = position
		this.end = end
		this.isAsciiOnly = isAsciiOnly
		this.objects = 0
	}

	/** @returns {number} the offset of the next `length` bytes, which are there */
	take(length) {
		const offset = this.position
		check(length <= this.end - offset)
		this.position += length
		return offset
	}

	byte() {
		return this.bytes[this.take(1)]
	}

	/** @returns {number} an unsigned integer of 1, 2 or 4 bytes */
	uint(length) {
		return this.bytes.readUIntBE(this.take(length), length)
	}

	/** @returns {string | undefined} a text, if the value with this first byte is one */
	textOf(lead) {
		let length
		if (lead >= 0xa0 && lead <= 0xbf) length = lead - 0xa0
		else if (lead >= 0xd9 && lead <= 0xdb) length = this.uint(1 << (lead - 0xd9))
		else return undefined
		const offset = this.take(length)
		check(isUtf8(this.bytes.subarray(offset, offset + length)))
		return this.bytes.toString('utf8', offset, offset + length)
	}

	/** @returns {number | bigint | undefined} a number, if this first byte begins one; no float32 */
	numberOf(lead) {
		if (lead <= 0x7f) return lead
		if (lead >= 0xe0) return lead - 0x100
		switch (lead) {
			case 0xcb:
				return this.bytes.readDoubleBE(this.take(8)) + 0
			case 0xcc:
				return this.uint(1)
			case 0xcd:
				return this.uint(2)
			case 0xce:
				return this.uint(4)
			case 0xcf:
				return this.bytes.readBigUInt64BE(this.take(8))
			case 0xd0:
				return this.bytes.readInt8(this.take(1))
			case 0xd1:
				return this.bytes.readInt16BE(this.take(2))
			case 0xd2:
				return this.bytes.readInt32BE(this.take(4))
			case 0xd3:
				return this.bytes.readBigInt64BE(this.take(8))
			default:
				return undefined
		}
	}

	/** @returns {number} a number that is not an integer of 64 bits */
	plainNumber() {
		const value = this.numberOf(this.byte())
		check(typeof value === 'number')
		return value
	}

	/** @returns {string} a text of a fixed column */
	columnText(lead = this.byte()) {
		const text = this.textOf(lead)
		check(text !== undefined && (!this.isAsciiOnly || Buffer.byteLength(text) === text.length))
		return text
	}

	/** @returns {string | null} a text or nil */
	textOrNil() {
		const lead = this.byte()
		return lead === 0xc0 ? null : this.columnText(lead)
	}

	/** @returns {string | number | bigint | null} an id: nil, text, a finite number or a 64-bit integer */
	idOrNil() {
		const lead = this.byte()
		if (lead === 0xc0) return null
		const value = this.numberOf(lead)
		if (value === undefined) return this.columnText(lead)
		check(typeof value === 'bigint' || Number.isFinite(value))
		return value
	}

	originOrNil() {
		const lead = this.byte()
		if (lead === 0xc0) return null
		check(lead === 0x93)
		const chainId = this.columnText()
		const epoch = this.plainNumber()
		check(isWhole(epoch, 0, MAX_EPOCH))
		const seq = this.plainNumber()
		check(isWhole(seq, 0, MAX_SEQ))
		return { chainId, epoch, seq }
	}

	arrayOf(lead) {
		if (lead >= 0x90 && lead <= 0x9f) return lead - 0x90
		if (lead === 0xdc || lead === 0xdd) return this.uint(lead === 0xdc ? 2 : 4)
		return undefined
	}

	mapOf(lead) {
		if (lead >= 0x80 && lead <= 0x8f) return lead - 0x80
		if (lead === 0xde || lead === 0xdf) return this.uint(lead === 0xde ? 2 : 4)
		return undefined
	}

	/** @returns {unknown} the value of the column `data` */
	data() {
		this.objects = 0
		const start = this.position
		const value = this.value(1)
		check(this.position - start <= DATA_LENGTH_MAX)
		return value
	}

	countObject() {
		check(++this.objects <= DATA_OBJECTS_MAX)
	}

	/** Reads one value of `data`; a map or an array in it has nesting level `depth` */
	value(depth) {
		const lead = this.byte()
		if (lead === 0xc0) return null
		if (lead === 0xc2 || lead === 0xc3) return lead === 0xc3
		const number = this.numberOf(lead)
		if (number !== undefined) {
			if (typeof number === 'bigint') this.countObject()
			return number
		}
		this.countObject()
		const text = this.textOf(lead)
		if (text !== undefined) return text
		const items = this.arrayOf(lead)
		if (items !== undefined) return this.items(items, depth)
		const fields = this.mapOf(lead)
		if (fields !== undefined) return this.fields(fields, depth)
		if (lead >= 0xc4 && lead <= 0xc6) {
			const length = this.uint(1 << (lead - 0xc4))
			const offset = this.take(length)
			return new Uint8Array(this.bytes.subarray(offset, offset + length))
		}
		return this.extension(lead)
	}

	items(count, depth) {
		check(depth <= DATA_DEPTH_MAX && count <= this.end - this.position)
		const items = []
		for (let index = 0; index < count; index++) items.push(this.value(depth + 1))
		return items
	}

	fields(count, depth) {
		check(depth <= DATA_DEPTH_MAX && count <= this.end - this.position)
		const fields = {}
		for (let index = 0; index < count; index++) {
			const key = this.textOf(this.byte())
			check(key !== undefined && key !== '__proto__' && !Object.hasOwn(fields, key))
			this.countObject()
			fields[key] = this.value(depth + 1)
		}
		return fields
	}

	extension(lead) {
		let length
		if (lead >= 0xd4 && lead <= 0xd8) length = 1 << (lead - 0xd4)
		else if (lead >= 0xc7 && lead <= 0xc9) length = this.uint(1 << (lead - 0xc7))
		else throw BROKEN
		const type = this.byte()
		const offset = this.take(length)
		if (type === 0xff) return this.timestamp(offset, length)
		check(type === 0x42 && length >= 1)
		const value = BigInt(`0x${this.bytes.toString('hex', offset, offset + length)}`)
		return this.bytes[offset] >= 0x80 ? value - (1n << BigInt(8 * length)) : value
	}

	timestamp(offset, length) {
		let seconds
		let nanoseconds = 0
		if (length === 4) {
			seconds = this.bytes.readUInt32BE(offset)
		} else if (length === 8) {
			const both = this.bytes.readBigUInt64BE(offset)
			seconds = Number(both & 0x3ffffffffn)
			nanoseconds = Number(both >> 34n)
		} else {
			check(length === 12)
			nanoseconds = this.bytes.readUInt32BE(offset)
			seconds = Number(this.bytes.readBigInt64BE(offset + 4))
		}
		check(nanoseconds <= 999_999_999 && nanoseconds % 1_000_000 === 0)
		const time = seconds * 1000 + nanoseconds / 1_000_000
		check(Math.abs(time) <= MAX_TIME)
		return new Date(time)
	}
}

/** Returns whether a record is a `$gap` without origin */
function isGap(record) {
	return record.kind === GAP && record.origin === null
}

function checkGap({ seq, data }, index) {
	check(index === 0)
	check(typeof data === 'object' && data !== null && !Array.isArray(data))
	check(!(data instanceof Date) && !(data instanceof Uint8Array))
	for (const key of ['fromSeq', 'toSeq', 'count', 'cause']) check(Object.hasOwn(data, key))
	const { fromSeq, toSeq, count, cause } = data
	check(toSeq === seq && isWhole(fromSeq, 1, toSeq) && isWhole(count, 1, toSeq - fromSeq + 1))
	check(typeof cause === 'string' && /^[A-Za-z]{1,40}$/.test(cause) && !CAUSES_RESERVED.test(cause))
}

function readRow(reader, head, index) {
	const lead = reader.byte()
	check(lead >= 0x92 && lead <= 0x98)
	const columns = lead - 0x90
	const tsMs = head.baseTime + reader.plainNumber()
	check(isWhole(tsMs, 0, MAX_TIME))
	const level = reader.byte()
	check(level <= 4)
	const kind = (columns > 2 ? reader.textOrNil() : null) ?? 'log'
	const message = (columns > 3 ? reader.textOrNil() : null) ?? kind
	const daemonId = columns > 4 ? reader.idOrNil() : null
	const nodeId = columns > 5 ? reader.idOrNil() : null
	const origin = columns > 6 ? reader.originOrNil() : null
	const data = columns > 7 ? reader.data() : undefined
	const seq = head.baseSeq + index
	const { epoch } = head
	const record = { seq, epoch, tsMs: tsMs + 0, level, kind, message, daemonId, nodeId, origin, data }
	check((head.flags >> level) & 1)
	check(!kind.startsWith('$') || head.flags & 0x20)
	if (isGap(record)) checkGap(record, index)
	return record
}

/**
 * Reads the rows of a frame, one after another.
 * @param {(record: object) => void} see receives each record up to the first row that breaks a rule
 * @returns {boolean} whether all rows follow the rules
 */
function readRows(bytes, head, see) {
	const reader = new RowReader(bytes, head.rowsOffset, head.end, (head.flags & 0x40) !== 0)
	try {
		for (let index = 0; index < head.rowCount; index++) see(readRow(reader, head, index))
		check(reader.position === head.end)
		return true
	} catch (error) {
		if (error === BROKEN) return false
		throw error
	}
}

/** @returns {object} the sums of no rows */
function emptySum() {
	return { gap: null, counts: [0, 0, 0, 0, 0], earliest: Infinity, latest: -Infinity, hasDollar: false }
}

/** Adds a record to the sums of earlier rows */
function addRecord(sum, record) {
	if (record.kind.startsWith('$')) sum.hasDollar = true
	if (isGap(record)) {
		const { fromSeq, toSeq, cause } = record.data
		sum.gap = { fromSeq, toSeq, cause }
	} else {
		sum.counts[record.level]++
		sum.earliest = Math.min(sum.earliest, record.tsMs)
		sum.latest = Math.max(sum.latest, record.tsMs)
	}
}

/** @returns {object | null} the sums of the rows of a frame, or null if a row breaks a rule */
function sumRows(bytes, head) {
	const sum = emptySum()
	return readRows(bytes, head, (record) => addRecord(sum, record)) ? sum : null
}

// ---------------------------------------------------------------------------------------------------------
// Entries
// ---------------------------------------------------------------------------------------------------------

/** Reads a number of the head of a frame: fixint, cc, cd, ce or float64 (cb); NaN for anything else */
function headNumber(bytes, offset, end) {
	const lead = bytes[offset]
	const length = lead <= 0x7f ? 0 : { 203: 8, 204: 1, 205: 2, 206: 4 }[lead]
	if (length === undefined || offset + 1 + length > end) return { value: NaN, end }
	const next = offset + 1 + length
	if (length === 0) return { value: lead, end: next }
	const value = length === 8 ? bytes.readDoubleBE(offset + 1) : bytes.readUIntBE(offset + 1, length)
	return { value, end: next }
}

/** @returns {object | null} the head of a frame that ends at or before `limit`; the checksum may be wrong */
function readFrameHead(bytes, offset, limit) {
	if (offset + FRAME_LENGTH_MIN > limit) return null
	if (bytes[offset] !== 0x97 || bytes[offset + 1] !== 0xce || bytes[offset + 6] !== 0xce) return null
	const length = bytes.readUInt32BE(offset + 2)
	const flags = bytes[offset + 11]
	if (!isWhole(length, FRAME_LENGTH_MIN, FRAME_LENGTH_MAX) || length > limit - offset) return null
	if (flags > 127) return null
	const end = offset + length
	const epoch = headNumber(bytes, offset + 12, end)
	if (!isWhole(epoch.value, 1, MAX_EPOCH)) return null
	const seq = headNumber(bytes, epoch.end, end)
	if (!isWhole(seq.value, 1, MAX_SEQ)) return null
	if (bytes[seq.end] !== 0xcb || seq.end + 10 > end) return null
	const baseTime = bytes.readDoubleBE(seq.end + 1)
	if (!isWhole(baseTime, 0, MAX_TIME)) return null
	const rowsPlace = seq.end + 9
	const lead = bytes[rowsPlace]
	let rowCount = 0
	let rowsOffset = rowsPlace + 1
	if (lead >= 0x90 && lead <= 0x9f) {
		rowCount = lead - 0x90
	} else if (lead === 0xdc && rowsPlace + 3 <= end) {
		rowCount = bytes.readUInt16BE(rowsPlace + 1)
		rowsOffset = rowsPlace + 3
	}
	const lastSeq = seq.value + rowCount - 1
	if (rowCount < 1 || 3 * rowCount > end - rowsOffset || lastSeq > MAX_SEQ) return null
	return {
		offset,
		end,
		length,
		flags,
		epoch: epoch.value,
		baseSeq: seq.value,
		lastSeq,
		baseTime,
		rowCount,
		rowsOffset,
	}
}

/**
 * @returns {object | null} the frame at an offset, if its head and checksum are valid: `rows` is null if its
 * rows break a rule, `firstSeq` is the first seq that it covers
 */
function readFrame(file, offset, limit) {
	const { bytes } = file
	const head = readFrameHead(bytes, offset, limit)
	if (head === null) return null
	const stored = bytes.readUInt32BE(offset + 7)
	const seed = seedOf(file.id, file.segment, offset, head.length)
	let crc
	if (file.prefixes === null) {
		crc = crc32(bytes.subarray(offset + 11, head.end), seed)
	} else {
		const before = (file.prefixes[offset + 11] ^ seed) >>> 0
		crc = (shiftCrc(before, head.length - 11) ^ file.prefixes[head.end]) >>> 0
	}
	if (crc !== stored) return null
	const rows = sumRows(bytes, head)
	return { type: 'frame', ...head, rows, firstSeq: rows?.gap?.fromSeq ?? head.baseSeq }
}

/** @returns {object | null} the anchor at an offset, if it verifies with its own id and segment */
function readOwnAnchor(bytes, offset, limit) {
	if (offset + ANCHOR_LENGTH > limit || bytes[offset] !== 0x9f) return null
	if (!hasFixedBytes(bytes, offset, limit, ANCHOR_BYTES)) return null
	const id = bytes.subarray(offset + 15, offset + 31)
	const segment = bytes.readUInt32BE(offset + 33)
	const body = bytes.subarray(offset + 13, offset + ANCHOR_LENGTH)
	const seed = seedOf(id, segment, offset, ANCHOR_LENGTH)
	if (crc32(body, seed) !== bytes.readUInt32BE(offset + 9)) return null
	const number = (place) => bytes.readDoubleBE(offset + place + 1) + 0
	const anchor = {
		type: 'anchor',
		offset,
		end: offset + ANCHOR_LENGTH,
		id,
		segment,
		reason: bytes[offset + 46],
		epoch: bytes.readUInt32BE(offset + 49),
		bootId: readBootId(bytes.toString('hex', offset + 55, offset + 71)),
		written: number(71),
		nextSeq: number(80),
		counts: [90, 99, 108, 117, 126].map(number),
		since: { earliest: number(136), latest: number(145), presence: bytes[offset + 154] },
		durable: number(155),
		keptFrom: number(164),
		previous: number(174),
		ordinal: number(183),
		jump: number(192),
		jumpSince: { earliest: number(201), latest: number(210), presence: bytes[offset + 219] },
		last: number(220),
		link: bytes.subarray(offset + 231, offset + 263),
	}
	const extents = [anchor.since, anchor.jumpSince]
	const isValid =
		number(37) === offset &&
		segment <= MAX_EPOCH &&
		anchor.reason <= REPAIRED &&
		anchor.epoch <= MAX_EPOCH &&
		anchor.written >= 0 &&
		anchor.written <= MAX_TIME &&
		isWhole(anchor.nextSeq, 1, MAX_SEQ + 1) &&
		isWhole(anchor.keptFrom, 0, MAX_SEQ + 1) &&
		anchor.durable <= offset &&
		HEADER_LENGTH + anchor.ordinal * ANCHOR_LENGTH <= offset &&
		[...anchor.counts, anchor.durable, anchor.ordinal].every((value) => isWhole(value, 0, MAX_SEQ)) &&
		isWhole(anchor.previous, 0, offset - 1) &&
		isWhole(anchor.jump, 0, offset - 1) &&
		extents.every(({ presence }) => presence < 128) &&
		!extents.some(({ earliest, latest }) => Number.isNaN(earliest) || Number.isNaN(latest)) &&
		isWhole(anchor.last, -MAX_SEQ, MAX_SEQ)
	return isValid ? anchor : null
}

/** @returns {object | null} the anchor at an offset, if it verifies and belongs to the file */
function readAnchor(file, offset, limit) {
	const anchor = readOwnAnchor(file.bytes, offset, limit)
	return anchor !== null && anchor.segment === file.segment && anchor.id.equals(file.id) ? anchor : null
}

function readEntry(file, offset, limit) {
	const lead = file.bytes[offset]
	if (lead === 0x97) return readFrame(file, offset, limit)
	if (lead === 0x9f) return readAnchor(file, offset, limit)
	return null
}

/**
 * Returns the entries from an offset up to a limit: frames, anchors, and stretches of damage between them. An
 * entry that extends beyond the limit does not count.
 */
function scan(file, from, limit) {
	const entries = []
	let offset = from
	while (offset < limit) {
		let entry = readEntry(file, offset, limit)
		if (entry === null) {
			file.prefixes ??= prefixCrcs(file.bytes)
			const start = offset
			while (entry === null && ++offset < limit) entry = readEntry(file, offset, limit)
			entries.push({ type: 'damage', offset: start, end: offset })
		}
		if (entry !== null) {
			entries.push(entry)
			offset = entry.end
		}
	}
	return entries
}

/** Returns whether one MessagePack value begins at an offset, is well-formed so far, and runs past the end */
function runsPastEnd(bytes, offset, end) {
	let values = 1
	while (values > 0) {
		if (offset >= end) return true
		values--
		const lead = bytes[offset++]
		const size = (length) => (offset + length > end ? Infinity : bytes.readUIntBE(offset, length))
		let skip = 0
		if (lead <= 0x7f || lead >= 0xe0 || lead === 0xc0 || lead === 0xc2 || lead === 0xc3) skip = 0
		else if (lead <= 0x8f) values += 2 * (lead - 0x80)
		else if (lead <= 0x9f) values += lead - 0x90
		else if (lead <= 0xbf) skip = lead - 0xa0
		else if (lead === 0xc1) return false
		else if (lead <= 0xc6) skip = (1 << (lead - 0xc4)) + size(1 << (lead - 0xc4))
		else if (lead <= 0xc9) skip = (1 << (lead - 0xc7)) + 1 + size(1 << (lead - 0xc7))
		else if (lead <= 0xcb) skip = lead === 0xca ? 4 : 8
		else if (lead <= 0xcf) skip = 1 << (lead - 0xcc)
		else if (lead <= 0xd3) skip = 1 << (lead - 0xd0)
		else if (lead <= 0xd8) skip = 1 + (1 << (lead - 0xd4))
		else if (lead <= 0xdb) skip = (1 << (lead - 0xd9)) + size(1 << (lead - 0xd9))
		else {
			const length = lead === 0xdc || lead === 0xde ? 2 : 4
			const count = size(length)
			if (count === Infinity) return true
			values += lead >= 0xde ? 2 * count : count
			skip = length
		}
		offset += skip
		if (offset > end) return true
	}
	return false
}

/**
 * Returns whether the bytes from an offset to the end of the file are the beginning of a frame or an anchor
 */
function isTorn(bytes, offset) {
	const end = bytes.length
	const length = end - offset
	const begin = (fixed) => fixed.every((byte, index) => index >= length || bytes[offset + index] === byte)
	if (begin([0x9f, 0xa6, ...Buffer.from('anchor')])) {
		return length < ANCHOR_LENGTH && runsPastEnd(bytes, offset, end)
	}
	if (!begin([0x97, 0xce])) return false
	if (length >= 6) {
		const claimed = bytes.readUInt32BE(offset + 2)
		if (!isWhole(claimed, FRAME_LENGTH_MIN, FRAME_LENGTH_MAX) || claimed <= length) return false
	}
	if (length > 6 && bytes[offset + 6] !== 0xce) return false
	if (length > 11 && bytes[offset + 11] > 127) return false
	return runsPastEnd(bytes, offset, end)
}

// ---------------------------------------------------------------------------------------------------------
// Files
// ---------------------------------------------------------------------------------------------------------

/** @returns {object | null} the header, if it verifies with this version */
function readHeader(bytes) {
	if (bytes.length < HEADER_LENGTH || bytes[12] !== 1) return null
	if (!hasFixedBytes(bytes, 0, HEADER_LENGTH, HEADER_BYTES)) return null
	if (crc32(bytes.subarray(0, 97)) !== bytes.readUInt32BE(98)) return null
	const header = {
		id: bytes.subarray(15, 31),
		segment: bytes.readUInt32BE(32),
		created: bytes.readDoubleBE(37),
		firstSeq: bytes.readDoubleBE(46),
		previousEnd: bytes.readDoubleBE(55),
		previousLink: bytes.subarray(65, 97),
	}
	const isValid =
		header.segment <= MAX_EPOCH &&
		header.created >= 0 &&
		header.created <= MAX_TIME &&
		isWhole(header.firstSeq, 1, MAX_SEQ + 1) &&
		isWhole(header.previousEnd, 0, MAX_SEQ)
	return isValid ? header : null
}

/** Returns whether a file never contained a record */
function isEmptyFile(bytes) {
	return (
		bytes.length < HEADER_LENGTH &&
		hasFixedBytes(bytes, 0, bytes.length, NAME_BYTES) &&
		!isLaterVersion(bytes)
	)
}

/** Returns whether a file has a later version of the format */
function isLaterVersion(bytes) {
	if (bytes.length < 13 || bytes[12] < 2 || bytes[12] > 127) return false
	if (bytes[1] !== 0xaa || bytes.toString('latin1', 2, 12) !== 'mesh-chain') return false
	const asFirst = Buffer.from(bytes.subarray(0, HEADER_LENGTH))
	asFirst[12] = 1
	return readHeader(asFirst) === null
}

/** @returns {number} the first seq in a file name; NaN if there is none */
function seqOfName(name, base) {
	if (!name.startsWith(`${base}-`) || !name.endsWith('.chain')) return NaN
	const match = /^([1-9]\d{0,15})(?:\.[1-9]\d{0,15})?$/.exec(name.slice(base.length + 1, -'.chain'.length))
	return match === null ? NaN : Number(match[1])
}

/**
 * Opens one file of a chain by its header, or by its first anchor if the header does not verify.
 * @returns {object | string} the file, or the reason for refusal
 */
function openFile({ name, bytes: given }) {
	const bytes = asBuffer(given)
	if (isLaterVersion(bytes)) return 'a later version'
	const header = readHeader(bytes)
	const file = { name, bytes, header, prefixes: null, limit: bytes.length }
	if (header !== null) {
		const { id, segment, firstSeq, created } = header
		return Object.assign(file, { id, segment, firstSeq, created })
	}
	let anchor = null
	const end = Math.min(bytes.length, MIB)
	for (let offset = HEADER_LENGTH; anchor === null && offset + ANCHOR_LENGTH <= end; offset++) {
		if (bytes[offset] === 0x9f) anchor = readOwnAnchor(bytes, offset, end)
	}
	if (anchor === null) return 'no chain'
	Object.assign(file, { id: anchor.id, segment: anchor.segment, firstSeq: 1, created: 0 })
	if (file.segment !== 0) {
		const first = entriesOf(file).find((entry) => entry.type !== 'damage')
		const seq = first.type === 'anchor' ? first.nextSeq : first.firstSeq
		const named = Number(/-(\d+)(?:\.\d+)?\.chain$/.exec(name)?.[1])
		file.firstSeq = Number.isNaN(named) ? seq : Math.min(seq, named)
	}
	return file
}

/** Returns all entries of a file */
function entriesOf(file) {
	file.all ??= scan(file, HEADER_LENGTH, file.bytes.length)
	return file.all
}

/** Returns whether the last bytes of a file are an anchor with the reason repaired */
function endsRepaired(file) {
	const offset = file.bytes.length - ANCHOR_LENGTH
	return offset >= HEADER_LENGTH && readAnchor(file, offset, file.bytes.length)?.reason === REPAIRED
}

/** Finds the entries of a file that count, given the next file, or undefined if that is missing */
function setLimit(file, next) {
	const isFollowed = next !== undefined && next.header !== null && next.segment === file.segment + 1
	const isToEnd = !isFollowed || endsRepaired(file)
	file.isCut = !isToEnd && next.header.previousEnd > file.bytes.length
	file.limit = isToEnd ? file.bytes.length : Math.min(next.header.previousEnd, file.bytes.length)
	file.entries = file.limit === file.bytes.length ? entriesOf(file) : scan(file, HEADER_LENGTH, file.limit)
	file.newest = file.entries.findLast((entry) => entry.type === 'anchor')
}

/** @returns {object[]} the slots of the watermark that verify, the one that counts first */
function readSlots(given) {
	if (given === undefined) return []
	const bytes = asBuffer(given.bytes)
	const slots = []
	for (const start of [SLOT_LENGTH, 0]) {
		const slot = bytes.subarray(start, start + SLOT_LENGTH)
		if (slot.length < SLOT_LENGTH || !hasFixedBytes(slot, 0, SLOT_LENGTH, SLOT_BYTES)) continue
		if (crc32(slot.subarray(14)) !== slot.readUInt32BE(10)) continue
		const mark = {
			id: slot.subarray(16, 32),
			segment: slot.readUInt32BE(33),
			epoch: slot.readUInt32BE(38),
			count: slot.readDoubleBE(43),
			offset: slot.readDoubleBE(52),
			seq: slot.readDoubleBE(61),
			bootId: readBootId(slot.toString('hex', 71, 87)),
		}
		const numbers = [mark.count, mark.offset, mark.seq]
		if (mark.segment > MAX_EPOCH || mark.epoch > MAX_EPOCH) continue
		if (numbers.every((value) => isWhole(value, 0, MAX_SEQ))) slots.push(mark)
	}
	return slots.sort((a, b) => b.count - a.count)
}

function isShorterName(a, b) {
	return a.length !== b.length ? a.length < b.length : a < b
}

/** Finds the files of the chain, in order, and its watermark */
function openChain(given, options) {
	const base = options.name ?? 'node'
	const liveName = `${base}.chain`
	const byName = new Map()
	for (const file of given) if (!byName.has(file.name)) byName.set(file.name, file)
	const slots = readSlots(byName.get(`${liveName}.durable`))
	const bootId = readBootId(options.bootId)
	const chain = {
		refused: '',
		id: null,
		files: [],
		mark: null,
		base,
		liveName,
		byName,
		bootId,
		keptFrom: 0,
	}
	const liveGiven = byName.get(liveName)
	let live = null
	if (liveGiven !== undefined && !isEmptyFile(asBuffer(liveGiven.bytes))) {
		live = openFile(liveGiven)
		if (typeof live === 'string') return { ...chain, refused: live }
	}
	const sealed = []
	for (const file of byName.values()) {
		const seq = seqOfName(file.name, base)
		const opened = Number.isNaN(seq) ? null : openFile(file)
		if (opened !== null && typeof opened !== 'string' && opened.firstSeq === seq) sealed.push(opened)
	}
	chain.id = live?.id ?? slots[0]?.id ?? null
	if (chain.id === null) {
		const plain = sealed
			.filter(({ name }) => !byName.has(`${name}.durable`) && !byName.has(`${name}.lock`))
			.sort((a, b) => b.created - a.created || (a.name < b.name ? 1 : -1))
		if (plain.length === 0) return { ...chain, refused: 'no file of a chain' }
		chain.id = plain[0].id
	}
	const bySegment = new Map()
	for (const file of sealed) {
		if (!file.id.equals(chain.id) || (live !== null && file.segment >= live.segment)) continue
		const other = bySegment.get(file.segment)
		if (other === undefined || isShorterName(file.name, other.name)) bySegment.set(file.segment, file)
	}
	chain.files = [...bySegment.values()].sort((a, b) => a.segment - b.segment)
	if (live !== null) chain.files.push(live)
	if (chain.files.length === 0) return { ...chain, refused: 'no file of a chain' }
	chain.mark = slots.find((slot) => slot.id.equals(chain.id)) ?? null
	for (const [index, file] of chain.files.entries()) setLimit(file, chain.files[index + 1])
	const last = chain.files.at(-1)
	const tail = last.entries.at(-1)
	if (tail?.type === 'damage' && isTorn(last.bytes, tail.offset)) {
		last.entries = [...last.entries.slice(0, -1), { ...tail, type: 'torn' }]
	}
	chain.keptFrom = last.newest?.keptFrom ?? 0
	return chain
}

/** Returns whether retention explains that everything before a seq is gone */
function isRetained({ keptFrom }, seq) {
	return seq > 1 && keptFrom >= seq
}

// ---------------------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------------------

/** Returns whether the watermark is above a place */
function isBelowMark(mark, segment, offset) {
	return mark !== null && (mark.segment > segment || (mark.segment === segment && mark.offset > offset))
}

/**
 * Returns whether a power loss explains damaged bytes of the last file.
 * @param {object | null} newest the newest anchor before them in that file
 */
function isPowerLoss({ mark, bootId }, file, offset, newest) {
	if (mark === null || isBelowMark(mark, file.segment, offset)) return false
	return newest !== null && newest.bootId !== '' && bootId !== '' && newest.bootId !== bootId
}

function madeGap(fromSeq, toSeq, epoch, cause) {
	return {
		seq: toSeq,
		epoch,
		tsMs: 0,
		level: 3,
		kind: GAP,
		message: GAP,
		daemonId: null,
		nodeId: null,
		origin: null,
		data: { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause },
		isMade: true,
	}
}

/** Returns the text of a head: chain id, last seq and link of an anchor */
function formatHead(anchor) {
	return `${anchor.id.toString('hex')}:${anchor.nextSeq - 1}:${anchor.link.toString('hex')}`
}

/** Reads all records of a chain, with gaps for missing seqs */
export function readChain(files, options = {}) {
	const chain = openChain(files, options)
	const chainId = chain.refused === '' ? chain.id.toString('hex') : null
	const result = { refused: chain.refused, chainId, records: [], unreadableFrom: null, heads: [] }
	if (chain.refused !== '') return result
	const { records, heads } = result
	const [first] = chain.files
	const last = chain.files.at(-1)
	const isPart = first === last && first.name === chain.liveName && first.newest?.reason === SEALED
	let epoch = 0
	let next = isPart ? first.firstSeq : 1
	/** Puts a gap before a seq if seqs are missing there */
	const fill = (seq, cause) => {
		if (seq > next) records.push(madeGap(next, seq - 1, epoch, cause))
		next = Math.max(next, seq)
	}
	chain.files.forEach((file, index) => {
		const isBehindMissing = index === 0 || chain.files[index - 1].segment + 1 !== file.segment
		fill(file.firstSeq, isBehindMissing && isRetained(chain, file.firstSeq) ? 'retained' : 'damaged')
		next = file.firstSeq
		let newest = null
		/** The cause for records missing before the next entry */
		let cause = 'damaged'
		for (const entry of file.entries) {
			if (entry.type === 'damage') {
				if (file === last && isPowerLoss(chain, file, entry.offset, newest)) cause = 'unsynced'
			} else if (entry.type === 'anchor') {
				fill(entry.nextSeq, cause)
				cause = 'damaged'
				heads.push({ seq: entry.nextSeq - 1, text: formatHead(entry) })
				newest = entry
			} else if (entry.type === 'frame') {
				fill(entry.firstSeq, cause)
				cause = 'damaged'
				epoch = entry.epoch
				const { baseSeq, lastSeq } = entry
				if (entry.rows === null) records.push(madeGap(baseSeq, lastSeq, epoch, 'damaged'))
				else readRows(file.bytes, entry, (record) => records.push(record))
				next = Math.max(next, lastSeq + 1)
			}
		}
		const isDamagedAtEnd = file.entries.at(-1)?.type === 'damage'
		if (file === last && isDamagedAtEnd && cause === 'damaged') result.unreadableFrom = next
	})
	return result
}

// ---------------------------------------------------------------------------------------------------------
// Verification of one file
// ---------------------------------------------------------------------------------------------------------

/** Earliest times, latest times and presence of the stretches before each anchor of a file */
class Stretches {
	constructor() {
		this.count = 0
		/**
		 * Stretches whose earliest time is lower, or latest time higher, than those of all later stretches
		 */
		this.minima = []
		this.maxima = []
		/** For each bit of the presence, the last stretch with that bit */
		this.lastWith = new Array(6).fill(-1)
		/** The last stretch with a `$` kind, or with an anchor that leaves bit 6 unset */
		this.lastWithDollar = -1
		this.begin()
	}

	begin() {
		this.earliest = Infinity
		this.latest = -Infinity
		this.bits = 0
		this.hasDollar = false
	}

	/** @param {object} rows the sums of the rows of a frame */
	addRows(rows) {
		this.earliest = Math.min(this.earliest, rows.earliest)
		this.latest = Math.max(this.latest, rows.latest)
		rows.counts.forEach((count, level) => {
			if (count > 0) this.bits |= 1 << level
		})
		if (rows.gap !== null) this.bits |= 0x20
		if (rows.hasDollar) this.hasDollar = true
	}

	addUnreadable() {
		this.bits |= 0x20
		this.hasDollar = true
	}

	/**
	 * Ends the stretch before an anchor.
	 * @param {number} said the presence in the anchor
	 */
	end(said) {
		const index = this.count++
		while (this.minima.length > 0 && this.minima.at(-1).value >= this.earliest) this.minima.pop()
		this.minima.push({ index, value: this.earliest })
		while (this.maxima.length > 0 && this.maxima.at(-1).value <= this.latest) this.maxima.pop()
		this.maxima.push({ index, value: this.latest })
		for (let bit = 0; bit < 6; bit++) if ((this.bits >> bit) & 1) this.lastWith[bit] = index
		if (this.hasDollar || (said & 0x40) === 0) this.lastWithDollar = index
		this.begin()
	}

	/** Returns the extent of the stretches from an index */
	since(index) {
		let presence = 0
		for (let bit = 0; bit < 6; bit++) if (this.lastWith[bit] >= index) presence |= 1 << bit
		if (this.lastWithDollar < index) presence |= 0x40
		return { earliest: valueFrom(this.minima, index), latest: valueFrom(this.maxima, index), presence }
	}
}

/** Returns the value of the first item whose index is not below a bound, by binary search */
function valueFrom(items, index) {
	let low = 0
	let high = items.length - 1
	while (low < high) {
		const middle = (low + high) >> 1
		if (items[middle].index < index) low = middle + 1
		else high = middle
	}
	return items[low].value
}

/** Returns whether the extent in an anchor is correct; bit 6 may always be unset */
function isSameExtent(said, found) {
	return (
		said.earliest === found.earliest &&
		said.latest === found.latest &&
		(said.presence & 0x3f) === (found.presence & 0x3f) &&
		((said.presence & 0x40) === 0 || (found.presence & 0x40) !== 0)
	)
}

/** Returns the target of an anchor's jump, given the jumps of earlier anchors; -1 for the first */
function jumpOf(ordinal, reason, jumps) {
	if (ordinal === 0) return -1
	if (reason === SEALED) return 0
	const before = ordinal - 1
	const target = jumps[before]
	if (target <= 0) return before
	return before - target === target - jumps[target] ? jumps[target] : before
}

/** Returns the link of an anchor, given the previous link and the end of the previous anchor (or header) */
function linkOf(bytes, link, from, anchor) {
	const { offset } = anchor
	return sha256(link, bytes.subarray(from, offset), bytes.subarray(offset + 13, offset + 229))
}

/**
 * Verifies the entries of one file that count.
 * @param {number[] | null} startCounts the counts at its beginning, if known
 * @param {(severity: string, code: string, offset: number, lost?: number) => void} report
 * @param {(anchor: object, isFit: boolean) => void} seeAnchor receives whether the link of each anchor fits
 */
function verifyFile(chain, file, startCounts, isLast, report, seeAnchor) {
	const { bytes } = file
	const stretches = new Stretches()
	const jumps = []
	const offsets = []
	let next = file.firstSeq
	let counts = startCounts?.slice() ?? null
	let newest = null
	let link = sha256(bytes.subarray(0, HEADER_LENGTH))
	let linkEnd = HEADER_LENGTH
	/** Whether something has been unreadable or missing since the newest anchor */
	let isUnknown = file.header === null
	let isOrdinalKnown = true
	let hasRepaired = false
	let doLinksFit = true
	/** The damaged bytes directly before the entry, and whether a power loss explains them */
	let damage = null

	/** Judges missing seqs from `next` to `seq` before an entry */
	const pass = (seq, offset) => {
		const missing = Math.max(0, seq - next)
		if (missing > 0) isUnknown = true
		if (damage?.isExplained) report('loss', 'unsynced', damage.offset, missing)
		else if (missing > 0 && damage === null) report('damage', 'missing', offset)
		damage = null
		next = Math.max(next, seq)
	}

	const seeFrame = (frame) => {
		pass(frame.firstSeq, frame.offset)
		if (frame.baseSeq < next) report('damage', 'stepBack', frame.offset)
		if (frame.rows === null) {
			report('damage', 'unreadable', frame.offset)
			isUnknown = true
			stretches.addUnreadable()
		} else {
			const { rows } = frame
			stretches.addRows(rows)
			counts = counts?.map((count, level) => Math.min(MAX_SEQ, count + rows.counts[level])) ?? null
			if (rows.gap !== null && !CAUSES_WITHOUT_LOSS.has(rows.gap.cause)) {
				const { fromSeq, toSeq, cause } = rows.gap
				report('loss', cause, frame.offset, Math.max(1, toSeq - Math.max(fromSeq, next) + 1))
			}
		}
		next = Math.max(next, frame.lastSeq + 1)
	}

	/** Returns whether ordinal and jump of an anchor fit the preceding entries */
	const isPlaced = (anchor, ordinal) => {
		const target = jumps[ordinal]
		return (
			anchor.ordinal === ordinal &&
			anchor.jump === (target < 0 ? 0 : offsets[target]) &&
			isSameExtent(anchor.jumpSince, stretches.since(target + 1))
		)
	}

	/** Returns whether the sums of an anchor fit the preceding entries */
	const areSumsRight = (anchor, ordinal) => {
		return (
			anchor.nextSeq === next &&
			(counts === null || counts.every((count, level) => count === anchor.counts[level])) &&
			isSameExtent(anchor.since, stretches.since(ordinal)) &&
			(!isOrdinalKnown || isPlaced(anchor, ordinal))
		)
	}

	const see = (anchor) => {
		pass(anchor.nextSeq, anchor.offset)
		const ordinal = offsets.length
		jumps.push(jumpOf(ordinal, anchor.reason, jumps))
		offsets.push(anchor.offset)
		stretches.end(anchor.since.presence)
		const isBehindNewest = anchor.previous === (newest?.offset ?? 0)
		const isFit = isBehindNewest && linkOf(bytes, link, linkEnd, anchor).equals(anchor.link)
		if (!isUnknown && !isFit) report('damage', 'brokenLink', anchor.offset)
		if (isUnknown || !isBehindNewest) isOrdinalKnown = false
		else if (!areSumsRight(anchor, ordinal)) report('damage', 'wrongAnchor', anchor.offset)
		if (!isFit) doLinksFit = false
		if (anchor.reason === REPAIRED) hasRepaired = true
		counts = anchor.counts
		newest = anchor
		link = anchor.link
		linkEnd = anchor.end
		isUnknown = false
		seeAnchor(anchor, isFit)
	}

	if (file.header === null) report('damage', 'header', 0)
	for (const entry of file.entries) {
		if (entry.type === 'frame') {
			seeFrame(entry)
		} else if (entry.type === 'anchor') {
			see(entry)
		} else if (entry.type === 'torn') {
			const isCut = isBelowMark(chain.mark, file.segment, entry.offset)
			if (isCut) report('damage', 'truncated', entry.offset)
		} else {
			const isExplained = isLast && isPowerLoss(chain, file, entry.offset, newest)
			if (!isExplained) report('damage', 'damaged', entry.offset)
			damage = { offset: entry.offset, isExplained }
			isUnknown = true
			stretches.addUnreadable()
		}
	}
	const hasDamageAtEnd = damage !== null
	return { next, counts, link, linkEnd, isUnknown, hasRepaired, doLinksFit, hasDamageAtEnd }
}

/** Returns whether the previous link in a later file is the link of this file's bytes up to its limit */
function isLinkedFrom(file, result, previousLink) {
	if (file.isCut) return false
	const between = file.bytes.subarray(result.linkEnd, file.limit)
	const link = file.limit <= result.linkEnd ? result.link : sha256(result.link, between)
	return link.equals(previousLink)
}

// ---------------------------------------------------------------------------------------------------------
// Repairs
// ---------------------------------------------------------------------------------------------------------

/** Returns whether a frame is a single `$gap` with the cause `damaged` */
function isRepairGap({ rowCount, rows }) {
	return rowCount === 1 && rows.gap?.cause === 'damaged'
}

/**
 * Lists the readable frames of a file, without frames that step back. `key` identifies everything that two
 * copies of a frame have in common. `isBehindHole` means that something between the frame and the previous
 * one is unreadable.
 * @returns {{ frames: { frame: object, key: string, isBehindHole: boolean }[], hasHoleAtEnd: boolean }}
 */
function listFrames({ bytes }, entries) {
	const frames = []
	let next = 1
	let isBehindHole = false
	for (const entry of entries) {
		if (entry.type === 'anchor') continue
		if (entry.type !== 'frame' || entry.rows === null) {
			isBehindHole = true
		} else if (entry.baseSeq >= next) {
			const key = sha256(bytes.subarray(entry.offset + 11, entry.end)).toString('latin1')
			frames.push({ frame: entry, key, isBehindHole })
			isBehindHole = false
			next = entry.lastSeq + 1
		}
	}
	return { frames, hasHoleAtEnd: isBehindHole }
}

/**
 * Returns whether a file takes over an original: it has every readable frame of the original, in order, and
 * otherwise only gaps. In unreadable places of the file, frames of the original may be missing.
 * @param {ReturnType<typeof listFrames>} own the frames of the file
 * @param {ReturnType<typeof listFrames>} original the frames of the original
 */
function isTakenOver(own, original) {
	let place = 0
	for (const { frame, key, isBehindHole } of own.frames) {
		while (isBehindHole && original.frames[place]?.frame.baseSeq < frame.firstSeq) place++
		if (original.frames[place]?.key === key) place++
		else if (!isRepairGap(frame)) return false
	}
	return own.hasHoleAtEnd || place === original.frames.length
}

/** @returns {Map<string, object[]>} the originals that repairs kept, by the name of the repaired file */
function groupOriginals(byName) {
	const groups = new Map()
	for (const name of [...byName.keys()].sort()) {
		const end = name.indexOf('.before-repair-')
		if (end < 0) continue
		const repaired = name.slice(0, end)
		const group = groups.get(repaired)
		if (group === undefined) groups.set(repaired, [byName.get(name)])
		else group.push(byName.get(name))
	}
	return groups
}

/**
 * Classifies an original relative to the repaired file.
 * @param {object | undefined} next the next file, if it is not missing
 * @param {object} result the result of its verification
 * @param {boolean} isChanged whether links or sums are wrong or seqs step back
 * @returns {'step' | 'changed' | 'linked' | 'possible'}
 */
function classOf(original, next, result, isChanged, isLinked) {
	const isRepaired = endsRepaired(original)
	if (next === undefined) return isRepaired ? 'step' : isChanged ? 'changed' : 'possible'
	if (isRepaired && original.bytes.length !== next.header.previousEnd) return 'step'
	if (isChanged) return 'changed'
	if (isLinked) return 'linked'
	return original.isCut || result.isUnknown ? 'possible' : 'step'
}

/** Returns the files that may be originals of a repaired file, each verified by itself */
function findOriginals(chain, file, next) {
	chain.originals ??= groupOriginals(chain.byName)
	const originals = []
	for (const given of (chain.originals.get(file.name) ?? []).slice(0, ORIGINALS_MAX)) {
		const original = openFile(given)
		if (typeof original === 'string') continue
		if (original.segment !== file.segment || !original.id.equals(file.id)) continue
		setLimit(original, next)
		let isChanged = false
		const report = (_severity, code) => {
			if (['brokenLink', 'wrongAnchor', 'stepBack'].includes(code)) isChanged = true
		}
		const result = verifyFile(chain, original, null, false, report, () => {})
		const hasLink = next !== undefined && isLinkedFrom(original, result, next.header.previousLink)
		const kind = classOf(original, next, result, isChanged, hasLink)
		const isLinked = hasLink && kind !== 'step'
		const frames = listFrames(original, original.entries)
		originals.push({ file: original, kind, isLinked, doLinksFit: result.doLinksFit, frames })
	}
	return originals
}

/** Returns the linked and possible originals that a file takes over, directly or through other originals */
function takenOver(file, originals) {
	const reached = new Set()
	const found = []
	const queue = [listFrames(file, entriesOf(file))]
	for (const own of queue) {
		for (const original of originals) {
			if (reached.has(original) || !isTakenOver(own, original.frames)) continue
			reached.add(original)
			if (original.kind === 'linked' || original.kind === 'possible') found.push(original)
			else queue.push(listFrames(original.file, entriesOf(original.file)))
		}
	}
	return found
}

/**
 * Judges a file with a repaired anchor to which the next file does not link. Without a next file there is no
 * link to compare, because a file is missing there.
 * @returns {{ judgement: 'fits' | 'wrong' | 'none', isHeadKept: boolean }}
 */
function judgeRepair(chain, file, next) {
	const originals = findOriginals(chain, file, next)
	const found = takenOver(file, originals)
	const headerOf = ({ bytes }) => bytes.subarray(0, HEADER_LENGTH)
	const isHeadKept = found.some(({ kind, doLinksFit, file: original }) => {
		return kind === 'linked' && doLinksFit && headerOf(original).equals(headerOf(file))
	})
	if (found.length > 0) return { judgement: 'fits', isHeadKept }
	return { judgement: originals.some(({ isLinked }) => isLinked) ? 'wrong' : 'none', isHeadKept }
}

// ---------------------------------------------------------------------------------------------------------
// Verification of a chain
// ---------------------------------------------------------------------------------------------------------

/** @returns {(object | null)[]} for each file, the first frame that counts in the later files */
function firstFramesBehind(files) {
	const frames = new Array(files.length).fill(null)
	for (let index = files.length - 2; index >= 0; index--) {
		const frame = files[index + 1].entries.find((entry) => entry.type === 'frame')
		frames[index] = frame ?? frames[index + 1]
	}
	return frames
}

/**
 * Reports superseded frames of a file that is not the last: a loss, unless later files contain the frames
 * again.
 * @param {object | null} again the first frame that counts in the later files
 */
function reportSuperseded(file, again, report) {
	if (file.limit >= file.bytes.length) return
	const frames = scan(file, Math.max(file.limit, HEADER_LENGTH), file.bytes.length).filter(
		(entry) => entry.type === 'frame',
	)
	if (frames.length === 0) return
	if (again !== null && again.epoch === frames[0].epoch && again.baseSeq === frames[0].baseSeq) return
	const lost = frames.at(-1).lastSeq - frames[0].baseSeq + 1
	report('loss', 'superseded', frames[0].offset, Math.max(0, lost))
}

/**
 * Returns whether a chain is a sealed file that is verified by its own name, next to the live file of its
 * chain.
 * @returns {boolean}
 */
function isSealedPart({ base, liveName, files, byName }) {
	const parent = /^(.*)-[1-9]\d{0,15}(?:\.[1-9]\d{0,15})?$/s.exec(base)?.[1]
	const given = parent === undefined ? undefined : byName.get(`${parent}.chain`)
	if (given === undefined || files.length > 1) return false
	const live = openFile(given)
	const [file] = files
	return (
		typeof live !== 'string' &&
		live.id.equals(file.id) &&
		live.segment > file.segment &&
		seqOfName(liveName, parent) === file.firstSeq
	)
}

/** Verifies a chain: every checksum, row, seq, sum and link, from file to file */
export function verify(files, options = {}) {
	const head = options.head === undefined ? null : readHead(options.head)
	const chain = openChain(files, options)
	if (chain.refused !== '') return { refused: chain.refused, answer: 'refused', lost: 0, findings: [] }
	const findings = []
	let lost = 0
	const reportIn =
		(name) =>
		(severity, code, offset = 0, count = 0) => {
			findings.push({ severity, code, file: name, offset })
			if (severity === 'loss') lost += count
		}
	/** The anchors of the head, each with whether the links before it are intact */
	const headAnchors = []
	let isBroken = false
	const framesBehind = firstFramesBehind(chain.files)
	let counts = chain.files[0].segment === 0 ? [0, 0, 0, 0, 0] : null
	let next = 1

	chain.files.forEach((file, index) => {
		const report = reportIn(file.name)
		const behind = chain.files[index + 1]
		const result = verifyFile(chain, file, counts, behind === undefined, report, (anchor, isFit) => {
			if (!isFit) isBroken = true
			if (head !== null && formatHead(anchor) === head.text) headAnchors.push({ anchor, isBroken })
		})
		next = result.next
		if (behind === undefined) return
		reportSuperseded(file, framesBehind[index], report)
		const seam = judgeSeam(chain, index, result, report)
		if (seam.isBroken) isBroken = true
		counts = seam.areCountsKnown ? result.counts : null
		const reportBehind = reportIn(behind.name)
		if (behind.firstSeq < next) reportBehind('damage', 'stepBack', 0)
		if (behind.firstSeq > next && !result.hasDamageAtEnd) reportBehind('damage', 'missing', 0)
	})

	const isPart = isSealedPart(chain)
	reportEnds(chain, next, isPart, reportIn)
	if (head !== null) {
		const severity = judgeHead(chain, head, headAnchors)
		if (severity !== null) reportIn(undefined)(severity, 'head')
	}
	const heaviest = Math.max(0, ...new Set(findings.map(({ severity }) => SEVERITIES.indexOf(severity))))
	return { refused: '', answer: ANSWERS[heaviest], lost, findings }
}

/** Judges the transition from a file to the next one */
function judgeSeam(chain, index, result, report) {
	const file = chain.files[index]
	const behind = chain.files[index + 1]
	const isNewestRepaired = file.newest?.reason === REPAIRED
	if (behind.segment !== file.segment + 1) {
		const judgement = isNewestRepaired ? judgeRepair(chain, file, undefined).judgement : 'wrong'
		if (judgement === 'none') report('unchecked', 'repair', file.limit)
		if (judgement === 'wrong') report('damage', 'missingFiles', file.limit)
		return { isBroken: true, areCountsKnown: false }
	}
	if (file.isCut) report('damage', 'truncated', file.limit)
	if (behind.header === null || behind.header.previousLink.equals(ZEROS)) {
		return { isBroken: true, areCountsKnown: false }
	}
	const areCountsKnown = !result.isUnknown && !file.isCut && !result.hasRepaired
	if (isLinkedFrom(file, result, behind.header.previousLink)) return { isBroken: false, areCountsKnown }
	const { judgement, isHeadKept } = result.hasRepaired
		? judgeRepair(chain, file, behind)
		: { judgement: 'none', isHeadKept: false }
	if (judgement === 'wrong') report('damage', 'repair', file.limit)
	else if (judgement === 'none' && isNewestRepaired) report('unchecked', 'repair', file.limit)
	else if (judgement === 'none' && !result.isUnknown) report('damage', 'brokenLink', file.limit)
	return { isBroken: !isHeadKept, areCountsKnown }
}

/** Judges the beginning and the end of a chain, and its watermark */
function reportEnds(chain, next, isPart, reportIn) {
	const { mark, liveName } = chain
	const [first] = chain.files
	const last = chain.files.at(-1)
	const isBeginning = first.segment === 0 && first.firstSeq === 1
	if (!isBeginning && !isPart && !isRetained(chain, first.firstSeq)) {
		reportIn(first.name)('damage', 'missingFiles', 0)
	}
	if (last.name !== liveName) reportIn(last.name)('damage', 'noLiveFile', last.limit)
	const isBeyond = isBelowMark(mark, last.segment, last.bytes.length)
	if (isBeyond || mark?.seq >= next) reportIn(last.name)('damage', 'truncated', last.limit)
}

/**
 * @returns {{ text: string, id: string, seq: number }} a head
 * @throws {Error} if the text is not a head
 */
function readHead(text) {
	const match = typeof text === 'string' ? HEAD_TEXT.exec(text) : null
	if (match === null) throw new Error('a head has the form <chain id>:<last seq>:<link>')
	const [, id, digits, link] = match
	return { text: `${id}:${Number(digits)}:${link}`, id, seq: Number(digits) }
}

/**
 * @param {{ anchor: object, isBroken: boolean }[]} found the anchors of the head
 * @returns {string | null} the severity of the finding about a head, or null if the head is confirmed
 */
function judgeHead(chain, head, found) {
	const [first] = chain.files
	if (head.id !== chain.id.toString('hex')) return 'damage'
	const isBehind = (seq) => first.segment !== 0 && first.firstSeq > seq
	if (found.length === 0) {
		return isRetained(chain, first.firstSeq) && isBehind(head.seq) ? 'unchecked' : 'damage'
	}
	const whole = found.find(({ isBroken }) => !isBroken)
	if (whole === undefined) return 'damage'
	return isBehind(whole.anchor.keptFrom) ? 'unchecked' : null
}

// ---------------------------------------------------------------------------------------------------------
// The forger: MessagePack
// ---------------------------------------------------------------------------------------------------------

/** Bytes that the encoder writes unchanged in place of a value. */
class Raw {
	constructor(bytes) {
		this.bytes = asBuffer(bytes)
	}
}

/** Refuses unknown fields: a misspelt field would silently produce a valid file. */
function refuseUnknown(fields, known) {
	const unknown = Object.keys(fields).filter((name) => !known.includes(name))
	if (unknown.length > 0) throw new Error(`the forger knows no ${unknown.join(', ')}`)
}

/** Returns a first byte followed by a number of 1, 2 or 4 bytes. */
function headBytes(first, width, value) {
	const bytes = Buffer.alloc(1 + width)
	bytes[0] = first
	bytes.writeUIntBE(value, 1, width)
	return bytes
}

/**
 * Returns the shortest head of a text, a bin, an array or a map; `firsts` are the first bytes for 1, 2 and 4
 * bytes.
 */
function lengthHead(length, fixed, fixedLimit, firsts) {
	if (length < fixedLimit) return Buffer.from([fixed + length])
	if (length < 256 && firsts[0] !== 0) return headBytes(firsts[0], 1, length)
	if (length < 65536) return headBytes(firsts[1], 2, length)
	return headBytes(firsts[2], 4, length)
}

/** Encodes a float64. */
function float64(value) {
	const bytes = Buffer.alloc(9)
	bytes[0] = 0xcb
	bytes.writeDoubleBE(value, 1)
	return bytes
}

function encodeNumber(value) {
	if (!Number.isInteger(value) || value > 0xffffffff || value < -0x80000000) return float64(value)
	if (value >= 0) {
		if (value < 128) return Buffer.from([value])
		if (value < 256) return headBytes(0xcc, 1, value)
		return value < 65536 ? headBytes(0xcd, 2, value) : headBytes(0xce, 4, value)
	}
	if (value >= -32) return Buffer.from([value + 256])
	if (value >= -128) return headBytes(0xd0, 1, value + 256)
	return value >= -32768 ? headBytes(0xd1, 2, value + 65536) : headBytes(0xd2, 4, value + 2 ** 32)
}

function encodeBigint(value) {
	const bytes = Buffer.alloc(9)
	if (value >= 0n && value < 2n ** 64n) {
		bytes[0] = 0xcf
		bytes.writeBigUInt64BE(value, 1)
		return bytes
	}
	if (value < 0n && value >= -(2n ** 63n)) {
		bytes[0] = 0xd3
		bytes.writeBigInt64BE(value, 1)
		return bytes
	}
	const digits = (value < 0n ? -value - 1n : value).toString(16)
	let length = Math.floor(digits.length / 2) + 1
	if (BigInt.asIntN(length * 8 - 8, value) === value) length -= 1
	const hex = BigInt.asUintN(length * 8, value)
		.toString(16)
		.padStart(length * 2, '0')
	return encodeExtension(0x42, Buffer.from(hex, 'hex'))
}

function encodeDate(value) {
	const ms = value.getTime()
	const seconds = Math.floor(ms / 1000)
	const nanoseconds = (ms - seconds * 1000) * 1e6
	if (seconds >= 0 && seconds < 2 ** 32 && nanoseconds === 0) {
		return encodeExtension(-1, headBytes(0, 4, seconds).subarray(1))
	}
	if (seconds >= 0 && seconds < 2 ** 34) {
		const bytes = Buffer.alloc(8)
		bytes.writeBigUInt64BE((BigInt(nanoseconds) << 34n) | BigInt(seconds))
		return encodeExtension(-1, bytes)
	}
	const bytes = Buffer.alloc(12)
	bytes.writeUInt32BE(nanoseconds)
	bytes.writeBigInt64BE(BigInt(seconds), 4)
	return encodeExtension(-1, bytes)
}

/** Encodes an extension of any type in the shortest form. */
function encodeExtension(type, bytes) {
	const fixed = { 1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8 }[bytes.length]
	const head = fixed ? Buffer.from([fixed]) : lengthHead(bytes.length, 0, 0, [0xc7, 0xc8, 0xc9])
	return Buffer.concat([head, Buffer.from([type & 255]), bytes])
}

/**
 * Encodes a value by the table in FORMAT.md: integers of up to 32 bits in short form, other numbers as
 * float64, bigints with 64 bits. A `Map` becomes a map with keys of any type, a `Raw` its bytes.
 */
function encode(value) {
	const parts = []
	encodeInto(parts, value)
	return Buffer.concat(parts)
}

function encodeInto(parts, value) {
	if (value === null || value === undefined) parts.push(Buffer.from([0xc0]))
	else if (value === true || value === false) parts.push(Buffer.from([value ? 0xc3 : 0xc2]))
	else if (typeof value === 'number') parts.push(encodeNumber(value))
	else if (typeof value === 'bigint') parts.push(encodeBigint(value))
	else if (typeof value === 'string') {
		const text = Buffer.from(value, 'utf8')
		parts.push(lengthHead(text.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), text)
	} else if (value instanceof Raw) parts.push(value.bytes)
	else if (value instanceof Uint8Array) {
		parts.push(lengthHead(value.length, 0, 0, [0xc4, 0xc5, 0xc6]), value)
	} else if (value instanceof Date) parts.push(encodeDate(value))
	else if (Array.isArray(value)) {
		parts.push(lengthHead(value.length, 0x90, 16, [0, 0xdc, 0xdd]))
		for (const one of value) encodeInto(parts, one)
	} else {
		const pairs =
			value instanceof Map ? [...value] : Object.entries(value).filter((pair) => pair[1] !== undefined)
		parts.push(lengthHead(pairs.length, 0x80, 16, [0, 0xde, 0xdf]))
		for (const [key, one] of pairs) {
			encodeInto(parts, key)
			encodeInto(parts, one)
		}
	}
}

/** Returns a text that is identical for equal records. */
export function recordKey(record) {
	const { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, origin } = record
	const ids = [daemonId, nodeId].map((id) => (typeof id === 'bigint' ? { bigint: `${id}` } : id))
	const data = record.data === undefined ? '' : encode(record.data).toString('base64')
	return JSON.stringify([seq, epoch, tsMs, level, kind, message, ids, origin, data])
}

// ---------------------------------------------------------------------------------------------------------
// The forger: files and chains
// ---------------------------------------------------------------------------------------------------------

/** Returns an integer from 0 to below `limit`. */
function below(random, limit) {
	return Math.floor(random() * limit)
}

function pick(random, values) {
	return values[below(random, values.length)]
}

function randomBytes(random, length) {
	const bytes = Buffer.alloc(length)
	for (let index = 0; index < length; index++) bytes[index] = below(random, 256)
	return bytes
}

/** Writes the fixed bytes, and numbers of 8 and 4 bytes at their offsets. */
function put(bytes, fixed, doubles, words) {
	for (const [offset, byte] of fixed) bytes[offset] = byte
	for (const [offset, value] of Object.entries(doubles)) bytes.writeDoubleBE(value, Number(offset))
	for (const [offset, value] of Object.entries(words)) bytes.writeUInt32BE(value >>> 0, Number(offset))
	return bytes
}

/** Encodes the 102 bytes of a header. `fields.crc` overrides the checksum. */
function encodeHeader(fields) {
	const { created, firstSeq, previousEnd, segment } = fields
	const doubles = { 37: created, 46: firstSeq, 55: previousEnd }
	const bytes = put(Buffer.alloc(HEADER_LENGTH), HEADER_BYTES, doubles, { 32: segment })
	bytes[12] = fields.version ?? VERSION
	bytes.set(fields.id, 15)
	bytes.set(fields.previousLink, 65)
	bytes.writeUInt32BE(fields.crc ?? crc32(bytes.subarray(0, 97)), 98)
	return bytes
}

/** Encodes the 263 bytes of an anchor. Default: a link of zeros and a checksum of 0. */
function encodeAnchor(fields) {
	const { counts, since, jumpSince } = fields
	const doubles = {
		38: fields.ownOffset,
		72: fields.written,
		81: fields.nextSeq,
		91: counts[0],
		100: counts[1],
		109: counts[2],
		118: counts[3],
		127: counts[4],
		137: since.earliest,
		146: since.latest,
		156: fields.durable,
		165: fields.keptFrom,
		175: fields.previous,
		184: fields.ordinal,
		193: fields.jump,
		202: jumpSince.earliest,
		211: jumpSince.latest,
		221: fields.last,
	}
	const words = { 9: fields.crc ?? 0, 33: fields.segment, 49: fields.epoch }
	const bytes = put(Buffer.alloc(ANCHOR_LENGTH), ANCHOR_BYTES, doubles, words)
	bytes.set(fields.id, 15)
	bytes[46] = fields.reason
	bytes.set(fields.bootId, 55)
	bytes[154] = since.presence
	bytes[219] = jumpSince.presence
	bytes.set(fields.link ?? ZEROS, 231)
	return bytes
}

/** Encodes the 87 bytes of a watermark slot. */
function encodeSlot(fields) {
	const doubles = { 43: fields.count, 52: fields.offset, 61: fields.seq }
	const words = { 33: fields.segment, 38: fields.epoch }
	const bytes = put(Buffer.alloc(SLOT_LENGTH), SLOT_BYTES, doubles, words)
	bytes.set(fields.id, 16)
	bytes.set(fields.bootId ?? Buffer.alloc(16), 71)
	bytes.writeUInt32BE(fields.crc ?? crc32(bytes.subarray(14)), 10)
	return bytes
}

/**
 * Encodes a record as a row: trailing nils are omitted; the kind `log`, and a message equal to the kind, are
 * nil.
 */
function rowOf(record, baseTime) {
	const kind = record.kind === undefined || record.kind === 'log' ? null : record.kind
	const message = record.message === undefined || record.message === (kind ?? 'log') ? null : record.message
	const row = [record.tsMs - baseTime, record.level, kind, message, record.daemonId, record.nodeId]
	const origin = record.origin
	row.push(origin ? [origin.chainId, origin.epoch, origin.seq] : null)
	if (record.data !== undefined) return [...row, record.data]
	while (row.length > 2 && (row[row.length - 1] ?? null) === null) row.pop()
	return row
}

/** Returns whether all texts in the fixed columns of a row are ASCII. */
function isAscii(row) {
	return [...row.slice(0, 6), row[6]?.[0]].every(
		(text) => typeof text !== 'string' || !/[^\0-\x7f]/.test(text),
	)
}

/**
 * Encodes the part of a frame after its checksum. `fields` are `epoch`, `baseSeq`, `baseTime`, `records`;
 * `rows` (encoded unchanged), `flags` and `raw` (the bytes themselves) override.
 */
function encodeFrameBody(fields) {
	if (fields.raw) return asBuffer(fields.raw)
	const records = fields.records ?? []
	const rows = fields.rows ?? records.map((record) => rowOf(record, fields.baseTime))
	let flags = rows.every(isAscii) ? 0x40 : 0
	for (const record of records) {
		flags |= 1 << record.level
		if (String(record.kind).startsWith('$')) flags |= 0x20
	}
	const parts = [fields.flags ?? flags, fields.epoch, fields.baseSeq, new Raw(float64(fields.baseTime)), rows]
	return Buffer.concat(parts.map((part) => encode(part)))
}

/** Encodes a whole frame around the body, for its offset. `crc` and `length` override. */
function encodeFrame(body, id, segment, offset, { crc, length } = {}) {
	const size = length ?? body.length + 11
	const sum = crc ?? crc32(body, seedOf(id, segment, offset, size))
	return Buffer.concat([Buffer.from([0x97]), headBytes(0xce, 4, size), headBytes(0xce, 4, sum), body])
}

/**
 * Builds one file. By default everything fits: offset, checksums, links, counts, times, jumps. It continues
 * from `carry`, the state at the previous end of the previous file.
 */
class FileForge {
	constructor(header, carry = null) {
		const defaults = {
			segment: carry ? carry.segment + 1 : 0,
			id: carry?.id,
			created: carry?.clock ?? 0,
			firstSeq: carry?.nextSeq ?? 1,
			previousEnd: carry?.end ?? 0,
			previousLink: carry?.seamLink ?? ZEROS,
		}
		this.header = { ...defaults, ...header }
		this.segment = this.header.segment
		this.id = asBuffer(this.header.id)
		this.parts = []
		this.length = 0
		this.nextSeq = carry?.nextSeq ?? this.header.firstSeq
		this.epoch = carry?.epoch ?? 1
		this.bootId = carry?.bootId ?? Buffer.alloc(16)
		this.keptFrom = carry?.keptFrom ?? this.header.firstSeq
		this.clock = this.header.created
		this.counts = [...(carry?.counts ?? [0, 0, 0, 0, 0])]
		this.durable = 0
		this.offsets = []
		this.jumps = []
		this.stretches = new Stretches()
		const bytes = encodeHeader(this.header)
		this.push(bytes)
		this.link = sha256(bytes)
		this.linkedTo = bytes.length
	}

	push(bytes) {
		const offset = this.length
		this.parts.push(asBuffer(bytes))
		this.length += bytes.length
		return offset
	}

	bytes() {
		if (this.parts.length > 1) this.parts = [Buffer.concat(this.parts)]
		return this.parts[0]
	}

	/** Writes bytes unchanged. Only the link covers them. */
	raw(bytes) {
		return this.push(bytes)
	}

	/**
	 * Writes a frame of records. Default for `baseSeq`: the next seq. `fields.crc` and `fields.length`
	 * override the computed values.
	 */
	frame(records, fields = {}) {
		const baseSeq = fields.baseSeq ?? this.nextSeq
		const baseTime = fields.baseTime ?? records[0]?.tsMs ?? this.clock
		const body = encodeFrameBody({ epoch: this.epoch, ...fields, baseSeq, baseTime, records })
		const offset = this.push(encodeFrame(body, this.id, this.segment, this.length, fields))
		const rows = emptySum()
		for (const record of records) addRecord(rows, { kind: 'log', origin: null, ...record })
		this.stretches.addRows(rows)
		this.counts = this.counts.map((count, level) => count + rows.counts[level])
		this.clock = Math.max(this.clock, ...records.map(({ tsMs }) => tsMs))
		this.nextSeq = baseSeq + (records.length || fields.rows?.length || 1)
		return offset
	}

	/** Writes a frame with a leading `$gap` record that covers the absent records up to `toSeq`. */
	gap(toSeq, cause, { fromSeq = this.nextSeq, level = 3, records = [], ...fields } = {}) {
		const data = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }
		const record = { tsMs: this.clock, level, kind: GAP, data }
		return this.frame([record, ...records], { ...fields, baseSeq: toSeq })
	}

	/** Writes an anchor. Any of its fields can be overridden, including `link` and `crc`. */
	anchor(reason, fields = {}) {
		const offset = this.length
		const ordinal = this.offsets.length
		const jump = jumpOf(ordinal, reason, this.jumps)
		this.stretches.end(fields.since?.presence ?? 0x40)
		const all = {
			id: this.id,
			segment: this.segment,
			ownOffset: offset,
			reason,
			epoch: this.epoch,
			bootId: this.bootId,
			written: this.clock,
			nextSeq: this.nextSeq,
			counts: this.counts,
			since: this.stretches.since(ordinal),
			durable: this.durable,
			keptFrom: this.keptFrom,
			previous: this.offsets.at(-1) ?? 0,
			ordinal,
			jump: this.offsets[jump] ?? 0,
			jumpSince: this.stretches.since(jump + 1),
			last: reason === CLOSED ? -1 : 0,
		}
		refuseUnknown(fields, [...Object.keys(all), 'link', 'crc'])
		Object.assign(all, fields)
		const bytes = encodeAnchor(all)
		const between = this.bytes().subarray(this.linkedTo)
		const link = asBuffer(fields.link ?? sha256(this.link, between, bytes.subarray(13, 229)))
		bytes.set(link, 231)
		const crc = crc32(bytes.subarray(13), seedOf(this.id, this.segment, offset, ANCHOR_LENGTH))
		bytes.writeUInt32BE(fields.crc ?? crc, 9)
		this.push(bytes)
		this.link = link
		this.linkedTo = this.length
		this.jumps.push(jump)
		this.offsets.push(offset)
		this.epoch = all.epoch
		this.keptFrom = all.keptFrom
		this.durable = all.durable
		this.bootId = asBuffer(all.bootId)
		return offset
	}

	/** Returns the state that the next file continues from, if everything so far counts. */
	carry() {
		const { segment, id, nextSeq, epoch, bootId, keptFrom, clock, counts, length } = this
		const between = this.bytes().subarray(this.linkedTo)
		const link = between.length === 0 ? this.link : sha256(this.link, between)
		const rest = { id, nextSeq, epoch, bootId, keptFrom, clock, counts }
		return { segment, ...rest, end: length, seamLink: link }
	}
}

/** Builds a chain of several files from scratch. */
export class Forge {
	/** `options`: `name`, `id`, `created`, `firstSeq`, `epoch`, `bootId`, and `header` (overrides). */
	constructor(options = {}) {
		refuseUnknown(options, ['name', 'id', 'created', 'firstSeq', 'epoch', 'bootId', 'header'])
		this.name = options.name ?? 'node'
		this.id = asBuffer(options.id ?? Buffer.alloc(16, 7))
		this.sealedFiles = []
		this.slots = []
		const created = options.created ?? 1_700_000_000_000
		const header = { id: this.id, created, firstSeq: options.firstSeq ?? 1, ...options.header }
		this.file = new FileForge(header)
		this.file.epoch = options.epoch ?? 1
		this.file.bootId = asBuffer(options.bootId ?? Buffer.alloc(16, 1))
		this.anchor(OPENED)
	}

	frame(records, fields) {
		return this.file.frame(records, fields)
	}

	gap(toSeq, cause, fields) {
		return this.file.gap(toSeq, cause, fields)
	}

	anchor(reason, fields) {
		return this.file.anchor(reason, fields)
	}

	/** Closes the epoch and opens the next one. */
	reopen(fields = {}) {
		this.anchor(CLOSED)
		return this.anchor(OPENED, { epoch: this.file.epoch + 1, ...fields })
	}

	/**
	 * Seals the file and begins another. `options`: `unsealed` (no sealing anchor), `superseded` (writes
	 * bytes to the file after its previous end), `header`, `reason` and `anchor` (of the new file's first
	 * anchor).
	 */
	seal(options = {}) {
		if (!options.unsealed) this.anchor(SEALED, options.sealing)
		const carry = this.file.carry()
		options.superseded?.(this.file)
		this.sealedFiles.push(this.file)
		this.file = new FileForge(options.header ?? {}, carry)
		return this.anchor(options.reason ?? SPAN, options.anchor)
	}

	/** Writes a slot of the watermark for the file as it is. */
	watermark(fields = {}) {
		const file = this.file
		const slot = { id: this.id, segment: file.segment, epoch: file.epoch, bootId: file.bootId }
		const place = { count: this.slots.length, offset: file.length, seq: file.nextSeq - 1 }
		this.slots.push(encodeSlot({ ...slot, ...place, ...fields }))
	}

	/** Returns the files of the folder. */
	files() {
		const files = []
		const taken = new Set()
		for (const file of this.sealedFiles) {
			const stem = `${this.name}-${file.header.firstSeq}`
			let name = `${stem}.chain`
			for (let count = 1; taken.has(name); count++) name = `${stem}.${count}.chain`
			taken.add(name)
			files.push({ name, bytes: file.bytes() })
		}
		files.push({ name: `${this.name}.chain`, bytes: this.file.bytes() })
		if (this.slots.length > 0) {
			const last = this.slots.slice(-2)
			if (this.slots.length % 2 === 1) last.reverse()
			files.push({ name: `${this.name}.chain.durable`, bytes: Buffer.concat(last) })
		}
		return files
	}
}

/** Returns a record as an application may publish it. */
function randomRecord(random, tsMs) {
	const record = {
		tsMs,
		level: below(random, 5),
		kind: pick(random, ['log', 'log', 'metric', '$mark', 'gruß']),
	}
	if (random() < 0.7) record.message = `message ${below(random, 1e6)} ${'x'.repeat(below(random, 60))}`
	if (random() < 0.5) record.daemonId = pick(random, ['daemon', 4711, 2n ** 40n, -5n, 'dämon'])
	if (random() < 0.3) record.nodeId = pick(random, ['node', 3.5, 17])
	if (random() < 0.1) record.origin = { chainId: 'ab'.repeat(16), epoch: 2, seq: below(random, 1e9) }
	if (random() < 0.5) {
		const values = [null, below(random, 1e12), -3, 1.5, 'text', true, [1, [2, { a: 'b' }]], new Date(tsMs)]
		values.push({ count: below(random, 100), big: 2n ** 70n, deep: { bytes: new Uint8Array([1, 2, 3]) } })
		record.data = pick(random, values)
	}
	return record
}

/**
 * Returns a chain as a writer may leave it. `options`: `files`, `frames` (in each file), `rows` (maximum in a
 * frame), and those of `Forge`. Some chains have gaps, epochs, superseded bytes or a watermark.
 */
export function forgeChain(random, options = {}) {
	const forge = new Forge({ id: randomBytes(random, 16), ...options })
	let clock = options.created ?? 1_700_000_000_000
	const rows = () => {
		const records = []
		for (let count = 1 + below(random, options.rows ?? 6); count > 0; count--) {
			clock += below(random, 1000) - 100
			records.push(randomRecord(random, clock))
		}
		return records
	}
	const fileCount = options.files ?? 1 + below(random, 4)
	for (let index = 0; index < fileCount; index++) {
		if (index > 0) {
			const lost = random() < 0.2
			const superseded = random() < 0.25 ? (file) => file.frame(rows()) : undefined
			forge.seal({ unsealed: superseded !== undefined || random() < 0.2, superseded })
			if (lost) forge.gap(forge.file.nextSeq + below(random, 9), 'damaged')
		}
		const frames = options.frames ?? 3 + below(random, 12)
		for (let frame = 0; frame < frames; frame++) {
			const dice = random()
			if (dice < 0.06) forge.gap(forge.file.nextSeq + below(random, 9), pick(random, ['damaged', 'unsynced']))
			else if (dice < 0.12) forge.reopen()
			else if (dice < 0.35) forge.anchor(SPAN, { durable: forge.file.length })
			else if (dice < 0.4) forge.watermark()
			forge.frame(rows())
		}
	}
	forge.anchor(CLOSED)
	if (random() < 0.3) forge.frame(rows())
	return forge
}

// ---------------------------------------------------------------------------------------------------------
// Taking a chain apart and reassembling it
// ---------------------------------------------------------------------------------------------------------

/**
 * Converts a chain to a model, `{ files, others }`. Each file has `name`, `header`, `items` and `counted`
 * (the number of items before the next file's previous end). An item is a frame (`records`, `body`), an
 * anchor, or raw.
 */
function explode(files) {
	const chain = openChain(files, {})
	const names = new Set(chain.files.map(({ name }) => name))
	const model = { files: [], others: files.filter(({ name }) => !names.has(name)) }
	for (const file of chain.files) {
		const { name, bytes, header, limit } = file
		const items = file.entries.map((entry) => itemOf(bytes, entry))
		const counted = items.length
		const superseded = scan(file, Math.max(limit, HEADER_LENGTH), bytes.length)
		items.push(...superseded.map((entry) => itemOf(bytes, entry)))
		const head = bytes.subarray(0, HEADER_LENGTH)
		model.files.push({ name, live: name === chain.liveName, header, head, items, counted })
	}
	return model
}

function itemOf(whole, entry) {
	const { type, offset, end } = entry
	const bytes = whole.subarray(offset, end)
	if (type === 'anchor')
		return { ...entry, bytes, bootId: bytes.subarray(55, 71), crc: bytes.readUInt32BE(9) }
	if (type !== 'frame' || entry.rows === null) return { type: 'raw', bytes, offset }
	const { epoch, baseSeq, baseTime, flags } = entry
	const records = []
	readRows(whole, entry, (record) => records.push(record))
	return { type, epoch, baseSeq, baseTime, flags, records, bytes, body: bytes.subarray(11) }
}

/** Fields of an anchor that are never recomputed. */
const KEPT = ['epoch', 'bootId', 'written', 'keptFrom', 'last']
/** Fields of an anchor that describe the preceding entries and their offsets. */
const SUMS = ['nextSeq', 'counts', 'since', 'durable', 'previous', 'ordinal', 'jump', 'jumpSince']

/** Returns the fields with these names, if present. */
function only(item, names) {
	return Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name)))
}

/**
 * Assembles a model. `checksums` (true): entries get correct checksums for their offsets; otherwise each
 * keeps its old checksum. `links` (true): the links of anchors, previous ends and previous links are
 * recomputed. `recount` (true): counts, times, presence, next seqs, offsets and jumps are recomputed. An
 * item's `force` overrides its fields.
 */
function assemble(model, { checksums = true, links = true, recount = true } = {}) {
	const files = []
	let carry = null
	for (const file of model.files) {
		const stale = { ...file.header }
		if (links && carry !== null && !ZEROS.equals(stale.previousLink)) {
			stale.previousEnd = carry.end
			stale.previousLink = carry.seamLink
		}
		if (!checksums) stale.crc = file.head.readUInt32BE(98)
		const forge = new FileForge({ ...stale, ...file.force })
		forge.nextSeq = carry?.nextSeq ?? forge.nextSeq
		forge.counts = carry?.counts ?? firstCounts(file)
		carry = null
		file.items.forEach((item, index) => {
			if (index === file.counted) carry = forge.carry()
			assembleItem(forge, item, { checksums, links, recount })
		})
		carry ??= forge.carry()
		files.push({ name: file.name, bytes: forge.bytes() })
	}
	return [...files, ...model.others]
}

/** Returns the counts in the first anchor of the first file. */
function firstCounts(file) {
	return file.items.find((item) => item.type === 'anchor')?.counts ?? [0, 0, 0, 0, 0]
}

function assembleItem(forge, item, { checksums, links, recount }) {
	if (item.type === 'raw') {
		forge.raw(item.bytes)
		return
	}
	if (item.type === 'frame') {
		const stale = checksums ? {} : { crc: item.bytes.readUInt32BE(7) }
		const { baseSeq, baseTime, epoch, rows, body, records } = item
		forge.frame(records, { raw: body, epoch, baseSeq, baseTime, rows, ...stale, ...item.force })
		return
	}
	const fields = only(item, recount ? KEPT : [...KEPT, ...SUMS])
	if (!links) fields.link = item.link
	if (!checksums) fields.crc = item.crc
	if (recount) fields.durable = Math.min(item.durable, forge.length)
	forge.anchor(item.reason, { ...fields, ...item.force })
	if (!recount && item.nextSeq > forge.nextSeq) forge.nextSeq = item.nextSeq
}

// ---------------------------------------------------------------------------------------------------------
// Mutators
// ---------------------------------------------------------------------------------------------------------

/** Returns copies of the files. */
function copyFiles(files) {
	return files.map((file) => ({ name: file.name, bytes: Buffer.from(file.bytes) }))
}

/** Returns the result of a mutator that found nothing to change. */
function unchanged(files) {
	return { files: copyFiles(files), what: 'nothing to change' }
}

/** Chooses how a mutator rebuilds the chain, unless the caller specifies it. */
function howTo(random, options = {}) {
	return {
		checksums: options.checksums ?? random() < 0.9,
		links: options.links ?? random() < 0.5,
		recount: options.recount ?? random() < 0.5,
	}
}

function sayHow(how) {
	const words = ['checksums', 'links', 'recount'].filter((word) => how[word])
	return words.length === 0 ? 'nothing recomputed' : `${words.join(', ')} recomputed`
}

/** Returns all items of a type that count, with their files. */
function places(model, type, test = () => true) {
	const found = []
	for (const file of model.files) {
		file.items.forEach((item, index) => {
			if (item.type === type && index < file.counted && test(item)) found.push({ file, index, item })
		})
	}
	return found
}

/** Rebuilds after an edit of the model. Without anything to edit, nothing changes. */
function edited(files, random, options, edit) {
	const model = explode(files)
	const how = howTo(random, options)
	const usable = model.files.length > 0 && model.files.every((file) => file.header !== null)
	const what = usable ? edit(model) : null
	if (what === null) return unchanged(files)
	return { files: assemble(model, how), what: `${what}; ${sayHow(how)}` }
}

/** Returns a frame item with records. */
function frameItem(epoch, baseSeq, records, fields = {}) {
	return {
		type: 'frame',
		epoch,
		baseSeq,
		baseTime: records[0].tsMs,
		records,
		bytes: Buffer.alloc(11),
		...fields,
	}
}

function insertItem(file, index, item) {
	file.items.splice(index, 0, item)
	if (index <= file.counted) file.counted += 1
}

function removeItem(file, index) {
	file.items.splice(index, 1)
	if (index < file.counted) file.counted -= 1
}

/** Renumbers the records of all frames after a place. */
function renumber(model, from, by) {
	for (const { item } of places(model, 'frame', (one) => one.baseSeq >= from)) {
		item.baseSeq += by
		delete item.body
	}
}

const ODD_VALUES = [
	['a text as level', (row) => ({ ...row, 1: 'info' })],
	['level 5', (row) => ({ ...row, 1: 5 })],
	['level -1', (row) => ({ ...row, 1: -1 })],
	['level 1.5', (row) => ({ ...row, 1: 1.5 })],
	['NaN as time', (row) => ({ ...row, 0: NaN })],
	['infinite time', (row) => ({ ...row, 0: Infinity })],
	['a text as time', (row) => ({ ...row, 0: 'now' })],
	['a number as kind', (row) => ({ ...row, 2: 7 })],
	['an array as message', (row) => ({ ...row, 3: [1] })],
	['a map as daemonId', (row) => ({ ...row, 4: { a: 1 } })],
	['true as nodeId', (row) => ({ ...row, 5: true })],
	['a short origin', (row) => ({ ...row, 6: ['chain', 1] })],
	['data nested 65 deep', (row) => ({ ...row, 7: nested(65) })],
	['data nested 100,000 deep', (row) => ({ ...row, 7: new Raw(Buffer.alloc(100_000, 0x91)) })],
	['an unknown extension', (row) => ({ ...row, 7: new Raw(encodeExtension(5, Buffer.alloc(4))) })],
	['a date out of range', (row) => ({ ...row, 7: new Raw(encodeExtension(-1, Buffer.alloc(12, 0x7f))) })],
	['a key that is not a text', (row) => ({ ...row, 7: new Map([[1, 2]]) })],
	['an array that claims 4 billion', (row) => ({ ...row, 7: new Raw(Buffer.from('ddffffffff', 'hex')) })],
	['a bin that claims 4 GiB', (row) => ({ ...row, 7: new Raw(Buffer.from('c6ffffffff', 'hex')) })],
	['c1', (row) => ({ ...row, 7: new Raw(Buffer.from('c1', 'hex')) })],
	['data of more than 4 MiB', (row) => ({ ...row, 7: new Uint8Array(DATA_LENGTH_MAX + 1) })],
	['nine columns', (row) => ({ ...row, 8: 1 })],
	['one column', () => ({ 0: 0 })],
	['no column', () => ({})],
]

/** Returns nested arrays, `depth` deep, as bytes. */
function nested(depth) {
	return new Raw(Buffer.concat([Buffer.alloc(depth - 1, 0x91), Buffer.from([0x90])]))
}

/** Returns a row of columns by number; absent columns in between are nil. */
function rowOfColumns(columns) {
	const last = Math.max(-1, ...Object.keys(columns).map(Number))
	return Array.from({ length: last + 1 }, (_, index) => columns[index] ?? null)
}

/** Fields of an anchor that a forger may set, each with a value that does not fit. */
const ANCHOR_EDITS = {
	reason: (random, item) => (item.reason + 1 + below(random, 3)) % 4,
	epoch: (random, item) => item.epoch + 1 + below(random, 3),
	bootId: (random) => randomBytes(random, 16),
	written: (_, item) => item.written + 1,
	nextSeq: (random, item) => item.nextSeq + 1 + below(random, 5),
	counts: (_, item) => item.counts.map((count) => count + 1),
	since: (random, item) => otherExtent(random, item.since),
	durable: (_, item) => item.offset + 1000,
	keptFrom: (_, item) => item.keptFrom + 1,
	previous: (_, item) => item.previous + 1,
	ordinal: (_, item) => item.ordinal + 1,
	jump: (_, item) => item.jump + 7,
	jumpSince: (random, item) => otherExtent(random, item.jumpSince),
	last: (_, item) => item.last + 1,
	link: (random) => randomBytes(random, 32),
	segment: (_, item) => item.segment + 1,
	ownOffset: (_, item) => item.offset + 1,
}

/** Returns an extent with other times or another presence. */
function otherExtent(random, { earliest, latest, presence }) {
	return pick(random, [
		{ earliest: Number.isFinite(earliest) ? earliest - 1 : 0, latest, presence },
		{ earliest, latest: Number.isFinite(latest) ? latest + 1 : 0, presence },
		{ earliest, latest, presence: presence ^ (1 << below(random, 6)) },
	])
}

/** Overwrites a stretch of bytes in a file of the chain. */
function overwritten(files, random, options, name, make) {
	const copies = copyFiles(files)
	const usable = copies.filter((file) => file.bytes.length > 0 && !file.name.endsWith('.durable'))
	if (usable.length === 0) return unchanged(files)
	const file = options?.file ? copies.find((one) => one.name === options.file) : pick(random, usable)
	const size = options?.size ?? 512
	const offset = options?.offset ?? below(random, Math.ceil(file.bytes.length / size)) * size
	const end = Math.min(file.bytes.length, offset + size)
	file.bytes.set(make(end - offset, file, offset, copies), offset)
	return { files: copies, what: `${name}: ${file.name}, bytes ${offset} to ${end - 1}` }
}

/**
 * The mutators. Each takes `(files, random, options?)` and returns `{ files, what }`; the given files stay
 * unchanged. Mutators that rebuild the chain accept `checksums`, `links` and `recount` (see `assemble`).
 * Default: the random function chooses.
 */
export const mutators = {
	/** Edits one column of one record. */
	editRecord(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const { item } = place
			const row = options.row ?? below(random, item.records.length)
			const records = [...item.records]
			const field = options.field ?? pick(random, ['message', 'tsMs', 'level', 'kind', 'data', 'daemonId'])
			const record = { ...records[row] }
			if (field === 'tsMs') record.tsMs += 1
			else if (field === 'level') record.level = (record.level + 1) % 5
			else if (field === 'data') record.data = { forged: below(random, 1e9) }
			else record[field] = `forged ${below(random, 1e9)}`
			records[row] = options.record ?? record
			place.item.records = records
			delete place.item.body
			return `edited ${field} of seq ${record.seq}`
		})
	},

	/** Deletes a frame; `renumber` closes the hole in the seqs. */
	deleteFrame(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			removeItem(place.file, place.index)
			const close = options.renumber ?? random() < 0.5
			if (close) renumber(model, place.item.baseSeq, -place.item.records.length)
			return `deleted the frame of seq ${place.item.baseSeq}${close ? ', later seqs moved down' : ''}`
		})
	},

	/** Deletes one record in a frame; later seqs move down. */
	deleteRecord(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(
				random,
				places(model, 'frame', (item) => item.records.length > 1),
			)
			if (place === undefined) return null
			const { item } = place
			const row = 1 + below(random, item.records.length - 1)
			const seq = item.baseSeq + row
			item.records = item.records.filter((_, index) => index !== row)
			delete item.body
			renumber(model, seq, -1)
			return `deleted seq ${seq}`
		})
	},

	/** Inserts a frame of made-up records. */
	insertFrame(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const { item, file, index } = place
			const records = options.records ?? [
				randomRecord(random, item.baseTime),
				randomRecord(random, item.baseTime + 1),
			]
			const baseSeq = item.baseSeq
			if (options.renumber ?? random() < 0.5) renumber(model, baseSeq, records.length)
			insertItem(file, index, frameItem(item.epoch, baseSeq, records))
			return `inserted a frame at seq ${baseSeq}`
		})
	},

	/** Swaps two frames of a file; `renumber` also swaps their seqs if they have the same number of rows. */
	reorderFrames(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const first = pick(random, places(model, 'frame'))
			if (first === undefined) return null
			const others = places(model, 'frame', (item) => item !== first.item).filter(
				(one) => one.file === first.file,
			)
			const second = pick(random, others)
			if (second === undefined) return null
			first.file.items[first.index] = second.item
			first.file.items[second.index] = first.item
			if ((options.renumber ?? true) && first.item.records.length === second.item.records.length) {
				const seq = first.item.baseSeq
				first.item.baseSeq = second.item.baseSeq
				second.item.baseSeq = seq
				delete first.item.body
				delete second.item.body
			}
			return `swapped the frames of seq ${first.item.baseSeq} and ${second.item.baseSeq}`
		})
	},

	/** Replaces a frame by a frame of another chain, `options.from` (files). */
	splice(files, random, options = {}) {
		const other = explode(options.from ?? forgeChain(random).files())
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			const source = pick(random, places(other, 'frame'))
			if (place === undefined || source === undefined) return null
			if (options.raw ?? random() < 0.3)
				place.file.items[place.index] = { type: 'raw', bytes: source.item.bytes }
			else
				place.file.items[place.index] = frameItem(place.item.epoch, place.item.baseSeq, source.item.records)
			return `put another chain's frame in the place of seq ${place.item.baseSeq}`
		})
	},

	/** Replaces a file by a file of another chain. */
	spliceFile(files, random, options = {}) {
		const from = options.from ?? forgeChain(random).files()
		const copies = copyFiles(files)
		const file = pick(
			random,
			copies.filter((one) => one.name.endsWith('.chain')),
		)
		const source = pick(
			random,
			from.filter((one) => one.name.endsWith('.chain')),
		)
		if (file === undefined || source === undefined) return unchanged(files)
		file.bytes = Buffer.from(source.bytes)
		return { files: copies, what: `put another chain's file in the place of ${file.name}` }
	},

	/** Cuts a file at a random offset. */
	truncate(files, random, options = {}) {
		const copies = copyFiles(files)
		const usable = copies.filter((file) => file.bytes.length > 0 && file.name.endsWith('.chain'))
		const file = options.file ? copies.find((one) => one.name === options.file) : pick(random, usable)
		if (file === undefined) return unchanged(files)
		const at = options.at ?? below(random, file.bytes.length)
		file.bytes = file.bytes.subarray(0, at)
		return { files: copies, what: `cut ${file.name} to ${at} bytes` }
	},

	/**
	 * Rolls the chain back to an anchor, like an old backup: later files are removed, and the file with the
	 * anchor is live again.
	 */
	rollBack(files, random, options = {}) {
		const model = explode(files)
		const place = pick(random, places(model, 'anchor'))
		if (place === undefined) return unchanged(files)
		const kept = model.files.slice(0, model.files.indexOf(place.file))
		const names = new Set(kept.map((file) => file.name))
		const live = model.files.find((file) => file.live)?.name ?? 'node.chain'
		const rolled = copyFiles(files).filter((file) => names.has(file.name) && file.name !== live)
		const whole = files.find((file) => file.name === place.file.name)
		rolled.push({ name: live, bytes: Buffer.from(whole.bytes.subarray(0, place.item.end)) })
		if (options.keepWatermark ?? random() < 0.5) {
			rolled.push(...copyFiles(files).filter((file) => file.name.endsWith('.durable')))
		}
		return { files: rolled, what: `rolled back to the anchor before seq ${place.item.nextSeq}` }
	},

	/** Overwrites a sector with zeros. */
	zeroSector(files, random, options) {
		return overwritten(files, random, options, 'zeros', (length) => Buffer.alloc(length))
	},

	/** Overwrites a sector with random bytes. */
	garbageSector(files, random, options) {
		return overwritten(files, random, options, 'garbage', (length) => randomBytes(random, length))
	},

	/** Overwrites a sector with bytes from another place or an earlier time. */
	staleSector(files, random, options) {
		return overwritten(files, random, options, 'stale bytes', (length, file) => {
			const from = below(random, file.bytes.length)
			const stale = Buffer.alloc(length)
			stale.set(file.bytes.subarray(from, from + length))
			return stale
		})
	},

	/** Flips bits. */
	flipBits(files, random, options = {}) {
		const count = options.count ?? 1 + below(random, 4)
		const size = 1
		let last = { files: copyFiles(files) }
		const where = []
		for (let flip = 0; flip < count; flip++) {
			const change = (_, file, offset) => {
				where.push(`${file.name}:${offset}`)
				return [file.bytes[offset] ^ (1 << below(random, 8))]
			}
			last = overwritten(last.files, random, { ...options, size }, 'flip', change)
		}
		return { files: last.files, what: `flipped bits at ${where.join(', ')}` }
	},

	/** Rewrites every record after a point and recomputes everything: a perfect forgery. */
	rewriteAfter(files, random, options = {}) {
		const all = { checksums: true, links: true, recount: true, ...options }
		return edited(files, random, all, (model) => {
			const frames = places(model, 'frame')
			if (frames.length === 0) return null
			const from = options.from ?? below(random, frames.length)
			for (const { item } of frames.slice(from)) {
				item.records = item.records.map((record) => {
					return record.kind === GAP ? record : { ...record, message: `rewritten ${below(random, 1e6)}` }
				})
				delete item.body
			}
			return `rewrote everything from seq ${frames[from].item.baseSeq} on`
		})
	},

	/** Edits a file and ends it with a `repaired` anchor, as after damage; the other files stay. */
	putRepaired(files, random, options = {}) {
		const model = explode(files)
		const usable = model.files.filter(
			(file) => file.header !== null && file.items.some((item) => item.type === 'frame'),
		)
		const file = pick(random, usable)
		if (file === undefined) return unchanged(files)
		const frames = file.items.filter((item) => item.type === 'frame')
		const item = pick(random, frames)
		const row = below(random, item.records.length)
		if (options.edit ?? random() < 0.8) {
			item.records = item.records.map((record, index) =>
				index === row ? { ...record, message: 'repaired' } : record,
			)
			delete item.body
		}
		file.items.length = file.counted
		const newest = file.items.filter((one) => one.type === 'anchor').pop()
		file.items.push({
			type: 'anchor',
			...newest,
			reason: REPAIRED,
			last: 512,
			durable: 0,
			force: { durable: newest?.durable ?? 0 },
		})
		file.counted = file.items.length
		const [first] = assemble({ files: [file], others: [] }, { recount: true, ...options })
		const copies = copyFiles(files)
		copies.find((one) => one.name === file.name).bytes = first.bytes
		const what = `edited seq ${item.baseSeq + row} in ${file.name} and ended it in a repaired anchor`
		return { files: copies, what }
	},

	/** Removes files from the beginning; the newest anchor claims that retention did it. */
	claimKeptFrom(files, random, options = {}) {
		const model = explode(files)
		const usable = model.files.length > 1 && model.files.every((file) => file.header !== null)
		if (!usable) return unchanged(files)
		const count = options.count ?? 1 + below(random, model.files.length - 1)
		const gone = new Set(model.files.slice(0, count).map((file) => file.name))
		const top = model.files[model.files.length - 1]
		const firstSeq = model.files[count].header.firstSeq
		const keptFrom = options.keptFrom ?? firstSeq
		const copies = copyFiles(files).filter((file) => !gone.has(file.name))
		const live = copies.find((file) => file.name === top.name)
		if (live === undefined) return unchanged(files)
		const forge = new FileForge(top.header)
		forge.counts = firstCounts(top)
		for (const item of top.items) {
			const keep = { type: 'raw', checksums: true, links: true, recount: false }
			assembleItem(forge, item, keep)
		}
		forge.anchor(SPAN, { keptFrom })
		live.bytes = forge.bytes()
		return {
			files: copies,
			what: `removed ${count} files from the head; a new anchor says kept from ${keptFrom}`,
		}
	},

	/** Replaces a frame by a `$gap`. */
	insertGap(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const { item } = place
			const causes = ['damaged', 'unsynced', 'retained', 'evicted', 'notImported', 'lost', '', 5, null]
			const cause = options.cause === undefined ? pick(random, causes) : options.cause
			const toSeq = item.baseSeq + item.records.length - 1
			const data = { fromSeq: item.baseSeq, toSeq, count: item.records.length, cause }
			const record = { tsMs: item.records[0].tsMs, level: 3, kind: GAP, data }
			place.file.items[place.index] = frameItem(item.epoch, toSeq, [record])
			return `a $gap of cause ${JSON.stringify(cause)} in the place of seq ${item.baseSeq} to ${toSeq}`
		})
	},

	/** Replaces a row by an invalid one: wrong types, too deep, out of range. */
	oddRow(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const { item } = place
			const choices = ODD_VALUES.filter(([name]) => options.odd === undefined || options.odd === name)
			const [name, make] = pick(random, choices)
			const index = below(random, item.records.length)
			const rows = item.records.map((record) => rowOf(record, item.baseTime))
			rows[index] = rowOfColumns(make({ ...rows[index] }))
			item.rows = rows
			delete item.body
			return `${name} in the row of seq ${item.baseSeq + index}`
		})
	},

	/** Sets fields of a frame's head to wrong values. */
	oddFrame(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const choices = [
				{ flags: place.item.flags ^ (1 << below(random, 7)) },
				{ flags: 200 },
				{ epoch: place.item.epoch + 1 },
				{ epoch: -1 },
				{ baseSeq: place.item.baseSeq + 1 + below(random, 9) },
				{ baseSeq: 2 ** 60 },
				{ baseSeq: 0 },
				{ baseTime: NaN },
				{ rows: [] },
				{ length: 0 },
				{ length: FRAME_LENGTH_MAX },
				{ length: 0xffffffff },
			]
			const force = options.fields ?? pick(random, choices)
			delete place.item.body
			place.item.force = force
			return `${JSON.stringify(force)} in the frame of seq ${place.item.baseSeq}`
		})
	},

	/** Sets a field of an anchor to a wrong value. */
	editAnchor(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'anchor'))
			if (place === undefined) return null
			const field = options.field ?? pick(random, Object.keys(ANCHOR_EDITS))
			const value = options.value ?? ANCHOR_EDITS[field](random, place.item)
			place.item.force = { [field]: value }
			return `${field} of the anchor at ${place.file.name}:${place.item.offset}`
		})
	},

	/** Deletes an anchor. */
	deleteAnchor(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'anchor'))
			if (place === undefined) return null
			removeItem(place.file, place.index)
			return `deleted the anchor at ${place.file.name}:${place.item.offset}`
		})
	},

	/** Sets a field of a header to a wrong value. */
	editHeader(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const file = pick(random, model.files)
			const { header } = file
			const edits = {
				created: header.created + 1,
				firstSeq: header.firstSeq + 1,
				segment: header.segment + 1 + below(random, 3),
				previousEnd: Math.max(0, header.previousEnd + below(random, 1000) - 500) + (random() < 0.5 ? 1 : 0),
				previousLink: random() < 0.5 ? ZEROS : randomBytes(random, 32),
				id: randomBytes(random, 16),
				version: 2 + below(random, 100),
				crc: below(random, 2 ** 32),
			}
			const field = options.field ?? pick(random, Object.keys(edits))
			file.force = { [field]: options.value ?? edits[field] }
			return `${field} of the header of ${file.name}`
		})
	},

	/** Deletes a file. */
	deleteFile(files, random, options = {}) {
		const usable = files.filter((file) => file.name.endsWith('.chain'))
		const name = options.file ?? pick(random, usable)?.name
		const kept = copyFiles(files).filter((file) => file.name !== name)
		return { files: kept, what: `deleted ${name}` }
	},

	/** Swaps the names of two files. */
	swapNames(files, random) {
		const names = openChain(files, {}).files.map(({ name }) => name)
		const first = pick(random, names)
		const second = pick(
			random,
			names.filter((name) => name !== first),
		)
		const copies = copyFiles(files)
		if (second === undefined) return unchanged(files)
		for (const file of copies) {
			if (file.name === first) file.name = second
			else if (file.name === second) file.name = first
		}
		return { files: copies, what: `swapped the names of ${first} and ${second}` }
	},

	/** Writes another watermark. */
	editWatermark(files, random, options = {}) {
		const model = explode(files)
		const top = model.files[model.files.length - 1]
		if (!top?.header) return unchanged(files)
		const fields = {
			id: top.header.id,
			segment: top.header.segment,
			epoch: 1,
			count: 1000,
			offset: below(random, 100_000),
			seq: top.header.firstSeq + below(random, 100),
			...options,
		}
		const name = `${(model.files.find((file) => file.live) ?? { name: 'node.chain' }).name}.durable`
		const kept = copyFiles(files).filter((file) => file.name !== name)
		kept.push({ name, bytes: encodeSlot(fields) })
		return { files: kept, what: `a watermark of ${fields.offset} bytes and seq ${fields.seq}` }
	},
}

/** Applies a random mutator, from all or from `options.only` (names). */
export function mutate(files, random, options = {}) {
	const name = pick(random, options.only ?? Object.keys(mutators))
	return { mutator: name, ...mutators[name](files, random, options.with ?? {}) }
}
