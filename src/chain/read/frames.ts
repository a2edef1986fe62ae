/** The records of a chain as the frames that they were written in, verified and not decoded, with a gap wherever some are missing: for whoever copies them. */
import { matches } from '../../model/filter.ts'
import type { GapData, LogRecord } from '../../model/record.ts'
import type { Anchor } from '../format/anchor.ts'
import type { Frame } from '../format/frame.ts'
import { Continuity, type ContinuityMark, type WalkedFile } from '../scan/continuity.ts'
import type { ScanEntry } from '../scan/scan.ts'
import type { Batches, EntryCollector, ResolvedQuery, View } from './query.ts'

/** One of the two. A frame that holds the first seq that is asked for may hold records before it. */
export type FrameOrGap =
	| { readonly frame: Frame; readonly gap?: undefined }
	| { readonly frame?: undefined; readonly gap: LogRecord }

export const FRAMES: View<FrameOrGap> = {
	collector: (query, anchor, file) => new FrameCollector(query, anchor, file),
	ofGap: (gap) => ({ gap }),
	lastSeqOf: ({ frame, gap }) => (gap === undefined ? frame.baseSeq + frame.rows - 1 : gap.seq),
}

/** Of a query it knows the first seq. */
class FrameCollector implements EntryCollector<FrameOrGap> {
	isPastEnd = false
	readonly #query: ResolvedQuery
	readonly #continuity: Continuity

	constructor(query: ResolvedQuery, anchor: Anchor | undefined, file: WalkedFile) {
		this.#query = query
		this.#continuity = new Continuity(anchor, file)
	}

	take(entry: ScanEntry): Batches<FrameOrGap> {
		const before = this.#wanted(this.#move(entry))
		if (entry.type !== 'frame') return [before]
		const { frame } = entry
		return [frame.baseSeq + frame.rows > this.#query.fromSeq ? [...before, { frame }] : before]
	}

	pass(entry: ScanEntry): void {
		this.#move(entry)
	}

	mark(): ContinuityMark {
		return this.#continuity.mark()
	}

	goOnAt(mark: ContinuityMark): void {
		this.#continuity.goOnAt(mark)
	}

	#move(entry: ScanEntry): LogRecord | undefined {
		const continuity = this.#continuity
		if (entry.type === 'bad') return continuity.bad(entry.place)
		return entry.type === 'anchor' ? continuity.anchor(entry.anchor) : continuity.frame(entry.frame)
	}

	upTo(nextSeq: number, cause?: GapData['cause']): readonly FrameOrGap[] {
		return this.#wanted(this.#continuity.upTo(nextSeq, cause))
	}

	#wanted(gap: LogRecord | undefined): readonly FrameOrGap[] {
		return gap !== undefined && matches(gap, this.#query) ? [{ gap }] : []
	}
}
