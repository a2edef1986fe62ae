/**
 * Decodes the `data` of one record from MessagePack into its canonical value. It is the inverse of
 * `data-packer.ts`, and decodes and checks in one pass.
 *
 * Invariants: the reader never throws, and the result is undefined or a value in canonical form (see
 * docs/FORMAT.md). A decoded map has exactly the keys that were encoded. For any input, the reader recurses
 * at most {@link PACKED_DEPTH_MAX} levels deep, and creates at most {@link DATA_OBJECTS_MAX} strings, maps,
 * arrays, byte arrays, dates and bigints.
 */
import { DATA_OBJECTS_MAX, PACKED_DATA_BYTES_MAX, PACKED_DEPTH_MAX } from '../model/limits.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { packDataBorrow } from './data-packer.ts'
import { type Shape, Shapes } from './shapes.ts'
import { utf8Text } from './text-bytes.ts'

const EXT_BIGINT = 0x42
const EXT_TIMESTAMP = 0xff
const NO_BYTES = Buffer.alloc(0)
/** Result for bytes that are not in canonical form. */
const BAD = Symbol('not canonical')

/**
 * A generated function that decodes the `size` fields of a map at `pos` if they have certain keys. Returns
 * undefined if they have other keys. It may read beyond the end of the value and create too many objects. The
 * caller detects both.
 */
type DecodeMap = (
	reader: DataReader,
	size: number,
	bytes: Buffer,
	text: string,
	pos: number,
	textStart: number,
	depth: number,
) => unknown

const shapes = new Shapes(generateDecode)
/**
 * Maximum number of maps in one value that are decoded twice because their shape was guessed wrongly. Without
 * a limit, decoding nested maps could take exponential time.
 */
const WRONG_GUESSES_MAX = 16
/**
 * For each hash of a map's size and first bytes, the function that is likely to decode the map. The length is
 * a power of two.
 */
const PREDICTED: (DecodeMap | undefined)[] = new Array<DecodeMap | undefined>(256).fill(undefined)

export class DataReader {
	#bytes: Buffer = NO_BYTES
	#text = ''
	#textStart = 0
	#end = 0
	#pos = 0
	/** Number of objects that may still be created for the value. */
	objectsLeft = 0
	/** Number of maps in the value whose shape may still be guessed wrongly. */
	#guessesLeft = 0

	/**
	 * Sets the bytes to read from.
	 *
	 * @param text The bytes from `textStart` onwards, with one character per byte.
	 */
	open(bytes: Buffer, text: string, textStart: number): void {
		this.#bytes = bytes
		this.#text = text
		this.#textStart = textStart
	}

	/** Releases the bytes. */
	close(): void {
		this.open(NO_BYTES, '', 0)
	}

	/** Position after the value that the last call to {@link read} or {@link valueAt} decoded. */
	get end(): number {
		return this.#pos
	}

	/**
	 * Decodes the value at `start`, which must end at or before `rowsEnd`. Returns undefined if the bytes are
	 * not a value in canonical form.
	 */
	read(start: number, rowsEnd: number): unknown {
		this.#pos = start
		this.#end = Math.min(rowsEnd, start + PACKED_DATA_BYTES_MAX)
		this.objectsLeft = DATA_OBJECTS_MAX
		this.#guessesLeft = WRONG_GUESSES_MAX
		const value = this.#value(0)
		return value === BAD || this.#pos > this.#end ? undefined : value
	}

	/**
	 * Decodes one value within a map for a generated function, from `pos` on. The function continues at
	 * {@link end}, unless the value is {@link BAD}.
	 */
	valueAt(pos: number, depth: number): unknown {
		this.#pos = pos
		return this.#value(depth)
	}

	/** Sets the end of a map that a generated function decoded. */
	endAt(pos: number): void {
		this.#pos = pos
	}

