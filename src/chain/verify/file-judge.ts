/** Verifies one file of a chain, entry by entry. Never writes. */
import { createHash, type Hash } from 'node:crypto'
import { SEQ_MAX } from '../../model/limits.ts'
import { type GapData, isGap, LOG_LEVELS, type LogRecord, levelIndex } from '../../model/record.ts'
import { counted } from '../../text/numbers.ts'
import { severityOfRecord } from '../answer.ts'
import type { VerifyFindingKind } from '../chain.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	anchorLinkBody,
	EMPTY_EXTENT,
	type Extent,
	extentOf,
	joinExtents,
	PRESENCE_PLAIN,
} from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import { Jumps } from '../format/jumps.ts'
import { Continuity } from '../scan/continuity.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import { headerLink } from '../scan/identity.ts'
import type { ScanEntry, UnreadableRange } from '../scan/scan.ts'
import { type OpenSegment, readPiece } from '../scan/walk.ts'
import type { RecoveryVerdict } from '../write/recovery.ts'
import type { Findings, Found, SeqRange } from './findings.ts'

const HASH_PIECE_BYTES = 1024 * 1024

/** Running totals for all files of a chain. */
export class Sums {
	readonly levelCounts = LOG_LEVELS.map(() => 0)
	/** Whether `levelCounts` is known. It is unknown after a lost anchor or a removed file. */
	areKnown: boolean
	frames = 0
	anchors = 0
	records = 0
	bytes = 0

	constructor(areKnown: boolean) {
		this.areKnown = areKnown
	}
}

interface FileJudgeContext {
	readonly findings: Findings
	/** Whether another file follows this one. */
	readonly isFollowed: boolean
	readonly sums: Sums
	/** Returns the verdict on an unreadable range. */
	readonly verdictAt: (place: UnreadableRange, anchor: Anchor | undefined) => RecoveryVerdict
	/**
	 * Called with an offset if no later link covers the part before that offset, because the link there is
	 * wrong or cannot be computed.
	 */
	readonly onBreak: (offset: number) => void
	/** Called for each anchor after its link has been checked. */
	readonly onAnchor: (anchor: Anchor) => void
}

/** The end of a file that is followed by another file. */
export interface FileEnd {
	/** Link that covers everything in the file up to its end. */
	readonly link: string
	/** Whether all bytes since the newest anchor are readable. If not, the link is unknown. */
	readonly isReadable: boolean
}

export class FileJudge {
	readonly #file: OpenSegment
	readonly #context: FileJudgeContext
	readonly #continuity: Continuity
	#anchor: Anchor | undefined
	/**
	 * Whether something since the newest anchor could not be read. In that case, the next anchor cannot be
	 * compared with its span.
	 */
	#spanIsBroken: boolean
	#extent = EMPTY_EXTENT
	/** The expected jumps of the anchors; undefined after a missing anchor, which makes later jumps unknown. */
	#jumps: Jumps | undefined = new Jumps([])
	#rangeBefore: UnreadableRange | undefined
	/** Offset of a torn entry below the watermark. */
	missedAt: number | undefined
	/** Whether a repair has written an anchor in this file. */
	wasRepaired = false

	constructor(file: OpenSegment, context: FileJudgeContext) {
		this.#file = file
		this.#context = context
		const { firstSeq, headerDamaged } = file.identity
		this.#continuity = new Continuity(undefined, { firstSeq, isFollowed: context.isFollowed })
		this.#spanIsBroken = headerDamaged
		if (headerDamaged) {
			const text = 'the header does not verify; the chain id was read from an anchor'
			this.#find('damaged', text, { offset: 0, bytes: HEADER_BYTES })
		}
	}

	/** The newest anchor so far. */
	get anchor(): Anchor | undefined {
		return this.#anchor
	}

	/** The expected seq of the next record. */
	get nextSeq(): number {
		return this.#continuity.nextSeq
	}

	async take(entry: ScanEntry): Promise<void> {
		if (entry.type === 'frame') this.#frame(entry.frame)
		else if (entry.type === 'bad') this.#bad(entry.place)
		else await this.#checkAnchor(entry.anchor, entry.bytes.subarray(entry.pos, entry.pos + ANCHOR_BYTES))
	}

	/**
	 * Ends the file. `nextSeq` is the first seq of the next file. Records missing before that seq are reported
	 * at `offset`.
	 */
	upTo(nextSeq: number, offset: number): void {
		this.#missing(this.#continuity.upTo(nextSeq), offset)
	}

	/** Returns the end of the file, given that the next file takes over at the offset `end`. */
	async endAt(end: number): Promise<FileEnd> {
		const isReadable = !this.#spanIsBroken
		// These totals do not include records missing since the newest anchor, but the totals in later anchors
		// do.
		if (!isReadable) this.#context.sums.areKnown = false
		const link = this.#anchor?.link ?? headerLink(this.#file.identity)
		const from = this.#anchor === undefined ? HEADER_BYTES : this.#anchor.offset + ANCHOR_BYTES
		if (from === end) return { link: hex(link), isReadable }
		const hash = createHash('sha256').update(link)
		await this.#hashRange(hash, from, end)
		return { link: hash.digest('hex'), isReadable }
	}

