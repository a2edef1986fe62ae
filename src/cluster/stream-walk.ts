/**
 * Turns the messages of a walk through a stream into the records that match, each once.
 *
 * Invariant: every seq of the walk is in a record or in a gap, from where it begins to the end that was known when it
 * began, whatever was removed from the stream meanwhile. A gap between messages is `retained`: the stream has them no
 * more. It is `damaged` where a message in between could not be read. Such a gap ends with the last seq that was asked
 * for at the latest.
 */

import { type Frame, firstCovered, inOne, RecordCollector, type ResolvedQuery } from '../chain/index.ts'
import type { SeqRanges } from '../merge/seq-ranges.ts'
import { matches } from '../model/filter.ts'
import { type GapData, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { endOf } from './chain-reader.ts'
import type { StreamNotes } from './stream-notes.ts'
import type { StreamMessage } from './subject-reader.ts'

export interface WalkPosition {
	/** Nothing of the chain stands before it: what is missing there was removed. */
	readonly isHead: boolean
	/** What was handed out already; what the walk hands out is added. */
	readonly given: SeqRanges
	readonly notes: StreamNotes
}

export class Walk {
	readonly #query: ResolvedQuery
	readonly #place: WalkPosition
	#collector: RecordCollector | undefined
	/** The message before could not be read, or not to its end. */
	#isDamaged = false

	constructor(query: ResolvedQuery, place: WalkPosition) {
		this.#query = query
		this.#place = place
	}

	get isPastEnd(): boolean {
		return this.#collector?.isPastEnd ?? false
	}

	take(message: StreamMessage): LogRecord[] {
		const found: LogRecord[] = []
		this.#place.notes.look(message)
		const [first] = message.frames
		if (first !== undefined) for (const gap of this.before(first)) found.push(gap)
		for (const frame of message.frames) {
			if (this.isPastEnd) break
			for (const record of this.#takeFrame(frame, message)) found.push(record)
		}
		this.#isDamaged = !message.isWhole
		return found
	}

	/**
	 * What is missing before a frame: one of this walk, or of one that came behind it.
	 *
	 * @param isDamaged whether something that could not be read stands before the frame.
	 */
	before(frame: Frame, isDamaged = false): LogRecord[] {
		return this.#upTo(firstCovered(frame), frame, this.#isDamaged || isDamaged)
	}

	/** What is missing up to the end that was known when the walk began. */
	end(last: StreamMessage): LogRecord[] {
		const [first] = last.frames
		const { epoch, seq } = endOf(last)
		if (first === undefined || this.isPastEnd || this.#place.given.has(epoch, seq)) return []
		this.#begin(firstCovered(first))
		const missing = this.#upTo(seq + 1, first, this.#isDamaged)
		if (missing.length > 0) return missing
		// An older epoch has these seqs too.
		const span = {
			fromSeq: first.baseSeq,
			toSeq: seq,
			count: seq - first.baseSeq + 1,
			cause: 'retained' as const,
		}
		const gap = gapRecord(span, { epoch, tsMs: first.baseTsMs })
		return matches(gap, this.#query) ? [this.#cut(gap, first.baseTsMs)] : []
	}

	#begin(seq: number): RecordCollector {
		const firstSeq = this.#place.isHead ? 1 : seq
		this.#collector ??= new RecordCollector(this.#query, undefined, { firstSeq })
		return this.#collector
	}

	#upTo(nextSeq: number, { baseTsMs }: Frame, isDamaged: boolean): LogRecord[] {
		const missing = this.#begin(nextSeq).upTo(nextSeq, isDamaged ? 'damaged' : 'retained')
		return missing.map((gap) => (isGap(gap) ? this.#cut(gap, baseTsMs) : gap))
	}

	/** A gap that was made of what is missing, up to the last seq that is asked for. */
	#cut(gap: LogRecord<'$gap', GapData>, tsMs: number): LogRecord {
		const { fromSeq, toSeq: lastSeq, count, cause } = gap.data as GapData
		const toSeq = Math.min(lastSeq, this.#query.toSeq)
		return gapRecord(
			{ fromSeq, toSeq, count: Math.min(count, toSeq - fromSeq + 1), cause },
			{ epoch: gap.epoch, tsMs },
		)
	}

	#takeFrame(frame: Frame, message: StreamMessage): readonly LogRecord[] {
		const { given, notes } = this.#place
		const { epoch, baseSeq, rows } = frame
		let repeats = 0
		for (let seq = baseSeq; seq < baseSeq + rows; seq++) if (given.has(epoch, seq)) repeats++
		if (repeats > 0) notes.repeat(message)
		if (repeats === rows) return []
		const found = inOne(this.#collector!.take({ type: 'frame', frame }))
		const fresh = repeats === 0 ? found : found.filter((record) => !given.has(record.epoch, record.seq))
		for (let seq = baseSeq; seq < baseSeq + rows; seq++) given.add(epoch, seq)
		return fresh
	}
}
