/** What a verification finds in a chain: in each of its files (file-judge.ts), and between them. Never writes. */

import type { FindingKind, VerifyReport } from '../chain.ts'
import { bootId, bootSince } from '../files/boot-id.ts'
import { lockObstacle, readHolder } from '../files/lock.ts'
import { ownerOf } from '../files/segments.ts'
import { readWatermark } from '../files/watermark-file.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { HEADER_BYTES } from '../format/header.ts'
import type { Watermark } from '../format/watermark.ts'
import type { ChainFile } from '../read/chain-files.ts'
import { headOf } from '../read/info.ts'
import { NO_LINK } from '../scan/identity.ts'
import { type BadPlace, entryStart, type ScanEntry } from '../scan/scan.ts'
import type { OpenFile } from '../scan/walk.ts'
import { markEvidence, type Verdict, verdictOf } from '../write/recovery.ts'
import { FileJudge, Sums } from './file-judge.ts'
import { Findings, type Found } from './findings.ts'
import type { WantedHead } from './head.ts'
import { Superseded } from './superseded.ts'

/** A file that was judged, as the next one must follow it. */
interface Judged {
	readonly segment: number
	/** Of everything in it up to where it counts; undefined where that cannot be known. */
	readonly link: string | undefined
	readonly wasRepaired: boolean
}

interface Wanted {
	readonly head: WantedHead | undefined
	/** The first seq that retention has left. */
	readonly keptFromSeq: number
}

export class Judge {
	readonly #held: OpenFile
	readonly #wanted: Wanted
	readonly #mark: Watermark | undefined
	readonly #bootId: Uint8Array
	readonly #findings = new Findings()
	readonly #sums = new Sums()
	#file: OpenFile
	#size = 0
	#listed: ChainFile
	#judge: FileJudge
	#before: Judged | undefined
	#superseded: Superseded | undefined
	#headWasFound = false

	constructor(held: OpenFile, first: ChainFile, wanted: Wanted) {
		this.#held = held
		this.#file = held
		this.#listed = first
		this.#wanted = wanted
		this.#mark = readWatermark(held.system, held.chainPath, held.identity.id)
		this.#bootId = bootId(held.system)
		this.#sums.areKnown = first.identity.segment === 0
		this.#judge = this.#newJudge(held, new Findings())
	}

	/** A file that has been removed since the files were listed. */
	removed(
		{ identity, path, nextFirstSeq = identity.firstSeq }: ChainFile,
		cause: 'retained' | 'damaged',
	): void {
		this.#before = undefined
		this.#sums.areKnown = false
		const range = { fromSeq: identity.firstSeq, toSeq: nextFirstSeq - 1 }
		const text = 'this file was removed while the chain was verified'
		if (cause === 'retained')
			this.#findings.add('gap', `${text}, by retention`, { path, offset: 0, range, severity: 'note' })
		else this.#findings.add('missingFile', text, { path, offset: 0, range })
	}