	#value(depth: number): unknown {
		const pos = this.#pos
		if (pos >= this.#end) return BAD
		const lead = this.#bytes[pos]!
		this.#pos = pos + 1
		if (lead < 0x80) return lead
		if (lead >= 0xe0) return lead - 0x100
		if (lead < 0x90) return this.#map(lead & 0x0f, depth)
		if (lead < 0xa0) return this.#array(lead & 0x0f, depth)
		if (lead < 0xc0) return this.#string(lead & 0x1f)
		switch (lead) {
			case 0xc0:
				return null
			case 0xc2:
				return false
			case 0xc3:
				return true
			case 0xc4:
			case 0xc5:
			case 0xc6:
				return this.#binary(this.#size(1 << (lead - 0xc4)))
			case 0xc7:
			case 0xc8:
			case 0xc9:
				return this.#extension(this.#size(1 << (lead - 0xc7)))
			case 0xcb: {
				const at = this.#take(8)
				if (at < 0) return BAD
				const value = this.#bytes.readDoubleBE(at)
				return value === 0 ? 0 : value
			}
			case 0xcc:
			case 0xcd:
			case 0xce: {
				const value = this.#size(1 << (lead - 0xcc))
				return value < 0 ? BAD : value
			}
			case 0xcf:
			case 0xd3:
				return this.#wideInteger(lead === 0xd3)
			case 0xd0:
			case 0xd1:
			case 0xd2: {
				const width = 1 << (lead - 0xd0)
				const at = this.#take(width)
				return at < 0 ? BAD : this.#bytes.readIntBE(at, width)
			}
			case 0xd4:
			case 0xd5:
			case 0xd6:
			case 0xd7:
			case 0xd8:
				return this.#extension(1 << (lead - 0xd4))
			case 0xd9:
			case 0xda:
			case 0xdb:
				return this.#string(this.#size(1 << (lead - 0xd9)))
			case 0xdc:
			case 0xdd:
				return this.#array(this.#size(2 << (lead - 0xdc)), depth)
			case 0xde:
			case 0xdf:
				return this.#map(this.#size(2 << (lead - 0xde)), depth)
			default:
				// 0xc1 is unused in MessagePack, and no writer produces a float32.
				return BAD
		}
	}

	/**
	 * Moves past `count` bytes of the value. Returns the position of the first one, or -1 if too few are left.
	 */
	#take(count: number): number {
		const start = this.#pos
		if (start + count > this.#end) return -1
		this.#pos = start + count
		return start
	}

	/** Reads an unsigned integer of 1, 2 or 4 bytes. Returns -1 if too few bytes are left. */
	#size(width: number): number {
		const at = this.#take(width)
		if (at < 0) return -1
		const bytes = this.#bytes
		if (width === 1) return bytes[at]!
		if (width === 2) return bytes[at]! * 256 + bytes[at + 1]!
		return bytes.readUInt32BE(at)
	}

	#array(size: number, depth: number): unknown {
		if (size < 0 || size > this.#end - this.#pos || !this.#mayHold(depth)) return BAD
		const array: unknown[] = []
		for (let index = 0; index < size; index++) {
			const value = this.#value(depth + 1)
			if (value === BAD) return BAD
			array.push(value)
		}
		return array
	}

	#map(size: number, depth: number): unknown {
		if (size < 0 || 2 * size > this.#end - this.#pos || !this.#mayHold(depth)) return BAD
		const slot = slotOf(size, this.#bytes, this.#pos)
		const decode = PREDICTED[slot]
		if (decode === undefined || this.#guessesLeft <= 0) return this.#anyMap(size, depth, slot)
		const { objectsLeft } = this
		const start = this.#pos
		const map = decode(this, size, this.#bytes, this.#text, start, this.#textStart, depth + 1)
		if (map !== undefined && this.objectsLeft >= 0) return map
		this.#guessesLeft--
		this.#pos = start
		this.objectsLeft = objectsLeft
		return this.#anyMap(size, depth, slot)
	}

	/** Decodes a map with any keys. */
	#anyMap(size: number, depth: number, slot: number): unknown {
		const map: Record<string, unknown> = {}
		let shape: Shape<DecodeMap> | undefined = shapes.root
		for (let index = 0; index < size; index++) {
			const key = this.#key()
			if (typeof key !== 'string' || key === '__proto__') return BAD
			const value = this.#value(depth + 1)
			if (value === BAD) return BAD
			map[key] = value
			if (shape !== undefined) shape = shapes.after(shape, key)
		}
		if (size > 1 && Object.keys(map).length !== size) return BAD
		if (shape !== undefined && size > 0) PREDICTED[slot] = shapes.functionOf(shape) ?? PREDICTED[slot]
		return map
	}

	#mayHold(depth: number): boolean {
		return depth < PACKED_DEPTH_MAX && --this.objectsLeft >= 0
	}

	#key(): unknown {
		const pos = this.#pos
		const lead = pos < this.#end ? this.#bytes[pos]! : 0
		if (lead > 0xa0 && lead < 0xc0) {
			const length = lead & 0x1f
			const at = pos + 1
			if (at + length > this.#end) return BAD
			const bytes = this.#bytes
			const slot =
				(length * 31 + bytes[at]! * 7 + bytes[at + length - 1]! + bytes[at + (length >> 1)]! * 3) & 0x3ff
			const known = KEYS[slot]
			if (known !== undefined && known.length === length && isTextAt(bytes, at, known)) {
				if (--this.objectsLeft < 0) return BAD
				this.#pos = at + length
				return known
			}
			this.#pos = at
			const key = this.#string(length)
			if (typeof key === 'string' && key.length === length) KEYS[slot] = key
			return key
		}
		return (lead >= 0xd9 && lead <= 0xdb) || lead === 0xa0 ? this.#value(0) : BAD
	}

	#string(length: number): unknown {
		if (length < 0 || --this.objectsLeft < 0) return BAD
		const start = this.#take(length)
		if (start < 0) return BAD
		return utf8Text(this.#bytes, start, start + length, this.#text, this.#textStart) ?? BAD
	}

	#binary(length: number): unknown {
		if (length < 0 || --this.objectsLeft < 0) return BAD
		const start = this.#take(length)
		return start < 0 ? BAD : new Uint8Array(this.#bytes.subarray(start, start + length))
	}

	#wideInteger(signed: boolean): unknown {
		const at = this.#take(8)
		if (at < 0 || --this.objectsLeft < 0) return BAD
		return signed ? this.#bytes.readBigInt64BE(at) : this.#bytes.readBigUInt64BE(at)
	}

	#extension(length: number): unknown {
		const at = length < 0 ? -1 : this.#take(length + 1)
		if (at < 0 || --this.objectsLeft < 0) return BAD
		const type = this.#bytes[at]!
		if (type === EXT_TIMESTAMP) return this.#date(at + 1, length)
		return type === EXT_BIGINT && length > 0 ? this.#bigint(at + 1, length) : BAD
	}

	#date(at: number, length: number): unknown {
		const bytes = this.#bytes
		let [seconds, nanoseconds] = [0, 0]
		if (length === 4) seconds = bytes.readUInt32BE(at)
		else if (length === 8) {
			const first = bytes.readUInt32BE(at)
			nanoseconds = Math.floor(first / 4)
			seconds = (first % 4) * 2 ** 32 + bytes.readUInt32BE(at + 4)
		} else if (length === 12) {
			nanoseconds = bytes.readUInt32BE(at)
			seconds = Number(bytes.readBigInt64BE(at + 4))
		} else return BAD
		const ms = seconds * 1000 + nanoseconds / 1e6
		// A Date can represent only whole milliseconds.
		return Number.isInteger(ms) && nanoseconds < 1e9 && Math.abs(ms) <= TIME_MAX_MS ? new Date(ms) : BAD
	}

	/** Reads a big-endian integer in two's complement. */
	#bigint(at: number, length: number): bigint {
		const value = BigInt(`0x${this.#bytes.toString('hex', at, at + length)}`)
		return this.#bytes[at]! < 0x80 ? value : value - (1n << BigInt(8 * length))
	}
}

