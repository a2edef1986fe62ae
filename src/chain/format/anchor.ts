/**
 * Encodes and decodes anchors. A writer adds an anchor at the beginning of a file, when an epoch starts,
 * about every 64 KiB, and when the chain is closed. An anchor combines an index point, a hash link and a
 * durable watermark, and has a fixed size. Works only on bytes, without I/O.
 *
 *   0    9f                     array of 15
 *   1    a6 "anchor"
 *   8    ce ····                CRC-32 of bytes 13 to 262, seeded (checksum.ts)
 *   13   c4 10 ················ chain id
 *   31   92 ce ···· cb ········ position of this anchor: segment, offset in its file
 *   46   rr                     reason: 0 opened, 1 span, 2 closed, 3 sealed, 4 repaired
 *   47   92 ce ···· c4 10 ····· epoch, boot id of the machine (zeros if it has none)
 *   71   cb ········            written, milliseconds since 1970
 *   80   cb ········            next seq: seq of the first record after this anchor
 *   89   95 5 × cb ········     number of records in the chain so far, without `$gap` records: trace,
 *                               debug, info, warn, error
 *   135  93 cb cb ff            since the previous anchor: earliest time (+Infinity if none), latest time
 *                               (-Infinity), levels present (bits 0 to 4), a `$gap` is present (5), all kinds
 *                               are the application's (6)
 *   155  cb ········            durable: everything in this file below this offset is on disk
 *   164  cb ········            kept from: the first seq that retention has kept
 *   173  96 cb cb cb cb cb ff   offset of the previous anchor (0 in the first anchor of the file); number of
 *                               anchors before this one; jump: offset of one of them (0 in the first anchor),
 *                               and earliest time, latest time and presence since that anchor
 *   220  cb ········            opened: number of tail bytes that were cut; closed: exit code, -1 for an
 *                               ordinary close; repaired: number of unreadable bytes
 *   229  c4 20 ················ link: SHA-256 of the previous link, all bytes between the two anchors, and
 *                               bytes 13 to 228 of this anchor
 *   263
 *
 * The jumps form a skew-binary list. By following jumps and single steps back, a reader reaches any earlier
 * anchor in a logarithmic number of reads (Myers, "An applicative random-access stack", 1983). The last
 * anchor of a sealed file is its sealing anchor, whose jump leads to the first anchor and thus covers the
 * entire file. For the first anchor, the SHA-256 of the header serves as the previous link.
 */
import { createHash } from 'node:crypto'
import { SEQ_MAX } from '../../model/limits.ts'
import {
	isEpoch,
	isGap,
	isOwnKind,
	isSeq,
	LOG_LEVELS,
	type LogRecord,
	levelIndex,
	toRecordTime,
} from '../../model/record.ts'
import { TIME_MAX_MS } from '../../platform/time-limits.ts'
import { checksum, entrySeed, identityChecksum } from './checksum.ts'
import { hasTags, readDouble, tagged, writeDouble } from './double.ts'
import { CHAIN_ID_BYTES, HEADER_BYTES, LINK_BYTES } from './header.ts'

export const ANCHOR_BYTES = 263
export const BOOT_ID_BYTES = 16

const LEAD = Buffer.concat([Buffer.from([0x9f, 0xa6]), Buffer.from('anchor')])
export const ANCHOR_LEAD_BYTES = LEAD.length
const CRC_AT = LEAD.length
const BODY_AT = CRC_AT + 5
const ID_AT = BODY_AT + 2
const SEGMENT_AT = ID_AT + CHAIN_ID_BYTES + 1
const OFFSET_AT = SEGMENT_AT + 5
const REASON_AT = OFFSET_AT + 9
const EPOCH_AT = REASON_AT + 2
const BOOT_AT = EPOCH_AT + 5
const WRITTEN_AT = BOOT_AT + 2 + BOOT_ID_BYTES
const NEXT_SEQ_AT = WRITTEN_AT + 9
const LEVELS_AT = NEXT_SEQ_AT + 9
const SPAN_AT = LEVELS_AT + 1 + 9 * LOG_LEVELS.length
const DURABLE_AT = SPAN_AT + 1 + 9 + 9 + 1
const KEPT_FROM_AT = DURABLE_AT + 9
const BACK_AT = KEPT_FROM_AT + 9
const DETAIL_AT = BACK_AT + 1 + 5 * 9 + 1
const LINK_AT = DETAIL_AT + 9

