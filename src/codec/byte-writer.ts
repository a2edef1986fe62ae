/**
 * A growing buffer to which MessagePack values are appended. The encodings are those of msgpackr with
 * `useRecords: false`: the shortest form for integers of at most 32 bits, float64 for all other numbers, and
 * the shortest header for strings.
 */

const BYTES_MIN = 64 * 1024
const BYTES_PER_UNIT_MAX = 3
/** Number of bytes that are free after each method call, for the constants that `data-encoder.ts` writes. */
export const FREE_BYTES = 256
/** Length up to which a loop over the characters is faster than a native call. */
const LOOP_LENGTH_MAX = 64

export class ByteWriter {
	bytes: Buffer
	pos = 0
	#view: DataView
	/** Position beyond which the buffer must grow. */
	#limit = BYTES_MIN - FREE_BYTES

	constructor() {
		this.bytes = Buffer.allocUnsafeSlow(BYTES_MIN)
		this.#view = viewOf(this.bytes)
	}

	/** Ensures space for `count` more bytes. */
	reserve(count: number): void {
		if (this.pos + count > this.#limit) this.#grow(count)
	}

	#grow(count: number): void {
		const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.pos + count + FREE_BYTES))
		this.bytes.copy(grown, 0, 0, this.pos)
		this.bytes = grown
		this.#view = viewOf(grown)
		this.#limit = grown.length - FREE_BYTES
	}

	/** Appends one byte. The caller must have reserved the space. */
	byte(value: number): void {
		this.bytes[this.pos++] = value
	}

	/** Appends a string. Returns whether it is ASCII. */
	text(text: string): boolean {
		const { length } = text
		this.reserve(5 + length * BYTES_PER_UNIT_MAX)
		const start = this.pos
		this.#textHeader(length)
		const isAscii = length <= LOOP_LENGTH_MAX ? this.#shortAscii(text) : this.#longAscii(text)
		if (isAscii) return true
		this.pos = start
		this.#textHeader(Buffer.byteLength(text))
		if (length <= LOOP_LENGTH_MAX) this.#shortUtf8(text)
		else this.pos += this.bytes.write(text, this.pos)
		return false
	}

	/** Appends the characters of a short string. Returns false at the first one that is not ASCII. */
	#shortAscii(text: string): boolean {
		const { bytes } = this
		let { pos } = this
		for (let index = 0; index < text.length; index++) {
			const unit = text.charCodeAt(index)
			if (unit > 0x7f) return false
			bytes[pos++] = unit
		}
		this.pos = pos
		return true
	}

	/**
	 * Appends a string as UTF-8. Returns whether it is ASCII, which means that it has as many bytes as
	 * characters.
	 */
	#longAscii(text: string): boolean {
		const written = this.bytes.write(text, this.pos)
		this.pos += written
		return written === text.length
	}

	/** Appends the characters of a short string as UTF-8. A lone surrogate becomes U+FFFD. */
	#shortUtf8(text: string): void {
		const { bytes } = this
		let { pos } = this
		for (let index = 0; index < text.length; index++) {
			const code = text.codePointAt(index)!
			if (code < 0x80) bytes[pos++] = code
			else if (code < 0x800) {
				bytes[pos++] = 0xc0 | (code >> 6)
				bytes[pos++] = 0x80 | (code & 0x3f)
			} else if (code < 0x10000) {
				const unit = (code & 0xf800) === 0xd800 ? 0xfffd : code
				bytes[pos++] = 0xe0 | (unit >> 12)
				bytes[pos++] = 0x80 | ((unit >> 6) & 0x3f)
				bytes[pos++] = 0x80 | (unit & 0x3f)
			} else {
				index++
				bytes[pos++] = 0xf0 | (code >> 18)
				bytes[pos++] = 0x80 | ((code >> 12) & 0x3f)
				bytes[pos++] = 0x80 | ((code >> 6) & 0x3f)
				bytes[pos++] = 0x80 | (code & 0x3f)
			}
		}
		this.pos = pos
	}

	#textHeader(byteLength: number): void {
		if (byteLength < 32) this.bytes[this.pos++] = 0xa0 | byteLength
		else if (byteLength < 0x100) {
			this.bytes[this.pos++] = 0xd9
			this.bytes[this.pos++] = byteLength
		} else if (byteLength < 0x10000) this.#uint16(0xda, byteLength)
		else this.#uint32(0xdb, byteLength)
	}

	/** Appends the header of an array. */
	arrayHeader(length: number): void {
		this.reserve(5)
		if (length < 0x10) this.bytes[this.pos++] = 0x90 | length
		else if (length < 0x10000) this.#uint16(0xdc, length)
		else this.#uint32(0xdd, length)
	}

	/** Appends the header of a map with at most 65,535 keys. */
	mapHeader(size: number): void {
		this.reserve(3)
		this.#uint16(0xde, size)
	}

	/** Appends a number. -0 becomes 0. */
	number(value: number): void {
		this.reserve(9)
		if (value >>> 0 === value) {
			if (value < 0x80) this.bytes[this.pos++] = value
			else if (value < 0x100) {
				this.bytes[this.pos++] = 0xcc
				this.bytes[this.pos++] = value
			} else if (value < 0x10000) this.#uint16(0xcd, value)
			else this.#uint32(0xce, value)
		} else if (value >> 0 === value) this.#negative(value)
		else this.float(value)
	}

	#negative(value: number): void {
		if (value >= -0x20) this.bytes[this.pos++] = value & 0xff
		else if (value >= -0x80) {
			this.bytes[this.pos++] = 0xd0
			this.bytes[this.pos++] = value & 0xff
		} else if (value >= -0x8000) this.#uint16(0xd1, value & 0xffff)
		else this.#uint32(0xd2, value >>> 0)
	}

	/** Appends a number as float64. */
	float(value: number): void {
		this.reserve(9)
		this.bytes[this.pos] = 0xcb
		this.#view.setFloat64(this.pos + 1, value)
		this.pos += 9
	}

	/** Appends a bigint as a 64-bit integer, which is unsigned if the bigint is not negative. */
	bigint64(value: bigint): void {
		this.reserve(9)
		this.bytes[this.pos] = value < 0n ? 0xd3 : 0xcf
		if (value < 0n) this.#view.setBigInt64(this.pos + 1, value)
		else this.#view.setBigUint64(this.pos + 1, value)
		this.pos += 9
	}

	/**
	 * Appends a time as a 32-bit timestamp if it is in whole seconds, and as a 64-bit timestamp otherwise. `ms`
	 * must be at least 0 and below 2^32 seconds.
	 */
	timestamp(ms: number): void {
		this.reserve(10)
		const { pos } = this
		const fraction = ms % 1000
		this.bytes[pos] = fraction === 0 ? 0xd6 : 0xd7
		this.bytes[pos + 1] = 0xff
		this.pos = pos + 2
		if (fraction !== 0) {
			this.#view.setUint32(pos + 2, fraction * 4_000_000)
			this.pos = pos + 6
		}
		this.#view.setUint32(this.pos, Math.floor(ms / 1000))
		this.pos += 4
	}

	/** Appends bytes as a binary value. */
	binary(source: Uint8Array): void {
		const { length } = source
		this.reserve(5 + length)
		if (length < 0x100) {
			this.bytes[this.pos++] = 0xc4
			this.bytes[this.pos++] = length
		} else if (length < 0x10000) this.#uint16(0xc5, length)
		else this.#uint32(0xc6, length)
		this.bytes.set(source, this.pos)
		this.pos += length
	}

	/** Appends bytes without a header. */
	raw(source: Buffer, start: number, end: number): void {
		this.reserve(end - start)
		this.pos += source.copy(this.bytes, this.pos, start, end)
	}

	#uint16(lead: number, value: number): void {
		const { bytes, pos } = this
		bytes[pos] = lead
		bytes[pos + 1] = value >> 8
		bytes[pos + 2] = value & 0xff
		this.pos = pos + 3
	}

	#uint32(lead: number, value: number): void {
		this.bytes[this.pos] = lead
		this.#view.setUint32(this.pos + 1, value)
		this.pos += 5
	}
}

function viewOf(bytes: Buffer): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
