/** Collects `ChainInfo` in one walk over the entries of a chain, or over the anchors of a large chain. */
import { type GapData, isGap, LOG_LEVELS, type LogLevel, type LogRecord } from '../../model/record.ts'
import { answerFor, type Severity, severityOfRecord } from '../answer.ts'
import type { ChainHead, ChainInfo, ChainState, EpochInfo, SegmentInfo } from '../chain.ts'
import { lockObstacle, readHolder, readUnwritten } from '../files/lock-holder.ts'
import { type Anchor, CLOSED_WITHOUT_EXIT } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { FORMAT_VERSION, HEADER_BYTES } from '../format/header.ts'
import { Continuity, unreadableRows } from '../scan/continuity.ts'
import { rowsOf } from '../scan/frame-rows.ts'
import type { ChainIdentity } from '../scan/identity.ts'
import type { ScanEntry } from '../scan/scan.ts'
import { type OpenSegment, walkFile } from '../scan/walk.ts'
import type { ChainFile, ChainFiles } from './chain-files.ts'
import { walkedFile } from './file-query.ts'
import { type DescribedRegion, infoParts } from './info-parts.ts'
import { causeOfAbsence, gapBeforeFirst, removedGap } from './missing-files.ts'
import { wholeFile } from './seek.ts'

/** Number of bytes that are always read, so that `info()` covers every frame of a small chain. */
const READ_BYTES_MIN = 1024 * 1024

/** @param full whether to read every frame, regardless of the size of the chain. */
export async function gatherInfo(files: ChainFiles, full: boolean): Promise<ChainInfo> {
	const { system, chainPath } = files.held
	const walk = new InfoWalk(full ? Number.POSITIVE_INFINITY : READ_BYTES_MIN)
	const listing = files.hold()
	try {
		walk.gap(await gapBeforeFirst(files, listing.files))
		for (const each of listing.files) await walkOne(walk, files, each)
	} finally {
		files.release(listing)
	}
	const isClosed = walk.lastAnchor?.reason === 'closed' && !walk.framesAfterAnchor
	if (isClosed) return walk.finish(files.held, undefined, undefined)
	const info = walk.finish(files.held, readHolder(system, chainPath), lockObstacle(system, chainPath))
	return info.state === 'crashed' ? { ...info, unwritten: readUnwritten(system, chainPath) } : info
}

async function walkOne(walk: InfoWalk, files: ChainFiles, listed: ChainFile): Promise<void> {
	const { end, nextFirstSeq, isNextMissing } = listed
	const file = await files.open(listed)
	if (file === undefined) {
		walk.gap(await removedGap(files, listed))
		return
	}
	try {
		const { size } = await file.system.fstat(file.fd)
		walk.begin(file, size, nextFirstSeq !== undefined)
		const to = Math.min(size, end ?? size)
		for await (const part of walk.readsAll(to) ? [wholeFile(to)] : infoParts(file, to)) {
			if ('extent' in part) walk.region(part)
			else
				for await (const entries of walkFile(file, part.from, part.to))
					for (const entry of entries) walk.take(entry)
		}
		if (nextFirstSeq === undefined) return
		walk.end(nextFirstSeq, isNextMissing ? await causeOfAbsence(files, nextFirstSeq) : undefined)
	} finally {
		await files.close(file)
	}
}

/** Returns the head of a chain, given its newest anchor. */
export function headOf(identity: ChainIdentity, anchor: Anchor | undefined): ChainHead {
	return {
		chainId: identity.idHex,
		segment: identity.segment,
		epoch: anchor?.epoch ?? 0,
		seq: anchor === undefined ? 0 : anchor.nextSeq - 1,
		offset: anchor?.offset ?? 0,
		link: anchor === undefined ? '' : Buffer.from(anchor.link).toString('hex'),
	}
}

interface EpochWalk {
	epoch: number
	openedMs: number
	firstSeq: number | undefined
	lastSeq: number | undefined
	closed: Anchor | undefined
	cutBytes: number
}