/** All bytes that are identical in every anchor. */
const TAGS = tagged(ANCHOR_BYTES, [
	[0, ...LEAD, 0xce],
	[BODY_AT, 0xc4, CHAIN_ID_BYTES],
	[SEGMENT_AT - 1, 0x92, 0xce],
	[OFFSET_AT, 0xcb],
	[EPOCH_AT - 1, 0x92, 0xce],
	[BOOT_AT, 0xc4, BOOT_ID_BYTES],
	[WRITTEN_AT, 0xcb],
	[NEXT_SEQ_AT, 0xcb],
	[LEVELS_AT, 0x90 | LOG_LEVELS.length],
	...LOG_LEVELS.map((_level, index) => [LEVELS_AT + 1 + 9 * index, 0xcb]),
	[SPAN_AT, 0x93, 0xcb],
	[SPAN_AT + 10, 0xcb],
	[DURABLE_AT, 0xcb],
	[KEPT_FROM_AT, 0xcb],
	[BACK_AT, 0x96],
	...[0, 1, 2, 3, 4].map((index) => [BACK_AT + 1 + 9 * index, 0xcb]),
	[DETAIL_AT, 0xcb],
	[LINK_AT, 0xc4, LINK_BYTES],
])

const REASONS = ['opened', 'span', 'closed', 'sealed', 'repaired'] as const
export type AnchorReason = (typeof REASONS)[number]

/** A summary of a stretch of the chain. A reader uses it to skip stretches that cannot match a query. */
export interface Extent {
	/** Earliest and latest time, ignoring `$gap` records; +Infinity and -Infinity if no other records exist. */
	readonly minTsMs: number
	readonly maxTsMs: number
	/** Bits: one per level, at its index in `LOG_LEVELS`, {@link PRESENCE_GAP} and {@link PRESENCE_PLAIN}. */
	readonly presence: number
}

/** Set if the stretch contains a `$gap` or unreadable bytes. */
export const PRESENCE_GAP = 1 << 5
/**
 * Set if no record has a kind that is reserved for mesh-chain. If the bit is unset, such a record may or may
 * not be present, because a writer that does not support the bit never sets it.
 */
export const PRESENCE_PLAIN = 1 << 6

export const EMPTY_EXTENT: Extent = Object.freeze({
	minTsMs: Number.POSITIVE_INFINITY,
	maxTsMs: Number.NEGATIVE_INFINITY,
	presence: PRESENCE_PLAIN,
})

/** The extent of a `$gap` or of unreadable bytes. Readers must not skip a stretch that contains either. */
export const GAP_EXTENT: Extent = Object.freeze({ ...EMPTY_EXTENT, presence: PRESENCE_GAP })

/** Returns the extent of one record. */
export function extentOf(record: LogRecord): Extent {
	if (isGap(record)) return GAP_EXTENT
	const { tsMs, kind, level } = record
	const presence = 1 << levelIndex(level)
	return { minTsMs: tsMs, maxTsMs: tsMs, presence: isOwnKind(kind) ? presence : presence | PRESENCE_PLAIN }
}

/** Returns the combined extent of two stretches. */
export function joinExtents(a: Extent, b: Extent): Extent {
	return {
		minTsMs: Math.min(a.minTsMs, b.minTsMs),
		maxTsMs: Math.max(a.maxTsMs, b.maxTsMs),
		presence: ((a.presence | b.presence) & ~PRESENCE_PLAIN) | (a.presence & b.presence & PRESENCE_PLAIN),
	}
}