	#frame(frame: Frame): void {
		const { sums } = this.#context
		sums.frames++
		const expected = this.nextSeq
		const { offset, length: bytes, baseSeq } = frame
		const range = { fromSeq: baseSeq, toSeq: baseSeq + frame.rows - 1 }
		this.#missing(this.#continuity.frame(frame), offset)
		if (baseSeq < expected) {
			const compared = { expected: `seq ${expected} or above`, found: `seq ${baseSeq}` }
			this.#find('wrongSeq', 'the seq is lower than expected', { offset, bytes, range, ...compared })
		}
		const rows = rowsOf(frame)
		if (rows === undefined) {
			this.#spanIsBroken = true
			this.#find('damaged', 'the frame verifies, but its rows are not records', { offset, bytes, range })
			return
		}
		for (const record of rows) {
			this.#record(record, frame, record.seq === baseSeq ? Math.min(expected, baseSeq) : record.seq)
		}
	}

	/**
	 * @param fromSeq the first seq that a gap can cover. Lower seqs are in the chain, or were already reported
	 * as missing.
	 */
	#record(record: LogRecord, { offset, length: bytes }: Frame, fromSeq: number): void {
		this.#extent = joinExtents(this.#extent, extentOf(record))
		if (isGap(record)) {
			const range = { fromSeq: Math.max(fromSeq, claimedFromSeq(record)), toSeq: record.seq }
			this.#find('gap', record.message, { offset, bytes, range, severity: severityOfRecord(record) })
			return
		}
		const { sums } = this.#context
		sums.records++
		const level = levelIndex(record.level)
		sums.levelCounts[level] = Math.min(SEQ_MAX, sums.levelCounts[level]! + 1)
	}

	#bad(place: UnreadableRange): void {
		const { offset, bytes } = place
		const verdict = this.#context.verdictAt(place, this.#anchor)
		if (verdict === 'torn') {
			const text = 'a torn tail: the writer died while writing this entry, or the file was cut off within it'
			this.#find('tornTail', text, { offset, bytes })
			return
		}
		this.#spanIsBroken = true
		// The watermark check at the end of the chain reports these bytes in more detail.
		if (verdict === 'truncated') {
			this.missedAt = offset
			return
		}
		if (verdict === 'unsyncedTail') {
			const text = 'a write that a power loss cut short: it was never acknowledged as on disk'
			this.#find('unsynced', text, { offset, bytes })
			return
		}
		const gap = this.#continuity.bad(place)
		if (place.atEnd && !this.#context.isFollowed) this.#lost(place, gap?.data)
		else this.#rangeBefore = place
	}

	/**
	 * Reports the unreadable range before an entry or, if there is none, the records missing before the
	 * entry.
	 */
	#missing(gap: LogRecord<'$gap', GapData> | undefined, offset: number): void {
		const place = this.#rangeBefore
		this.#rangeBefore = undefined
		if (place !== undefined) this.#lost(place, gap?.data)
		else if (gap?.data !== undefined) {
			this.#spanIsBroken = true
			const { fromSeq, toSeq } = gap.data
			const text = `${records(gap.data)} missing, and no gap covers them`
			const compared = { expected: `seq ${fromSeq}`, found: `seq ${toSeq + 1}` }
			this.#find('missing', text, { offset, range: gap.data, ...compared })
		}
	}

	#lost(place: UnreadableRange, range: GapData | undefined): void {
		const { offset, bytes } = place
		const verdict = this.#context.verdictAt(place, this.#anchor)
		const lost = range === undefined ? 'no records are lost' : `${records(range)} lost`
		const what = `${bytes} bytes cannot be read; ${lost}`
		if (verdict === 'unsyncedHole') {
			const text = `${what}: a power loss kept them from reaching the disk`
			this.#find('unsynced', text, { offset, bytes, range, severity: 'loss' })
		} else if (verdict === 'ambiguous') {
			const text =
				`${what}, caused by a power loss or by damage: ` +
				'the watermark or the boot id, which would distinguish them, is missing'
			this.#find('ambiguous', text, { offset, bytes, range })
		} else this.#find('damaged', what, { offset, bytes, range })
	}

	async #checkAnchor(anchor: Anchor, bytes: Buffer): Promise<void> {
		const { sums } = this.#context
		sums.anchors++
		this.#missing(this.#continuity.anchor(anchor), anchor.offset)
		const before = this.#anchor
		const follows = anchor.previousOffset === (before?.offset ?? 0)
		const isLinked = follows && (await this.#checkLink(anchor, bytes, before))
		if (!isLinked) this.#context.onBreak(anchor.offset)
		if (!follows && !this.#spanIsBroken) {
			this.#compare(
				anchor,
				'previous anchor',
				`offset ${before?.offset ?? 0}`,
				`offset ${anchor.previousOffset}`,
			)
		}
		if (!follows || this.#spanIsBroken) this.#jumps = undefined
		else this.#checkSums(anchor)
		for (const [index, count] of anchor.levelCounts.entries()) sums.levelCounts[index] = count
		sums.areKnown = true
		if (anchor.reason === 'repaired') this.#repaired(anchor)
		this.#context.onAnchor(anchor)
		this.#anchor = anchor
		this.#spanIsBroken = false
		this.#extent = EMPTY_EXTENT
	}

	#repaired({ offset, detail }: Anchor): void {
		this.wasRepaired = true
		const text = `the file had ${detail} unreadable bytes here before it was repaired`
		this.#find('repaired', text, { offset, bytes: ANCHOR_BYTES })
	}

	/** Returns whether the link of an anchor matches the bytes since the previous anchor. */
	async #checkLink(anchor: Anchor, bytes: Buffer, before: Anchor | undefined): Promise<boolean> {
		const { identity } = this.#file
		const hash = createHash('sha256').update(before?.link ?? headerLink(identity))
		const from = before === undefined ? HEADER_BYTES : before.offset + ANCHOR_BYTES
		await this.#hashRange(hash, from, anchor.offset)
		const expected = hash.update(anchorLinkBody(bytes)).digest('hex')
		const found = hex(anchor.link)
		if (expected === found) return true
		// The link over unreadable bytes is unknown. These bytes were already reported, and do not prove a
		// deliberate change.
		if (this.#spanIsBroken) return false
		const range = { fromSeq: before?.nextSeq ?? identity.firstSeq, toSeq: anchor.nextSeq - 1 }
		const text =
			'the hash link does not match the bytes before it: some of them were changed, ' +
			'along with their checksums'
		this.#find('brokenLink', text, { offset: anchor.offset, bytes: ANCHOR_BYTES, range, expected, found })
		return false
	}

	async #hashRange(hash: Hash, from: number, to: number): Promise<void> {
		for (let position = from; position < to; ) {
			const piece = await readPiece(this.#file, Math.min(HASH_PIECE_BYTES, to - position), position)
			if (piece.length === 0) return
			hash.update(piece)
			position += piece.length
		}
	}

	#checkSums(anchor: Anchor): void {
		const { levelCounts, areKnown } = this.#context.sums
		this.#compare(anchor, 'next seq', `${this.nextSeq}`, `${anchor.nextSeq}`)
		if (areKnown) this.#compare(anchor, 'level counts', levelCounts.join(' '), anchor.levelCounts.join(' '))
		this.#compare(anchor, 'extent', showExtent(asWritten(this.#extent, anchor.span)), showExtent(anchor.span))
		const { offset, span, reason } = anchor
		const jumps = reason === 'sealed' ? this.#jumps?.seal(offset, span) : this.#jumps?.next(offset, span)
		if (jumps === undefined) return
		const jump = asWritten(jumps.jump, anchor.jump)
		this.#compare(anchor, 'jump', showJump({ ...jumps, jump }), showJump(anchor))
	}

	#compare({ offset }: Anchor, what: string, expected: string, found: string): void {
		if (expected === found) return
		const text = `the anchor's ${what} does not match the entries before it`
		this.#find('wrongAnchor', text, { offset, bytes: ANCHOR_BYTES, expected, found })
	}

	#find(kind: VerifyFindingKind, message: string, at: Omit<Found, 'path'>): void {
		this.#context.findings.add(kind, message, { path: this.#file.path, ...at })
	}
}

