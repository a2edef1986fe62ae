/**
 * Keeps the last bytes of each write to a file in memory, as a witness of that write, until a check finds
 * them in the file. If another program cuts the file and the file then grows again, the cut part contains
 * zeros or new bytes. The witness of the last write before the cut is always in the cut part, so it reveals
 * the cut.
 */
import type { OpenFile } from '../../platform/file-system.ts'

const WITNESS_BYTES = 4
/** Number of writes after which a check is due. Limits the memory that witnesses use. */
const WITNESSES_MAX = 2000
/** Maximum distance between two witnesses that are read together. */
const NEAR_BYTES = 4096

/** Buffer for checks. All files can share it, because a check is never interrupted. */
const window = Buffer.allocUnsafeSlow(64 * 1024)

export class WriteEnds {
	#offsets = new Float64Array(2 * WITNESSES_MAX)
	#values = new Int32Array(2 * WITNESSES_MAX)
	#count = 0

	/** Whether a check is due because of the number of writes since the last check. */
	get isLookDue(): boolean {
		return this.#count >= WITNESSES_MAX
	}

	/**
	 * Adds a witness: the last bytes of `bytes` before `end`, which corresponds to `end + shift` in the file.
	 * The witness ends with the last byte that is not 0, because a hole in a file reads as zeros.
	 */
	add(bytes: Buffer, end: number, shift: number): void {
		if (this.#count === this.#offsets.length) this.#grow()
		let at = end
		while (bytes[at - 1] === 0) at--
		this.#offsets[this.#count] = at - WITNESS_BYTES + shift
		this.#values[this.#count] = bytes.readInt32BE(at - WITNESS_BYTES)
		this.#count++
	}

	/** Returns whether the file contains all witnesses. If it does, keeps only the newest witness. */
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

	/** Returns the index of the first witness that is not read together with the one at `first`. */
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

/** Reads `length` bytes into the window. Returns false if the file ends earlier. */
function isRead({ system, fd }: OpenFile, length: number, position: number): boolean {
	for (let done = 0; done < length; ) {
		const count = system.readSync(fd, window, done, length - done, position + done)
		if (count === 0) return false
		done += count
	}
	return true
}
