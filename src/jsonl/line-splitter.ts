/**
 * Splits a stream of bytes into lines, whatever the bytes are and however they are chunked. A line that is
 * too long is returned in parts, so that memory is bounded. Every byte is returned exactly once.
 */

/** A line or a part of one, without its line end. */
export interface ByteLine {
	readonly bytes: Buffer
	/** Line end; empty if the next part continues the line, or the stream ended in the middle of it. */
	readonly end: '\n' | '\r\n' | ''
	/** Number of the part, from 1; 0 for a line in one piece. */
	readonly part: number
	/** Whether this part ends the line. */
	readonly isLast: boolean
}

const NEWLINE = 0x0a
const RETURN = 0x0d

/** Holds the unfinished line between two pieces of a stream. */
export class LineSplitter {
	readonly #bytesMax: number
	#pending: Buffer[] = []
	#pendingBytes = 0
	#part = 0

	/** @param bytesMax Maximum length of a returned part, at least 8. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax
	}

	/** Yields the lines and parts that these bytes complete. The bytes are kept and must not change. */
	*push(bytes: Buffer): Generator<ByteLine> {
		for (let start = 0; start < bytes.length; ) {
			const newline = bytes.indexOf(NEWLINE, start)
			const end = newline < 0 ? bytes.length : newline
			this.#add(bytes.subarray(start, end))
			yield* this.#parts()
			if (newline >= 0) yield this.#finish(true)
			start = end + 1
		}
	}

	/**
	 * Yields the rest at the end of the stream: nothing, or an unfinished line, which is empty if {@link cut}
	 * returned all of its bytes.
	 */
	*end(): Generator<ByteLine> {
		if (this.#pendingBytes > 0) yield this.#finish(false)
	}

	/** Number of bytes that have not been returned. */
	get pendingBytes(): number {
		return this.#pendingBytes
	}

	/** Whether the pending bytes begin a line, and begin with a brace. */
	get pendingIsJson(): boolean {
		return (
			this.#part === 0 &&
			/^\s*\{/.test(this.#pending.length === 0 ? '' : this.#pending[0]!.toString('latin1'))
		)
	}

	/** Returns the unfinished line as a part. Its last character is kept back if it may be incomplete. */
	*cut(): Generator<ByteLine> {
		const bytes = this.#take()
		const end = wholeEnd(bytes)
		if (end > 0) yield { bytes: bytes.subarray(0, end), end: '', part: ++this.#part, isLast: false }
		this.#add(bytes.subarray(end))
	}

	#add(bytes: Buffer): void {
		if (bytes.length === 0) return
		this.#pending.push(bytes)
		this.#pendingBytes += bytes.length
	}

	/** Yields parts of a line that is too long, and always leaves something for the last part. */
	*#parts(): Generator<ByteLine> {
		if (this.#pendingBytes <= this.#bytesMax) return
		const bytes = this.#take()
		let start = 0
		while (bytes.length - start > this.#bytesMax) {
			const cut = characterStart(bytes, start + this.#bytesMax)
			yield { bytes: bytes.subarray(start, cut), end: '', part: ++this.#part, isLast: false }
			start = cut
		}
		this.#add(bytes.subarray(start))
	}

	#finish(hasNewline: boolean): ByteLine {
		const bytes = this.#take()
		const part = this.#part === 0 ? 0 : this.#part + 1
		this.#part = 0
		if (!hasNewline) return { bytes, end: '', part, isLast: true }
		if (bytes.at(-1) !== RETURN) return { bytes, end: '\n', part, isLast: true }
		return { bytes: bytes.subarray(0, -1), end: '\r\n', part, isLast: true }
	}

	#take(): Buffer {
		const bytes = this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending)
		this.#pending = []
		this.#pendingBytes = 0
		return bytes
	}
}

/** Returns the length without an incomplete character or half of a line end. */
function wholeEnd(bytes: Buffer): number {
	if (bytes.at(-1) === RETURN) return bytes.length - 1
	const last = characterStart(bytes, bytes.length - 1)
	const lead = bytes[last] ?? 0
	const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1
	return last + length > bytes.length ? last : bytes.length
}

/** Returns the nearest position at or before `at` that does not split a UTF-8 character. */
function characterStart(bytes: Buffer, at: number): number {
	for (let start = at; start > at - 4; start--) if ((bytes[start]! & 0xc0) !== 0x80) return start
	return at
}
