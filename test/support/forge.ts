/** Forges files in which every checksum is correct, but the content need not be. */
import { ANCHOR_BYTES, decodeAnchor, encodeAnchor, findAnchorLead } from '../../src/chain/format/anchor.ts'
import { checksum, entrySeed, identityChecksum } from '../../src/chain/format/checksum.ts'
import { claimedLength, encodeFrame, frameBytesMax, looksLikeFrame } from '../../src/chain/format/frame.ts'
import { encodeHeader, HEADER_BYTES, type Header } from '../../src/chain/format/header.ts'
import { headerLink, identify } from '../../src/chain/scan/identity.ts'

const ID = Buffer.alloc(16, 7)

/** Encodes the header of the first file of a chain. */
export function forgeHeader(fields: Partial<Header> = {}): Buffer {
	const previous = { previousEnd: 0, previousLink: Buffer.alloc(32) }
	return encodeHeader({
		chainId: ID,
		segment: 0,
		createdMs: 1_700_000_000_000,
		firstSeq: 1,
		...previous,
		...fields,
	})
}

/** A frame whose rows are arbitrary bytes. */
export interface ForgedFrame {
	readonly rows: Uint8Array
	/** Number of rows that the frame claims. Default: 1. */
	readonly count?: number
	/** Flags of the frame. Default: level info. */
	readonly flags?: number
	readonly epoch?: number
	readonly baseSeq?: number
	readonly baseTsMs?: number
}

export const FORGED_TS_MS = 1_700_000_000_000

/** Encodes a file of consecutive frames. Seqs continue unless a frame sets its own. */
export function forgeFrames(frames: readonly ForgedFrame[]): Buffer {
	const parts: Buffer[] = [forgeHeader()]
	let offset = HEADER_BYTES
	let nextSeq = 1
	for (const {
		rows,
		count = 1,
		flags = 0b100,
		epoch = 1,
		baseSeq = nextSeq,
		baseTsMs = FORGED_TS_MS,
	} of frames) {
		const target = Buffer.alloc(frameBytesMax(rows.length))
		const encoded = { length: rows.length, copyTo: (to: Buffer, pos: number) => to.set(rows, pos) }
		const head = { flags, epoch, baseSeq, baseTsMs, rows: count }
		const length = encodeFrame(target, 0, head, encoded, offset, identityChecksum(ID, 0))
		parts.push(target.subarray(0, length))
		offset += length
		nextSeq = baseSeq + count
	}
	return Buffer.concat(parts)
}

/** Encodes a chain of one frame that claims to hold `claimedRows` rows, whose bytes are arbitrary. */
export function forgeChain(rows: Uint8Array, claimedRows = 1, flags = 0b100): Buffer {
	return forgeFrames([{ rows, count: claimedRows, flags }])
}

/** Changes a record and recomputes the checksums, as an attacker without the later links can. */
export function forgeMessage(chain: Buffer, from: string, to: string): Buffer {
	const forged = Buffer.from(chain)
	const at = forged.indexOf(from)
	forged.write(to, at)
	const { idChecksum } = identify(forged, 'forged')
	for (let pos = 0; pos < at; pos++) {
		if (!looksLikeFrame(forged, pos)) continue
		const length = claimedLength(forged, pos) ?? 0
		if (pos + length <= at) continue
		const seed = entrySeed(idChecksum, pos, length)
		forged.writeUInt32BE(checksum(forged, pos + 11, pos + length, seed), pos + 7)
	}
	return forged
}

/** Recomputes every link of a file, as an attacker who can write the whole file can. */
export function relink(file: Buffer): Buffer {
	const forged = Buffer.from(file)
	const identity = identify(forged, 'forged')
	let link: Uint8Array = headerLink(identity)
	let from = HEADER_BYTES
	for (let pos = findAnchorLead(forged, HEADER_BYTES); pos >= 0; pos = findAnchorLead(forged, pos + 1)) {
		const anchor = decodeAnchor(forged, pos, pos, identity.idChecksum)
		if (anchor === undefined) continue
		const span = { previousLink: link, bytes: forged.subarray(from, pos) }
		const bytes = encodeAnchor(identity, anchor, span)
		bytes.copy(forged, pos)
		link = Uint8Array.from(bytes.subarray(ANCHOR_BYTES - 32))
		from = pos + ANCHOR_BYTES
	}
	return forged
}
