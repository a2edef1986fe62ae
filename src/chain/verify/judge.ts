/** Verifies a chain: each of its files (file-judge.ts), and the seams between them. Never writes. */
import { basename } from 'node:path'
import { MeshChainError } from '../../model/errors.ts'
import { counted } from '../../text/numbers.ts'
import type { VerifyFindingKind, VerifyReport } from '../chain.ts'
import { bootId, bootSince } from '../files/boot-id.ts'
import { lockObstacle, readHolder, readUnwritten } from '../files/lock-holder.ts'
import { ownerOf } from '../files/segments.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import type { Watermark } from '../format/watermark.ts'
import type { ChainFile } from '../read/chain-files.ts'
import { headOf } from '../read/info.ts'
import { openFile } from '../read/open-file.ts'
import { NO_LINK } from '../scan/identity.ts'
import { entryStart, type ScanEntry, type UnreadableRange } from '../scan/scan.ts'
import type { OpenSegment } from '../scan/walk.ts'
import { type RecoveryVerdict, verdictOf, watermarkEvidence } from '../write/recovery.ts'
import { type FileEnd, FileJudge, hex, Sums } from './file-judge.ts'
import { Findings, type Found, type OnFinding } from './findings.ts'
import type { WantedHead } from './head.ts'
import { HeadSearch } from './head-search.ts'
import { checkOriginal, type OriginalCheck, type Seam } from './original.ts'
import { StaleTail } from './stale-tail.ts'

/** A verified file, with the values that the next file must match. */
interface Judged {
	readonly path: string
	readonly segment: number
	readonly firstSeq: number
	/**
	 * The end of the file at the offset where the next file took over; undefined if the file does not reach
	 * that offset.
	 */
	readonly end: FileEnd | undefined
	readonly wasRepaired: boolean
	/** The expected seq of the next record. */
	readonly nextSeq: number
	/** Whether a repair wrote the last anchor. */
	readonly endsRepaired: boolean
}

interface Wanted {
	readonly head: WantedHead | undefined
	/** The watermark that was read before the files were listed. */
	readonly watermark: Watermark | undefined
	/** First seq that retention keeps, at the start of the verification and at the time of the call. */
	readonly keptFromSeq: number
	readonly keptFromSeqNow: () => Promise<number>
	readonly onFinding: OnFinding | undefined
}

/** A file that was removed during the verification. */
interface Removed {
	readonly path: string
	readonly byRetention: boolean
}

export class Judge {
	readonly #held: OpenSegment
	readonly #watermark: Watermark | undefined
	#keptFromSeq: number
	readonly #keptFromSeqNow: Wanted['keptFromSeqNow']
	readonly #bootId: Uint8Array
	readonly #findings: Findings
	readonly #sums: Sums
	#file: OpenSegment
	#size = 0
	/** Whether bytes below the watermark are missing at the end of the chain. */
	#endIsMissing = false
	#listed: ChainFile
	#judge: FileJudge
	#before: Judged | undefined
	/** The previous file, if it was removed during the verification. The removal was already reported. */
	#removedBefore: Removed | undefined
	/**
	 * The superseded end of this file, and the superseded ends of earlier files, which are reported when the
	 * next frame is read.
	 */
	#superseded: StaleTail | undefined
	#unreported: StaleTail[] = []
	readonly #headSearch: HeadSearch

	constructor(held: OpenSegment, first: ChainFile, wanted: Wanted) {
		const { head, watermark, keptFromSeq, keptFromSeqNow, onFinding } = wanted
		this.#findings = new Findings(onFinding)
		this.#held = held
		this.#file = held
		this.#listed = first
		this.#watermark = watermark
		this.#keptFromSeq = keptFromSeq
		this.#keptFromSeqNow = keptFromSeqNow
		this.#headSearch = new HeadSearch(head, first.identity)
		this.#bootId = bootId(held.system)
		this.#sums = new Sums(first.identity.segment === 0)
		this.#judge = this.#newJudge(held, new Findings())
	}

	/** Handles a file that was removed after the files were listed. */
	async removed({ identity, path, nextFirstSeq = identity.firstSeq }: ChainFile): Promise<void> {
		this.#before = undefined
		this.#removedBefore = await this.#reportRemoved(path, identity.firstSeq, nextFirstSeq)
	}

