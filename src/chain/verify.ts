/**
 * Judges a whole chain and never writes: every checksum, every row, every seq, every link.
 */

import { createHash } from 'node:crypto'
import { checkOptionNames } from '../options.ts'
import { type GapData, isGap, LOG_LEVELS, type LogRecord, levelIndex } from '../record.ts'
import type { Finding, VerifyReport } from './chain.ts'
import { Continuity, rowsOf } from './continuity.ts'
import { type FileSystem, nodeFileSystem } from './file-system.ts'
import {
	ANCHOR_BYTES,
	type Anchor,
	anchorLinkBody,
	EMPTY_EXTENT,
	type Extent,
	joinExtents,
	PRESENCE_GAP,
} from './format/anchor.ts'
import type { Frame } from './format/frame.ts'
import { HEADER_BYTES } from './format/header.ts'
import { headOf } from './info.ts'
import { Jumps } from './jumps.ts'
import { readHolder } from './lock.ts'
import { openForReading } from './open-chain.ts'
import type { ChainIdentity } from './recovery.ts'
import type { BadPlace, ScanEntry } from './scan.ts'
import { type OpenFile, readPiece, walkFile } from './walk.ts'

export interface VerifyOptions {
	readonly fs?: FileSystem
	/** Stops early; the promise rejects with the signal's reason. */
	readonly signal?: AbortSignal
}

const HASH_PIECE_BYTES = 1024 * 1024

/**
 * Reads a chain from end to end and reports everything that is not as a writer leaves it. `ok` is false for any damage, and
 * true for a torn tail or for gaps that explain themselves.
 *
 * @throws {MeshChainError} what `openChain` throws; damage is no error but a finding.
 */
export async function verifyChain(path: string, options: VerifyOptions = {}): Promise<VerifyReport> {
	checkOptionNames(options, ['fs', 'signal'])
	const { file, identity } = await openForReading(path, options.fs ?? nodeFileSystem)
	try {
		const { size } = await file.system.fstat(file.fd)
		const judge = new Judge(path, file, identity)
		for await (const entries of walkFile(file, HEADER_BYTES, size)) {
			options.signal?.throwIfAborted()
			for (const entry of entries) await judge.take(entry)
		}
		return judge.finish(size)
	} finally {
		await file.system.close(file.fd)
	}
}

class Judge {
	readonly #path: string
	readonly #file: OpenFile
	readonly #identity: ChainIdentity
	readonly #continuity = new Continuity(undefined)
	readonly #findings: Finding[] = []
	readonly #levelCounts = LOG_LEVELS.map(() => 0)
	#anchor: Anchor | undefined
	/** Since the newest anchor: something could not be read, so its span cannot be compared with what was read. */
	#spanIsBroken = false
	#extent = EMPTY_EXTENT
	/** What the anchors' jumps must be; undefined once an anchor was missing, because what they could be then is open. */
	#jumps: Jumps | undefined = new Jumps([])
	#badBehind: BadPlace | undefined
	#frames = 0
	#anchors = 0
	#records = 0

