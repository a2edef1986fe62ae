/**
 * The checksum of a result, whatever the order of its rows: the MD5 of each row as it came over the wire, added up modulo 2^128. MD5 because
 * nobody is deceived by it here, and it is fast.
 */
import { createHash } from 'node:crypto'

/** A field of a row as it came over the wire. */
export type WireField = string | Uint8Array | null

export class ResultChecksum {
	rows = 0
	/** Four 32-bit parts, the lowest first. */
	readonly #sum = new Uint32Array(4)

	add(fields: readonly WireField[]): void {
		this.rows++
		const digest = digestOf(fields)
		let carry = 0
		for (let part = 0; part < 4; part++) {
			const total = this.#sum[part]! + digest.readUInt32LE(4 * part) + carry
			this.#sum[part] = total
			carry = total > 0xffff_ffff ? 1 : 0
		}
	}

	/** 32 hexadecimal digits. */
	toString(): string {
		const bytes = Buffer.alloc(16)
		for (let part = 0; part < 4; part++) bytes.writeUInt32LE(this.#sum[part]!, 4 * part)
		return bytes.toString('hex')
	}
}

/** Each field with its length, so that no two rows run together to the same bytes. */
function digestOf(fields: readonly WireField[]): Buffer {
	const hash = createHash('md5')
	const length = Buffer.alloc(4)
	for (const field of fields) {
		const bytes = typeof field === 'string' ? Buffer.from(field) : field
		length.writeInt32LE(bytes === null ? -1 : bytes.length)
		hash.update(length)
		if (bytes !== null) hash.update(bytes)
	}
	return hash.digest()
}
