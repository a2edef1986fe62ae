/**
 * Collects information about a chain in a stream. For a chain with one subject, the sums in the first and the
 * last message are usually sufficient; otherwise, more messages are read. Records that the stream has removed
 * count only as absent.
 */
import {
	answerFor,
	type ChainInfo,
	type Frame,
	firstCovered,
	rowsOf,
	severityOfCause,
} from '../chain/index.ts'
import type { ConsumerCursor } from '../consume/cursor-file.ts'
import { LOG_LEVELS, type LogLevel } from '../model/record.ts'
import { type ChainEnd, type ChainReader, compareCursors } from './chain-reader.ts'
import { addSums, NO_SUMS, type Sums, sumsOfFrame, sumsOfRecords } from './message-sums.ts'
import type { StreamNotes } from './stream-notes.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Number of stream sequences in the first step of the backward search if the last message has no sums. */
const WINDOW_SEQS = 64

interface Newest {
	readonly frame: Frame
	/** Sums of the chain up to and including the frame. */
	readonly sums: Sums
}

/** The two ends of a chain in a stream. */
interface Bounds {
	readonly newest: Newest | undefined
	/** First readable message. */
	readonly first: StreamMessage | undefined
	/** Sums of the messages before the first readable message. */
	readonly before: Sums
}

/** Returns the result of `info()` for a chain in a stream. */
export async function infoOf(path: string, reader: ChainReader, notes: StreamNotes): Promise<ChainInfo> {
	const { newest, before, first } = await boundsOf(reader, await reader.end(), notes)
	const { chainId } = reader
	const sums = newest?.sums ?? NO_SUMS
	const [firstFrame] = first?.frames ?? []
	const firstSeq = firstFrame === undefined ? undefined : firstCovered(firstFrame)
	const lastSeq = newest === undefined ? undefined : newest.frame.baseSeq + newest.frame.rows - 1
	const removed = firstSeq === undefined ? (lastSeq ?? 0) : firstSeq - 1
	const byCause = absentByCause(sums, before, removed)
	const recordsLost = total(byCause, (cause) => severityOfCause(cause) === 'loss')
	const { damagedPlaces, damagedBytes } = notes
	return {
		path,
		chainId,
		formatVersion: 1,
		createdMs: firstFrame?.baseTsMs,
		bytes: sums.bytes - before.bytes,
		segments: [],
		records: sums.records - before.records,
		firstSeq,
		lastSeq,
		minTsMs: sums.minTsMs ?? undefined,
		maxTsMs: sums.maxTsMs ?? undefined,
		levels: levelsBetween(before, sums),
		gaps: { count: sums.gaps - before.gaps + (removed > 0 ? 1 : 0), records: total(byCause), byCause },
		epochs: [],
		state: 'open',
		exitCode: undefined,
		holder: undefined,
		tornBytes: 0,
		damagedPlaces,
		damagedBytes,
		answer: answerFor([damagedPlaces > 0 ? 'damage' : 'note', recordsLost > 0 ? 'loss' : 'note']),
		recordsLost,
		head: { chainId, segment: 0, epoch: newest?.frame.epoch ?? 0, seq: lastSeq ?? 0, offset: 0, link: '' },
	}
}

/**
 * Returns the number of absent records, by cause. Records that the stream has removed count as `retained`.
 */
function absentByCause(sums: Sums, before: Sums, removed: number): Record<string, number> {
	const byCause = absentBetween(before.absent, sums.absent)
	if (removed > 0) byCause['retained'] = (byCause['retained'] ?? 0) + removed
	return byCause
}

function absentBetween(before: Sums['absent'], sums: Sums['absent']): Record<string, number> {
	return Object.fromEntries(
		Object.entries(sums).map(([cause, count]) => [cause, count - (before[cause] ?? 0)]),
	)
}

function total(byCause: Readonly<Record<string, number>>, isWanted = (_cause: string) => true): number {
	return Object.entries(byCause).reduce((sum, [cause, count]) => sum + (isWanted(cause) ? count : 0), 0)
}

function levelsBetween(before: Sums, sums: Sums): Record<LogLevel, number> {
	return Object.fromEntries(
		LOG_LEVELS.map((level, index) => [level, sums.levels[index]! - before.levels[index]!]),
	) as Record<LogLevel, number>
}