	/**
	 * Reports a removed file that contained the seqs from `firstSeq` up to, but not including,
	 * `nextFirstSeq`.
	 */
	async #reportRemoved(path: string, firstSeq: number, nextFirstSeq: number): Promise<Removed> {
		this.#keptFromSeq = Math.max(this.#keptFromSeq, await this.#keptFromSeqNow())
		this.#sums.areKnown = false
		const range = { fromSeq: firstSeq, toSeq: nextFirstSeq - 1 }
		const text = 'this file was removed during the verification'
		const byRetention = this.#keptFromSeq >= nextFirstSeq
		if (byRetention) {
			this.#findings.add('gap', `${text}, by retention`, { path, offset: 0, range, severity: 'note' })
		} else this.#findings.add('missingFile', text, { path, offset: 0, range })
		return { path, byRetention }
	}

	/** Starts verifying a file of this size. */
	async begin(file: OpenSegment, size: number, listed: ChainFile): Promise<void> {
		this.#file = file
		this.#size = size
		this.#listed = listed
		this.#sums.bytes += size
		this.#judge = this.#newJudge(file, this.#findings)
		if (this.#before !== undefined) await this.#checkSeam(this.#before)
		else if (this.#removedBefore === undefined) this.#checkBeginning()
		else this.#beginAfter(this.#removedBefore)
		this.#removedBefore = undefined
		if (listed.end === undefined || size >= listed.end) return
		const text = `the file ends ${listed.end - size} bytes before the offset at which the next file took over`
		this.#find('truncated', text, { offset: size, expected: `${listed.end} bytes`, found: `${size} bytes` })
	}

	async take(entry: ScanEntry): Promise<void> {
		if (entryStart(entry) >= (this.#listed.end ?? Number.POSITIVE_INFINITY)) {
			this.#superseded ??= new StaleTail(this.#file.path, entryStart(entry))
			this.#superseded.take(entry)
			return
		}
		if (entry.type === 'frame') this.#reportSuperseded(entry.frame)
		await this.#judge.take(entry)
	}

	/** Ends the current file. */
	async end(): Promise<void> {
		const { nextFirstSeq, end, identity } = this.#listed
		if (nextFirstSeq === undefined) {
			this.#checkWatermark()
			this.#checkClosed()
			this.#checkLive()
			return
		}
		if (this.#superseded !== undefined) this.#unreported.push(this.#superseded)
		this.#superseded = undefined
		this.#judge.upTo(nextFirstSeq, Math.min(end ?? this.#size, this.#size))
		// The totals in later anchors include the missing records, but these totals do not.
		if (end !== undefined && this.#size < end) this.#sums.areKnown = false
		const isThere = end === undefined || this.#size >= end
		const { path } = this.#file
		const { segment, firstSeq } = identity
		const { wasRepaired, anchor, nextSeq } = this.#judge
		const endsRepaired = anchor?.reason === 'repaired'
		const fileEnd = isThere ? await this.#judge.endAt(end ?? this.#size) : undefined
		this.#before = { path, segment, firstSeq, end: fileEnd, wasRepaired, nextSeq, endsRepaired }
	}

	/** Ends the chain. */
	finish(): VerifyReport {
		this.#reportSuperseded(undefined)
		this.#checkHead()
		const { records, frames, anchors, bytes } = this.#sums
		const head = headOf(this.#file.identity, this.#judge.anchor)
		return { ...this.#findings.result, records, frames, anchors, bytes, head }
	}

	#newJudge(file: OpenSegment, findings: Findings): FileJudge {
		return new FileJudge(file, {
			findings,
			isFollowed: this.#listed.nextFirstSeq !== undefined,
			sums: this.#sums,
			verdictAt: (place, anchor) => this.#verdictAt(place, anchor),
			onBreak: (offset) => this.#headSearch.breakAt({ path: file.path, offset }),
			onAnchor: (anchor) => this.#headSearch.look(anchor),
		})
	}

	/**
	 * Returns the verdict on an unreadable range. In a sealed file, a crash is never the cause, because a
	 * writer recovers from a crash before it starts the next file.
	 */
	#verdictAt(place: UnreadableRange, anchor: Anchor | undefined): RecoveryVerdict {
		if (this.#listed.nextFirstSeq !== undefined) return 'damaged'
		return verdictOf({
			end: place.torn ? 'fragment' : 'invalid',
			hole: !place.atEnd,
			watermark: watermarkEvidence(this.#watermark, this.#file.identity, place.offset),
			boot: bootSince(anchor?.bootId, this.#bootId),
		})
	}

	/**
	 * Checks that this file continues the previous one. If the previous file was repaired, its own record of
	 * the repair proves nothing. Therefore the repaired file is compared with its original. If the original is
	 * gone, the seam cannot be checked.
	 */
	async #checkSeam(before: Judged): Promise<void> {
		const { identity } = this.#file
		// The totals of a repaired file do not include its lost records, but the totals of later files do.
		if (before.wasRepaired) this.#sums.areKnown = false
		this.#checkFirstSeq(before)
		const missing = identity.segment - before.segment - 1
		if (missing > 0) return await this.#checkMissingFiles(before, missing)
		const { previous } = identity
		// The previous files were already gone when this file was started, so there was no link to continue.
		const isUnlinked = previous === undefined || Buffer.compare(previous.link, NO_LINK) === 0
		if (isUnlinked) {
			this.#sums.areKnown = false
			this.#break()
		} else if (before.end?.link !== hex(previous.link)) await this.#checkBrokenSeam(before, previous)
	}

	#checkFirstSeq({ nextSeq, path: pathBefore }: Judged): void {
		const { firstSeq } = this.#file.identity
		if (firstSeq >= nextSeq) return
		const range = { fromSeq: firstSeq, toSeq: nextSeq - 1 }
		const compared = { expected: `seq ${nextSeq} or above`, found: `seq ${firstSeq}` }
		this.#find('wrongSeq', 'the file begins with a seq that the previous file already contains', {
			offset: 0,
			range,
			pathBefore,
			...compared,
		})
	}

	async #checkBrokenSeam(before: Judged, seam: Seam): Promise<void> {
		const original = before.wasRepaired ? await this.#checkOriginalOf(before, seam) : 'none'
		if (original === 'linked') return
		if (original === 'removed') return this.#beginAfter(await this.#reportRemovedBefore(before))
		this.#break()
		if (original === 'fits') return
		const found = hex(seam.link)
		if (original === 'differs') {
			const text =
				'the previous file was repaired, but repairing the original beside it produces a different file'
			this.#brokenLink(text, before, found)
		} else if (before.endsRepaired) {
			const text = `the previous file was repaired and no longer matches this one; ${noOriginal(before)}`
			this.#find('repaired', text, { offset: 0, bytes: HEADER_BYTES, severity: 'unchecked' })
		} else if (before.end?.isReadable === true) {
			const text = 'the header does not link to the previous file, which was changed or replaced'
			this.#brokenLink(text, before, found)
		}
	}

	/** Reports files that are missing before this one. */
	async #checkMissingFiles(before: Judged, missing: number): Promise<void> {
		const { segment } = this.#file.identity
		this.#sums.areKnown = false
		this.#break()
		const files = `${missing} ${missing === 1 ? 'file is' : 'files are'} missing before this one`
		const compared = { expected: `segment ${before.segment + 1}`, found: `segment ${segment}` }
		const { path: pathBefore } = before
		if (!before.endsRepaired) return this.#find('missingFile', files, { offset: 0, pathBefore, ...compared })
		// A repair has written a gap for the missing files. The gap is only as trustworthy as the repair.
		const original = await this.#checkOriginalOf(before, undefined)
		if (original === 'removed') return this.#beginAfter(await this.#reportRemovedBefore(before))
		const isBorneOut = original !== 'none'
		const because = isBorneOut ? '' : `; ${noOriginal(before)}`
		const text = `${files}, and a repair has written a gap for the missing records${because}`
		const severity = isBorneOut ? 'note' : 'unchecked'
		this.#find('missingFile', text, { offset: 0, severity, ...compared })
	}

	/**
	 * Checks a repaired file against its original. Returns `removed` if the repaired file was removed during
	 * the verification.
	 */
	async #checkOriginalOf({ path }: Judged, seam: Seam | undefined): Promise<OriginalCheck | 'removed'> {
		let file: OpenSegment
		try {
			file = await openFile(path, this.#held.chainPath, this.#held.system)
		} catch (error) {
			if (error instanceof MeshChainError && error.code === 'CHAIN_NOT_FOUND') return 'removed'
			throw error
		}
		try {
			return await checkOriginal(file, seam)
		} finally {
			await file.system.close(file.fd)
		}
	}

	#reportRemovedBefore({ path, firstSeq }: Judged): Promise<Removed> {
		return this.#reportRemoved(path, firstSeq, this.#file.identity.firstSeq)
	}

	#brokenLink(text: string, { path: pathBefore, end }: Judged, found: string): void {
		const expected = end?.link ?? 'none'
		this.#find('brokenLink', text, { offset: 0, bytes: HEADER_BYTES, pathBefore, expected, found })
	}

	/** Notes that no link in this file or a later one covers the files before this one. */
	#break(): void {
		this.#headSearch.breakAt({ path: this.#file.path, offset: 0 })
	}

	/** Notes that no link connects this file or a later one to the part before a removed file. */
	#beginAfter({ path, byRetention }: Removed): void {
		const place = { path, offset: 0 }
		if (byRetention) this.#headSearch.beginAnewWith(this.#file.identity, place)
		else this.#headSearch.breakAt(place)
	}

	#checkBeginning(): void {
		const { identity, chainPath } = this.#file
		const { segment, firstSeq } = identity
		const range = firstSeq > 1 ? { fromSeq: 1, toSeq: firstSeq - 1 } : undefined
		this.#headSearch.beginWith(this.#file.identity)
		// A sealed file that is verified on its own is only part of a chain.
		const isPart = ownerOf(this.#held.system, chainPath, identity) !== undefined
		if ((segment === 0 && range === undefined) || isPart) return
		if (range !== undefined && this.#keptFromSeq >= firstSeq) {
			const text = `${counted(firstSeq - 1, 'record is', 'records are')} absent: removed by retention`
			this.#find('gap', text, { offset: 0, range, severity: 'note' })
			return
		}
		if (segment === 0) {
			const text = 'the first file of the chain does not begin with its first record'
			this.#find('missingFile', text, { offset: 0, range, expected: 'seq 1', found: `seq ${firstSeq}` })
			return
		}
		const text =
			`${counted(segment, 'file is', 'files are')} missing before this one, ` +
			'and retention is not the cause'
		this.#find('missingFile', text, { offset: 0, range, expected: 'segment 0', found: `segment ${segment}` })
	}

	/** Checks that the chain contains everything below the watermark. */
	#checkWatermark(): void {
		const { segment } = this.#file.identity
		const { nextSeq } = this.#judge
		const evidence = watermarkEvidence(
			this.#watermark,
			{ segment },
			this.#judge.missedAt ?? this.#size,
			nextSeq,
		)
		if (this.#watermark === undefined || evidence !== 'missed') return
		const { seq, offset } = this.#watermark
		const lastSeq = nextSeq - 1
		const range = seq > lastSeq ? { fromSeq: lastSeq + 1, toSeq: seq } : undefined
		const lost =
			range === undefined
				? 'no records are lost'
				: `${counted(seq - lastSeq, 'record is', 'records are')} lost`
		const text = `the end of the file is missing, or an older copy has replaced the file; ${lost}`
		const isSameFile = segment === this.#watermark.segment
		const expected = `${isSameFile ? '' : `segment ${this.#watermark.segment}, `}${offset} bytes`
		const found = `${isSameFile ? '' : `segment ${segment}, `}${this.#size} bytes`
		this.#endIsMissing = true
		this.#find('truncated', text, { offset: this.#size, range, expected, found })
	}

	#checkClosed(): void {
		const reason = this.#judge.anchor?.reason
		if (reason === 'closed' || reason === 'sealed') return
		if (readHolder(this.#held.system, this.#held.chainPath) !== undefined) return
		const obstacle = lockObstacle(this.#held.system, this.#held.chainPath)
		const text =
			obstacle === undefined
				? `the last writer did not close the chain: ${this.#whyNotClosed}`
				: `the chain is not closed, and it is unknown whether a writer has it open (${obstacle})`
		this.#find('notClosed', text, { offset: this.#size })
	}

	get #whyNotClosed(): string {
		const unwritten = readUnwritten(this.#held.system, this.#held.chainPath)
		if (unwritten !== undefined) return 'its close failed'
		const why = 'it was killed, or the machine lost power'
		return this.#endIsMissing ? `${why}, or its closing anchor was cut off` : why
	}

	/** Reports a missing live file. If the last file is a sealed file, the live file after it is gone. */
	#checkLive(): void {
		const { path, chainPath } = this.#file
		if (path === chainPath) return
		const expected = `segment ${this.#file.identity.segment + 1} at ${chainPath}`
		this.#find('missingFile', 'the live file is missing or empty', {
			offset: this.#size,
			expected,
			found: 'none',
		})
	}

	#checkHead(): void {
		const end = { path: this.#file.path, offset: this.#size }
		this.#headSearch.report(this.#findings, {
			...end,
			lastSeq: this.#judge.nextSeq - 1,
			keptFromSeq: this.#keptFromSeq,
		})
	}

	#reportSuperseded(next: Frame | undefined): void {
		for (const superseded of this.#unreported) superseded.report(this.#findings, next)
		this.#unreported = []
	}

	#find(kind: VerifyFindingKind, message: string, at: Omit<Found, 'path'>): void {
		this.#findings.add(kind, message, { path: this.#file.path, ...at })
	}
}

function noOriginal({ path }: Judged): string {
	const name = `${basename(path)}.before-repair-…`
	return `the file that the repair replaced, ${name}, is missing, so the repair cannot be checked`
}
