/**
 * An independent reader, verifier and forger written from docs/FORMAT.md alone; it imports nothing of src, so
 * that a mistake cannot be in both.
 *
 * The file has five parts: bytes and MessagePack, one file, one chain (`readChain`, `verify`), the forger
 * (`Forge`), and the mutators (`mutators`, `mutate`).
 *
 * The reader and the verifier never throw on the bytes of a file. Their work and their memory grow with the
 * number of bytes handed in, whatever these bytes claim.
 */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import * as zlib from 'node:zlib'

export const HEADER_BYTES = 102
export const ANCHOR_BYTES = 263
export const WATERMARK_BYTES = 87
export const MAX_FRAME_BYTES = 16 * 1024 * 1024
export const MAX_DATA_BYTES = 4 * 1024 * 1024
export const MAX_DEPTH = 64
export const MAX_OBJECTS = 262_144
export const MAX_EPOCH = 4_294_901_759
export const MAX_SEQ = 9_007_194_959_773_695
export const MAX_TIME = 8_640_000_000_000_000
export const VERSION = 1
export const OPENED = 0
export const SPAN = 1
export const CLOSED = 2
export const SEALED = 3
export const REPAIRED = 4
export const GAP = '$gap'

const MIN_FRAME_BYTES = 27
const BIT_SPECIAL = 32
const BIT_ASCII = 64
const BIT_NO_SPECIAL = 64
const LEVEL_BITS = 31
const ZERO_LINK = Buffer.alloc(32)

// ---------------------------------------------------------------------------------------------------------
// Bytes: CRC-32, SHA-256
// ---------------------------------------------------------------------------------------------------------

const POLYNOMIAL = 0xedb88320
const CRC_TABLE = new Int32Array(256)
for (let index = 0; index < 256; index++) {
	let value = index
	for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
	CRC_TABLE[index] = value
}

/** CRC-32 by table, for a Node.js whose zlib has no crc32. */
function slowCrc32(bytes, start = 0) {
	let crc = ~start
	for (let index = 0; index < bytes.length; index++) crc = CRC_TABLE[(crc ^ bytes[index]) & 255] ^ (crc >>> 8)
	return ~crc >>> 0
}

/** CRC-32 as in zlib. It takes the CRC-32 of what stands before as its start. */
export const crc32 = typeof zlib.crc32 === 'function' ? zlib.crc32 : slowCrc32

/** SHA-256 of the parts, one behind the other. */
export function sha256(...parts) {
	const hash = createHash('sha256')
	for (const part of parts) hash.update(part)
	return hash.digest()
}

/** Multiplies two polynomials modulo the one of CRC-32. */
function multiplyPolynomials(a, b) {
	let product = 0
	for (let bit = 31; bit >= 0; bit--) {
		if ((a >>> bit) & 1) product ^= b
		b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1
	}
	return product >>> 0
}

const POWERS = [0x40000000]
while (POWERS.length < 32) {
	const power = POWERS[POWERS.length - 1]
	POWERS.push(multiplyPolynomials(power, power))
}

/** The CRC-32 `crc`, as `length` bytes behind it shift it. */
function shiftCrc(crc, length) {
	let factor = 0x80000000
	for (let power = 3; length > 0; power = (power + 1) & 31, length = Math.floor(length / 2)) {
		if (length & 1) factor = multiplyPolynomials(POWERS[power], factor)
	}
	return multiplyPolynomials(factor, crc)
}

const CHECKPOINT_BITS = 10

/**
 * CRC-32 of any range of a file in almost no time. The search for the next entry needs it: a hostile file may
 * hold a claim of 16 MiB at every few bytes.
 */
class RangeCrc {
	constructor(bytes) {
		this.bytes = bytes
		this.checkpoints = null
	}

	/** CRC-32 of the first `end` bytes. */
	prefix(end) {
		if (this.checkpoints === null) {
			this.checkpoints = [0]
			const step = 1 << CHECKPOINT_BITS
			for (let at = 0, crc = 0; at + step <= this.bytes.length; at += step) {
				crc = crc32(this.bytes.subarray(at, at + step), crc)
				this.checkpoints.push(crc)
			}
		}
		const checkpoint = end >>> CHECKPOINT_BITS
		return crc32(this.bytes.subarray(checkpoint << CHECKPOINT_BITS, end), this.checkpoints[checkpoint])
	}

	/** CRC-32 of the bytes from `from` to `to`, from the start value `start`. */
	range(from, to, start) {
		return (shiftCrc((start ^ this.prefix(from)) >>> 0, to - from) ^ this.prefix(to)) >>> 0
	}
}

const place = Buffer.alloc(32)

/** The CRC-32 that the checksum of an entry starts from: chain id, segment, offset, length. */
export function placeCrc(chainId, segment, offset, length) {
	place.set(chainId.subarray(0, 16))
	place.writeUInt32BE(segment >>> 0, 16)
	place.writeUInt32BE(Math.floor(offset / 2 ** 32) >>> 0, 20)
	place.writeUInt32BE((offset % 2 ** 32) >>> 0, 24)
	place.writeUInt32BE(length >>> 0, 28)
	return crc32(place, 0)
}

/** A Buffer on the same memory. */
function asBuffer(bytes) {
	return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Whether the bytes at `offset` are the text. */
function hasText(bytes, offset, text) {
	if (offset + text.length > bytes.length) return false
	for (let index = 0; index < text.length; index++) {
		if (bytes[offset + index] !== text.charCodeAt(index)) return false
	}
	return true
}

/** Whether the value is a whole number from 0, or from `least`, to the highest seq, or to `most`. */
function isCount(value, least = 0, most = MAX_SEQ) {
	return Number.isInteger(value) && value >= least && value <= most
}

function isEpoch(value, least = 1) {
	return isCount(value, least, MAX_EPOCH)
}

function isTime(value) {
	return isCount(value, 0, MAX_TIME)
}

// ---------------------------------------------------------------------------------------------------------
// MessagePack
// ---------------------------------------------------------------------------------------------------------

/** What the decoder throws on bytes that no writer makes. It never leaves this file. */
class Malformed extends Error {}

/** Throws what says that the bytes are not what a writer makes. */
function malformed(text) {
	throw new Malformed(text)
}

/** Decodes MessagePack values from a range of bytes. */
class Unpacker {
	constructor(bytes, at, end) {
		this.bytes = bytes
		this.at = at
		this.end = end
		this.ascii = true
		this.objects = 0
	}

	/** Counts one text, key, map, array, byte string, extension or 64-bit integer. */
	count(value) {
		if (++this.objects > MAX_OBJECTS) malformed('too many values')
		return value
	}

	/** Takes `count` bytes and answers where they begin. */
	take(count) {
		const at = this.at
		if (count > this.end - at) malformed('runs past its end')
		this.at = at + count
		return at
	}

	byte() {
		return this.bytes[this.take(1)]
	}

	uint(width) {
		const at = this.take(width)
		return this.bytes.readUIntBE(at, width)
	}

	text(length) {
		const at = this.take(length)
		const bytes = this.bytes.subarray(at, at + length)
		if (!isUtf8(bytes)) malformed('not UTF-8')
		const text = bytes.utf8Slice()
		if (text.length !== length) this.ascii = false
		return this.count(text)
	}

	binary(length) {
		const at = this.take(length)
		return this.count(new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + at, length))
	}

	/** The number of values in the array that begins here. */
	arrayLength() {
		const byte = this.byte()
		if (byte >= 0x90 && byte <= 0x9f) return byte & 15
		if (byte === 0xdc) return this.uint(2)
		return malformed('not an array')
	}

	array(length, depth) {
		if (depth >= MAX_DEPTH) malformed('nested too deep')
		if (length > this.end - this.at) malformed('array runs past its end')
		const values = this.count([])
		for (let index = 0; index < length; index++) values.push(this.value(depth + 1))
		return values
	}

	map(length, depth) {
		if (depth >= MAX_DEPTH) malformed('nested too deep')
		if (length * 2 > this.end - this.at) malformed('map runs past its end')
		const values = this.count({})
		for (let index = 0; index < length; index++) {
			const key = this.value(MAX_DEPTH)
			if (typeof key !== 'string' || key === '__proto__') malformed('a key that is none')
			if (Object.hasOwn(values, key)) malformed('a key that is there twice')
			values[key] = this.value(depth + 1)
		}
		return values
	}

	extension(length) {
		const type = this.bytes.readInt8(this.take(1))
		const at = this.count(this.take(length))
		if (type === 0x42) {
			if (length === 0) malformed('a bigint without bytes')
			return BigInt.asIntN(length * 8, BigInt(`0x${this.bytes.hexSlice(at, at + length)}`))
		}
		if (type !== -1) malformed(`extension ${type}`)
		let seconds = 0
		let nanoseconds = 0
		if (length === 4) seconds = this.bytes.readUInt32BE(at)
		else if (length === 8) {
			nanoseconds = this.bytes.readUInt32BE(at) >>> 2
			seconds = (this.bytes[at + 3] & 3) * 2 ** 32 + this.bytes.readUInt32BE(at + 4)
		} else if (length === 12) {
			nanoseconds = this.bytes.readUInt32BE(at)
			seconds = Number(this.bytes.readBigInt64BE(at + 4))
		} else malformed('timestamp of a length that is none')
		const ms = seconds * 1000 + nanoseconds / 1e6
		const fits = nanoseconds <= 999_999_999 && Number.isInteger(ms) && Math.abs(ms) <= MAX_TIME
		if (!fits) malformed('timestamp that is none')
		return new Date(ms)
	}

	/** The next value. An array or a map in `depth` others takes one more. */
	value(depth = 0) {
		const byte = this.byte()
		if (byte < 0x80) return byte
		if (byte < 0x90) return this.map(byte & 15, depth)
		if (byte < 0xa0) return this.array(byte & 15, depth)
		if (byte < 0xc0) return this.text(byte & 31)
		if (byte >= 0xe0) return byte - 256
		switch (byte) {
			case 0xc0:
				return null
			case 0xc2:
				return false
			case 0xc3:
				return true
			case 0xc4:
			case 0xc5:
			case 0xc6:
				return this.binary(this.uint(1 << (byte - 0xc4)))
			case 0xc7:
			case 0xc8:
			case 0xc9:
				return this.extension(this.uint(1 << (byte - 0xc7)))
			case 0xcb:
				return this.bytes.readDoubleBE(this.take(8)) + 0
			case 0xcc:
			case 0xcd:
			case 0xce:
				return this.uint(1 << (byte - 0xcc))
			case 0xcf:
				return this.count(this.bytes.readBigUInt64BE(this.take(8)))
			case 0xd0:
				return this.bytes.readInt8(this.take(1))
			case 0xd1:
				return this.bytes.readInt16BE(this.take(2))
			case 0xd2:
				return this.bytes.readInt32BE(this.take(4))
			case 0xd3:
				return this.count(this.bytes.readBigInt64BE(this.take(8)))
			case 0xd4:
			case 0xd5:
			case 0xd6:
			case 0xd7:
			case 0xd8:
				return this.extension(1 << (byte - 0xd4))
			case 0xd9:
			case 0xda:
			case 0xdb:
				return this.text(this.uint(1 << (byte - 0xd9)))
			case 0xdc:
			case 0xdd:
				return this.array(this.uint(byte === 0xdc ? 2 : 4), depth)
			case 0xde:
			case 0xdf:
				return this.map(this.uint(byte === 0xde ? 2 : 4), depth)
			default:
				return malformed('a byte that begins no value')
		}
	}
}

/**
 * Bytes that follow the first bytes from c4 on: of a length (`LENGTH_BYTES`), or of a value of fixed length.
 */
const LENGTH_BYTES = new Uint8Array(256)
const FIXED_BYTES = new Uint8Array(256)
LENGTH_BYTES.set([1, 2, 4, 1, 2, 4], 0xc4)
LENGTH_BYTES.set([1, 2, 4, 2, 4, 2, 4], 0xd9)
FIXED_BYTES.set([4, 8, 1, 2, 4, 8, 1, 2, 4, 8], 0xca)
FIXED_BYTES.set([2, 3, 5, 9, 17], 0xd4)

