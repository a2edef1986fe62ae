/**
 * Counts messages in a chain's stream that are not part of the chain or that repeat records. Warns once about
 * each kind.
 */
import { show } from '../guard/show.ts'
import { SeqRanges } from '../merge/seq-ranges.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ChainReader } from './chain-reader.ts'
import type { StreamMessage } from './subject-reader.ts'

/** The notes of all readers of one chain. */
export class StreamNotes {
	/** Number of messages that cannot be read to their end, and of subjects that hold a fork of the chain. */
	damagedPlaces = 0
	/** Number of their bytes that cannot be read. */
	damagedBytes = 0
	readonly #reader: ChainReader
	/** Stream sequences of damaged messages, because a reader may encounter them again. */
	readonly #damagedSeqs = new SeqRanges()
	#hasRepeats = false

	constructor(reader: ChainReader) {
		this.#reader = reader
		for (const { bytes } of reader.forks) {
			this.damagedPlaces++
			this.damagedBytes += bytes
		}
	}

	/** Counts a message that cannot be read to its end. */
	inspect(message: StreamMessage): void {
		const { streamSeq, frames, isWhole, bytes } = message
		if (isWhole || this.#damagedSeqs.has(0, streamSeq)) return
		this.#damagedSeqs.add(0, streamSeq)
		this.damagedPlaces++
		this.damagedBytes += bytes - frames.reduce((total, { length }) => total + length, 0)
		if (this.damagedPlaces > 1) return
		warn(
			'STREAM_DAMAGED',
			`${this.#name(message)} cannot be read: it is damaged, or another program publishes there; a ` +
				'gap stands for what is missing, and further messages like it are only counted',
		)
	}

	/** Warns of repeated records under the only subject of a chain; several subjects may share records. */
	warnOfRepeats(message: StreamMessage): void {
		if (this.#hasRepeats || this.#reader.subjects.length > 1) return
		this.#hasRepeats = true
		warn(
			'STREAM_REPEATS',
			`${this.#name(message)} repeats records of an earlier message: another program publishes ` +
				'there; each record is returned once',
		)
	}

	#name({ streamSeq, subject }: StreamMessage): string {
		return `message ${streamSeq} of the stream ${show(this.#reader.stream)}, of the subject ${show(subject)},`
	}
}
