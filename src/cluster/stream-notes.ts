/**
 * Counts the unreadable messages of a chain, and warns once about them and once about messages that repeat
 * records.
 */
import { show } from '../guard/show.ts'
import { SeqRanges } from '../merge/seq-ranges.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ChainReader } from './chain-reader.ts'
import type { StreamMessage } from './subject-reader.ts'

/** Counts and warnings that all reads of one chain share. */
export class StreamNotes {
	/**
	 * Number of messages that cannot be read completely, plus the number of subjects that contain a fork of the
	 * chain.
	 */
	damagedPlaces = 0
	/** Number of unreadable bytes in these messages, plus the size of these subjects in bytes. */
	damagedBytes = 0
	readonly #reader: ChainReader
	/** Stream sequences of the damaged messages that were counted. A later read may encounter them again. */
	readonly #damagedSeqs = new SeqRanges()
	#hasDamage = false
	#hasRepeats = false

	constructor(reader: ChainReader) {
		this.#reader = reader
		for (const { bytes } of reader.forks) {
			this.damagedPlaces++
			this.damagedBytes += bytes
		}
	}

	/** Counts a message if it cannot be read completely. */
	inspect(message: StreamMessage): void {
		const { streamSeq, frames, isWhole, bytes } = message
		if (isWhole || this.#damagedSeqs.has(0, streamSeq)) return
		this.#damagedSeqs.add(0, streamSeq)
		this.damagedPlaces++
		this.damagedBytes += bytes - frames.reduce((total, { length }) => total + length, 0)
		if (this.#hasDamage) return
		this.#hasDamage = true
		warn(
			'STREAM_DAMAGED',
			`${this.#name(message)} cannot be read: it is damaged, or another program publishes to that ` +
				'subject. A gap replaces the missing records; later unreadable messages are only counted',
		)
	}

	/**
	 * Warns once about repeated records if the chain has only one subject. Several subjects may share records.
	 */
	warnOfRepeats(message: StreamMessage): void {
		if (this.#hasRepeats || this.#reader.subjects.length > 1) return
		this.#hasRepeats = true
		warn(
			'STREAM_REPEATS',
			`${this.#name(message)} repeats records from an earlier message: another program publishes to ` +
				'that subject. Each record is returned once',
		)
	}

	#name({ streamSeq, subject }: StreamMessage): string {
		return `message ${streamSeq} in the stream ${show(this.#reader.stream)}, subject ${show(subject)},`
	}
}