export interface Anchor {
	/** Offset of the anchor in its file. */
	readonly offset: number
	readonly reason: AnchorReason
	readonly epoch: number
	/** Id of the boot during which the anchor was written. */
	readonly bootId: Uint8Array
	readonly writtenMs: number
	readonly nextSeq: number
	/** Number of records in the chain so far, without `$gap` records, by level in the order of `LOG_LEVELS`. */
	readonly levelCounts: readonly number[]
	/** Extent of the records since the previous anchor. */
	readonly span: Extent
	readonly durableOffset: number
	/** First seq that retention has kept. */
	readonly keptFromSeq: number
	readonly previousOffset: number
	/** Number of anchors that precede this one. */
	readonly ordinal: number
	/** Offset of the earlier anchor that the jump leads to; 0 if there is no jump. */
	readonly jumpOffset: number
	/** Extent of the records since the anchor at {@link jumpOffset}. */
	readonly jump: Extent
	/**
	 * Opened: number of tail bytes that were cut. Closed: the exit code, or {@link CLOSED_WITHOUT_EXIT}.
	 * Repaired: number of unreadable bytes.
	 */
	readonly detail: number
	readonly link: Uint8Array
}

/** The `detail` of an anchor that was written by `close()` rather than at process exit. */
export const CLOSED_WITHOUT_EXIT = -1

/**
 * The input for an anchor's link, apart from the anchor itself: the previous link, and all bytes since the
 * previous anchor.
 */
export interface LinkedSpan {
	readonly previousLink: Uint8Array
	readonly bytes: Uint8Array
}

/** Encodes an anchor and computes its link and checksum. */
export function encodeAnchor(
	chain: { readonly id: Uint8Array; readonly segment: number; readonly idChecksum: number },
	anchor: Omit<Anchor, 'link'>,
	span: LinkedSpan,
): Buffer {
	const bytes = Buffer.from(TAGS.bytes)
	bytes.set(chain.id, ID_AT)
	bytes.writeUInt32BE(chain.segment, SEGMENT_AT + 1)
	writeDouble(bytes, OFFSET_AT, anchor.offset)
	bytes[REASON_AT] = REASONS.indexOf(anchor.reason)
	bytes.writeUInt32BE(anchor.epoch, EPOCH_AT + 1)
	bytes.set(anchor.bootId, BOOT_AT + 2)
	writeDouble(bytes, WRITTEN_AT, toRecordTime(anchor.writtenMs))
	writeDouble(bytes, NEXT_SEQ_AT, anchor.nextSeq)
	for (const [index, count] of anchor.levelCounts.entries())
		writeDouble(bytes, LEVELS_AT + 1 + 9 * index, count)
	writeExtent(bytes, SPAN_AT + 1, anchor.span)
	writeDouble(bytes, DURABLE_AT, anchor.durableOffset)
	writeDouble(bytes, KEPT_FROM_AT, anchor.keptFromSeq)
	writeDouble(bytes, BACK_AT + 1, anchor.previousOffset)
	writeDouble(bytes, BACK_AT + 10, anchor.ordinal)
	writeDouble(bytes, BACK_AT + 19, anchor.jumpOffset)
	writeExtent(bytes, BACK_AT + 28, anchor.jump)
	writeDouble(bytes, DETAIL_AT, anchor.detail)
	bytes.set(anchorLink(bytes, span), LINK_AT + 2)
	const seed = entrySeed(chain.idChecksum, anchor.offset, ANCHOR_BYTES)
	bytes.writeUInt32BE(checksum(bytes, BODY_AT, ANCHOR_BYTES, seed), CRC_AT + 1)
	return bytes
}

/** Computes the link of the anchor in `bytes`, at the end of `span`. */
function anchorLink(bytes: Uint8Array, span: LinkedSpan): Uint8Array {
	return createHash('sha256')
		.update(span.previousLink)
		.update(span.bytes)
		.update(anchorLinkBody(bytes))
		.digest()
}

/** Returns the part of an anchor's own bytes that its link covers. */
export function anchorLinkBody(bytes: Uint8Array): Uint8Array {
	return bytes.subarray(BODY_AT, LINK_AT)
}

/**
 * Returns whether the bytes at `pos` look like the start of an anchor. The rest may be missing or damaged.
 */