	constructor(path: string, file: OpenFile, identity: ChainIdentity) {
		this.#path = path
		this.#file = file
		this.#identity = identity
		if (identity.headerDamaged) {
			this.#find(
				'damaged',
				'damage',
				0,
				HEADER_BYTES,
				undefined,
				'the header does not verify; the first anchor gave the chain id',
			)
		}
	}

	async take(entry: ScanEntry): Promise<void> {
		if (entry.type === 'frame') this.#frame(entry.frame)
		else if (entry.type === 'bad') this.#bad(entry.place)
		else await this.#checkAnchor(entry.anchor, entry.bytes.subarray(entry.pos, entry.pos + ANCHOR_BYTES))
	}

	finish(bytes: number): VerifyReport {
		const isOpen =
			this.#anchor?.reason !== 'closed' && readHolder(this.#file.system, this.#path) !== undefined
		if (this.#anchor?.reason !== 'closed' && !isOpen) {
			this.#find(
				'notClosed',
				'note',
				bytes,
				0,
				undefined,
				'the last writer did not close the chain: it was killed, or lost power',
			)
		}
		return {
			ok: !this.#findings.some((finding) => finding.severity === 'damage'),
			records: this.#records,
			frames: this.#frames,
			anchors: this.#anchors,
			bytes,
			findings: this.#findings,
			head: headOf(this.#identity, this.#anchor),
		}
	}

	#frame(frame: Frame): void {
		this.#frames++
		const expected = this.#continuity.nextSeq
		this.#missing(this.#continuity.frame(frame), frame.offset)
		if (frame.baseSeq < expected) this.#seqStepsBack(frame, expected)
		const rows = rowsOf(frame)
		if (rows === undefined) {
			this.#spanIsBroken = true
			const range = { fromSeq: frame.baseSeq, toSeq: frame.baseSeq + frame.rows - 1 }
			this.#find(
				'damaged',
				'damage',
				frame.offset,
				frame.length,
				range,
				'the frame verifies, its rows are no records',
			)
			return
		}
		for (const record of rows) this.#record(record, frame)
	}

	#record(record: LogRecord, frame: Frame): void {
		if (isGap(record)) {
			this.#extent = joinExtents(this.#extent, { ...EMPTY_EXTENT, presence: PRESENCE_GAP })
			const severity = record.data?.cause === 'retained' ? 'note' : 'loss'
			this.#find('gap', severity, frame.offset, frame.length, record.data, record.message)
			return
		}
		this.#records++
		const { tsMs } = record
		const level = levelIndex(record.level)
		this.#levelCounts[level]! += 1
		this.#extent = joinExtents(this.#extent, { minTsMs: tsMs, maxTsMs: tsMs, presence: 1 << level })
	}

	#seqStepsBack(frame: Frame, expected: number): void {
		this.#find(
			'wrongSeq',
			'damage',
			frame.offset,
			frame.length,
			{ fromSeq: frame.baseSeq, toSeq: frame.baseSeq + frame.rows - 1 },
			'the seq steps back',
			{ expected: `seq ${expected} or above`, found: `seq ${frame.baseSeq}` },
		)
	}

	#bad(place: BadPlace): void {
		if (place.torn) {
			const text =
				'a torn tail: an entry was being written when the writer died; its records were never committed'
			this.#find('tornTail', 'note', place.offset, place.bytes, undefined, text)
			return
		}
		this.#spanIsBroken = true
		const gap = this.#continuity.badEnd(place)
		if (place.atEnd) this.#damagedPlace(place, gap?.data)
		else this.#badBehind = place
	}

	/** Reports what is missing before an entry, as the bad place it vanished in where there is one. */
	#missing(gap: LogRecord<'$gap', GapData> | undefined, offset: number): void {
		const place = this.#badBehind
		this.#badBehind = undefined
		if (place !== undefined) this.#damagedPlace(place, gap?.data)
		else if (gap?.data !== undefined) {
			this.#spanIsBroken = true
			const text = 'records are missing, with nothing in their place'
			this.#find('wrongSeq', 'damage', offset, 0, gap.data, text, {
				expected: `seq ${gap.data.fromSeq}`,
				found: `seq ${gap.data.toSeq + 1}`,
			})
		}
	}

	#damagedPlace(place: BadPlace, range: GapData | undefined): void {
		const what =
			range === undefined
				? 'no records were lost with them'
				: `${range.count} ${range.count === 1 ? 'record is' : 'records are'} lost`
		this.#find(
			'damaged',
			'damage',
			place.offset,
			place.bytes,
			range,
			`${place.bytes} bytes cannot be read; ${what}`,
		)
	}

	async #checkAnchor(anchor: Anchor, bytes: Buffer): Promise<void> {
		this.#anchors++
		this.#missing(this.#continuity.anchor(anchor), anchor.offset)
		const before = this.#anchor
		const follows = anchor.previousOffset === (before?.offset ?? 0)
		if (follows) await this.#checkLink(anchor, bytes, before)
		else if (!this.#spanIsBroken) {
			this.#wrongAnchor(
				anchor,
				'previous anchor',
				`offset ${before?.offset ?? 0}`,
				`offset ${anchor.previousOffset}`,
			)
		}
		if (!follows || this.#spanIsBroken) this.#jumps = undefined
		else this.#checkCounts(anchor)
		for (const [index, count] of anchor.levelCounts.entries()) this.#levelCounts[index] = count
		this.#anchor = anchor
		this.#spanIsBroken = false
		this.#extent = EMPTY_EXTENT
	}

	async #checkLink(anchor: Anchor, bytes: Buffer, before: Anchor | undefined): Promise<void> {
		const hash = createHash('sha256')
		hash.update(before?.link ?? createHash('sha256').update(this.#identity.headerBytes).digest())
		let position = before === undefined ? HEADER_BYTES : before.offset + ANCHOR_BYTES
		while (position < anchor.offset) {
			const piece = await readPiece(
				this.#file,
				Math.min(HASH_PIECE_BYTES, anchor.offset - position),
				position,
			)
			if (piece.length === 0) break
			hash.update(piece)
			position += piece.length
		}
		const expected = hash.update(anchorLinkBody(bytes)).digest('hex')
		const found = Buffer.from(anchor.link).toString('hex')
		// A damaged place has been reported already; the link that does not fit it says nothing new.
		if (expected === found || this.#spanIsBroken || (before === undefined && this.#identity.headerDamaged))
			return
		this.#find(
			'brokenLink',
			'damage',
			anchor.offset,
			ANCHOR_BYTES,
			{ fromSeq: before?.nextSeq ?? 1, toSeq: anchor.nextSeq - 1 },
			'the hash link does not fit what stands before it: something there was changed, and its checksums with it',
			{ expected, found },
		)
	}

	#checkCounts(anchor: Anchor): void {
		this.#compare(anchor, 'next seq', `${this.#continuity.nextSeq}`, `${anchor.nextSeq}`)
		this.#compare(anchor, 'level counts', this.#levelCounts.join(' '), anchor.levelCounts.join(' '))
		this.#compare(anchor, 'extent', showExtent(this.#extent), showExtent(anchor.span))
		const jumps = this.#jumps?.next(anchor.offset, anchor.span)
		if (jumps !== undefined) this.#compare(anchor, 'jump', showJump(jumps), showJump(anchor))
	}

	#compare(anchor: Anchor, what: string, expected: string, found: string): void {
		if (expected !== found) this.#wrongAnchor(anchor, what, expected, found)
	}

	#wrongAnchor(anchor: Anchor, what: string, expected: string, found: string): void {
		const text = `the anchor's ${what} does not fit what stands before it`
		this.#find('wrongAnchor', 'damage', anchor.offset, ANCHOR_BYTES, undefined, text, { expected, found })
	}

	#find(
		kind: Finding['kind'],
		severity: Finding['severity'],
		offset: number,
		bytes: number,
		range: { readonly fromSeq: number; readonly toSeq: number } | undefined,
		message: string,
		compared: { expected?: string; found?: string } = {},
	): void {
		const { fromSeq, toSeq } = range ?? {}
		this.#findings.push({
			kind,
			severity,
			path: this.#path,
			offset,
			bytes,
			fromSeq,
			toSeq,
			message,
			...compared,
		})
	}
}

function showExtent({ minTsMs, maxTsMs, presence }: Extent): string {
	return `${minTsMs} to ${maxTsMs}, presence ${presence.toString(2)}`
}

function showJump({ ordinal, jumpOffset, jump }: Pick<Anchor, 'ordinal' | 'jumpOffset' | 'jump'>): string {
	return `anchor ${ordinal} to offset ${jumpOffset}, ${showExtent(jump)}`
}