class InfoWalk {
	lastAnchor: Anchor | undefined
	framesAfterAnchor = false
	#continuity = new Continuity(undefined, { firstSeq: 1 })
	#identity: ChainIdentity | undefined
	#createdMs: number | undefined
	readonly #segments: SegmentInfo[] = []
	readonly #epochs: EpochWalk[] = []
	readonly #byCause: Record<string, number> = {}
	readonly #levels = LOG_LEVELS.map(() => 0)
	#gapCount = 0
	#gapRecords = 0
	#records = 0
	#firstSeq: number | undefined
	#lastSeq: number | undefined
	#minTsMs = Number.POSITIVE_INFINITY
	#maxTsMs = Number.NEGATIVE_INFINITY
	#tornBytes = 0
	#damagedPlaces = 0
	#damagedBytes = 0
	readonly #severities = new Set<Severity>()
	#recordsLost = 0
	#isAllRead = true
	/** Number of bytes that may still be read even though anchors would suffice. */
	#readBytesLeft: number

	constructor(readBytesMax: number) {
		this.#readBytesLeft = readBytesMax
	}

	/** Returns whether to read all `bytes` of the next file. If so, deducts them from the limit. */
	readsAll(bytes: number): boolean {
		if (bytes > this.#readBytesLeft) return false
		this.#readBytesLeft -= bytes
		return true
	}

	begin(file: OpenSegment, bytes: number, isFollowed: boolean): void {
		const { identity, path } = file
		const walked = walkedFile(file)
		this.#continuity = new Continuity(undefined, { ...walked, isFollowed })
		this.#identity = identity
		if (this.#segments.length === 0) this.#createdMs = identity.createdMs
		this.#segments.push({ path, segment: identity.segment, firstSeq: identity.firstSeq, bytes })
		if (identity.headerDamaged) this.damaged(HEADER_BYTES)
	}

	take(entry: ScanEntry): void {
		if (entry.type === 'frame') this.#frame(entry.frame)
		else if (entry.type === 'anchor') this.#anchor(entry.anchor)
		else {
			const { place } = entry
			const isUnsynced = this.#continuity.isUnsynced(place)
			if (place.torn || (place.atEnd && isUnsynced)) this.#tornBytes += place.bytes
			else this.damaged(place.bytes, isUnsynced ? 'loss' : 'damage')
			this.gap(this.#continuity.bad(place))
		}
	}

	/** Adds the records between two anchors, without reading them. */
	region({ lower, upper, extent, levelCounts }: DescribedRegion): void {
		this.#isAllRead = false
		const records = upper.nextSeq - lower.nextSeq
		if (records > 0) {
			this.#records += records
			for (const [level, count] of levelCounts.entries()) this.#levels[level]! += count
			this.#minTsMs = Math.min(this.#minTsMs, extent.minTsMs)
			this.#maxTsMs = Math.max(this.#maxTsMs, extent.maxTsMs)
			const epoch = this.#epochOf(upper.epoch, lower.writtenMs)
			epoch.closed = undefined
			this.#firstSeq ??= lower.nextSeq
			epoch.firstSeq ??= lower.nextSeq
			epoch.lastSeq = upper.nextSeq - 1
			this.#lastSeq = upper.nextSeq - 1
		}
		this.#continuity.skipTo(upper)
		this.#anchor(upper)
	}

	/** Ends the current file. `nextFirstSeq` is the first seq of the next file. */
	end(nextFirstSeq: number, cause: GapData['cause'] | undefined): void {
		this.gap(this.#continuity.upTo(nextFirstSeq, cause))
	}

	damaged(bytes: number, severity: Severity = 'damage'): void {
		this.#severities.add(severity)
		this.#damagedPlaces++
		this.#damagedBytes += bytes
	}

	finish(
		{ chainPath, identity }: OpenSegment,
		holder: ChainInfo['holder'],
		obstacle: string | undefined,
	): ChainInfo {
		const epochs = this.#epochs.map((epoch, index): EpochInfo => {
			const isLast = index === this.#epochs.length - 1
			const state = stateOf(epoch.closed, isLast && holder !== undefined, isLast ? obstacle : undefined)
			return {
				epoch: epoch.epoch,
				openedMs: epoch.openedMs,
				firstSeq: epoch.firstSeq,
				lastSeq: epoch.lastSeq,
				state,
				exitCode: state === 'exited' ? epoch.closed?.detail : undefined,
				cutBytes: epoch.cutBytes,
			}
		})
		const last = epochs.at(-1)
		return {
			path: chainPath,
			chainId: identity.idHex,
			formatVersion: FORMAT_VERSION,
			createdMs: this.#createdMs ?? epochs[0]?.openedMs,
			bytes: this.#segments.reduce((sum, { bytes }) => sum + bytes, 0),
			segments: this.#segments,
			records: this.#records,
			firstSeq: this.#firstSeq,
			lastSeq: this.#lastSeq,
			minTsMs: this.#records === 0 ? undefined : this.#minTsMs,
			maxTsMs: this.#records === 0 ? undefined : this.#maxTsMs,
			levels: Object.fromEntries(
				LOG_LEVELS.map((level, index) => [level, this.#levels[index] ?? 0]),
			) as Record<LogLevel, number>,
			gaps: { count: this.#gapCount, records: this.#gapRecords, byCause: this.#byCause },
			epochs,
			state: last?.state ?? 'crashed',
			exitCode: last?.exitCode,
			holder,
			...(last?.state === 'unknown' ? { unknownBecause: obstacle! } : {}),
			tornBytes: this.#tornBytes,
			damagedPlaces: this.#damagedPlaces,
			damagedBytes: this.#damagedBytes,
			answer: answerFor(this.#severities),
			recordsLost: this.#recordsLost,
			...(this.#isAllRead ? {} : { notChecked: 'frames between anchors' }),
			head: headOf(this.#identity ?? identity, this.lastAnchor),
		}
	}

	#anchor(anchor: Anchor): void {
		this.gap(this.#continuity.anchor(anchor))
		this.lastAnchor = anchor
		this.framesAfterAnchor = false
		const epoch = this.#epochOf(anchor.epoch, anchor.writtenMs)
		if (anchor.reason === 'opened') {
			epoch.openedMs = anchor.writtenMs
			epoch.cutBytes = anchor.detail
		} else if (anchor.reason === 'closed') epoch.closed = anchor
	}

	#frame(frame: Frame): void {
		const { nextSeq } = this.#continuity
		this.gap(this.#continuity.frame(frame))
		this.framesAfterAnchor = true
		const epoch = this.#epochOf(frame.epoch, frame.baseTsMs)
		epoch.closed = undefined
		const lastSeq = frame.baseSeq + frame.rows - 1
		for (const record of rowsOf(frame) ?? [unreadableRows(frame)]) {
			if (isGap(record)) {
				this.gap(record, nextSeq)
				continue
			}
			this.#records++
			this.#levels[LOG_LEVELS.indexOf(record.level)]! += 1
			this.#minTsMs = Math.min(this.#minTsMs, record.tsMs)
			this.#maxTsMs = Math.max(this.#maxTsMs, record.tsMs)
			this.#firstSeq ??= record.seq
			epoch.firstSeq ??= record.seq
		}
		epoch.lastSeq = lastSeq
		this.#lastSeq = lastSeq
	}

	#epochOf(number: number, seenMs: number): EpochWalk {
		const last = this.#epochs.at(-1)
		if (last !== undefined && last.epoch === number) return last
		const epoch: EpochWalk = {
			epoch: number,
			openedMs: seenMs,
			firstSeq: undefined,
			lastSeq: undefined,
			closed: undefined,
			cutBytes: 0,
		}
		this.#epochs.push(epoch)
		return epoch
	}

	/**
	 * @param nextSeq the seq that was expected before the gap was read. The chain contains the records below
	 * this seq, so they are not lost even if the gap covers them.
	 */
	gap(record: LogRecord<'$gap', GapData> | undefined, nextSeq = 1): void {
		const gap = record?.data
		if (record === undefined || gap === undefined) return
		const severity = severityOfRecord(record)
		this.#severities.add(severity)
		const { fromSeq, toSeq } = gap
		if (severity === 'loss') this.#recordsLost += toSeq - Math.max(fromSeq, Math.min(nextSeq, toSeq)) + 1
		this.#gapCount++
		this.#gapRecords += gap.count
		const before = Object.hasOwn(this.#byCause, gap.cause) ? this.#byCause[gap.cause]! : 0
		this.#byCause[gap.cause] = before + gap.count
	}
}

/** Returns the state of an epoch, as shown by its closing anchor or, if there is none, by the lock. */
export function stateOf(closed: Anchor | undefined, isHeld: boolean, obstacle?: string): ChainState {
	if (closed !== undefined) return closed.detail === CLOSED_WITHOUT_EXIT ? 'closed' : 'exited'
	if (isHeld) return 'open'
	return obstacle === undefined ? 'crashed' : 'unknown'
}
