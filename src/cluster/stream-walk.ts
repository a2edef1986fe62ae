/**
 * Extracts the records that match a query from the messages of a chain. Each record is returned once.
 *
 * Invariant: every seq from the start of the walk to the end that the chain had when the walk started is
 * covered by a record or a gap. This holds even if messages are removed from the stream during the walk. A
 * gap between messages has the cause `retained`, because the stream no longer has the records. If a message
 * between them could not be read, the cause is `damaged`. Such a gap does not extend beyond the last
 * requested seq.
 */
import { type Frame, firstCovered, inOne, RecordCollector, type ResolvedQuery } from '../chain/index.ts'
import type { SeqRanges } from '../merge/seq-ranges.ts'
import { matches } from '../model/filter.ts'
import { type GapData, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { endOf } from './chain-reader.ts'
import type { StreamNotes } from './stream-notes.ts'
import type { StreamMessage } from './subject-reader.ts'

/** The context of a walk, and the state that it shares with other walks of the same read. */
export interface WalkContext {
	/**
	 * Whether the walk starts at the chain's first message in the stream. Any earlier messages have been
	 * removed.
	 */
	readonly isFromStart: boolean
	/** Records that walks of this read have already examined. The walk adds the records that it examines. */
	readonly seen: SeqRanges
	readonly notes: StreamNotes
}

/** A forward walk over the messages of a chain. */
export class StreamWalk {
	readonly #query: ResolvedQuery
	readonly #context: WalkContext
	#collector: RecordCollector | undefined
	/** Whether the previous message could not be read completely. */
	#isDamaged = false

	constructor(query: ResolvedQuery, context: WalkContext) {
		this.#query = query
		this.#context = context
	}

	/** Whether no later message can contain a requested record. */
	get isPastEnd(): boolean {
		return this.#collector?.isPastEnd ?? false
	}

	/** Returns the matching records of the next message, and the gaps before them. */
	recordsIn(message: StreamMessage): LogRecord[] {
		const found: LogRecord[] = []
		this.#context.notes.inspect(message)
		const [first] = message.frames
		if (first !== undefined) for (const gap of this.gapBefore(first)) found.push(gap)
		for (const frame of message.frames) {
			if (this.isPastEnd) break
			for (const record of this.#newRecordsIn(frame, message)) found.push(record)
		}
		this.#isDamaged = !message.isWhole
		return found
	}

	/**
	 * Returns the gaps before a frame that belongs to this walk or to the next one.
	 *
	 * @param isDamaged Whether an unreadable message precedes the frame.
	 */
	gapBefore(frame: Frame, isDamaged = false): LogRecord[] {
		return this.#upTo(firstCovered(frame), frame, this.#isDamaged || isDamaged)
	}

	/** Returns the gaps up to the end that the chain had when the walk started. */
	missingAtEnd(last: StreamMessage): LogRecord[] {
		const [first] = last.frames
		const { epoch, seq } = endOf(last)
		if (first === undefined || this.isPastEnd || this.#context.seen.has(epoch, seq)) return []
		this.#begin(firstCovered(first))
		const missing = this.#upTo(seq + 1, first, this.#isDamaged)
		if (missing.length > 0) return missing
		// The collector returns no gap if an older epoch has the same seqs.
		const range = {
			fromSeq: first.baseSeq,
			toSeq: seq,
			count: seq - first.baseSeq + 1,
			cause: 'retained' as const,
		}
		const gap = gapRecord(range, { epoch, tsMs: first.baseTsMs })
		return matches(gap, this.#query) ? [this.#cut(gap, first.baseTsMs)] : []
	}

	#begin(seq: number): RecordCollector {
		const firstSeq = this.#context.isFromStart ? 1 : seq
		this.#collector ??= new RecordCollector(this.#query, undefined, { firstSeq })
		return this.#collector
	}

	#upTo(nextSeq: number, { baseTsMs }: Frame, isDamaged: boolean): LogRecord[] {
		const missing = this.#begin(nextSeq).upTo(nextSeq, isDamaged ? 'damaged' : 'retained')
		return missing.map((gap) => (isGap(gap) ? this.#cut(gap, baseTsMs) : gap))
	}

	/** Limits a gap for missing records to the requested seqs. */
	#cut(gap: LogRecord<'$gap', GapData>, tsMs: number): LogRecord {
		const { fromSeq, toSeq: lastSeq, count, cause } = gap.data as GapData
		const toSeq = Math.min(lastSeq, this.#query.toSeq)
		return gapRecord(
			{ fromSeq, toSeq, count: Math.min(count, toSeq - fromSeq + 1), cause },
			{ epoch: gap.epoch, tsMs },
		)
	}

	#newRecordsIn(frame: Frame, message: StreamMessage): readonly LogRecord[] {
		const { seen, notes } = this.#context
		const { epoch, baseSeq, rows } = frame
		let repeats = 0
		for (let seq = baseSeq; seq < baseSeq + rows; seq++) if (seen.has(epoch, seq)) repeats++
		if (repeats > 0) notes.warnOfRepeats(message)
		if (repeats === rows) return []
		const found = inOne(this.#collector!.take({ type: 'frame', frame }))
		const fresh = repeats === 0 ? found : found.filter((record) => !seen.has(record.epoch, record.seq))
		for (let seq = baseSeq; seq < baseSeq + rows; seq++) seen.add(epoch, seq)
		return fresh
	}
}
