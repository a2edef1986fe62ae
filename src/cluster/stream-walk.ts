/** Turns the messages of a walk through a stream into the records that match, each once, with a gap wherever some are missing. */

import type { Frame } from '../chain/format/frame.ts'
import { Collector, inOne, type ResolvedQuery } from '../chain/read/query.ts'
import { firstCovered } from '../chain/scan/continuity.ts'
import type { Spans } from '../merge/spans.ts'
import { isGap, type LogRecord } from '../record.ts'
import type { StreamFrame } from './chain-stream.ts'
import type { StreamNotes } from './stream-notes.ts'

export interface WalkPlace {
	/** Nothing of the chain stands before it: what is missing there was removed. */
	readonly isHead: boolean
	/** What was handed out already; what the walk hands out is added. */
	readonly given: Spans
	readonly notes: StreamNotes
}

export class Walk {
	readonly #query: ResolvedQuery
	readonly #place: WalkPlace
	#collector: Collector | undefined
	#hasUnreadable = false

	constructor(query: ResolvedQuery, place: WalkPlace) {
		this.#query = query
		this.#place = place
	}

	get isPastEnd(): boolean {
		return this.#collector?.isPastEnd ?? false
	}

	/** What cannot be read shows as a gap before the frame behind it. */
	take(message: StreamFrame): LogRecord[] {
		const found: LogRecord[] = []
		this.#place.notes.look(message)
		this.#hasUnreadable ||= message.frames.length === 0
		for (const frame of message.frames) {
			for (const record of this.#begin(frame)) found.push(record)
			if (this.isPastEnd) break
			for (const record of this.#takeFrame(frame, message)) found.push(record)
		}
		return found
	}

	/** What is missing before a frame that is not the walk's own. */
	before(frame: Frame): LogRecord[] {
		const head = this.#begin(frame)
		const [first] = inOne(this.#collector!.take({ type: 'frame', frame }))
		return first !== undefined && isGap(first) && first.seq < frame.baseSeq ? [...head, first] : [...head]
	}

	#begin(frame: Frame): readonly LogRecord[] {
		if (this.#collector !== undefined) return []
		const firstSeq = firstCovered(frame)
		const { isHead } = this.#place
		this.#collector = new Collector(this.#query, undefined, { firstSeq: isHead ? 1 : firstSeq })
		return this.#collector.upTo(firstSeq, this.#hasUnreadable ? 'damaged' : 'retained')
	}

	#takeFrame(frame: Frame, message: StreamFrame): readonly LogRecord[] {
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