/**
 * Where the MessagePack value at `at` ends, without decoding it: an offset, Infinity where it runs past the
 * end of the bytes, -1 where it is not MessagePack.
 */
export function skipValue(bytes, at, end = bytes.length) {
	let pending = 1
	while (pending > 0) {
		if (at >= end) return Infinity
		const byte = bytes[at]
		at += 1
		pending -= 1
		if (byte < 0x80 || byte >= 0xe0) continue
		if (byte < 0x90) pending += (byte & 15) * 2
		else if (byte < 0xa0) pending += byte & 15
		else if (byte < 0xc0) at += byte & 31
		else if (byte === 0xc1) return -1
		else if (byte < 0xc4) continue
		else if (FIXED_BYTES[byte] > 0) at += FIXED_BYTES[byte]
		else {
			const width = LENGTH_BYTES[byte]
			if (at + width > end) return Infinity
			const length = bytes.readUIntBE(at, width)
			at += width
			if (byte >= 0xdc) pending += length * (byte >= 0xde ? 2 : 1)
			else at += length + (byte >= 0xc7 && byte <= 0xc9 ? 1 : 0)
		}
		if (at > end) return Infinity
	}
	return at
}

/** Bytes that the encoder writes as they are, in the place of a value. */
export class Raw {
	constructor(bytes) {
		this.bytes = asBuffer(bytes)
	}
}

/** A first byte and a number of 1, 2 or 4 bytes behind it. */
function headBytes(first, width, value) {
	const bytes = Buffer.alloc(1 + width)
	bytes[0] = first
	bytes.writeUIntBE(value, 1, width)
	return bytes
}

/**
 * The shortest head of a text, a bin, an array or a map; `firsts` are the first bytes for 1, 2 and 4 bytes.
 */
function lengthHead(length, fixed, fixedLimit, firsts) {
	if (length < fixedLimit) return Buffer.from([fixed + length])
	if (length < 256 && firsts[0] !== 0) return headBytes(firsts[0], 1, length)
	if (length < 65536) return headBytes(firsts[1], 2, length)
	return headBytes(firsts[2], 4, length)
}