async function boundsOf(reader: ChainReader, end: ChainEnd, notes: StreamNotes): Promise<Bounds> {
	const [subject, ...others] = reader.subjects
	if (others.length > 0) return boundsByReading(reader, end, notes)
	const newest = end.last && (await newestUpTo(subject!, end.last, notes))
	const first = newest && (await firstReadable(subject!, notes))
	const before = first === undefined ? (newest?.sums ?? NO_SUMS) : sumsBefore(first)
	return { newest, first, before }
}

/**
 * Finds the bounds by reading all messages. The sums of several subjects cannot be combined, because they do
 * not show which records the subjects share.
 */
async function boundsByReading(reader: ChainReader, end: ChainEnd, notes: StreamNotes): Promise<Bounds> {
	let first: StreamMessage | undefined
	let newest: Newest | undefined
	let last: ConsumerCursor = { epoch: 0, seq: 0 }
	for await (const message of reader.read(reader.start, end)) {
		notes.inspect(message)
		first ??= message.frames.length > 0 ? message : undefined
		for (const frame of message.frames) {
			const { epoch, baseSeq, rows } = frame
			const fresh = [...(rowsOf(frame) ?? [])].filter((record) => compareCursors(record, last) > 0)
			const own = fresh.length === rows ? sumsIfAny(frame) : sumsOfRecords(fresh, 0)
			const missing = Math.max(0, firstCovered(frame) - last.seq - 1)
			const absent = { ...NO_SUMS, gaps: 1, absent: { retained: missing } }
			const before = newest?.sums ?? NO_SUMS
			if (fresh.length === 0) continue
			newest = {
				frame,
				sums: addSums(newest === undefined || missing === 0 ? before : addSums(before, absent), own),
			}
			last = { epoch, seq: Math.max(last.seq, baseSeq + rows - 1) }
		}
	}
	return { newest, first, before: NO_SUMS }
}

/**
 * Finds the newest readable frame. If its message has no sums, computes them by adding the later records to
 * the sums of an earlier message.
 */
async function newestUpTo(
	subject: SubjectReader,
	last: StreamMessage,
	notes: StreamNotes,
): Promise<Newest | undefined> {
	notes.inspect(last)
	const [lastFrame, sums] = [last.frames.at(-1), last.sums]
	if (lastFrame !== undefined && sums !== undefined) return { frame: lastFrame, sums }
	let frame: Frame | undefined
	let since = NO_SUMS
	let seqs = WINDOW_SEQS
	for (let to = last.streamSeq; to > 0; to -= seqs, seqs *= 2) {
		let found: Frame | undefined
		let known: Sums | undefined
		let own = NO_SUMS
		for await (const message of subject.read({ from: Math.max(1, to - seqs + 1), to })) {
			notes.inspect(message)
			if (message.frames.length === 0) continue
			found = message.frames.at(-1)
			known = message.sums ?? known
			own = message.sums === undefined ? addSums(own, sumsOfMessage(message)) : NO_SUMS
		}
		frame ??= found
		since = addSums(own, since)
		if (frame !== undefined && known !== undefined) return { frame, sums: addSums(known, since) }
	}
	return frame && { frame, sums: since }
}

async function firstReadable(subject: SubjectReader, notes: StreamNotes): Promise<StreamMessage | undefined> {
	const first = await subject.firstFrom(1)
	if (first === undefined || first.frames.length > 0) return first
	for await (const message of subject.read({ from: first.streamSeq, to: Number.POSITIVE_INFINITY })) {
		notes.inspect(message)
		if (message.frames.length > 0) return message
	}
	return undefined
}

/**
 * Returns the sums of all messages before a message. The earliest and the latest time still cover that
 * message, because times cannot be subtracted.
 */
function sumsBefore(message: StreamMessage): Sums {
	const { sums } = message
	if (sums === undefined) return NO_SUMS
	const own = sumsOfMessage(message)
	return {
		...sums,
		records: sums.records - own.records,
		levels: sums.levels.map((count, index) => count - own.levels[index]!),
		gaps: sums.gaps - own.gaps,
		absent: absentBetween(own.absent, sums.absent),
		bytes: sums.bytes - own.bytes,
	}
}

function sumsOfMessage({ frames }: StreamMessage): Sums {
	return frames.map(sumsIfAny).reduce(addSums, NO_SUMS)
}

function sumsIfAny(frame: Frame): Sums {
	try {
		return sumsOfFrame(frame)
	} catch {
		return { ...NO_SUMS, bytes: frame.length }
	}
}
