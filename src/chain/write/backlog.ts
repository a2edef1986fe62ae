/**
 * Keeps records in memory while the live file is full: frames that were encoded for a file but not written to
 * it, and later records. As soon as a file has room, some of them are moved to it, in order.
 */
import { EntryCopier } from './copy-entries.ts'
import type { SegmentFile, Unwritten } from './segment-file.ts'
import type { TailBuffer } from './tail-buffer.ts'

/** Maximum number of bytes that are moved into a file at once. */
const MOVE_BYTES_MAX = 256 * 1024

export class Backlog {
	/** Unwritten parts, oldest first. New records are added to the last part. */
	readonly #parts: Unwritten[] = []

	/** Puts the unwritten end of a file before all other parts. */
	putFirst(part: Unwritten): void {
		this.#parts.unshift(part)
	}

	/** The buffer that receives new records. */
	get intake(): TailBuffer {
		return this.#parts.at(-1)!.tail
	}

	get bytes(): number {
		return this.#parts.reduce((sum, { tail, from }) => sum + tail.end - from + tail.openBytes, 0)
	}

	/** Copies frames into a file: as many as `bytesMax` allows, but at least one. */
	moveInto(file: SegmentFile, bytesMax: number): void {
		const part = this.#parts[0]!
		const { tail, idChecksum, from } = part
		tail.seal()
		const { bytes, start, end } = tail.entriesBorrow(from, Math.min(MOVE_BYTES_MAX, bytesMax))
		new EntryCopier(file, 'unsynced').fromMemory(bytes.subarray(start, end), idChecksum, from)
		part.from += end - start
		// Bytes are freed only after most of them are copied, so that the remaining bytes are rarely moved.
		if (part.from - tail.heldFrom > tail.end - part.from) tail.release(part.from)
		if (part.from === tail.end && this.#parts.length > 1) this.#parts.shift()
	}
}
