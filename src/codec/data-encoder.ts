/**
 * Encodes `data` as MessagePack. The usual types are encoded here, and all other values by msgpackr. For
 * objects whose keys occur often, a generated function writes the keys as constants.
 *
 * Invariant: the bytes are exactly those of {@link packInPlace}. A property test compares them.
 */
import type { ByteWriter } from './byte-writer.ts'
import { packDataBorrow, packInPlace, packNarrowInPlace } from './data-packer.ts'
import { beginEncoding, type Encode, functionsOf, shapeLeftFor, shapeOf } from './object-shapes.ts'

/**
 * Maximum number of keys in a map that is encoded here. If one map of a value has more keys, msgpackr encodes
 * all maps of the value in another form.
 */
const KEYS_MAX = 0xffff

/** Exclusive upper bound of the times whose whole seconds fit in 32 bits. */
const TIMESTAMP_END_MS = 2 ** 32 * 1000

/** Thrown and caught within this module if msgpackr must encode the entire value. */
const TOO_WIDE = Symbol('too wide')

/** Appends a value to a writer. If it throws, the caller must restore the writer's position. */
export function encodeData(writer: ByteWriter, data: unknown): void {
	const start = writer.pos
	beginEncoding()
	try {
		encodeValue(writer, data)
	} catch (thrown) {
		if (thrown !== TOO_WIDE) throw thrown
		writer.pos = start
		const packed = packInPlace(data)
		writer.raw(packed, packed.start, packed.end)
	}
}

function encodeValue(writer: ByteWriter, value: unknown): void {
	switch (typeof value) {
		case 'string':
			writer.text(value)
			return
		case 'number':
			writer.number(value)
			return
		case 'boolean':
			writer.reserve(1)
			writer.byte(value ? 0xc3 : 0xc2)
			return
		case 'object':
			if (value === null) {
				writer.reserve(1)
				writer.byte(0xc0)
			} else if (Array.isArray(value)) encodeArray(writer, value)
			else encodeObject(writer, value)
			return
		default:
			encodeWithPackr(writer, value)
	}
}

function encodeObject(writer: ByteWriter, value: object): void {
	switch (Object.getPrototypeOf(value)) {
		case Object.prototype:
		case null:
			encodeMap(writer, value as Record<string, unknown>)
			return
		case Date.prototype: {
			const ms = Date.prototype.getTime.call(value)
			if (ms >= 0 && ms < TIMESTAMP_END_MS) writer.timestamp(ms)
			else encodeWithPackr(writer, value)
			return
		}
		case Uint8Array.prototype:
			writer.binary(value as Uint8Array)
			return
		default:
			encodeWithPackr(writer, value)
	}
}

function encodeArray(writer: ByteWriter, array: readonly unknown[]): void {
	const { length } = array
	writer.arrayHeader(length)
	for (let index = 0; index < length; index++) encodeValue(writer, array[index])
}

function encodeMap(writer: ByteWriter, map: Record<string, unknown>): void {
	const left = shapeLeftFor(map)
	const keys = left === undefined ? Object.keys(map) : undefined
	const shape = left ?? shapeOf(keys!)
	const functions = functionsOf(shape)
	if (functions === undefined) encodeFields(writer, map, keys ?? Object.keys(map))
	else {
		functions.encode ??= generateEncode(shape.keys)
		functions.encode(writer, map, encodeValue)
	}
}

function encodeFields(writer: ByteWriter, map: Record<string, unknown>, keys: readonly string[]): void {
	if (keys.length > KEYS_MAX) throw TOO_WIDE
	writer.mapHeader(keys.length)
	for (let index = 0; index < keys.length; index++) {
		const key = keys[index]!
		const value = map[key]
		writer.text(key)
		encodeValue(writer, value)
	}
}

/**
 * Generates the function that encodes objects with these keys. Writing a key as constant bytes is faster than
 * reading its characters. The check for space is omitted, because an encoded key is shorter than
 * `FREE_BYTES`.
 */
function generateEncode(keys: readonly string[]): Encode {
	const fields = keys.map((key) => {
		const bytes = [...packDataBorrow(key)]
		const stores = bytes.map((byte, at) => `bytes[pos + ${at}] = ${byte}`)
		return `
			{
				const { bytes, pos } = writer
				${stores.join('\n\t\t\t\t')}
				writer.pos = pos + ${bytes.length}
			}
			value = map[${JSON.stringify(key)}]
			if (typeof value === 'string') writer.text(value)
			else if (typeof value === 'number') writer.number(value)
			else encodeValue(writer, value)`
	})
	const body = `let value\nwriter.mapHeader(${keys.length})${fields.join('')}`
	return new Function('writer', 'map', 'encodeValue', body) as Encode
}

function encodeWithPackr(writer: ByteWriter, value: unknown): void {
	let packed: ReturnType<typeof packNarrowInPlace>
	try {
		packed = packNarrowInPlace(value)
	} catch {
		throw TOO_WIDE
	}
	writer.raw(packed, packed.start, packed.end)
}