function slotOf(size: number, bytes: Buffer, pos: number): number {
	return (size * 31 + bytes[pos]! * 7 + bytes[pos + 1]! * 13 + bytes[pos + 2]!) & (PREDICTED.length - 1)
}

/**
 * Generates the function that decodes a map with these keys. The keys are compared as constant bytes, and
 * short strings and small integers are decoded inline.
 */
function generateDecode(keys: readonly string[]): DecodeMap {
	const fields = keys.map((key, index) => {
		const encoded = [...packDataBorrow(key)]
		const isOther = encoded.map((byte, at) => `bytes[pos + ${at}] !== ${byte}`).join(' || ')
		return `
			if (${isOther}) return undefined
			pos += ${encoded.length}
			lead = bytes[pos]
			let v${index}
			start = pos
			if (lead < 0x80) {
				v${index} = lead
				pos++
			} else {
				if (lead >= 0xa0 && lead < 0xc0) {
					end = pos + lead - 0x9f
					for (pos++; pos < end && bytes[pos] < 0x80; ) pos++
				}
				if (pos === end) {
					v${index} = text.substring(start + 1 - textStart, end - textStart)
					objects++
				} else {
					v${index} = reader.valueAt(start, depth)
					if (v${index} === BAD) return BAD
					pos = reader.end
				}
			}`
	})
	const literal = keys.map((key, index) => `${JSON.stringify(key)}: v${index}`)
	const body = `
		return function decodeMap(reader, size, bytes, text, pos, textStart, depth) {
			if (size !== ${keys.length}) return undefined
			let lead, start
			let end = 0
			let objects = ${keys.length}
			${fields.join('')}
			reader.objectsLeft -= objects
			reader.endAt(pos)
			return { ${literal.join()} }
		}`
	return (new Function('BAD', body) as (bad: symbol) => DecodeMap)(BAD)
}

/**
 * Recent keys by hash. V8 must look up each new string in its table of property names. It does not look up
 * strings from this cache.
 */
const KEYS: (string | undefined)[] = new Array<string | undefined>(1024).fill(undefined)

function isTextAt(bytes: Buffer, at: number, text: string): boolean {
	for (let index = 0; index < text.length; index++) {
		if (text.charCodeAt(index) !== bytes[at + index]) return false
	}
	return true
}
