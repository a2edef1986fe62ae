/** What is known of a chain in a stream without reading it: from the sums that its first and its last message have. What the stream has removed is not among them. */
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
import { joined, NO_SUMS, type Sums, sumsOfFrame, sumsOfRecords } from './message.ts'
import type { StreamNotes } from './stream-notes.ts'
import type { StreamMessage, SubjectReader } from './subject-reader.ts'

/** Places of the stream that are looked at together, at first, where the last message says nothing. */
const PLACES = 64

interface Newest {
	readonly frame: Frame
	/** Of the chain up to and with it. */
	readonly sums: Sums
}

export async function infoOf(path: string, stream: ChainReader, notes: StreamNotes): Promise<ChainInfo> {
	const end = await stream.end()
	const { newest, before, first } = await boundsOf(stream, end, notes)
	const { chainId } = stream
	const sums = newest?.sums ?? NO_SUMS
	const levels = Object.fromEntries(
		LOG_LEVELS.map((level, index) => [level, sums.levels[index]! - before.levels[index]!]),
	) as Record<LogLevel, number>
	const [firstFrame] = first?.frames ?? []
	const firstSeq = firstFrame === undefined ? undefined : firstCovered(firstFrame)
	const lastSeq = newest === undefined ? undefined : newest.frame.baseSeq + newest.frame.rows - 1
	const removed = firstSeq === undefined ? (lastSeq ?? 0) : firstSeq - 1
	const byCause = Object.fromEntries(
		Object.entries(sums.absent).map(([cause, count]) => [cause, count - (before.absent[cause] ?? 0)]),
	)
	if (removed > 0) byCause['retained'] = (byCause['retained'] ?? 0) + removed
	const losses = Object.entries(byCause).filter(([cause]) => severityOfCause(cause) === 'loss')
	const recordsLost = losses.reduce((total, [, count]) => total + count, 0)
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
		levels,
		gaps: {
			count: sums.gaps - before.gaps + (removed > 0 ? 1 : 0),
			records: Object.values(byCause).reduce((total, count) => total + count, 0),
			byCause,
		},
		epochs: [],
		state: 'open',
		exitCode: undefined,
		holder: undefined,
		tornBytes: 0,
		damagedPlaces: notes.damagedPlaces,
		damagedBytes: notes.damagedBytes,
		answer: answerFor([notes.damagedPlaces > 0 ? 'damage' : 'note', recordsLost > 0 ? 'loss' : 'note']),
		recordsLost,
		head: { chainId, segment: 0, epoch: newest?.frame.epoch ?? 0, seq: lastSeq ?? 0, offset: 0, link: '' },
	}
}

interface Bounds {
	readonly newest: Newest | undefined
	/** The first message that can be read, and the sums of what was before it. */
	readonly first: StreamMessage | undefined
	readonly before: Sums
}

async function boundsOf(stream: ChainReader, end: ChainEnd, notes: StreamNotes): Promise<Bounds> {
	const [subject, ...others] = stream.subjects
	if (others.length > 0) return boundsByReading(stream, end, notes)
	const newest = end.last && (await newestUpTo(subject!, end.last, notes))
	const first = newest && (await firstReadable(subject!, notes))
	const before = first === undefined ? (newest?.sums ?? NO_SUMS) : without(first)
	return { newest, first, before }
}

/** Each subject has sums of its own: they do not say what several have in common. */
async function boundsByReading(stream: ChainReader, end: ChainEnd, notes: StreamNotes): Promise<Bounds> {
	let first: StreamMessage | undefined
	let newest: Newest | undefined
	let last: ConsumerCursor = { epoch: 0, seq: 0 }
	for await (const message of stream.read(stream.start, end)) {
		notes.look(message)
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
				sums: joined(newest === undefined || missing === 0 ? before : joined(before, absent), own),
			}
			last = { epoch, seq: Math.max(last.seq, baseSeq + rows - 1) }
		}
	}
	return { newest, first, before: NO_SUMS }
}

/** The newest frame that can be read. Where its message has no sums, they are those of a message before it with what came since. */
async function newestUpTo(
	stream: SubjectReader,
	last: StreamMessage,
	notes: StreamNotes,
): Promise<Newest | undefined> {
	notes.look(last)
	const [lastFrame, sums] = [last.frames.at(-1), last.sums]
	if (lastFrame !== undefined && sums !== undefined) return { frame: lastFrame, sums }
	let frame: Frame | undefined
	let since = NO_SUMS
	let places = PLACES
	for (let to = last.streamSeq; to > 0; to -= places, places *= 2) {
		let found: Frame | undefined
		let known: Sums | undefined
		let own = NO_SUMS
		for await (const message of stream.read({ from: Math.max(1, to - places + 1), to })) {
			notes.look(message)
			if (message.frames.length === 0) continue
			found = message.frames.at(-1)
			known = message.sums ?? known
			own = message.sums === undefined ? joined(own, sumsOfMessage(message)) : NO_SUMS
		}
		frame ??= found
		since = joined(own, since)
		if (frame !== undefined && known !== undefined) return { frame, sums: joined(known, since) }
	}
	return frame && { frame, sums: since }
}

async function firstReadable(stream: SubjectReader, notes: StreamNotes): Promise<StreamMessage | undefined> {
	const first = await stream.firstFrom(1)
	if (first === undefined || first.frames.length > 0) return first
	for await (const message of stream.read({ from: first.streamSeq, to: Number.POSITIVE_INFINITY })) {
		notes.look(message)
		if (message.frames.length > 0) return message
	}
	return undefined
}

/** The sums before a message. */
function without(message: StreamMessage): Sums {
	const { sums } = message
	if (sums === undefined) return NO_SUMS
	const own = sumsOfMessage(message)
	return {
		...sums,
		records: sums.records - own.records,
		levels: sums.levels.map((count, index) => count - own.levels[index]!),
		gaps: sums.gaps - own.gaps,
		absent: Object.fromEntries(
			Object.entries(sums.absent).map(([cause, count]) => [cause, count - (own.absent[cause] ?? 0)]),
		),
		bytes: sums.bytes - own.bytes,
	}
}

function sumsOfMessage({ frames }: StreamMessage): Sums {
	return frames.map(sumsIfAny).reduce(joined, NO_SUMS)
}

function sumsIfAny(frame: Frame): Sums {
	try {
		return sumsOfFrame(frame)
	} catch {
		return { ...NO_SUMS, bytes: frame.length }
	}
}