export function looksLikeAnchor(bytes: Uint8Array, pos: number): boolean {
	for (let index = 0; index < LEAD.length; index++) if (bytes[pos + index] !== LEAD[index]) return false
	return true
}

/** Bytes from {@link TAGS} by which a damaged anchor can be recognised: the lead and most type bytes. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
	...[...LEAD, 0xce].map((byte, index) => [index, byte] as const),
	...[SEGMENT_AT - 1, EPOCH_AT - 1].map((at) => [at, 0x92] as const),
	...[SEGMENT_AT, EPOCH_AT].map((at) => [at, 0xce] as const),
	...[BODY_AT, BOOT_AT, LINK_AT].map((at) => [at, 0xc4] as const),
	...[OFFSET_AT, WRITTEN_AT, NEXT_SEQ_AT, DURABLE_AT, KEPT_FROM_AT, DETAIL_AT].map(
		(at) => [at, 0xcb] as const,
	),
	...LOG_LEVELS.map((_level, index) => [LEVELS_AT + 1 + 9 * index, 0xcb] as const),
	...[0, 1, 2, 3, 4].map((index) => [BACK_AT + 1 + 9 * index, 0xcb] as const),
])
const FIXED_BYTES_MIN = 8

/**
 * Returns whether `bytes[pos, end)` begins with the remains of an anchor. At least {@link FIXED_BYTES_MIN},
 * and more than half, of the {@link FIXED_BYTES} before `end` must match.
 */
export function resemblesAnchor(bytes: Uint8Array, pos: number, end: number): boolean {
	let expected = 0
	let found = 0
	for (const [at, byte] of FIXED_BYTES) {
		if (pos + at >= end) continue
		expected++
		if (bytes[pos + at] === byte) found++
	}
	return found >= FIXED_BYTES_MIN && found * 2 > expected
}

/** Returns the position of the first anchor lead at or after `from`, or -1. */
export function findAnchorLead(bytes: Buffer, from: number): number {
	return bytes.indexOf(LEAD, from)
}

/** Returns the position of the last anchor lead at or before `from`, or -1. */
export function findAnchorLeadBackward(bytes: Buffer, from: number): number {
	return from < 0 ? -1 : bytes.lastIndexOf(LEAD, from)
}

/**
 * Decodes the anchor at `offset` with the chain id and the segment that it contains. Returns all three, or
 * undefined if the anchor does not verify. The result can identify a file with a damaged header.
 */
export function anchorIdentity(
	bytes: Buffer,
	pos: number,
	offset: number,
): { readonly chainId: Uint8Array; readonly segment: number; readonly anchor: Anchor } | undefined {
	if (pos + ANCHOR_BYTES > bytes.length || !looksLikeAnchor(bytes, pos)) return undefined
	const chainId = Uint8Array.from(bytes.subarray(pos + ID_AT, pos + ID_AT + CHAIN_ID_BYTES))
	const segment = bytes.readUInt32BE(pos + SEGMENT_AT + 1)
	const anchor = decodeAnchor(bytes, pos, offset, identityChecksum(chainId, segment))
	return anchor && isEpoch(segment, 0) ? { chainId, segment, anchor } : undefined
}

/**
 * Decodes the anchor at `pos` in `bytes`, which is at `offset` in the file. Returns undefined if the anchor
 * does not verify at that offset.
 */
export function decodeAnchor(
	bytes: Buffer,
	pos: number,
	offset: number,
	idChecksum: number,
): Anchor | undefined {
	if (pos + ANCHOR_BYTES > bytes.length || !looksLikeAnchor(bytes, pos) || bytes[pos + CRC_AT] !== 0xce)
		return undefined
	const seed = entrySeed(idChecksum, offset, ANCHOR_BYTES)
	const crc = checksum(bytes, pos + BODY_AT, pos + ANCHOR_BYTES, seed)
	if (bytes.readUInt32BE(pos + CRC_AT + 1) !== crc || !hasTags(bytes, pos, TAGS)) return undefined
	const id = bytes.subarray(pos + ID_AT, pos + ID_AT + CHAIN_ID_BYTES)
	const segment = bytes.readUInt32BE(pos + SEGMENT_AT + 1)
	const isHere = readDouble(bytes, pos + OFFSET_AT) === offset
	if (!isHere || identityChecksum(id, segment) !== idChecksum) return undefined
	const reason = REASONS[bytes[pos + REASON_AT]!]
	if (reason === undefined) return undefined
	const anchor = readFields(bytes, pos, offset, reason)
	return isPossible(anchor) ? anchor : undefined
}

