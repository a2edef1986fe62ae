/**
 * Encodes and decodes the durable watermark, which records how much of a chain is on disk. It is stored
 * beside the chain in `<chain>.durable`. Its two slots are written alternately, so one of them is always
 * intact. Works only on bytes, without I/O.
 *
 *   0    98               array of 8
 *   1    a7 "durable"
 *   9    ce ····          CRC-32 of bytes 14 to 86, not seeded
 *   14   c4 10 ·········  chain id
 *   32   ce ····          segment
 *   37   ce ····          epoch
 *   42   cb ········      number of slots written before this one; the slot with the higher number counts
 *   51   cb ········      durable: everything in that segment's file below this offset is on disk, and so are
 *                         all earlier files
 *   60   cb ········      last seq below that offset
 *   69   c4 10 ·········  boot id of the machine that synced; zeros if it has none
 *   87
 */
import { isEpoch, isSeq } from '../../model/record.ts'
import { BOOT_ID_BYTES } from './anchor.ts'
import { checksum } from './checksum.ts'
import { hasTags, readDouble, tagged, writeDouble } from './double.ts'
import { CHAIN_ID_BYTES } from './header.ts'

export const SLOT_BYTES = 87
export const WATERMARK_BYTES = 2 * SLOT_BYTES

const LEAD = Buffer.concat([Buffer.from([0x98, 0xa7]), Buffer.from('durable')])
const CRC_AT = LEAD.length
const BODY_AT = CRC_AT + 5
const SEGMENT_AT = BODY_AT + 2 + CHAIN_ID_BYTES
const EPOCH_AT = SEGMENT_AT + 5
const COUNTER_AT = EPOCH_AT + 5
const OFFSET_AT = COUNTER_AT + 9
const SEQ_AT = OFFSET_AT + 9
const BOOT_AT = SEQ_AT + 9

/** The bytes that are identical in all slots. */
const TAGS = tagged(SLOT_BYTES, [
	[0, ...LEAD, 0xce],
	[BODY_AT, 0xc4, CHAIN_ID_BYTES],
	[SEGMENT_AT, 0xce],
	[EPOCH_AT, 0xce],
	[COUNTER_AT, 0xcb],
	[OFFSET_AT, 0xcb],
	[SEQ_AT, 0xcb],
	[BOOT_AT, 0xc4, BOOT_ID_BYTES],
])

export interface Watermark {
	readonly chainId: Uint8Array
	readonly segment: number
	readonly epoch: number
	readonly counter: number
	readonly offset: number
	readonly seq: number
	readonly bootId: Uint8Array
}

/** Encodes one slot. Returns its bytes and its offset in the watermark file. */
export function encodeWatermark(watermark: Watermark): { bytes: Buffer; position: number } {
	const bytes = Buffer.from(TAGS.bytes)
	bytes.set(watermark.chainId, BODY_AT + 2)
	bytes.writeUInt32BE(watermark.segment, SEGMENT_AT + 1)
	bytes.writeUInt32BE(watermark.epoch, EPOCH_AT + 1)
	writeDouble(bytes, COUNTER_AT, watermark.counter)
	writeDouble(bytes, OFFSET_AT, watermark.offset)
	writeDouble(bytes, SEQ_AT, watermark.seq)
	bytes.set(watermark.bootId, BOOT_AT + 2)
	bytes.writeUInt32BE(checksum(bytes, BODY_AT, SLOT_BYTES, 0), CRC_AT + 1)
	return { bytes, position: (watermark.counter % 2) * SLOT_BYTES }
}

/**
 * Returns the newest slot that verifies and belongs to this chain (or to any chain, if `chainId` is
 * undefined). Returns undefined if there is no such slot.
 */
export function decodeWatermark(bytes: Buffer, chainId: Uint8Array | undefined): Watermark | undefined {
	const [first, second] = [decodeSlot(bytes, 0, chainId), decodeSlot(bytes, SLOT_BYTES, chainId)]
	if (first === undefined || second === undefined) return first ?? second
	return first.counter > second.counter ? first : second
}

function decodeSlot(bytes: Buffer, pos: number, chainId: Uint8Array | undefined): Watermark | undefined {
	if (pos + SLOT_BYTES > bytes.length || !hasTags(bytes, pos, TAGS)) return undefined
	if (bytes.readUInt32BE(pos + CRC_AT + 1) !== checksum(bytes, pos + BODY_AT, pos + SLOT_BYTES, 0)) {
		return undefined
	}
	const found = Uint8Array.from(bytes.subarray(pos + BODY_AT + 2, pos + SEGMENT_AT))
	if (chainId !== undefined && Buffer.compare(found, chainId) !== 0) return undefined
	const watermark = {
		chainId: found,
		segment: bytes.readUInt32BE(pos + SEGMENT_AT + 1),
		epoch: bytes.readUInt32BE(pos + EPOCH_AT + 1),
		counter: readDouble(bytes, pos + COUNTER_AT),
		offset: readDouble(bytes, pos + OFFSET_AT),
		seq: readDouble(bytes, pos + SEQ_AT),
		bootId: Uint8Array.from(bytes.subarray(pos + BOOT_AT + 2, pos + SLOT_BYTES)),
	}
	const counts = [watermark.counter, watermark.offset, watermark.seq]
	const isPossible =
		isEpoch(watermark.segment, 0) && isEpoch(watermark.epoch, 0) && counts.every((count) => isSeq(count, 0))
	return isPossible ? watermark : undefined
}
