/**
 * Encodes and decodes headers, the first 102 bytes of every file of a chain. Works only on bytes, without
 * I/O.
 *
 *   0   99                      array of 9
 *   1   aa "mesh-chain"         name of the format
 *   12  vv                      format version, 0 to 127
 *   13  c4 10 ················  chain id, 16 random bytes
 *   31  ce ····                 segment: number of the file in the chain, from 0
 *   36  cb ········             created, milliseconds since 1970
 *   45  cb ········             first seq: seq of the first record in this file
 *   54  cb ········             previous end: offset up to which the previous file counts; 0 in file 0
 *   63  c4 20 ················  previous link: link of that file up to that offset; zeros in the first file
 *   97  ce ····                 CRC-32 of bytes 0 to 96
 *
 * Later format versions keep the name and the version at these offsets, so that an older reader can
 * distinguish a newer file from a damaged one.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { isEpoch, isSeq, toRecordTime } from '../../model/record.ts'
import { TIME_MAX_MS } from '../../platform/time-limits.ts'
import { checksum } from './checksum.ts'
import { hasTags, readDouble, tagged, writeDouble } from './double.ts'

export const FORMAT_VERSION = 1
export const HEADER_BYTES = 102
export const CHAIN_ID_BYTES = 16
export const LINK_BYTES = 32

const NAME = Buffer.from('mesh-chain')
/** The first bytes of every file of a chain. In later versions, the first of these bytes may differ. */
export const CHAIN_LEAD = Buffer.concat([Buffer.from([0x99, 0xa0 | NAME.length]), NAME])
const VERSION_AT = CHAIN_LEAD.length
const ID_AT = VERSION_AT + 1
const SEGMENT_AT = ID_AT + 2 + CHAIN_ID_BYTES
const CREATED_AT = SEGMENT_AT + 5
const FIRST_SEQ_AT = CREATED_AT + 9
const PREVIOUS_END_AT = FIRST_SEQ_AT + 9
const PREVIOUS_LINK_AT = PREVIOUS_END_AT + 9
const CRC_AT = PREVIOUS_LINK_AT + 2 + LINK_BYTES
const VERSION_MAX = 127
/** The bytes that are identical in all headers of this version. */
const TAGS = tagged(HEADER_BYTES, [
	[0, ...CHAIN_LEAD, FORMAT_VERSION],
	[ID_AT, 0xc4, CHAIN_ID_BYTES],
	[SEGMENT_AT, 0xce],
	[CREATED_AT, 0xcb],
	[FIRST_SEQ_AT, 0xcb],
	[PREVIOUS_END_AT, 0xcb],
	[PREVIOUS_LINK_AT, 0xc4, LINK_BYTES],
	[CRC_AT, 0xce],
])

export interface Header {
	readonly chainId: Uint8Array
	/** Number of this file in the chain, from 0. */
	readonly segment: number
	readonly createdMs: number
	/** Seq of the first record in this file. */
	readonly firstSeq: number
	/** Offset up to which the previous file belongs to the chain; 0 in the first file. */
	readonly previousEnd: number
	/** Link of the previous file up to {@link previousEnd}; zeros in the first file. */
	readonly previousLink: Uint8Array
}

export function encodeHeader(header: Header): Buffer {
	const bytes = Buffer.from(TAGS.bytes)
	bytes.set(header.chainId, ID_AT + 2)
	bytes.writeUInt32BE(header.segment, SEGMENT_AT + 1)
	writeDouble(bytes, CREATED_AT, toRecordTime(header.createdMs))
	writeDouble(bytes, FIRST_SEQ_AT, header.firstSeq)
	writeDouble(bytes, PREVIOUS_END_AT, header.previousEnd)
	bytes.set(header.previousLink, PREVIOUS_LINK_AT + 2)
	bytes.writeUInt32BE(checksum(bytes, 0, CRC_AT, 0), CRC_AT + 1)
	return bytes
}

