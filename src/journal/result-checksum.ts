/**
 * The checksum of a result, independent of the order of its rows: the sum, modulo 2^128, of the first 128
 * bits of each row's SHA-256 hash. Rows are hashed as received.
 */
import { hash } from 'node:crypto'

/** A field of a row, as received. */
export type WireField = string | Uint8Array | null

/** Computes the checksum of a result, one row at a time. */
export class ResultChecksum {
	/** Number of rows added so far. */
	rows = 0
	/** Four 32-bit parts, least significant first. */
	readonly #sum = new Uint32Array(4)

	/** Adds a row. */
	add(fields: readonly WireField[]): void {
		this.rows++
		const digest = digestOf(fields)
		let carry = 0
		for (let part = 0; part < 4; part++) {
			const total = this.#sum[part]! + uint32At(digest, 4 * part) + carry
			this.#sum[part] = total
			carry = total > 0xffff_ffff ? 1 : 0
		}
	}

	/** Returns the checksum as 32 hexadecimal digits. */
	toString(): string {
		const bytes = Buffer.alloc(16)
		for (let part = 0; part < 4; part++) bytes.writeUInt32LE(this.#sum[part]!, 4 * part)
		return bytes.toString('hex')
	}
}

/** Reused buffer for one row, which grows to fit the largest row, up to `SCRATCH_MAX`. */
let scratch = Buffer.allocUnsafe(4096)
const SCRATCH_MAX = 1024 * 1024

/**
 * Hashes the fields of a row, each preceded by its length, so that different rows never produce the same hash
 * input. Returns the hash as a string with one character per byte, which is faster than a buffer.
 */
function digestOf(fields: readonly WireField[]): string {
	let size = 0
	// A UTF-16 code unit takes at most three bytes in UTF-8.
	for (const field of fields)
		size += 4 + (typeof field === 'string' ? 3 * field.length : (field?.length ?? 0))
	const bytes = size <= scratch.length ? scratch : Buffer.allocUnsafe(2 * size)
	if (bytes.length <= SCRATCH_MAX) scratch = bytes
	let end = 0
	for (const field of fields) {
		const length = field === null ? -1 : put(field, bytes, end + 4)
		bytes.writeInt32LE(length, end)
		end += 4 + Math.max(0, length)
	}
	return hash('sha256', bytes.subarray(0, end), 'binary')
}

function put(field: string | Uint8Array, bytes: Buffer, at: number): number {
	if (typeof field === 'string') return bytes.write(field, at)
	bytes.set(field, at)
	return field.length
}

function uint32At(digest: string, at: number): number {
	let value = 0
	for (let index = 3; index >= 0; index--) value = 256 * value + digest.charCodeAt(at + index)
	return value
}
