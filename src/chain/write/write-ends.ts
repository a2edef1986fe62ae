/**
 * Keeps the last bytes of each write to a file in memory until a check finds them in the file. If a file was
 * cut below its end and has grown again since, the bytes before the cut are zeros or another program's; only
 * the witness of the last write before the cut reveals that.
 */
import type { OpenFile } from '../../platform/file-system.ts'

const WITNESS_BYTES = 4
/** Number of writes after which a check is due, which bounds the memory for witnesses. */
const WITNESSES_MAX = 2000
/** Distance within which witnesses are read together. */
const NEAR_BYTES = 4096

/** All files share one buffer, because a check is never interrupted. */
const window = Buffer.allocUnsafeSlow(64 * 1024)

export class WriteEnds {
	#offsets = new Float64Array(2 * WITNESSES_MAX)
	#values = new Int32Array(2 * WITNESSES_MAX)
	#count = 0

	/** Whether enough was written since the last check to check again. */
	get isLookDue(): boolean {
		return this.#count >= WITNESSES_MAX
	}

	/**
	 * Adds the last bytes before `end`, which are at `end + shift` in the file. The witness ends with the
	 * last byte that is not 0, because a hole in a file reads as zeros.
	 */
	add(bytes: Buffer, end: number, shift: number): void {
		if (this.#count === this.#offsets.length) this.#grow()
		let at = end
		while (bytes[at - 1] === 0) at--
		this.#offsets[this.#count] = at - WITNESS_BYTES + shift
		this.#values[this.#count] = bytes.readInt32BE(at - WITNESS_BYTES)
		this.#count++
	}

	/** Whether all witnesses are in the file; if so, only the newest one is kept. */
	areIn(file: OpenFile): boolean {
		const [offsets, values, count] = [this.#offsets, this.#values, this.#count]
		for (let first = 0; first < count; ) {
			const start = offsets[first]!
			const next = this.#endOfWindow(first)
			const length = offsets[next - 1]! + WITNESS_BYTES - start
			if (!isRead(file, length, start)) return false
			for (; first < next; first++) {
				if (window.readInt32BE(offsets[first]! - start) !== values[first]) return false
			}
		}
		if (count > 1) {
			offsets[0] = offsets[count - 1]!
			values[0] = values[count - 1]!
			this.#count = 1
		}
		return true
	}

	/** Returns the index of the first witness that is not read together with this one. */
	#endOfWindow(first: number): number {
		const offsets = this.#offsets
		const end = offsets[first]! + window.length - WITNESS_BYTES
		let next = first + 1
		while (next < this.#count && offsets[next]! <= end && offsets[next]! - offsets[next - 1]! <= NEAR_BYTES)
			next++
		return next
	}

	#grow(): void {
		const [offsets, values] = [this.#offsets, this.#values]
		this.#offsets = new Float64Array(2 * offsets.length)
		this.#values = new Int32Array(2 * values.length)
		this.#offsets.set(offsets)
		this.#values.set(values)
	}
}

/** Fills the window as far as needed; returns whether that succeeded. */
function isRead({ system, fd }: OpenFile, length: number, position: number): boolean {
	for (let done = 0; done < length; ) {
		const count = system.readSync(fd, window, done, length - done, position + done)
		if (count === 0) return false
		done += count
	}
	return true
}