/**
 * The result of {@link readHeader}: a header, part of a header (`prefix`), a damaged header, or something
 * else (`foreign`).
 */
export type HeaderReading =
	| { readonly kind: 'header'; readonly header: Header }
	| { readonly kind: 'prefix' | 'damaged' | 'foreign' }

/**
 * Reads a header from the first bytes of a file. If the file is shorter than a header, pass all of its bytes.
 *
 * @throws {MeshChainError} `NEWER_VERSION` if the file has a newer format version.
 */
export function readHeader(bytes: Buffer, path: string): HeaderReading {
	refuseNewer(bytes, path)
	if (bytes.length < HEADER_BYTES) return { kind: isPrefix(bytes) ? 'prefix' : 'foreign' }
	if (!isNamed(bytes)) return { kind: 'foreign' }
	if (!crcHolds(bytes) || !hasTags(bytes, 0, TAGS)) return { kind: 'damaged' }
	const header = {
		chainId: Uint8Array.from(bytes.subarray(ID_AT + 2, SEGMENT_AT)),
		segment: bytes.readUInt32BE(SEGMENT_AT + 1),
		createdMs: readDouble(bytes, CREATED_AT),
		firstSeq: readDouble(bytes, FIRST_SEQ_AT),
		previousEnd: readDouble(bytes, PREVIOUS_END_AT),
		previousLink: Uint8Array.from(bytes.subarray(PREVIOUS_LINK_AT + 2, CRC_AT)),
	}
	return isPossible(header) ? { kind: 'header', header } : { kind: 'damaged' }
}

/**
 * Returns whether the numbers in a header are plausible. A valid checksum is not sufficient, because another
 * program may have written the header.
 */
function isPossible({ segment, createdMs, firstSeq, previousEnd }: Header): boolean {
	const isTime = createdMs >= 0 && createdMs <= TIME_MAX_MS
	return isTime && isEpoch(segment, 0) && isSeq(firstSeq - 1, 0) && isSeq(previousEnd, 0)
}

function refuseNewer(bytes: Buffer, path: string): void {
	const version = bytes[VERSION_AT] ?? 0
	if (!isNamed(bytes) || version <= FORMAT_VERSION || version > VERSION_MAX) return
	// A flipped bit in the version byte is damage, not a newer version.
	if (bytes.length >= HEADER_BYTES && crcHolds(withVersion(bytes, FORMAT_VERSION))) return
	throw new MeshChainError(
		'NEWER_VERSION',
		`${show(path)} has chain format ${version}, ` +
			`but this version of mesh-chain reads only format ${FORMAT_VERSION}; update mesh-chain`,
		{ path },
	)
}

/** Compares only the name, because the number of values in the header may differ between versions. */
function isNamed(bytes: Buffer): boolean {
	return (
		bytes.length >= CHAIN_LEAD.length && bytes.subarray(1, CHAIN_LEAD.length).equals(CHAIN_LEAD.subarray(1))
	)
}

function isPrefix(bytes: Buffer): boolean {
	const lead = Math.min(bytes.length, CHAIN_LEAD.length)
	return bytes.subarray(0, lead).equals(CHAIN_LEAD.subarray(0, lead))
}

/**
 * Returns whether a header of this version has a valid checksum. Returns false for other versions, which may
 * store the checksum elsewhere.
 */
function crcHolds(bytes: Buffer): boolean {
	if (bytes[0] !== CHAIN_LEAD[0] || bytes[VERSION_AT] !== FORMAT_VERSION || bytes[CRC_AT] !== 0xce)
		return false
	return bytes.readUInt32BE(CRC_AT + 1) === checksum(bytes, 0, CRC_AT, 0)
}

function withVersion(bytes: Buffer, version: number): Buffer {
	const copy = Buffer.from(bytes.subarray(0, HEADER_BYTES))
	copy[VERSION_AT] = version
	return copy
}