	/** A file, which has so many bytes. */
	begin(file: OpenFile, size: number, listed: ChainFile): void {
		this.#file = file
		this.#size = size
		this.#listed = listed
		this.#sums.bytes += size
		this.#judge = this.#newJudge(file, this.#findings)
		if (this.#before === undefined) this.#checkBeginning()
		else this.#checkSeam(this.#before)
		if (listed.end === undefined || size >= listed.end) return
		const text = `the file ends ${listed.end - size} bytes before the place where the next one took over`
		this.#find('truncated', text, { offset: size, expected: `${listed.end} bytes`, found: `${size} bytes` })
	}

	async take(entry: ScanEntry): Promise<void> {
		if (entryStart(entry) >= (this.#listed.end ?? Number.POSITIVE_INFINITY)) {
			this.#superseded ??= new Superseded(this.#file.path, entryStart(entry))
			this.#superseded.take(entry)
			return
		}
		if (entry.type === 'frame') this.#tellSuperseded(entry.frame)
		await this.#judge.take(entry)
	}

	/** The end of the file. */
	async end(): Promise<void> {
		const { nextFirstSeq, end, identity } = this.#listed
		if (nextFirstSeq === undefined) {
			this.#checkMark()
			this.#checkClosed()
			this.#checkLive()
			return
		}
		this.#judge.upTo(nextFirstSeq, Math.min(end ?? this.#size, this.#size))
		// What is missing is in no sum, and in the totals of the anchors behind it.
		if (end !== undefined && this.#size < end) this.#sums.areKnown = false
		const link = end === undefined || this.#size < end ? undefined : await this.#judge.linkUpTo(end)
		this.#before = { segment: identity.segment, link, wasRepaired: this.#judge.wasRepaired }
	}

	/** The end of the chain. */
	finish(): VerifyReport {
		this.#tellSuperseded(undefined)
		this.#checkHead()
		const { records, frames, anchors, bytes } = this.#sums
		const findings = this.#findings.all
		const ok = !findings.some(({ severity }) => severity === 'damage')
		const head = headOf(this.#file.identity, this.#judge.anchor)
		return { ok, records, frames, anchors, bytes, findings, head }
	}

	#newJudge(file: OpenFile, findings: Findings): FileJudge {
		return new FileJudge(file, {
			findings,
			isFollowed: this.#listed.nextFirstSeq !== undefined,
			sums: this.#sums,
			verdictAt: (place, anchor) => this.#verdictAt(place, anchor),
			onLink: (link) => {
				if (link === this.#wanted.head?.link) this.#headWasFound = true
			},
		})
	}

	/** In a sealed file there is nothing that a crash explains: what it left was dealt with when the next one was begun. */
	#verdictAt(place: BadPlace, anchor: Anchor | undefined): Verdict {
		if (this.#listed.nextFirstSeq !== undefined) return 'damaged'
		return verdictOf({
			end: place.torn ? 'fragment' : 'invalid',
			hole: !place.atEnd,
			mark: markEvidence(this.#mark, this.#file.identity, place.offset),
			boot: bootSince(anchor?.bootId, this.#bootId),
		})
	}

	#checkSeam(before: Judged): void {
		const { identity } = this.#file
		// Its own sums are without what it lost, those behind it are not.
		if (before.wasRepaired) this.#sums.areKnown = false
		const missing = identity.segment - before.segment - 1
		if (missing > 0) {
			this.#sums.areKnown = false
			const text = `${missing} ${missing === 1 ? 'file' : 'files'} of the chain missing before this one`
			const compared = { expected: `segment ${before.segment + 1}`, found: `segment ${identity.segment}` }
			// What a repair has written a gap for is known to be gone.
			const severity = before.wasRepaired ? 'note' : 'damage'
			this.#find('missingFile', text, { offset: 0, severity, ...compared })
			return
		}
		const { previous } = identity
		// Begun when the file before was gone: there was nothing to link to.
		const isUnlinked = previous === undefined || Buffer.compare(previous.link, NO_LINK) === 0
		if (isUnlinked) this.#sums.areKnown = false
		const found = isUnlinked ? undefined : Buffer.from(previous.link).toString('hex')
		const expected = before.link
		if (found === undefined || expected === undefined || found === expected || before.wasRepaired) return
		const text = 'the header does not link to the file before it: that one was changed, or is another one'
		this.#find('brokenLink', text, { offset: 0, bytes: HEADER_BYTES, expected, found })
	}

	#checkBeginning(): void {
		const { identity, chainPath } = this.#file
		const { segment, firstSeq } = identity
		const range = firstSeq > 1 ? { fromSeq: 1, toSeq: firstSeq - 1 } : undefined
		// A sealed file that is verified by itself is only a part.
		const isPart = ownerOf(this.#held.system, chainPath, identity) !== undefined
		if (segment === 0 || isPart) return
		if (range !== undefined && this.#wanted.keptFromSeq >= firstSeq) {
			const text = `${firstSeq - 1} records absent: retention has removed them`
			this.#find('gap', text, { offset: 0, range, severity: 'note' })
			return
		}
		const text = `${segment} ${segment === 1 ? 'file' : 'files'} of the chain missing before this one, and not removed by retention`
		this.#find('missingFile', text, { offset: 0, range, expected: 'segment 0', found: `segment ${segment}` })
	}

	/** What the watermark vouches for must be there. */
	#checkMark(): void {
		const { segment } = this.#file.identity
		const { nextSeq } = this.#judge
		const evidence = markEvidence(this.#mark, { segment }, this.#size, nextSeq)
		if (this.#mark === undefined || evidence !== 'missed') return
		const { seq, offset } = this.#mark
		const lastSeq = nextSeq - 1
		const range = seq > lastSeq ? { fromSeq: lastSeq + 1, toSeq: seq } : undefined
		const lost = range === undefined ? 'no records are lost' : `${seq - lastSeq} records are lost`
		const text = `the file is shorter than what was on disk once, or an older one is in its place; ${lost}`
		const expected = `segment ${this.#mark.segment}, ${offset} bytes`
		const found = `segment ${segment}, ${this.#size} bytes`
		this.#find('truncated', text, { offset: this.#size, range, expected, found })
	}

	#checkClosed(): void {
		const reason = this.#judge.anchor?.reason
		if (reason === 'closed' || reason === 'sealed') return
		if (readHolder(this.#held.system, this.#held.chainPath) !== undefined) return
		const obstacle = lockObstacle(this.#held.system, this.#held.chainPath)
		const text =
			obstacle === undefined
				? 'the last writer did not close the chain: it was killed, or lost power'
				: `the chain is not closed, and whether a writer has it open cannot be told (${obstacle})`
		this.#find('notClosed', text, { offset: this.#size })
	}

	/** A sealed file is followed by another one: that it is the last means that the live one is gone. */
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
		const { head, keptFromSeq } = this.#wanted
		if (head === undefined || this.#headWasFound) return
		const lastSeq = this.#judge.nextSeq - 1
		const compared = { expected: `head ${head.link} at seq ${head.seq}`, found: `seq ${lastSeq} as the last` }
		if (head.chainId !== this.#file.identity.idHex) {
			const text = 'this is another chain than the one whose head was kept'
			this.#find('headMissing', text, { offset: 0, expected: head.chainId, found: this.#file.identity.idHex })
		} else if (head.seq < keptFromSeq - 1) {
			const text = 'the head was in a file that retention has removed'
			this.#find('headMissing', text, { offset: 0, severity: 'note' })
		} else if (lastSeq < head.seq) {
			const text =
				'the chain ends before the head that was kept: it was truncated, or an older copy is in its place'
			const range = { fromSeq: lastSeq + 1, toSeq: head.seq }
			this.#find('headMissing', text, { offset: this.#size, range, ...compared })
		} else {
			const text = 'the head that was kept is not in this chain: what it covers was cut back or written again'
			this.#find('headMissing', text, { offset: 0, range: { fromSeq: 1, toSeq: head.seq }, ...compared })
		}
	}

	#tellSuperseded(next: Frame | undefined): void {
		this.#superseded?.tell(this.#findings, next)
		this.#superseded = undefined
	}

	#find(kind: FindingKind, message: string, at: Omit<Found, 'path'>): void {
		this.#findings.add(kind, message, { path: this.#file.path, ...at })
	}
}
