/**
 * The first 102 bytes of every file of a chain. Bytes in, bytes out, no I/O.
 *
 *   0   99                      array of 9
 *   1   aa "mesh-chain"         what this file is
 *   12  vv                      format version, 0 to 127
 *   13  c4 10 ················  chain id, 16 random bytes
 *   31  ce ····                 segment: which file of the chain this is, from 0
 *   36  cb ········             created, milliseconds since 1970
 *   45  cb ········             first seq: that of the first record in this file
 *   54  cb ········             previous end: how far the file before counts; 0 in the first
 *   63  c4 20 ················  previous link: of everything in the file before up to there; zeros in the first
 *   97  ce ····                 CRC-32 of bytes 0 to 96
 *
 * Name and version stay where they are in every later version, so that an older reader can tell a newer file from a damaged
 * one.
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
/** The first bytes of every file of a chain, in every version. */
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
/** Every byte of a header of this version that is the same in all of them. */
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
	/** Which file of the chain this is, from 0. */
	readonly segment: number
	readonly createdMs: number
	/** The seq of the first record in this file. */
	readonly firstSeq: number
	/** How far the file before counts; 0 in the first. */
	readonly previousEnd: number
	/** Of everything in the file before up to {@link previousEnd}; zeros in the first. */
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

/** Whether its numbers are such as a writer has: a checksum that holds says nothing of who wrote it. */
function isPossible({ segment, createdMs, firstSeq, previousEnd }: Header): boolean {
	const isTime = createdMs >= 0 && createdMs <= TIME_MAX_MS
	return isTime && isEpoch(segment, 0) && isSeq(firstSeq - 1, 0) && isSeq(previousEnd, 0)
}

function refuseNewer(bytes: Buffer, path: string): void {
	const version = bytes[VERSION_AT] ?? 0
	if (!isNamed(bytes) || version <= FORMAT_VERSION || version > VERSION_MAX) return
	// One flipped bit makes no newer version.
	if (bytes.length >= HEADER_BYTES && crcHolds(withVersion(bytes, FORMAT_VERSION))) return
	throw new MeshChainError(
		'NEWER_VERSION',
		`${show(path)} has chain format ${version}; this mesh-chain reads format ${FORMAT_VERSION}: update mesh-chain`,
		{ path },
	)
}

/** The name alone: how many values the header holds may differ from version to version. */
function isNamed(bytes: Buffer): boolean {
	return (
		bytes.length >= CHAIN_LEAD.length && bytes.subarray(1, CHAIN_LEAD.length).equals(CHAIN_LEAD.subarray(1))
	)
}

function isPrefix(bytes: Buffer): boolean {
	const lead = Math.min(bytes.length, CHAIN_LEAD.length)
	return bytes.subarray(0, lead).equals(CHAIN_LEAD.subarray(0, lead))
}

/** Of a header of this version; its place is another one in others. */
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