/** Returns the first seq that a gap claims to cover. The data of a gap can contain anything. */
function claimedFromSeq({ data, seq }: LogRecord<'$gap', GapData>): number {
	const claimed: unknown = data?.fromSeq
	return typeof claimed === 'number' && claimed <= seq ? claimed : 1
}

function records({ fromSeq, toSeq }: SeqRange): string {
	return counted(toSeq - fromSeq + 1, 'record is', 'records are')
}

export function hex(bytes: Uint8Array): string {
	return Buffer.from(bytes).toString('hex')
}

/**
 * Returns an extent in the form in which the writer of the other extent would have stored it. A writer that
 * does not support {@link PRESENCE_PLAIN} never sets it.
 */
function asWritten(extent: Extent, { presence }: Extent): Extent {
	if ((presence & PRESENCE_PLAIN) !== 0) return extent
	return { ...extent, presence: extent.presence & ~PRESENCE_PLAIN }
}

function showExtent({ minTsMs, maxTsMs, presence }: Extent): string {
	return `${minTsMs} to ${maxTsMs}, presence ${presence.toString(2)}`
}

function showJump({ ordinal, jumpOffset, jump }: Pick<Anchor, 'ordinal' | 'jumpOffset' | 'jump'>): string {
	return `anchor ${ordinal} to offset ${jumpOffset}, ${showExtent(jump)}`
}