function readFields(bytes: Buffer, pos: number, offset: number, reason: AnchorReason): Anchor {
	return {
		offset,
		reason,
		epoch: bytes.readUInt32BE(pos + EPOCH_AT + 1),
		bootId: Uint8Array.from(bytes.subarray(pos + BOOT_AT + 2, pos + WRITTEN_AT)),
		writtenMs: readDouble(bytes, pos + WRITTEN_AT),
		nextSeq: readDouble(bytes, pos + NEXT_SEQ_AT),
		levelCounts: LOG_LEVELS.map((_level, index) => readDouble(bytes, pos + LEVELS_AT + 1 + 9 * index)),
		span: readExtent(bytes, pos + SPAN_AT + 1),
		durableOffset: readDouble(bytes, pos + DURABLE_AT),
		keptFromSeq: readDouble(bytes, pos + KEPT_FROM_AT),
		previousOffset: readDouble(bytes, pos + BACK_AT + 1),
		ordinal: readDouble(bytes, pos + BACK_AT + 10),
		jumpOffset: readDouble(bytes, pos + BACK_AT + 19),
		jump: readExtent(bytes, pos + BACK_AT + 28),
		detail: readDouble(bytes, pos + DETAIL_AT),
		link: Uint8Array.from(bytes.subarray(pos + LINK_AT + 2, pos + ANCHOR_BYTES)),
	}
}

/**
 * Adds `added` to the record counts in `sums`. Each count is capped at the highest value that readers accept,
 * so that a writer that continues after any valid anchor never writes one that readers refuse.
 */
export function addLevelCounts(sums: number[], added: readonly number[]): void {
	for (let index = 0; index < sums.length; index++)
		sums[index] = Math.min(SEQ_MAX, sums[index]! + added[index]!)
}

/**
 * Returns whether the numbers in an anchor are plausible. A valid checksum is not sufficient, because another
 * program may have written the anchor. Offsets and the ordinal are bounded by the anchor's own offset, so a
 * writer that continues after the anchor stays within these bounds.
 */
function isPossible(anchor: Anchor): boolean {
	const { writtenMs, nextSeq, keptFromSeq, previousOffset, jumpOffset, offset, detail } = anchor
	const { durableOffset, ordinal } = anchor
	const counts = [durableOffset, ordinal, previousOffset, jumpOffset, ...anchor.levelCounts]
	return (
		isEpoch(anchor.epoch, 0) &&
		writtenMs >= 0 &&
		writtenMs <= TIME_MAX_MS &&
		isSeq(nextSeq - 1, 0) &&
		isSeq(keptFromSeq - 1, -1) &&
		counts.every((count) => isSeq(count, 0)) &&
		previousOffset < offset &&
		jumpOffset < offset &&
		durableOffset <= offset &&
		HEADER_BYTES + ordinal * ANCHOR_BYTES <= offset &&
		isExtent(anchor.span) &&
		isExtent(anchor.jump) &&
		Number.isInteger(detail) &&
		Math.abs(detail) <= SEQ_MAX
	)
}

function isExtent({ minTsMs, maxTsMs, presence }: Extent): boolean {
	return !Number.isNaN(minTsMs) && !Number.isNaN(maxTsMs) && presence < 0x80
}

function writeExtent(bytes: Buffer, pos: number, extent: Extent): void {
	writeDouble(bytes, pos, extent.minTsMs)
	writeDouble(bytes, pos + 9, extent.maxTsMs)
	bytes[pos + 18] = extent.presence
}

function readExtent(bytes: Buffer, pos: number): Extent {
	return {
		minTsMs: readDouble(bytes, pos),
		maxTsMs: readDouble(bytes, pos + 9),
		presence: bytes[pos + 18]!,
	}
}
