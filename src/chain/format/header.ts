/**
 * The first 45 bytes of every chain file. Bytes in, bytes out, no I/O.
 *
 *   0   95                      array of 5
 *   1   aa "mesh-chain"         what this file is
 *   12  vv                      format version, 0 to 127
 *   13  c4 10 ················  chain id, 16 random bytes
 *   31  cb ········             created, milliseconds since 1970, float64
 *   40  ce ····                 CRC-32 of bytes 0 to 39
 *
 * Array, name and version stay where they are in every later version, so that an older reader can tell a newer file
 * from a damaged one.
 */
import { MeshChainError } from '../../errors.ts'
import { show } from '../../record.ts'
import { checksum } from './checksum.ts'

export const FORMAT_VERSION = 0
export const HEADER_BYTES = 45
export const CHAIN_ID_BYTES = 16

const NAME = Buffer.from('mesh-chain')
const LEAD = Buffer.concat([Buffer.from([0x95, 0xa0 | NAME.length]), NAME])
const VERSION_AT = LEAD.length
const ID_AT = VERSION_AT + 1
const CREATED_AT = ID_AT + 2 + CHAIN_ID_BYTES
const CRC_AT = CREATED_AT + 9

export interface Header {
	readonly version: number
	readonly chainId: Uint8Array
	readonly createdMs: number
}

export function encodeHeader(chainId: Uint8Array, createdMs: number): Buffer {
	const bytes = Buffer.alloc(HEADER_BYTES)
	LEAD.copy(bytes, 0)
	bytes[VERSION_AT] = FORMAT_VERSION
	bytes[ID_AT] = 0xc4
	bytes[ID_AT + 1] = CHAIN_ID_BYTES
	bytes.set(chainId, ID_AT + 2)
	bytes[CREATED_AT] = 0xcb
	bytes.writeDoubleBE(createdMs, CREATED_AT + 1)
	bytes[CRC_AT] = 0xce
	bytes.writeUInt32BE(checksum(bytes, 0, CRC_AT, 0), CRC_AT + 1)
	return bytes
}

/** What the first bytes of a file say: a header, part of one (`prefix`), one that was damaged, or something else. */
export type HeaderReading =
	| { readonly kind: 'header'; readonly header: Header }
	| { readonly kind: 'prefix' | 'damaged' | 'foreign' }

/**
 * Reads the first bytes of a file, all of it when it is shorter than a header.
 *
 * @throws {MeshChainError} `NEWER_VERSION`.
 */
export function readHeader(bytes: Buffer, path: string): HeaderReading {
	if (bytes.length < HEADER_BYTES) return { kind: isPrefix(bytes) ? 'prefix' : 'foreign' }
	if (!bytes.subarray(0, LEAD.length).equals(LEAD)) return { kind: 'foreign' }
	const version = bytes[VERSION_AT]!
	if (version !== FORMAT_VERSION) {
		if (crcHolds(withVersion(bytes, FORMAT_VERSION))) return { kind: 'damaged' }
		throw new MeshChainError(
			'NEWER_VERSION',
			`${show(path)} has chain format ${version}; this mesh-chain reads format ${FORMAT_VERSION}: update mesh-chain`,
			{ path },
		)
	}
	if (!crcHolds(bytes)) return { kind: 'damaged' }
	return {
		kind: 'header',
		header: {
			version,
			chainId: Uint8Array.from(bytes.subarray(ID_AT + 2, CREATED_AT)),
			createdMs: bytes.readDoubleBE(CREATED_AT + 1),
		},
	}
}

function isPrefix(bytes: Buffer): boolean {
	const lead = Math.min(bytes.length, LEAD.length)
	return bytes.subarray(0, lead).equals(LEAD.subarray(0, lead))
}

function crcHolds(bytes: Buffer): boolean {
	return bytes[CRC_AT] === 0xce && bytes.readUInt32BE(CRC_AT + 1) === checksum(bytes, 0, CRC_AT, 0)
}

function withVersion(bytes: Buffer, version: number): Buffer {
	const copy = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	copy[VERSION_AT] = version
	return copy
}
