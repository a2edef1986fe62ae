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
 *   89   95 5 × cb ········     number of records in the chain so far: trace, debug, info, warn, error
 *   135  93 cb cb ff            since the previous anchor: earliest time (+Infinity: no records), latest time
 *                               (-Infinity), levels present (bits 0 to 4), a `$gap` is present (5), all kinds
 *                               are the application's (6)
 *   155  cb ········            durable: everything in this file below this offset is on disk
 *   164  cb ········            kept from: the first seq that retention has kept
 *   173  96 cb cb cb cb cb ff   offset of the previous anchor (0 in the first anchor of the file); number of
 *                               anchors before this one; jump: offset of one of them (0 in the first anchor),
 *                               and earliest time, latest time and presence since that anchor
 *   220  cb ········            opened: tail bytes that were cut; closed: exit code, -1 for an ordinary
 *                               close; repaired: number of unreadable bytes
 *   229  c4 20 ················ link: SHA-256 of the previous link, all bytes between the two anchors, and
 *                               bytes 13 to 228 of this anchor
 *   263
 *
 * The jumps form a skew-binary list. By following jumps and single steps back, a reader reaches any earlier
 * anchor in a number of reads that is logarithmic in the number of anchors (Myers, "An applicative
 * random-access stack", 1983). The jump of a sealing anchor, the last anchor of its file, leads to the first
 * anchor, so it covers the complete file. In the first anchor, the SHA-256 of the header takes the place of
 * the previous link.
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

/** The bytes that are identical in all anchors. */
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

/**
 * A summary of a stretch of the chain. A reader can use it to rule out that a record in the stretch matches a
 * query.
 */
export interface Extent {
	/** Earliest and latest time; +Infinity and -Infinity if there are no records. */
	readonly minTsMs: number
	readonly maxTsMs: number
	/** A bit for each level, by its position in `LOG_LEVELS`; {@link PRESENCE_GAP}; {@link PRESENCE_PLAIN}. */
	readonly presence: number
}

/** The stretch contains a `$gap` or unreadable bytes. */
export const PRESENCE_GAP = 1 << 5
/**
 * No record has a kind that is reserved for mesh-chain. If the bit is unset, such a record may or may not be
 * present, because a writer that does not support the bit never sets it.
 */
export const PRESENCE_PLAIN = 1 << 6

export const EMPTY_EXTENT: Extent = Object.freeze({
	minTsMs: Number.POSITIVE_INFINITY,
	maxTsMs: Number.NEGATIVE_INFINITY,
	presence: PRESENCE_PLAIN,
})

/** The extent of a `$gap` or of unreadable bytes. Readers must not skip a stretch with this extent. */
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
	/** Number of records in the chain so far for each level, in the order of `LOG_LEVELS`. */
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

/** The input for an anchor's link: the previous link and every byte between the two anchors. */
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

/** Returns the link that the anchor in `bytes` must have after `span`. */
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
 * Returns whether the bytes at `pos` begin like an anchor. The rest of the anchor may be missing or wrong.
 */
export function looksLikeAnchor(bytes: Uint8Array, pos: number): boolean {
	for (let index = 0; index < LEAD.length; index++) if (bytes[pos + index] !== LEAD[index]) return false
	return true
}

/** The bytes that are identical in every anchor: its lead and the type byte of each field. */
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
 * Returns whether `bytes[pos, end)` begins with the remains of an anchor. This is the case if most of the
 * bytes that are identical in all anchors are present.
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

/** Returns the position of the next bytes at or after `from` that begin like an anchor, or -1. */
export function findAnchorLead(bytes: Buffer, from: number): number {
	return bytes.indexOf(LEAD, from)
}

/** Returns the position of the last bytes at or before `from` that begin like an anchor, or -1. */
export function findAnchorLeadBackward(bytes: Buffer, from: number): number {
	return from < 0 ? -1 : bytes.lastIndexOf(LEAD, from)
}

/**
 * Returns the anchor at `offset`, with its chain id and segment, if the anchor verifies on its own. The
 * result can identify a file with a damaged header.
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
 * Decodes the anchor at `pos` in the bytes and `offset` in the file. Returns undefined if it does not verify
 * there.
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
 * Adds to the counts of records by level. The counts stop at the highest value that readers accept, because a
 * writer continues after any anchor that verifies and must not write an anchor that readers refuse.
 */
export function addLevelCounts(sums: number[], added: readonly number[]): void {
	for (let index = 0; index < sums.length; index++)
		sums[index] = Math.min(SEQ_MAX, sums[index]! + added[index]!)
}

/**
 * Returns whether the numbers in an anchor are plausible. This must be checked, because a valid checksum does
 * not prove who wrote the anchor. The bounds allow a writer to continue with higher numbers: offsets and
 * ordinals are bounded by the anchor's own offset, which increases with every entry.
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