/** A float64. */
export function float64(value) {
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

/** An extension of any type, in the shortest form. */
export function encodeExtension(type, bytes) {
	const fixed = { 1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8 }[bytes.length]
	const head = fixed ? Buffer.from([fixed]) : lengthHead(bytes.length, 0, 0, [0xc7, 0xc8, 0xc9])
	return Buffer.concat([head, Buffer.from([type & 255]), bytes])
}

/**
 * Encodes a value as FORMAT.md's table says: integers up to 32 bits short, other numbers as float64, bigints
 * of 64 bits wide. A `Map` gives a map with keys of any type, a `Raw` its bytes.
 */
export function encode(value) {
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

// ---------------------------------------------------------------------------------------------------------
// One file: header, frames, anchors, watermark
// ---------------------------------------------------------------------------------------------------------

/** Fixed bytes by their offsets: `0:99` is the byte 99 (hexadecimal) at offset 0. */
function marks(text) {
	return [...text.matchAll(/(\d+):(\w+)/g)].map((match) => [Number(match[1]), Number.parseInt(match[2], 16)])
}

/** Where the fixed bytes of a header, an anchor and a watermark slot stand. */
const HEADER_MARKS = marks('0:99 1:aa 13:c4 14:10 31:ce 36:cb 45:cb 54:cb 63:c4 64:20 97:ce')
const ANCHOR_MARKS = marks(`
	0:9f 1:a6 8:ce 13:c4 14:10 31:92 32:ce 37:cb 47:92 48:ce 53:c4 54:10 71:cb 80:cb 89:95 90:cb
	99:cb 108:cb 117:cb 126:cb 135:93 136:cb 145:cb 155:cb 164:cb 173:96 174:cb 183:cb 192:cb
	201:cb 210:cb 220:cb 229:c4 230:20
`)
const WATERMARK_MARKS = marks('0:98 1:a7 9:ce 14:c4 15:10 32:ce 37:ce 42:cb 51:cb 60:cb 69:c4 70:10')

/** Whether all fixed bytes stand at their places from `at` on. */
function hasMarks(bytes, at, fixed) {
	for (const [offset, byte] of fixed) {
		if (bytes[at + offset] !== byte) return false
	}
	return true
}

/**
 * The header of a file. `state` is `ok`, `empty` (nothing, or the beginning of one), `damaged`, `foreign` (another kind of
 * file), or `version` (one of a later version that this reader does not know).
 */
export function parseHeader(input) {
	const bytes = asBuffer(input)
	const lead = Buffer.from('\x99\xaamesh-chain', 'latin1')
	const begun = Math.min(bytes.length, lead.length)
	const isNamed = bytes.length >= lead.length && bytes.subarray(1, 12).equals(lead.subarray(1))
	const verifies = (head) => {
		return (
			head.length === HEADER_BYTES &&
			hasMarks(head, 0, HEADER_MARKS) &&
			head.readUInt32BE(98) === crc32(head.subarray(0, 97), 0)
		)
	}
	const head = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	const version = bytes[12] ?? 0
	if (isNamed && version > VERSION && version < 128) {
		head[12] = VERSION
		return { state: verifies(head) ? 'damaged' : 'version', version }
	}
	if (bytes.length < HEADER_BYTES) {
		return { state: bytes.subarray(0, begun).equals(lead.subarray(0, begun)) ? 'empty' : 'foreign' }
	}
	if (!isNamed || version !== VERSION || !verifies(head)) return { state: isNamed ? 'damaged' : 'foreign' }
	const header = {
		state: 'ok',
		version: bytes[12],
		chainId: bytes.subarray(15, 31),
		segment: bytes.readUInt32BE(32),
		created: bytes.readDoubleBE(37),
		firstSeq: bytes.readDoubleBE(46),
		previousEnd: bytes.readDoubleBE(55),
		previousLink: bytes.subarray(65, 97),
	}
	const { segment, created, firstSeq, previousEnd } = header
	const isMade = created >= 0 && created <= MAX_TIME && isEpoch(segment, 0)
	return isMade && isCount(firstSeq, 1, MAX_SEQ + 1) && isCount(previousEnd) ? header : { state: 'damaged' }
}

/** The fields of the anchor at `at`, or null where none verifies. It has to be at home there. */
function parseAnchor(bytes, at, chainId, segment) {
	if (bytes[at] !== 0x9f || at + ANCHOR_BYTES > bytes.length || !hasText(bytes, at + 2, 'anchor')) return null
	if (!hasMarks(bytes, at, ANCHOR_MARKS)) return null
	const crc = crc32(bytes.subarray(at + 13, at + ANCHOR_BYTES), placeCrc(chainId, segment, at, ANCHOR_BYTES))
	if (crc !== bytes.readUInt32BE(at + 9)) return null
	const double = (offset) => bytes.readDoubleBE(at + offset)
	return {
		type: 'anchor',
		offset: at,
		end: at + ANCHOR_BYTES,
		chainId: bytes.subarray(at + 15, at + 31),
		segment: bytes.readUInt32BE(at + 33),
		ownOffset: double(38),
		reason: bytes[at + 46],
		epoch: bytes.readUInt32BE(at + 49),
		bootId: bytes.subarray(at + 55, at + 71),
		written: double(72),
		nextSeq: double(81),
		totals: [double(91), double(100), double(109), double(118), double(127)],
		sinceMin: double(137),
		sinceMax: double(146),
		presence: bytes[at + 154],
		durable: double(156),
		keptFrom: double(165),
		before: double(175),
		ordinal: double(184),
		jump: double(193),
		jumpMin: double(202),
		jumpMax: double(211),
		jumpPresence: bytes[at + 219],
		value: double(221),
		link: bytes.subarray(at + 231, at + 263),
	}
}

/** Whether an anchor with a right checksum is one: FORMAT.md has the bounds. */
function isSaneAnchor(anchor, chainId, segment) {
	const { offset, written, nextSeq, keptFrom, before, ordinal, jump, durable, totals, value } = anchor
	if (!anchor.chainId.equals(chainId) || anchor.segment !== segment || anchor.ownOffset !== offset)
		return false
	if (anchor.reason > REPAIRED || !isEpoch(anchor.epoch, 0) || !(written >= 0 && written <= MAX_TIME))
		return false
	if (!isCount(nextSeq, 1, MAX_SEQ + 1) || !isCount(keptFrom, 0, MAX_SEQ + 1)) return false
	if (![durable, ordinal, before, jump, ...totals].every((count) => isCount(count))) return false
	if (durable > offset || HEADER_BYTES + ordinal * ANCHOR_BYTES > offset) return false
	if (before >= offset || jump >= offset || !isCount(Math.abs(value))) return false
	if (anchor.presence > 127 || anchor.jumpPresence > 127) return false
	return ![anchor.sinceMin, anchor.sinceMax, anchor.jumpMin, anchor.jumpMax].some(Number.isNaN)
}

/** A number of up to 32 bits or a float64. */
function readNumber(unpacker) {
	const number = unpacker.value(MAX_DEPTH)
	return typeof number === 'number' ? number : malformed('not a number')
}

/** A text, or null for nil. */
function readText(unpacker) {
	const text = unpacker.value(MAX_DEPTH)
	return text === null || typeof text === 'string' ? text : malformed('not a text')
}

/** One row as a record. */
function readRow(unpacker, base, index) {
	const columns = unpacker.byte() - 0x90
	if (columns < 2 || columns > 8) malformed('row of a length that is none')
	const tsMs = base.tsMs + readNumber(unpacker)
	const level = unpacker.byte()
	if (!isTime(tsMs)) malformed('time that is none')
	if (level > 4) malformed('level that is none')
	const kind = (columns > 2 ? readText(unpacker) : null) ?? 'log'
	const message = (columns > 3 ? readText(unpacker) : null) ?? kind
	const daemonId = columns > 4 ? readId(unpacker) : null
	const nodeId = columns > 5 ? readId(unpacker) : null
	const origin = columns > 6 ? readOrigin(unpacker) : null
	const seq = base.seq + index
	let data
	if (columns === 8) {
		// Only the texts of the fixed columns have to be what the flags say.
		const { ascii, at } = unpacker
		unpacker.objects = 0
		data = unpacker.value(0)
		unpacker.ascii = ascii
		if (unpacker.at - at > MAX_DATA_BYTES) malformed('data too large')
	}
	unpacker.objects = 0
	const record = { seq, epoch: base.epoch, tsMs, level, kind, message, daemonId, nodeId, origin, data }
	if (isGapRecord(record) && (index > 0 || !isWholeGap(record))) malformed('a $gap that is none')
	return record
}

/** Whether a record stands for absent ones of this chain. */
function isGapRecord(record) {
	return record.kind === GAP && (record.origin ?? null) === null
}

function isWholeGap({ seq, data }) {
	if (data === null || typeof data !== 'object') return false
	const { fromSeq, toSeq, count, cause } = data
	if (toSeq !== seq || !isCount(fromSeq, 1, seq) || !isCount(count, 1, seq - fromSeq + 1)) return false
	return typeof cause === 'string' && /^[A-Za-z]{1,40}$/.test(cause) && !(cause in Object.prototype)
}

/** A daemon's or a node's id. */
function readId(unpacker) {
	const first = unpacker.bytes[unpacker.at]
	const id = unpacker.value(MAX_DEPTH)
	if (id === null || typeof id === 'string' || Number.isFinite(id)) return id
	if (typeof id === 'bigint' && (first === 0xcf || first === 0xd3)) return id
	return malformed('id that is none')
}

/** Where a record came from. */
function readOrigin(unpacker) {
	const first = unpacker.byte()
	if (first === 0xc0) return null
	if (first !== 0x93) malformed('origin that is none')
	const origin = { chainId: readText(unpacker), epoch: readNumber(unpacker), seq: readNumber(unpacker) }
	if (origin.chainId === null || !isEpoch(origin.epoch, 0) || !isCount(origin.seq))
		malformed('origin that is none')
	return origin
}

/** A whole number from 0 in the head of a frame. */
function readCount(unpacker) {
	const first = unpacker.bytes[unpacker.at]
	if (first >= 0x80 && first !== 0xcb && !(first >= 0xcc && first <= 0xce)) malformed('number that is none')
	return unpacker.value(MAX_DEPTH)
}

/**
 * The head of the frame from `at` to `end`: what has to be right for the frame to be an entry at all. It throws
 * `Malformed`. `unpacker` stands before the rows.
 */
function decodeHead(bytes, at, end) {
	const unpacker = new Unpacker(bytes, at + 11, end)
	const flags = unpacker.byte()
	const epoch = readCount(unpacker)
	const baseSeq = readCount(unpacker)
	if (!isEpoch(epoch)) malformed('epoch that is none')
	if (!isCount(baseSeq, 1)) malformed('base seq that is none')
	if (bytes[unpacker.at] !== 0xcb) malformed('base time that is none')
	const baseTs = unpacker.value(MAX_DEPTH)
	const count = unpacker.arrayLength()
	if (!isTime(baseTs)) malformed('base time that is none')
	if (count < 1 || count * 3 > end - unpacker.at) malformed('number of rows that is none')
	const lastSeq = baseSeq + count - 1
	if (!isCount(lastSeq)) malformed('seq out of range')
	return { type: 'frame', offset: at, end, flags, epoch, baseSeq, baseTs, count, lastSeq, unpacker }
}

/** The frame from `at` to `end`, the checksum of which fits already. `records` is null where its rows are none. */
function decodeFrame(bytes, at, end) {
	const { unpacker, ...head } = decodeHead(bytes, at, end)
	try {
		return { ...head, problem: '', records: decodeRows(head, unpacker) }
	} catch (error) {
		if (!(error instanceof Malformed)) throw error
		return { ...head, problem: error.message, records: null }
	}
}

function decodeRows({ flags, epoch, baseSeq, baseTs, count, end }, unpacker) {
	const records = []
	let needed = 0
	for (let index = 0; index < count; index++) {
		const record = readRow(unpacker, { seq: baseSeq, tsMs: baseTs, epoch }, index)
		needed |= 1 << record.level
		if (record.kind.startsWith('$')) needed |= BIT_SPECIAL
		records.push(record)
	}
	if (unpacker.at !== end) malformed('length that is not that of its rows')
	if ((needed & ~flags) !== 0) malformed('flags that say less than the rows')
	if ((flags & BIT_ASCII) !== 0 && !unpacker.ascii) malformed('texts that are not ASCII')
	return records
}

/** Where the frame that begins at `at` ends by what it claims, or 0 where it cannot be one. */
function claimedEnd(bytes, at) {
	if (bytes[at] !== 0x97 || bytes[at + 1] !== 0xce || bytes[at + 6] !== 0xce) return 0
	if (at + MIN_FRAME_BYTES > bytes.length || bytes[at + 11] > 127) return 0
	const length = bytes.readUInt32BE(at + 2)
	const end = at + length
	return length >= MIN_FRAME_BYTES && length <= MAX_FRAME_BYTES && end <= bytes.length ? end : 0
}

/**
 * Whether the head of what claims to be a frame has the types that one has. It spares a search most
 * checksums.
 */
function looksLikeFrame(bytes, at) {
	at += 12
	for (let number = 0; number < 2; number++) {
		const byte = bytes[at]
		if (byte < 0x80) at += 1
		else if (byte >= 0xca && byte <= 0xd3) at += 1 + FIXED_BYTES[byte]
		else return false
	}
	const rows = bytes[at + 9]
	return bytes[at] === 0xcb && ((rows > 0x90 && rows < 0xa0) || rows === 0xdc || rows === 0xdd)
}

/** Whether the bytes from `at` to the end are the beginning of a frame or an anchor. */
function isTorn(bytes, at) {
	const left = bytes.length - at
	if (bytes[at] === 0x9f) {
		const head = Buffer.from('\x9f\xa6anchor', 'latin1').subarray(0, left)
		return (
			left < ANCHOR_BYTES &&
			bytes.subarray(at, at + head.length).equals(head) &&
			skipValue(bytes, at) === Infinity
		)
	}
	if (bytes[at] !== 0x97 || (left > 1 && bytes[at + 1] !== 0xce)) return false
	if (left < 6) return true
	const length = bytes.readUInt32BE(at + 2)
	if (length < MIN_FRAME_BYTES || length > MAX_FRAME_BYTES || length <= left) return false
	if ((left > 6 && bytes[at + 6] !== 0xce) || bytes[at + 11] > 127) return false
	return skipValue(bytes, at) === Infinity
}

/** Reads the entries of one file, one behind the other, and searches for the next one behind damage. */
class Scanner {
	constructor(bytes, chainId, segment) {
		this.bytes = bytes
		this.chainId = chainId
		this.segment = segment
		this.crc = new RangeCrc(bytes)
		this.wasted = 0
		this.resume = 0
	}

	/** The entry at `at`, or null. `search` says that most places hold none. */
	entryAt(at, search) {
		const bytes = this.bytes
		if (bytes[at] === 0x9f) {
			const anchor = parseAnchor(bytes, at, this.chainId, this.segment)
			if (anchor === null || isSaneAnchor(anchor, this.chainId, this.segment)) return anchor
			return null
		}
		const end = claimedEnd(bytes, at)
		if (end === 0 || (search && !looksLikeFrame(bytes, at))) return null
		const start = placeCrc(this.chainId, this.segment, at, end - at)
		const crc = search ? this.crc.range(at + 11, end, start) : crc32(bytes.subarray(at + 11, end), start)
		if (crc !== bytes.readUInt32BE(at + 7)) return null
		try {
			return decodeFrame(bytes, at, end)
		} catch (error) {
			if (!(error instanceof Malformed)) throw error
			this.wasted += end - at
			if (this.wasted > 16 * bytes.length) this.resume = Math.max(this.resume, end)
			return null
		}
	}

	/** The first entry from `at` on, or null. */
	next(at) {
		for (; at < this.bytes.length; at++) {
			const byte = this.bytes[at]
			if (byte !== 0x97 && byte !== 0x9f) continue
			const entry = this.entryAt(at, true)
			if (entry !== null) return entry
			if (this.resume > at) at = this.resume - 1
		}
		return null
	}

	/** All entries from `at` on. Damage and a torn tail are entries too. */
	entries(at) {
		const entries = []
		while (at < this.bytes.length) {
			let entry = this.entryAt(at, false)
			if (entry === null) {
				entry = this.next(at + 1)
				const isTornTail = entry === null && isTorn(this.bytes, at)
				entries.push({
					type: isTornTail ? 'torn' : 'damage',
					offset: at,
					end: entry?.offset ?? this.bytes.length,
				})
			}
			if (entry === null) break
			entries.push(entry)
			at = entry.end
		}
		return entries
	}
}

/** The first anchor in the first MiB that verifies by what it says of itself, for a file without a header. */
function findAnyAnchor(whole) {
	const bytes = whole.subarray(0, 1024 * 1024)
	const pattern = Buffer.from('\x9f\xa6anchor\xce', 'latin1')
	for (let at = bytes.indexOf(pattern, HEADER_BYTES); at >= 0; at = bytes.indexOf(pattern, at + 1)) {
		if (at + ANCHOR_BYTES > bytes.length) return null
		const chainId = bytes.subarray(at + 15, at + 31)
		const segment = bytes.readUInt32BE(at + 33)
		const anchor = parseAnchor(bytes, at, chainId, segment)
		if (anchor !== null && isEpoch(segment, 0) && isSaneAnchor(anchor, chainId, segment)) return anchor
	}
	return null
}

/** The first seq in the name of a sealed file; NaN in another one. */
function seqInName(name) {
	return Number(/-(\d+)(?:\.\d+)?\.chain$/.exec(name)?.[1])
}

/** Which file of which chain this is: `{ header, chainId, segment, firstSeq, … }`; `chainId` is null where nothing says so. */
export function openFile(name, input) {
	const bytes = asBuffer(input)
	const header = parseHeader(bytes)
	const { state, chainId = null, segment = -1, firstSeq = -1 } = header
	const file = { name, bytes, header, state, chainId, segment, firstSeq, next: null }
	if (state !== 'damaged' && state !== 'foreign') return file
	const anchor = findAnyAnchor(bytes)
	if (anchor === null) return file
	const known = { ...file, chainId: anchor.chainId, segment: anchor.segment }
	const first = new Scanner(bytes, known.chainId, known.segment).next(HEADER_BYTES)
	known.firstSeq = known.segment === 0 ? 1 : first.type === 'frame' ? firstSpokenFor(first) : first.nextSeq
	const named = seqInName(name)
	if (named < known.firstSeq) known.firstSeq = named
	return known
}

/** The slots of the durable watermark that verify, in the order in which they stand. */
export function parseWatermark(input) {
	const bytes = asBuffer(input)
	const slots = []
	for (let at = 0; at + WATERMARK_BYTES <= bytes.length && at <= WATERMARK_BYTES; at += WATERMARK_BYTES) {
		if (!hasMarks(bytes, at, WATERMARK_MARKS) || !hasText(bytes, at + 2, 'durable')) continue
		if (bytes.readUInt32BE(at + 10) !== crc32(bytes.subarray(at + 14, at + WATERMARK_BYTES), 0)) continue
		const slot = {
			chainId: bytes.subarray(at + 16, at + 32),
			segment: bytes.readUInt32BE(at + 33),
			epoch: bytes.readUInt32BE(at + 38),
			count: bytes.readDoubleBE(at + 43),
			offset: bytes.readDoubleBE(at + 52),
			lastSeq: bytes.readDoubleBE(at + 61),
			bootId: bytes.subarray(at + 71, at + 87),
		}
		const isMade = isEpoch(slot.segment, 0) && isEpoch(slot.epoch, 0)
		if (isMade && isCount(slot.count) && isCount(slot.offset) && isCount(slot.lastSeq)) slots.push(slot)
	}
	return slots
}

// ---------------------------------------------------------------------------------------------------------
// One chain: which files it has, and what a reader gives
// ---------------------------------------------------------------------------------------------------------

/** The last entry of a file, where it is an anchor with which a repair ends. */
function endsRepaired(file) {
	const at = file.bytes.length - ANCHOR_BYTES
	if (at < HEADER_BYTES) return false
	const anchor = parseAnchor(file.bytes, at, file.chainId, file.segment)
	return anchor?.reason === REPAIRED && isSaneAnchor(anchor, file.chainId, file.segment)
}

/** The slot with the highest count, of those that have the chain's id, if one is given. */
function newestSlot(slots, chainId) {
	let newest = null
	for (const slot of slots) {
		if (chainId !== null && !slot.chainId.equals(chainId)) continue
		if (newest === null || slot.count >= newest.count) newest = slot
	}
	return newest
}

/** Of several chains the one that was begun last; a file with a watermark or a lock of its own is not of another. */
function newestChain(sealed, byName) {
	const isOwn = ({ name }) => byName.has(`${name}.durable`) || byName.has(`${name}.lock`)
	const ours = sealed.filter((file) => !isOwn(file))
	const created = ({ header }) => (header.state === 'ok' ? header.created : 0)
	return ours.sort((a, b) => created(a) - created(b)).at(-1)?.chainId ?? null
}

/**
 * The files of a folder that are of the chain, in order, each with `end` (how far it counts), `next` (the file behind it) and
 * `isNextMissing`. `refused` says why there is no chain, or is ''.
 */
function collect(files, options) {
	const base = options.name ?? 'node'
	const byName = new Map(files.map(({ name, bytes }) => [name, asBuffer(bytes)]))
	const liveName = `${base}.chain`
	const slots = parseWatermark(byName.get(`${liveName}.durable`) ?? Buffer.alloc(0))
	let live = byName.has(liveName) ? openFile(liveName, byName.get(liveName)) : null
	const none = { members: [], chainId: null, watermark: null, unreadableFrom: null, byName, liveName }
	if (live?.state === 'empty') live = null
	if (live !== null && live.chainId === null) return { ...none, refused: live.state }
	const sealed = []
	for (const [name, bytes] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
		if (!name.startsWith(`${base}-`) || !/^\d+(\.\d+)?\.chain$/.test(name.slice(base.length + 1))) continue
		const file = openFile(name, bytes)
		if (file.chainId !== null && file.firstSeq === seqInName(name)) sealed.push(file)
	}
	const chainId = live?.chainId ?? newestSlot(slots, null)?.chainId ?? newestChain(sealed, byName)
	const members = sealed
		.filter((file) => chainId?.equals(file.chainId) && (live === null || file.segment < live.segment))
		.sort((a, b) => a.segment - b.segment || a.name.length - b.name.length || (a.name < b.name ? -1 : 1))
		.filter((file, index, all) => file.segment !== all[index - 1]?.segment)
	if (live !== null) members.push(live)
	if (members.length === 0) return { ...none, refused: 'there is none' }
	for (const [index, file] of members.entries()) {
		const next = members[index + 1] ?? null
		file.next = next
		file.isNextMissing = next !== null && next.segment !== file.segment + 1
		file.end = next === null || file.isNextMissing ? file.bytes.length : endOf(file, next)
		file.entries = entriesOf(file, file.end)
		file.behind = file.end < file.bytes.length ? entriesOf(file, file.bytes.length, file.end) : []
		file.countedEnd = Math.min(file.end, file.bytes.length)
	}
	const watermark = newestSlot(slots, chainId)
	return { members, chainId, watermark, byName, liveName, refused: '', unreadableFrom: null }
}

/** How far a file counts: as the next one says, unless it was repaired since. */
function endOf(file, next) {
	if (next.header.state !== 'ok') return file.bytes.length
	const { previousEnd } = next.header
	return previousEnd !== file.bytes.length && endsRepaired(file) ? file.bytes.length : previousEnd
}

/** What a file holds up to `end`; a file that is shorter counts as far as it goes. */
function entriesOf(file, end, from = HEADER_BYTES) {
	const bytes = file.bytes.subarray(0, Math.min(end, file.bytes.length))
	return new Scanner(bytes, file.chainId, file.segment).entries(from)
}

/** Whether the machine was booted between two boot ids: `same`, `changed`, or `unknown` where one is zeros. */
function bootSince(then, now) {
	if (then === null || [then, now].some((id) => /^0*$/.test(id))) return 'unknown'
	return then === now ? 'same' : 'changed'
}

function bootNow(options) {
	return String(options.bootId ?? '')
		.replaceAll('-', '')
		.toLowerCase()
}

const hexOf = (bytes) => asBuffer(bytes).toString('hex')

/** Whether a power loss explains that the bytes at an offset of the last file cannot be read; `newest` is the anchor before them. */
function isUnsynced({ watermark }, file, offset, newest, options) {
	if (file.next !== null || watermark === null || watermark.segment > file.segment) return false
	if (watermark.segment === file.segment && watermark.offset > offset) return false
	return bootSince(newest && hexOf(newest.bootId), bootNow(options)) === 'changed'
}

/** The first seq that a frame speaks for. */
function firstSpokenFor({ baseSeq, records }) {
	const first = records?.[0]
	return first !== undefined && isGapRecord(first) ? first.data.fromSeq : baseSeq
}

/** The kept-from of the newest anchor of the newest file. */
function keptFromOf(set) {
	const anchor = set.members.at(-1)?.entries.findLast(({ type }) => type === 'anchor')
	return anchor?.keptFrom ?? 1
}

function gapOf(fromSeq, toSeq, cause) {
	return {
		seq: toSeq,
		kind: GAP,
		origin: null,
		isMade: true,
		data: { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause },
	}
}

/** The gap before the first file. */
function headGap(set) {
	const [first] = set.members
	const newest = set.members.at(-1).entries.findLast(({ type }) => type === 'anchor')
	const isPart = set.members.length === 1 && first.name === set.liveName && newest?.reason === SEALED
	if (first.firstSeq <= 1 || isPart) return []
	return [gapOf(1, first.firstSeq - 1, keptFromOf(set) >= first.firstSeq ? 'retained' : 'damaged')]
}

/** What a reader gives of one file, gaps for what is missing among it. */
function readFile(set, file, options) {
	const out = []
	let newest = null
	let next = file.firstSeq
	let cause = 'damaged'
	const upTo = (seq) => {
		if (seq > next) out.push(gapOf(next, seq - 1, cause))
		next = Math.max(next, seq)
		cause = 'damaged'
	}
	for (const [index, entry] of file.entries.entries()) {
		const unsynced = entry.type === 'damage' && isUnsynced(set, file, entry.offset, newest, options)
		if (entry.type === 'anchor') {
			upTo(entry.nextSeq)
			newest = entry
		} else if (entry.type === 'frame') {
			upTo(entry.baseSeq < next ? next : firstSpokenFor(entry))
			if (entry.records === null) out.push(gapOf(entry.baseSeq, entry.lastSeq, 'damaged'))
			else out.push(...entry.records)
			next = Math.max(next, entry.lastSeq + 1)
		} else if (index < file.entries.length - 1) cause = unsynced ? 'unsynced' : 'damaged'
		else if (file.next === null && entry.type === 'damage' && !unsynced) set.unreadableFrom = next
	}
	if (file.next !== null) {
		const retained = file.isNextMissing && keptFromOf(set) >= file.next.firstSeq
		if (retained) cause = 'retained'
		upTo(file.next.firstSeq)
	}
	return out
}

/** A text that is the same for equal records. */
export function recordKey(record) {
	const { seq, epoch, tsMs, level, kind, message, daemonId, nodeId, origin } = record
	const ids = [daemonId, nodeId].map((id) => (typeof id === 'bigint' ? { bigint: `${id}` } : id))
	const data = record.data === undefined ? '' : encode(record.data).toString('base64')
	return JSON.stringify([seq, epoch, tsMs, level, kind, message, ids, origin, data])
}

/**
 * Reads the chain in a folder. `files` are `{ name, bytes }`; `options.name` is the base name (`node`), `options.bootId` the
 * machine's boot id. It answers `refused` (why there is no chain, or ''), `chainId`, `records` (`$gap` records among them; those
 * that the reader made have `isMade`), `heads` (one for each anchor) and `members`.
 */
export function readChain(files, options = {}) {
	const set = collect(files, options)
	const { members, chainId, refused, watermark } = set
	const records = refused === '' ? headGap(set) : []
	for (const file of members) for (const record of readFile(set, file, options)) records.push(record)
	const heads = members.flatMap((file) =>
		file.entries.filter(({ type }) => type === 'anchor').map((one) => headAt(set, one)),
	)
	const { unreadableFrom } = set
	return { refused, chainId: chainId && hexOf(chainId), records, unreadableFrom, heads, members, watermark }
}

function headAt(set, anchor) {
	const [chainId, link] = [hexOf(set.chainId), hexOf(anchor.link)]
	return { chainId, seq: anchor.nextSeq - 1, link, text: `${chainId}:${anchor.nextSeq - 1}:${link}` }
}

// ---------------------------------------------------------------------------------------------------------
// Verification
// ---------------------------------------------------------------------------------------------------------

const SEVERITIES = ['note', 'loss', 'unchecked', 'damage']
const ANSWERS = ['ok', 'ok, records lost', 'cannot be checked', 'not ok']
const NO_LOSS = ['retained', 'notImported', 'lagged']

/** Times, levels and kinds of a stretch, as an anchor says them. */
function emptyStats() {
	return { min: Infinity, max: -Infinity, levels: 0, gap: false, special: false, unreadable: false }
}

/** Counts one record in: of a `$gap` nothing but that it is there. */
function addRecord(stats, record) {
	if (String(record.kind).startsWith('$')) stats.special = true
	if (isGapRecord(record)) {
		stats.gap = true
		return
	}
	stats.min = Math.min(stats.min, record.tsMs)
	stats.max = Math.max(stats.max, record.tsMs)
	stats.levels |= 1 << record.level
}

/** Counts what another stretch holds in. */
function addStats(stats, other) {
	stats.min = Math.min(stats.min, other.min)
	stats.max = Math.max(stats.max, other.max)
	stats.levels |= other.levels
	stats.gap ||= other.gap
	stats.special ||= other.special
	stats.unreadable ||= other.unreadable
}

function presenceOf({ levels, gap, unreadable, special }) {
	return levels | (gap || unreadable ? BIT_SPECIAL : 0) | (special || unreadable ? 0 : BIT_NO_SPECIAL)
}

/** What an anchor says of a stretch, as stats. */
function saidStats(min, max, presence) {
	const [gap, special] = [(presence & BIT_SPECIAL) !== 0, (presence & BIT_NO_SPECIAL) === 0]
	return { min, max, levels: presence & LEVEL_BITS, gap, special, unreadable: false }
}

/** Whether times and presence are those of a stretch. Bit 6 may be left unset. */
function fitsStats(stats, min, max, presence) {
	const seen = presenceOf(stats)
	return (
		stats.min === min && stats.max === max && (seen === presence || (seen & ~BIT_NO_SPECIAL) === presence)
	)
}

/** The ordinal that the jump of the anchor with the ordinal leads to; `jumps` holds those of the anchors before it. */
export function jumpOrdinal(jumps, ordinal) {
	if (ordinal === 0) return 0
	const before = ordinal - 1
	const jump = jumps[before]
	return before > 0 && jump > 0 && before - jump === jump - jumps[jump] ? jumps[jump] : before
}

/** The link of an anchor: of the link before, the bytes between, and its own bytes 13 to 228. */
function anchorLink(link, bytes, from, anchor) {
	const own = bytes.subarray(anchor.offset + 13, anchor.offset + 229)
	return sha256(link, bytes.subarray(from, anchor.offset), own)
}

/** Checks the entries of one file. It is told by `tell(severity, code, offset, range)` what does not fit. */
class FileCheck {
	/** @param totals `{ known, levels }`: the records so far in the chain, which goes on from file to file. */
	constructor(file, totals, { tell, onBreak, onAnchor, judgeDamage }) {
		Object.assign(this, { file, totals, tell, onBreak, onAnchor, judgeDamage })
		this.next = file.firstSeq
		this.newest = null
		this.link = sha256(file.bytes.subarray(0, HEADER_BYTES))
		this.linkedTo = HEADER_BYTES
		this.isUnreadable = file.header.state !== 'ok'
		this.stats = emptyStats()
		this.anchors = []
		this.damage = null
		this.wasRepaired = false
		this.tornAt = null
		if (this.isUnreadable) tell('damage', 'header', 0)
	}

	run(entries) {
		for (const [index, entry] of entries.entries()) {
			if (entry.type === 'frame') this.frame(entry)
			else if (entry.type === 'anchor') this.anchor(entry)
			else this.damaged(entry, index === entries.length - 1)
		}
	}

	/** What is missing before a seq. */
	upTo(seq, offset) {
		const { damage, next } = this
		this.damage = null
		this.next = Math.max(next, seq)
		if (damage !== null) this.judgeDamage(damage, this.newest, false, Math.max(0, seq - next))
		else if (seq > next) {
			this.isUnreadable = true
			this.tell('damage', 'missing', offset)
		}
	}

	frame(frame) {
		const expected = this.next
		this.upTo(frame.baseSeq < expected ? expected : firstSpokenFor(frame), frame.offset)
		if (frame.baseSeq < expected) this.tell('damage', 'seq-back', frame.offset)
		this.next = Math.max(this.next, frame.lastSeq + 1)
		if (frame.records === null) {
			this.isUnreadable = true
			this.tell('damage', 'rows', frame.offset)
			return
		}
		for (const record of frame.records) {
			addRecord(this.stats, record)
			const { levels } = this.totals
			if (!isGapRecord(record)) levels[record.level] = Math.min(MAX_SEQ, levels[record.level] + 1)
			else if (NO_LOSS.includes(record.data.cause)) this.tell('note', 'gap', frame.offset)
			else {
				const from = Math.max(record.data.fromSeq, Math.min(expected, record.seq))
				this.tell('loss', 'gap', frame.offset, record.seq - from + 1)
			}
		}
	}

	damaged(entry, isAtEnd) {
		const isLast = isAtEnd && this.file.next === null
		if (entry.type === 'torn' && isLast) {
			this.judgeDamage(entry, this.newest, true)
			return
		}
		this.isUnreadable = true
		if (isLast) this.judgeDamage(entry, this.newest, true)
		else this.damage = entry
	}

	anchor(anchor) {
		this.upTo(anchor.nextSeq, anchor.offset)
		const isBehind = anchor.before === (this.newest?.offset ?? 0)
		const fits = isBehind && anchorLink(this.link, this.file.bytes, this.linkedTo, anchor).equals(anchor.link)
		if (!fits) this.onBreak(anchor.offset)
		if (!this.isUnreadable && !isBehind) this.tell('damage', 'before', anchor.offset)
		if (!this.isUnreadable && isBehind && !fits) this.tell('damage', 'link', anchor.offset)
		if (this.isUnreadable || !isBehind) this.anchors = null
		else this.sums(anchor)
		this.totals.levels = [...anchor.totals]
		this.totals.known = true
		if (anchor.reason === REPAIRED) this.wasRepaired = true
		this.onAnchor(anchor)
		this.newest = anchor
		this.link = anchor.link
		this.linkedTo = anchor.end
		this.isUnreadable = false
		this.stats = emptyStats()
	}

	/** Compares what an anchor says of what stands before it. */
	sums(anchor) {
		const { offset, totals, sinceMin, sinceMax, presence } = anchor
		if (anchor.nextSeq !== this.next) this.tell('damage', 'next-seq', offset)
		const { known, levels } = this.totals
		if (known && levels.some((count, level) => count !== totals[level])) this.tell('damage', 'totals', offset)
		if (!fitsStats(this.stats, sinceMin, sinceMax, presence)) this.tell('damage', 'since', offset)
		if (this.anchors === null) return
		const ordinal = this.anchors.length
		const jumps = this.anchors.map(({ jump }) => jump)
		const jump = anchor.reason === SEALED ? 0 : jumpOrdinal(jumps, ordinal)
		const since = saidStats(sinceMin, sinceMax, presence)
		this.anchors.push({ offset, jump, since })
		const whole = emptyStats()
		addStats(whole, since)
		for (let index = ordinal - 1; index > jump; index--) addStats(whole, this.anchors[index].since)
		const leads = ordinal === 0 ? 0 : this.anchors[jump].offset
		const isRight = anchor.ordinal === ordinal && anchor.jump === leads
		if (!isRight || !fitsStats(whole, anchor.jumpMin, anchor.jumpMax, anchor.jumpPresence)) {
			this.tell('damage', 'jump', offset)
		}
	}

	/** The link of everything up to `end`, and whether all since the newest anchor could be read. */
	endAt(end) {
		const isReadable = !this.isUnreadable
		if (!isReadable) this.totals.known = false
		const rest = this.file.bytes.subarray(this.linkedTo, end)
		return { link: this.linkedTo === end ? this.link : sha256(this.link, rest), isReadable }
	}
}

/** Verifies a chain, file after file. */
class Verification {
	constructor(set, options) {
		Object.assign(this, { set, options })
		this.findings = []
		this.lost = 0
		this.totals = { known: set.members[0]?.segment === 0, levels: [0, 0, 0, 0, 0] }
		this.keptFrom = keptFromOf(set)
		this.head = typeof options.head === 'string' ? parseHead(options.head) : null
		this.lastBreak = null
		this.found = null
		this.file = null
	}

	tell(severity, code, offset, lost = 0) {
		this.findings.push({ severity, code, file: this.file?.name, offset })
		this.lost += lost
	}

	run() {
		let before = null
		let superseded = []
		for (const file of this.set.members) {
			this.file = file
			const check = this.checkOf(file)
			if (before === null) this.beginning(file)
			else this.seam(before, file)
			if (file.bytes.length < file.end) this.tell('damage', 'too-short', file.bytes.length)
			const first = file.entries.find(({ type }) => type === 'frame')
			if (first !== undefined) {
				for (const entries of superseded) this.superseded(entries, first)
				superseded = []
			}
			check.run(file.entries)
			if (file.next === null) this.end(file, check)
			else before = this.sealed(file, check)
			superseded.push(file.behind)
		}
		this.file = this.set.members.at(-1)
		for (const entries of superseded) this.superseded(entries, undefined)
		if (this.head !== null) this.checkHead()
	}

	checkOf(file) {
		return new FileCheck(file, this.totals, {
			tell: (...found) => this.tell(...found),
			onBreak: (offset) => {
				this.lastBreak = { file: file.name, offset }
			},
			onAnchor: (anchor) => this.lookFor(anchor),
			judgeDamage: (...found) => this.judgeDamage(file, ...found),
		})
	}

	/** Whether a crash explains damage: only in the last file. */
	judgeDamage(file, entry, anchor, isAtEnd, lost = 0) {
		const { watermark } = this.set
		const isTorn = entry.type === 'torn' && isAtEnd
		if (file.next !== null) return this.tell('damage', 'damage', entry.offset)
		const missed =
			watermark !== null &&
			(watermark.segment > file.segment ||
				(watermark.segment === file.segment && watermark.offset > entry.offset))
		if (isTorn) return missed ? this.tell('damage', 'torn-below-watermark', entry.offset) : undefined
		const boot = bootSince(anchor === null ? null : hexOf(anchor.bootId), bootNow(this.options))
		if (watermark === null || missed || boot !== 'changed') return this.tell('damage', 'damage', entry.offset)
		return this.tell(isAtEnd ? 'note' : 'loss', 'unsynced', entry.offset, isAtEnd ? 0 : lost)
	}

	beginning(file) {
		const { segment, firstSeq } = file
		if (segment === 0 && firstSeq <= 1) return
		if (firstSeq > 1 && this.keptFrom >= firstSeq) return
		this.tell('damage', 'files-missing', 0)
	}

	/** Whether a file follows the one before. */
	seam(before, file) {
		const { header } = file
		if (before.check.wasRepaired) this.totals.known = false
		if (file.firstSeq < before.check.next) this.tell('damage', 'first-seq', 0)
		const originals = () => checkOriginals(this.set, before.file, header)
		if (file.segment !== before.file.segment + 1) {
			this.totals.known = false
			this.breakBefore(file)
			if (!before.endsRepaired) this.tell('damage', 'files-missing', 0)
			else if (checkOriginals(this.set, before.file, null) === 'none')
				this.tell('unchecked', 'files-missing', 0)
			return
		}
		if (header.state !== 'ok' || ZERO_LINK.equals(header.previousLink)) {
			this.totals.known = false
			this.breakBefore(file)
			return
		}
		if (before.end?.link.equals(header.previousLink)) return
		const original = before.check.wasRepaired ? originals() : 'none'
		if (original === 'linked') return
		this.breakBefore(file)
		if (original === 'fits') return
		if (original === 'differs') this.tell('damage', 'repair-differs', 0)
		else if (before.endsRepaired) this.tell('unchecked', 'repaired-seam', 0)
		else if (before.end?.isReadable === true) this.tell('damage', 'previous-link', 0)
	}

	/** No link of this file or of a later one covers the files before it. */
	breakBefore(file) {
		this.lastBreak = { file: file.name, offset: 0 }
	}

	/** The end of a file that another one follows. */
	sealed(file, check) {
		check.upTo(file.next.firstSeq, file.countedEnd)
		const isThere = file.bytes.length >= file.end
		if (!isThere) this.totals.known = false
		const end = isThere ? check.endAt(file.end) : null
		return { file, check, end, endsRepaired: check.newest?.reason === REPAIRED }
	}

	/** The end of the chain: what the watermark knows must be there, and the last file must be the live one. */
	end(file, check) {
		const { watermark } = this.set
		const isShort = (mark) =>
			mark.lastSeq >= check.next ||
			mark.segment > file.segment ||
			(mark.segment === file.segment && mark.offset > file.bytes.length)
		if (watermark !== null && isShort(watermark)) this.tell('damage', 'below-watermark', file.bytes.length)
		if (file.name !== this.set.liveName) this.tell('damage', 'no-live-file', file.bytes.length)
		this.lastSeq = check.next - 1
	}

	/** Frames behind the place where the next file took over: either it holds them again, or they are lost. */
	superseded(entries, next) {
		const frames = entries.filter(({ type }) => type === 'frame')
		const [first] = frames
		if (first === undefined || (next?.epoch === first.epoch && next.baseSeq === first.baseSeq)) return
		this.tell('loss', 'stray', first.offset, frames.at(-1).lastSeq - first.baseSeq + 1)
	}

	lookFor(anchor) {
		const { head } = this
		if (head === null || head.seq !== anchor.nextSeq - 1 || head.link !== hexOf(anchor.link)) return
		this.found = { keptFrom: anchor.keptFrom, lastBreak: this.lastBreak }
	}

	/** Checks the chain against a head that was kept elsewhere. */
	checkHead() {
		const { head, found, keptFrom } = this
		const [{ segment, firstSeq }] = this.set.members
		if (head.chainId !== hexOf(this.set.chainId)) this.tell('damage', 'head-of-another-chain', 0)
		else if (found === null) {
			const isRemoved = segment > 0 && firstSeq > head.seq && keptFrom >= firstSeq
			this.tell(isRemoved ? 'unchecked' : 'damage', 'head', 0)
		} else if (found.lastBreak !== null) this.tell('damage', 'head-unlinked', 0)
		else if (segment > 0 && firstSeq > found.keptFrom) this.tell('unchecked', 'removed-since-head', 0)
	}
}

function parseHead(text) {
	const [chainId, seq, link] = text.split(':')
	return { chainId, seq: Number(seq), link }
}

/**
 * Compares a repaired file with the files that were kept beside it, of which it may be a repair, or the repair of a repair.
 * `linked`: it is a repair of one whose links all fit, up to what the next file says; `fits`: the same, but some of these links
 * cover what cannot be read; `differs`: it is not, although the next file links to one of them; `none`: there is none.
 */
function checkOriginals(set, repaired, header) {
	const prefix = `${repaired.name}.before-repair-`
	const names = [...set.byName.keys()]
		.filter((name) => name.startsWith(prefix))
		.sort()
		.slice(0, 8)
	const originals = names
		.map((name) => openFile(name, set.byName.get(name)))
		.filter((file) => {
			return file.chainId?.equals(repaired.chainId) && file.segment === repaired.segment
		})
	const known = originals.map((original) => ({ original, link: originalLink(original, header) }))
	const reached = new Set()
	const open = [repaired]
	while (open.length > 0) {
		const file = open.pop()
		for (const { original, link } of known) {
			if (reached.has(original) || !isRepairOf(file, original, header)) continue
			if (link === 'fits' || link === 'unknown') return 'fits'
			const head = (one) => one.bytes.subarray(0, HEADER_BYTES)
			if (link === 'linked') return head(original).equals(head(repaired)) ? 'linked' : 'fits'
			reached.add(original)
			open.push(original)
		}
	}
	return known.some(({ link }) => ['linked', 'fits', 'changed'].includes(link)) ? 'differs' : 'none'
}

/** Whether an original is the file that the next one followed. */
function originalLink(original, header) {
	const end = Math.min(original.bytes.length, header?.previousEnd ?? Infinity)
	let isBroken = false
	let isChanged = false
	const evidence = ['seq-back', 'link', 'before', 'next-seq', 'totals', 'since', 'jump']
	const check = new FileCheck(
		{ ...original, next: original },
		{ known: false, levels: [0, 0, 0, 0, 0] },
		{
			tell: (_severity, code) => {
				if (evidence.includes(code)) isChanged = true
			},
			onBreak: () => {
				isBroken = true
			},
			onAnchor: () => {},
			judgeDamage: () => {},
		},
	)
	check.run(entriesOf(original, end))
	if (original.bytes.length !== header?.previousEnd && endsRepaired(original)) return 'differs'
	if (header === null || original.bytes.length < header.previousEnd) return isChanged ? 'differs' : 'unknown'
	const { link, isReadable } = check.endAt(end)
	if (isChanged) return link.equals(header.previousLink) ? 'changed' : 'differs'
	if (link.equals(header.previousLink)) return isBroken ? 'fits' : 'linked'
	return isReadable ? 'differs' : 'unknown'
}

/** The frames that a repair takes over, each with whether something that cannot be read stands before it. */
function readableFrames(file, end) {
	const frames = []
	let isBehindDamage = false
	let next = 1
	for (const entry of entriesOf(file, end)) {
		if (entry.type === 'anchor') continue
		if (entry.type !== 'frame' || entry.records === null) isBehindDamage = true
		else if (entry.baseSeq >= next) {
			next = entry.lastSeq + 1
			frames.push({ frame: entry, body: file.bytes.subarray(entry.offset + 11, entry.end), isBehindDamage })
			isBehindDamage = false
		}
	}
	frames.push({ frame: null, isBehindDamage })
	return frames
}

/** Whether a file holds the frames of another one, and beside them only gaps for what cannot be read there. */
function isRepairOf(file, original, header) {
	const size = original.bytes.length
	const counted =
		header !== null && size > header.previousEnd && !endsRepaired(original) ? header.previousEnd : size
	const expected = readableFrames(original, counted)
	let at = 0
	for (const { frame, body, isBehindDamage } of readableFrames(file, file.bytes.length)) {
		const from = frame === null ? Infinity : firstSpokenFor(frame)
		while (isBehindDamage && expected[at].frame !== null && expected[at].frame.baseSeq < from) at++
		if (frame === null) break
		if (expected[at].frame !== null && expected[at].body.equals(body)) at++
		else {
			const [only, second] = frame.records
			if (second !== undefined || !isGapRecord(only) || only.data.cause !== 'damaged') return false
		}
	}
	return expected[at].frame === null
}

/**
 * Verifies the chain in a folder. `options` are those of `readChain`, and `head`: `CHAIN:SEQ:LINK`, kept elsewhere. It answers
 * `refused`, `answer` (one of the four of docs/verification.md, that of the heaviest finding), `lost` (records that gaps and
 * superseded frames stand for) and `findings`.
 */
export function verify(files, options = {}) {
	const set = collect(files, options)
	if (set.refused !== '') return { refused: set.refused, answer: 'refused', lost: 0, findings: [] }
	const verification = new Verification(set, options)
	verification.run()
	const { findings, lost } = verification
	const heaviest = Math.max(0, ...findings.map(({ severity }) => SEVERITIES.indexOf(severity)))
	return { refused: '', answer: ANSWERS[heaviest], lost, findings }
}

// ---------------------------------------------------------------------------------------------------------
// The forger
// ---------------------------------------------------------------------------------------------------------

/** A seeded random function: numbers from 0 to below 1, the same for the same seed. */
export function seededRandom(seed) {
	let state = seed >>> 0
	return () => {
		state = (state + 0x6d2b79f5) >>> 0
		let value = Math.imul(state ^ (state >>> 15), state | 1)
		value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
		return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
	}
}

/** An integer from 0 to below `limit`. */
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

/** Numbers between fixed bytes: writes them to a buffer. */
function put(bytes, fixed, doubles, words) {
	for (const [offset, byte] of fixed) bytes[offset] = byte
	for (const [offset, value] of doubles) bytes.writeDoubleBE(value, offset)
	for (const [offset, value] of words) bytes.writeUInt32BE(value >>> 0, offset)
	return bytes
}

/** The 102 bytes of a header. `fields.crc` overrides the checksum. */
export function encodeHeader(fields) {
	const doubles = [
		[37, fields.created],
		[46, fields.firstSeq],
		[55, fields.previousEnd],
	]
	const bytes = put(Buffer.alloc(HEADER_BYTES), HEADER_MARKS, doubles, [[32, fields.segment]])
	bytes.write('mesh-chain', 2, 'latin1')
	bytes[12] = fields.version ?? VERSION
	bytes.set(fields.chainId, 15)
	bytes.set(fields.previousLink, 65)
	bytes.writeUInt32BE(fields.crc ?? crc32(bytes.subarray(0, 97), 0), 98)
	return bytes
}

/** The 263 bytes of an anchor, with a link of zeros and a checksum of 0 unless these are given. */
export function encodeAnchor(fields) {
	const doubles = [
		[38, fields.ownOffset],
		[72, fields.written],
		[81, fields.nextSeq],
		[137, fields.sinceMin],
		[146, fields.sinceMax],
		[156, fields.durable],
		[165, fields.keptFrom],
		[175, fields.before],
		[184, fields.ordinal],
		[193, fields.jump],
		[202, fields.jumpMin],
		[211, fields.jumpMax],
		[221, fields.value],
	]
	for (let level = 0; level < 5; level++) doubles.push([91 + 9 * level, fields.totals[level]])
	const words = [
		[9, fields.crc ?? 0],
		[33, fields.segment],
		[49, fields.epoch],
	]
	const bytes = put(Buffer.alloc(ANCHOR_BYTES), ANCHOR_MARKS, doubles, words)
	bytes.write('anchor', 2, 'latin1')
	bytes.set(fields.chainId, 15)
	bytes[46] = fields.reason
	bytes.set(fields.bootId, 55)
	bytes[154] = fields.presence
	bytes[219] = fields.jumpPresence
	bytes.set(fields.link ?? ZERO_LINK, 231)
	return bytes
}

/** The 87 bytes of a watermark slot. `fields.first` overrides the first byte, 98 as FORMAT.md says. */
export function encodeSlot(fields) {
	const doubles = [
		[43, fields.count],
		[52, fields.offset],
		[61, fields.lastSeq],
	]
	const words = [
		[33, fields.segment],
		[38, fields.epoch],
	]
	const bytes = put(Buffer.alloc(WATERMARK_BYTES), WATERMARK_MARKS, doubles, words)
	bytes[0] = fields.first ?? 0x98
	bytes.write('durable', 2, 'latin1')
	bytes.set(fields.chainId, 16)
	bytes.set(fields.bootId ?? Buffer.alloc(16), 71)
	bytes.writeUInt32BE(fields.crc ?? crc32(bytes.subarray(14), 0), 10)
	return bytes
}

/** A record as a row: nils at the end are left out, `log` as kind and the kind as message are nil. */
export function rowOf(record, baseTs) {
	const kind = record.kind === undefined || record.kind === 'log' ? null : record.kind
	const message = record.message === undefined || record.message === (kind ?? 'log') ? null : record.message
	const row = [record.tsMs - baseTs, record.level, kind, message, record.daemonId, record.nodeId]
	const origin = record.origin
	row.push(origin ? [origin.chainId, origin.epoch, origin.seq] : null)
	if (record.data !== undefined) return [...row, record.data]
	while (row.length > 2 && (row[row.length - 1] ?? null) === null) row.pop()
	return row
}

/** Whether all texts in the fixed columns of a row are ASCII. */
function isAscii(row) {
	return [...row.slice(0, 6), row[6]?.[0]].every(
		(text) => typeof text !== 'string' || !/[^\0-\x7f]/.test(text),
	)
}

/**
 * What a frame holds behind its checksum. `fields` are `epoch`, `baseSeq`, `baseTs`, `records`; `rows`
 * (encoded as they are), `flags` and `raw` (the bytes themselves) override.
 */
export function encodeFrameBody(fields) {
	if (fields.raw) return asBuffer(fields.raw)
	const records = fields.records ?? []
	const rows = fields.rows ?? records.map((record) => rowOf(record, fields.baseTs))
	let flags = rows.every(isAscii) ? BIT_ASCII : 0
	for (const record of records) {
		flags |= 1 << record.level
		if (String(record.kind).startsWith('$')) flags |= BIT_SPECIAL
	}
	const parts = [fields.flags ?? flags, fields.epoch, fields.baseSeq, new Raw(float64(fields.baseTs)), rows]
	return Buffer.concat(parts.map((part) => encode(part)))
}

/** A whole frame around the body, for its place. `crc` and `length` override. */
export function encodeFrame(body, chainId, segment, offset, { crc, length } = {}) {
	const size = length ?? body.length + 11
	const sum = crc ?? crc32(body, placeCrc(chainId, segment, offset, size))
	return Buffer.concat([Buffer.from([0x97]), headBytes(0xce, 4, size), headBytes(0xce, 4, sum), body])
}

/**
 * Builds one file. What it writes fits by default: place, checksums, links, totals, times, jumps. It goes on
 * from `carry`, the state at the previous end of the file before.
 */
export class FileForge {
	constructor(header, carry = null) {
		const defaults = {
			segment: carry ? carry.segment + 1 : 0,
			chainId: carry?.chainId,
			created: carry?.clock ?? 0,
			firstSeq: carry?.nextSeq ?? 1,
			previousEnd: carry?.end ?? 0,
			previousLink: carry?.seamLink ?? ZERO_LINK,
		}
		this.header = { ...defaults, ...header }
		this.segment = this.header.segment
		this.chainId = asBuffer(this.header.chainId)
		this.parts = []
		this.length = 0
		this.nextSeq = carry?.nextSeq ?? this.header.firstSeq
		this.epoch = carry?.epoch ?? 1
		this.bootId = carry?.bootId ?? Buffer.alloc(16)
		this.keptFrom = carry?.keptFrom ?? this.header.firstSeq
		this.clock = this.header.created
		this.totals = [...(carry?.totals ?? [0, 0, 0, 0, 0])]
		this.durable = 0
		this.anchors = []
		this.jumps = []
		this.stats = emptyStats()
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

	/** Bytes as they are, seen by nothing but the link. */
	raw(bytes) {
		return this.push(bytes)
	}

	/**
	 * A frame of records. `baseSeq` is the next seq unless `fields` override it; `fields.crc`, `fields.length`,
	 * `fields.uncounted` (totals and next seq stay) override the rest.
	 */
	frame(records, fields = {}) {
		const baseSeq = fields.baseSeq ?? this.nextSeq
		const baseTs = fields.baseTs ?? records[0]?.tsMs ?? this.clock
		const body = encodeFrameBody({ epoch: this.epoch, ...fields, baseSeq, baseTs, records })
		const offset = this.push(encodeFrame(body, this.chainId, this.segment, this.length, fields))
		if (fields.uncounted) return offset
		for (const record of records) {
			addRecord(this.stats, record)
			if (record.kind !== GAP || record.origin) this.totals[record.level] += 1
			if (record.tsMs > this.clock) this.clock = record.tsMs
		}
		this.nextSeq = baseSeq + (records.length || fields.rows?.length || 1)
		return offset
	}

	/** A frame that a `$gap` record opens: it stands for what is absent up to `toSeq`. */
	gap(toSeq, cause, { fromSeq = this.nextSeq, level = 3, records = [], ...fields } = {}) {
		const data = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause }
		const record = { tsMs: this.clock, level, kind: GAP, data }
		return this.frame([record, ...records], { ...fields, baseSeq: toSeq })
	}

	/** Times and presence of a stretch, as an anchor has them. */
	seen(stats) {
		return { min: stats.min, max: stats.max, presence: presenceOf(stats) }
	}

	/** An anchor. Any of its fields can be overridden, `link` and `crc` among them. */
	anchor(reason, fields = {}) {
		const offset = this.length
		const ordinal = this.anchors.length
		const regular = jumpOrdinal(this.jumps, ordinal)
		const jump = reason === SEALED ? 0 : regular
		const jumpStats = emptyStats()
		addStats(jumpStats, this.stats)
		for (let index = ordinal - 1; index > jump; index--) addStats(jumpStats, this.anchors[index].stats)
		const since = this.seen(this.stats)
		const sinceJump = this.seen(jumpStats)
		const all = {
			chainId: this.chainId,
			segment: this.segment,
			ownOffset: offset,
			reason,
			epoch: this.epoch,
			bootId: this.bootId,
			written: this.clock,
			nextSeq: this.nextSeq,
			totals: this.totals,
			sinceMin: since.min,
			sinceMax: since.max,
			presence: since.presence,
			durable: this.durable,
			keptFrom: this.keptFrom,
			before: ordinal === 0 ? 0 : this.anchors[ordinal - 1].offset,
			ordinal,
			jump: ordinal === 0 ? 0 : this.anchors[jump].offset,
			jumpMin: sinceJump.min,
			jumpMax: sinceJump.max,
			jumpPresence: sinceJump.presence,
			value: reason === CLOSED ? -1 : 0,
			...fields,
		}
		const bytes = encodeAnchor(all)
		const between = this.bytes().subarray(this.linkedTo)
		const link = asBuffer(fields.link ?? sha256(this.link, between, bytes.subarray(13, 229)))
		bytes.set(link, 231)
		const crc = crc32(bytes.subarray(13), placeCrc(this.chainId, this.segment, offset, ANCHOR_BYTES))
		bytes.writeUInt32BE(fields.crc ?? crc, 9)
		this.push(bytes)
		this.link = link
		this.linkedTo = this.length
		this.jumps.push(jump)
		this.anchors.push({ offset, stats: this.stats, link, nextSeq: all.nextSeq })
		this.stats = emptyStats()
		this.epoch = all.epoch
		this.keptFrom = all.keptFrom
		this.durable = all.durable
		this.bootId = asBuffer(all.bootId)
		return offset
	}

	/** The state that the next file goes on from, when everything so far counts. */
	carry() {
		const { segment, chainId, nextSeq, epoch, bootId, keptFrom, clock, totals, length } = this
		const between = this.bytes().subarray(this.linkedTo)
		const link = between.length === 0 ? this.link : sha256(this.link, between)
		const rest = { chainId, nextSeq, epoch, bootId, keptFrom, clock, totals: [...totals] }
		return { segment, ...rest, end: length, seamLink: link }
	}

	/** The newest anchor, as one keeps it elsewhere. */
	head() {
		const newest = this.anchors[this.anchors.length - 1]
		return { link: newest.link.toString('hex'), seq: newest.nextSeq - 1 }
	}
}

/** Builds a chain of several files from nothing. */
export class Forge {
	/** `options`: `name`, `chainId`, `created`, `firstSeq`, `epoch`, `bootId`, and `header` (overrides). */
	constructor(options = {}) {
		this.name = options.name ?? 'node'
		this.chainId = asBuffer(options.chainId ?? Buffer.alloc(16, 7))
		this.sealedFiles = []
		this.slots = []
		const created = options.created ?? 1_700_000_000_000
		const header = { chainId: this.chainId, created, firstSeq: options.firstSeq ?? 1, ...options.header }
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
	 * Seals the file and begins another. `options`: `unsealed` (no sealing anchor), `superseded` (writes to the
	 * file what is behind its previous end), `header`, `reason` and `anchor` (of the new file's first anchor).
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
		const slot = { chainId: this.chainId, segment: file.segment, epoch: file.epoch, bootId: file.bootId }
		const place = { count: this.slots.length, offset: file.length, lastSeq: file.nextSeq - 1 }
		this.slots.push(encodeSlot({ ...slot, ...place, ...fields }))
	}

	/** The files of the folder. */
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

/** Records as an application may publish them. */
export function randomRecord(random, tsMs) {
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
 * A chain as a writer may leave it. `options`: `files`, `frames` (in each file), `rows` (at most, in a
 * frame), and those of `Forge`. It has gaps, epochs, superseded bytes and a watermark now and then.
 */
export function forgeChain(random, options = {}) {
	const forge = new Forge({ chainId: randomBytes(random, 16), ...options })
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
// Taking a chain apart and putting it together again
// ---------------------------------------------------------------------------------------------------------

/**
 * A chain as a model: `{ base, files, others }`; each file has `name`, `header`, `items` and `counted` (how
 * many items stand before the next file's previous end). An item is a frame (`records`, `body`, …), an
 * anchor, or raw.
 */
export function explode(files) {
	const chain = readChain(files)
	const members = new Map(chain.members.map((member) => [member.name, member]))
	const model = { base: '', files: [], others: [] }
	for (const file of files) if (!members.has(file.name)) model.others.push(file)
	for (const member of chain.members) {
		const header = member.header.state === 'ok' ? { ...member.header } : null
		const items = []
		for (const entry of [...member.entries, ...member.behind]) {
			const bytes = member.bytes.subarray(entry.offset, entry.end)
			if (entry.type === 'frame' && entry.records !== null)
				items.push({ ...entry, body: bytes.subarray(11), bytes })
			else if (entry.type === 'anchor') items.push({ ...entry, crc: bytes.readUInt32BE(9), bytes })
			else if (entry.offset >= HEADER_BYTES) items.push({ type: 'raw', bytes, offset: entry.offset })
		}
		const counted = items.filter((item) => item.offset < member.countedEnd).length
		const head = member.bytes.subarray(0, HEADER_BYTES)
		model.files.push({ name: member.name, live: member.name === 'node.chain', header, head, items, counted })
	}
	return model
}

const RECOUNTED = [
	'type',
	'offset',
	'end',
	'bytes',
	'stats',
	'linkFits',
	'chainId',
	'segment',
	'ownOffset',
	'nextSeq',
]
RECOUNTED.push(
	'totals',
	'sinceMin',
	'sinceMax',
	'presence',
	'before',
	'ordinal',
	'jump',
	'jumpMin',
	'jumpMax',
)
RECOUNTED.push('jumpPresence', 'link', 'crc', 'reason')
const PLACED = [
	'type',
	'offset',
	'end',
	'bytes',
	'stats',
	'linkFits',
	'chainId',
	'segment',
	'ownOffset',
	'reason',
]

function without(item, names) {
	const rest = { ...item }
	for (const name of names) delete rest[name]
	return rest
}

/**
 * Puts a model together. `checksums` (true): entries get right checksums for their places; otherwise each
 * keeps the one it had. `links` (true): anchors' links, previous ends and previous links are computed anew.
 * `recount` (true): so are totals, times, presence, next seqs, offsets and jumps. An item's `force` has the
 * last word on its fields.
 */
export function assemble(model, { checksums = true, links = true, recount = true } = {}) {
	const files = []
	let carry = null
	for (const file of model.files) {
		const stale = { ...file.header }
		delete stale.crc
		if (links && carry !== null && !ZERO_LINK.equals(stale.previousLink)) {
			stale.previousEnd = carry.end
			stale.previousLink = carry.seamLink
		}
		if (!checksums) stale.crc = file.head.readUInt32BE(98)
		const forge = new FileForge({ ...stale, ...file.force }, null)
		forge.nextSeq = carry?.nextSeq ?? forge.nextSeq
		forge.totals = [...(carry?.totals ?? firstTotals(file))]
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

/** The totals that the first anchor of the first file has. */
function firstTotals(file) {
	return file.items.find((item) => item.type === 'anchor')?.totals ?? [0, 0, 0, 0, 0]
}

function assembleItem(forge, item, { checksums, links, recount }) {
	if (item.type === 'raw') {
		forge.raw(item.bytes)
		return
	}
	if (item.type === 'frame') {
		const stale = checksums ? {} : { crc: item.bytes.readUInt32BE(7) }
		const fields = item.body ? { raw: item.body, baseSeq: item.baseSeq } : without(item, [...PLACED, 'flags'])
		forge.frame(item.records, { ...fields, baseTs: item.baseTs, ...stale, ...item.force })
		return
	}
	const fields = without(item, recount ? RECOUNTED : PLACED)
	if (links) delete fields.link
	else fields.link = item.link
	if (checksums) delete fields.crc
	else fields.crc = item.crc
	if (recount) fields.durable = Math.min(item.durable, forge.length)
	forge.anchor(item.reason, { ...fields, ...item.force })
	if (!recount && item.nextSeq > forge.nextSeq) forge.nextSeq = item.nextSeq
}

// ---------------------------------------------------------------------------------------------------------
// Mutators
// ---------------------------------------------------------------------------------------------------------

/** The same files with their own memory. */
function copyFiles(files) {
	return files.map((file) => ({ name: file.name, bytes: Buffer.from(file.bytes) }))
}

/**
 * The lowest seq that a change touches, of what links cover: `{ seq, segment, offset }`, or null where the
 * two chains hold the same. A head with a seq of at least this one is of another state than the mutated
 * files.
 */
export function firstChange(original, mutated) {
	const chain = readChain(original)
	for (const member of chain.members) {
		const head = member.bytes.subarray(0, HEADER_BYTES)
		const same = mutated.filter((file) => asBuffer(file.bytes).subarray(0, HEADER_BYTES).equals(head))
		const other = same.find((file) => file.name === member.name) ?? same[0]
		if (other === undefined) return { seq: member.firstSeq, segment: member.segment, offset: 0 }
		const bytes = asBuffer(other.bytes)
		const end = Math.min(member.countedEnd, bytes.length)
		let at = 0
		if (member.bytes.subarray(0, end).equals(bytes.subarray(0, end))) at = end
		else while (member.bytes[at] === bytes[at]) at++
		if (at >= member.countedEnd) continue
		const entry = member.entries.find((one) => one.end > at)
		let seq = member.firstSeq
		if (at >= HEADER_BYTES) {
			for (const one of member.entries) {
				if (one === entry) break
				if (one.type === 'frame') seq = one.lastSeq + 1
			}
			if (entry?.type === 'frame') seq = entry.baseSeq
			if (entry?.type === 'anchor') seq = Math.max(seq, entry.nextSeq)
		}
		return { seq, segment: member.segment, offset: at }
	}
	return null
}

/** What a mutator answers. */
function result(original, files, what, explicit) {
	const change = explicit === undefined ? firstChange(original, files) : explicit
	const place = change ? { segment: change.segment, offset: change.offset } : null
	return { files, what, lowestChangedSeq: change?.seq ?? null, lowestChangedAt: place }
}

/** How a mutator that rebuilds the chain does so, unless its caller says. */
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

/** All items of a type that count, with their files. */
function places(model, type, test = () => true) {
	const found = []
	for (const file of model.files) {
		file.items.forEach((item, index) => {
			if (item.type === type && index < file.counted && test(item)) found.push({ file, index, item })
		})
	}
	return found
}

/** Rebuilds after an edit of the model; where there is nothing to edit, nothing changes. */
function edited(files, random, options, edit) {
	const model = explode(files)
	const how = howTo(random, options)
	const usable = model.files.length > 0 && model.files.every((file) => file.header !== null)
	const what = usable ? edit(model) : null
	if (what === null) return result(files, copyFiles(files), 'nothing to change', null)
	return result(files, assemble(model, how), `${what}; ${sayHow(how)}`)
}

/** A frame item of records. */
function frameItem(epoch, baseSeq, records, fields = {}) {
	return {
		type: 'frame',
		epoch,
		baseSeq,
		baseTs: records[0].tsMs,
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

/** Gives the records of all frames behind a place the seqs that follow. */
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
	['a key that is no text', (row) => ({ ...row, 7: new Map([[1, 2]]) })],
	['an array that claims 4 billion', (row) => ({ ...row, 7: new Raw(Buffer.from('ddffffffff', 'hex')) })],
	['a bin that claims 4 GiB', (row) => ({ ...row, 7: new Raw(Buffer.from('c6ffffffff', 'hex')) })],
	['c1', (row) => ({ ...row, 7: new Raw(Buffer.from('c1', 'hex')) })],
	['data of more than 4 MiB', (row) => ({ ...row, 7: new Uint8Array(MAX_DATA_BYTES + 1) })],
	['nine columns', (row) => ({ ...row, 8: 1 })],
	['one column', () => ({ 0: 0 })],
	['no column', () => ({})],
]

/** An array in an array, `depth` deep, as bytes. */
function nested(depth) {
	return new Raw(Buffer.concat([Buffer.alloc(depth - 1, 0x91), Buffer.from([0x90])]))
}

/** A row of columns by number; those between that are not there are nil. */
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
	totals: (_, item) => item.totals.map((total) => total + 1),
	sinceMin: (_, item) => (Number.isFinite(item.sinceMin) ? item.sinceMin - 1 : 0),
	sinceMax: (_, item) => (Number.isFinite(item.sinceMax) ? item.sinceMax + 1 : 0),
	presence: (random, item) => item.presence ^ (1 << below(random, 6)),
	durable: (_, item) => item.offset + 1000,
	keptFrom: (_, item) => item.keptFrom + 1,
	before: (_, item) => item.before + 1,
	ordinal: (_, item) => item.ordinal + 1,
	jump: (_, item) => item.jump + 7,
	jumpMin: (_, item) => (Number.isFinite(item.jumpMin) ? item.jumpMin - 1 : 0),
	jumpMax: (_, item) => (Number.isFinite(item.jumpMax) ? item.jumpMax + 1 : 0),
	jumpPresence: (random, item) => item.jumpPresence ^ (1 << below(random, 6)),
	value: (_, item) => item.value + 1,
	link: (random) => randomBytes(random, 32),
	segment: (_, item) => item.segment + 1,
	ownOffset: (_, item) => item.ownOffset + 1,
}

/** A file of the chain, a stretch of whole bytes in it, and the file with other bytes there. */
function overwritten(files, random, options, name, make) {
	const copies = copyFiles(files)
	const usable = copies.filter((file) => file.bytes.length > 0 && !file.name.endsWith('.durable'))
	if (usable.length === 0) return result(files, copies, 'nothing to change', null)
	const file = options?.file ? copies.find((one) => one.name === options.file) : pick(random, usable)
	const size = options?.size ?? 512
	const offset = options?.offset ?? below(random, Math.ceil(file.bytes.length / size)) * size
	const end = Math.min(file.bytes.length, offset + size)
	file.bytes.set(make(end - offset, file, offset, copies), offset)
	return result(files, copies, `${name}: ${file.name}, bytes ${offset} to ${end - 1}`)
}

/**
 * The mutators. Each takes `(files, random, options?)` and answers `{ files, what, lowestChangedSeq,
 * lowestChangedAt }`; the files handed in stay as they are. `lowestChangedSeq` is null where nothing that a
 * link covers has changed. Those that rebuild the chain take `checksums`, `links` and `recount` (see
 * `assemble`); left out, the random function chooses. `excusable` says that the result may be `unknown`
 * instead of `not ok`.
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

	/** Deletes one record in a frame; the seqs behind it move down. */
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
				randomRecord(random, item.baseTs),
				randomRecord(random, item.baseTs + 1),
			]
			const baseSeq = item.baseSeq
			if (options.renumber ?? random() < 0.5) renumber(model, baseSeq, records.length)
			insertItem(file, index, frameItem(item.epoch, baseSeq, records))
			return `inserted a frame at seq ${baseSeq}`
		})
	},

	/** Swaps two frames of a file; `renumber` swaps their seqs too where they have as many rows. */
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

	/** Puts a frame of another chain, `options.from` (files), in the place of one. */
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

	/** Puts a whole file of another chain in the place of one. */
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
		if (file === undefined || source === undefined) return result(files, copies, 'nothing to change', null)
		file.bytes = Buffer.from(source.bytes)
		return result(files, copies, `put another chain's file in the place of ${file.name}`)
	},

	/** Cuts a file somewhere. */
	truncate(files, random, options = {}) {
		const copies = copyFiles(files)
		const usable = copies.filter((file) => file.bytes.length > 0 && file.name.endsWith('.chain'))
		const file = options.file ? copies.find((one) => one.name === options.file) : pick(random, usable)
		if (file === undefined) return result(files, copies, 'nothing to change', null)
		const at = options.at ?? below(random, file.bytes.length)
		file.bytes = file.bytes.subarray(0, at)
		return result(files, copies, `cut ${file.name} to ${at} bytes`)
	},

	/**
	 * Rolls the chain back to an anchor, as an old backup does: later files go, the one it is in is live
	 * again.
	 */
	rollBack(files, random, options = {}) {
		const model = explode(files)
		const place = pick(random, places(model, 'anchor'))
		if (place === undefined) return result(files, copyFiles(files), 'nothing to change', null)
		const kept = model.files.slice(0, model.files.indexOf(place.file))
		const names = new Set(kept.map((file) => file.name))
		const live = model.files.find((file) => file.live)?.name ?? 'node.chain'
		const rolled = copyFiles(files).filter((file) => names.has(file.name) && file.name !== live)
		const whole = files.find((file) => file.name === place.file.name)
		rolled.push({ name: live, bytes: Buffer.from(whole.bytes.subarray(0, place.item.end)) })
		if (options.keepWatermark ?? random() < 0.5) {
			rolled.push(...copyFiles(files).filter((file) => file.name.endsWith('.durable')))
		}
		return result(files, rolled, `rolled back to the anchor before seq ${place.item.nextSeq}`)
	},

	/** Overwrites a sector with zeros. */
	zeroSector(files, random, options) {
		return overwritten(files, random, options, 'zeros', (length) => Buffer.alloc(length))
	},

	/** Overwrites a sector with random bytes. */
	garbageSector(files, random, options) {
		return overwritten(files, random, options, 'garbage', (length) => randomBytes(random, length))
	},

	/** Overwrites a sector with what stands, or stood, elsewhere. */
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
		let last = { files: copyFiles(files), what: 'flipped' }
		const where = []
		for (let flip = 0; flip < count; flip++) {
			const change = (_, file, offset) => {
				where.push(`${file.name}:${offset}`)
				return [file.bytes[offset] ^ (1 << below(random, 8))]
			}
			last = overwritten(last.files, random, { ...options, size }, 'flip', change)
		}
		return result(files, last.files, `flipped bits at ${where.join(', ')}`)
	},

	/** Rewrites every record behind a point, with everything recomputed: a forgery without a flaw. */
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

	/** Edits a file and ends it in a `repaired` anchor, as if it had been damaged; the other files stay. */
	putRepaired(files, random, options = {}) {
		const model = explode(files)
		const usable = model.files.filter(
			(file) => file.header !== null && file.items.some((item) => item.type === 'frame'),
		)
		const file = pick(random, usable)
		if (file === undefined) return result(files, copyFiles(files), 'nothing to change', null)
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
			value: 512,
			durable: 0,
			force: { durable: newest?.durable ?? 0 },
		})
		file.counted = file.items.length
		const [first] = assemble({ files: [file], others: [] }, { recount: true, ...options })
		const copies = copyFiles(files)
		copies.find((one) => one.name === file.name).bytes = first.bytes
		const what = `edited seq ${item.baseSeq + row} in ${file.name} and ended it in a repaired anchor`
		return { ...result(files, copies, what), excusable: true }
	},

	/** Removes files from the head; the newest anchor says that retention did. */
	claimKeptFrom(files, random, options = {}) {
		const model = explode(files)
		const usable = model.files.length > 1 && model.files.every((file) => file.header !== null)
		if (!usable) return result(files, copyFiles(files), 'nothing to change', null)
		const count = options.count ?? 1 + below(random, model.files.length - 1)
		const gone = new Set(model.files.slice(0, count).map((file) => file.name))
		const top = model.files[model.files.length - 1]
		const firstSeq = model.files[count].header.firstSeq
		const keptFrom = options.keptFrom ?? firstSeq
		const copies = copyFiles(files).filter((file) => !gone.has(file.name))
		const live = copies.find((file) => file.name === top.name)
		if (live === undefined) return result(files, copies, 'nothing to change', null)
		const forge = new FileForge({ ...top.header, crc: undefined })
		forge.totals = [...firstTotals(top)]
		for (const item of top.items) {
			const keep = { type: 'raw', checksums: true, links: true, recount: false }
			assembleItem(forge, item, keep)
		}
		forge.anchor(SPAN, { keptFrom })
		live.bytes = forge.bytes()
		const what = `removed ${count} files from the head; a new anchor says kept from ${keptFrom}`
		return { ...result(files, copies, what), excusable: true }
	},

	/** Puts a `$gap` in the place of a frame. */
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

	/** Puts an odd row in the place of one: wrong types, too deep, out of range. */
	oddRow(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const place = pick(random, places(model, 'frame'))
			if (place === undefined) return null
			const { item } = place
			const choices = ODD_VALUES.filter(([name]) => options.odd === undefined || options.odd === name)
			const [name, make] = pick(random, choices)
			const index = below(random, item.records.length)
			const rows = item.records.map((record) => rowOf(record, item.baseTs))
			rows[index] = rowOfColumns(make({ ...rows[index] }))
			item.rows = rows
			delete item.body
			return `${name} in the row of seq ${item.baseSeq + index}`
		})
	},

	/** Sets the fields of a frame's head to what does not fit. */
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
				{ baseTs: NaN },
				{ rows: [] },
				{ length: 0 },
				{ length: MAX_FRAME_BYTES },
				{ length: 0xffffffff },
			]
			const force = options.fields ?? pick(random, choices)
			delete place.item.body
			place.item.force = force
			return `${JSON.stringify(force)} in the frame of seq ${place.item.baseSeq}`
		})
	},

	/** Sets a field of an anchor to what does not fit. */
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

	/** Sets a field of a header to what does not fit. */
	editHeader(files, random, options = {}) {
		return edited(files, random, options, (model) => {
			const file = pick(random, model.files)
			const { header } = file
			const edits = {
				created: header.created + 1,
				firstSeq: header.firstSeq + 1,
				segment: header.segment + 1 + below(random, 3),
				previousEnd: Math.max(0, header.previousEnd + below(random, 1000) - 500) + (random() < 0.5 ? 1 : 0),
				previousLink: random() < 0.5 ? ZERO_LINK : randomBytes(random, 32),
				chainId: randomBytes(random, 16),
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
		return result(files, kept, `deleted ${name}`)
	},

	/** Swaps the names of two files. */
	swapNames(files, random) {
		const chain = readChain(files)
		const first = pick(random, chain.members)
		const second = pick(
			random,
			chain.members.filter((file) => file !== first),
		)
		const copies = copyFiles(files)
		if (second === undefined) return result(files, copies, 'nothing to change', null)
		for (const file of copies) {
			if (file.name === first.name) file.name = second.name
			else if (file.name === second.name) file.name = first.name
		}
		const [low, high] = first.segment < second.segment ? [first, second] : [second, first]
		const lowest = high.name === 'node.chain' ? high : low
		const same = first.firstSeq === second.firstSeq
		const change = same ? null : { seq: lowest.firstSeq, segment: lowest.segment, offset: 0 }
		return result(files, copies, `swapped the names of ${first.name} and ${second.name}`, change)
	},

	/** Writes another watermark. */
	editWatermark(files, random, options = {}) {
		const model = explode(files)
		const top = model.files[model.files.length - 1]
		if (!top?.header) return result(files, copyFiles(files), 'nothing to change', null)
		const fields = {
			chainId: top.header.chainId,
			segment: top.header.segment,
			epoch: 1,
			count: 1000,
			offset: below(random, 100_000),
			lastSeq: top.header.firstSeq + below(random, 100),
			...options,
		}
		const name = `${(model.files.find((file) => file.live) ?? { name: 'node.chain' }).name}.durable`
		const kept = copyFiles(files).filter((file) => file.name !== name)
		kept.push({ name, bytes: encodeSlot(fields) })
		return result(files, kept, `a watermark of ${fields.offset} bytes and seq ${fields.lastSeq}`)
	},
}

/** Applies a mutator that the random function chooses, of all or of `options.only` (names). */
export function mutate(files, random, options = {}) {
	const name = pick(random, options.only ?? Object.keys(mutators))
	return { mutator: name, ...mutators[name](files, random, options.with ?? {}) }
}
