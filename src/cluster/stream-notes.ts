/** What a chain's readers met in the stream that is no part of it, or came before: counted, and said once. */

import { show } from '../guard/show.ts'
import { SeqRanges } from '../merge/seq-ranges.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ChainReader } from './chain-reader.ts'
import type { StreamMessage } from './subject-reader.ts'

export class StreamNotes {
	/** Messages of which something cannot be read, subjects with another life of the chain, and how much of them. */
	damagedPlaces = 0
	damagedBytes = 0
	readonly #stream: ChainReader
	/** Their places: a reader may come by again. */
	readonly #places = new SeqRanges()
	#hasRepeats = false

	constructor(stream: ChainReader) {
		this.#stream = stream
		for (const { bytes } of stream.otherLives) {
			this.damagedPlaces++
			this.damagedBytes += bytes
		}
	}

	look(message: StreamMessage): void {
		const { streamSeq, frames, isWhole, bytes } = message
		if (isWhole || this.#places.has(0, streamSeq)) return
		this.#places.add(0, streamSeq)
		this.damagedPlaces++
		this.damagedBytes += bytes - frames.reduce((total, { length }) => total + length, 0)
		if (this.damagedPlaces > 1) return
		warn(
			'STREAM_DAMAGED',
			`${this.#name(message)} cannot be read: it is damaged, or somebody else publishes there; what is missing is a gap, and more of the kind is only counted`,
		)
	}

	/** A chain under several subjects may have the same records under each of them. */
	repeat(message: StreamMessage): void {
		if (this.#hasRepeats || this.#stream.subjects.length > 1) return
		this.#hasRepeats = true
		warn(
			'STREAM_REPEATS',
			`${this.#name(message)} has records that came before: somebody else publishes there; each is given once`,
		)
	}

	#name({ streamSeq, subject }: StreamMessage): string {
		return `message ${streamSeq} of the stream ${show(this.#stream.stream)}, of the subject ${show(subject)},`
	}
}
