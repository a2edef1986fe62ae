/**
 * What waits in memory for more than the live file may hold: frames in the form of a file that they were not written to, and the
 * records that come meanwhile. Each file that has room takes some over, in order.
 */
import { EntryCopier } from './copy-entries.ts'
import type { SegmentFile, Unwritten } from './segment-file.ts'
import type { TailBuffer } from './tail-buffer.ts'

/** What a file takes over at once, at the most. */
const MOVE_BYTES_MAX = 256 * 1024

export class Backlog {
	/** The oldest first; records go into the last one. */
	readonly #parts: Unwritten[] = []

	/** Puts the end of a file, which a file before this one has taken over already, before everything else. */
	putFirst(part: Unwritten): void {
		this.#parts.unshift(part)
	}

	/** Where records go. */
	get intake(): TailBuffer {
		return this.#parts.at(-1)!.span
	}

	get bytes(): number {
		return this.#parts.reduce((sum, { span, from }) => sum + span.end - from + span.openBytes, 0)
	}

	/** Lets a file take frames over: as many as `bytesMax` allows, at the least one. */
	moveInto(file: SegmentFile, bytesMax: number): void {
		const part = this.#parts[0]!
		const { span, idChecksum, from } = part
		span.seal()
		const { bytes, start, end } = span.entriesBorrow(from, Math.min(MOVE_BYTES_MAX, bytesMax))
		new EntryCopier(file, 'unsynced').fromMemory(bytes.subarray(start, end), idChecksum, from)
		part.from += end - start
		// Freed when it is most of what is held, so that each byte is moved at most once or so.
		if (part.from - span.heldFrom > span.end - part.from) span.release(part.from)
		if (part.from === span.end && this.#parts.length > 1) this.#parts.shift()
	}
}
