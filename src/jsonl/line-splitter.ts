/**
 * Splits a stream of bytes into lines. Accepts arbitrary bytes in chunks of any size. A line that is too long
 * is returned in parts, so that memory use is bounded. Every byte is returned exactly once.
 */

/** A line or part of a line, without its line end. */
export interface ByteLine {
	readonly bytes: Buffer
	/**
	 * Line end; empty if the next part continues the line or if the stream ended in the middle of the line.
	 */
	readonly end: '\n' | '\r\n' | ''
	/** Number of the part, from 1; 0 for a line that is not divided. */
	readonly part: number
	/** Whether this part ends the line. */
	readonly isLast: boolean
}

const NEWLINE = 0x0a
const RETURN = 0x0d

/** Splits a stream into lines, and buffers an incomplete line until the next chunk. */
export class LineSplitter {
	readonly #bytesMax: number
	#pending: Buffer[] = []
	#pendingBytes = 0
	#part = 0

	/** @param bytesMax Maximum length of a part in bytes; must be at least 8. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax
	}

	/**
	 * Yields the lines and parts that these bytes complete. The splitter retains the bytes, so they must not
	 * change.
	 */
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
	 * Yields the incomplete line at the end of the stream, if there is one. Yields nothing if {@link cut} has
	 * already returned all of its bytes.
	 */
	*end(): Generator<ByteLine> {
		if (this.#pendingBytes > 0) yield this.#finish(false)
	}

	/** Number of bytes that have not been returned. */
	get pendingBytes(): number {
		return this.#pendingBytes
	}

	/** Whether the pending bytes are the start of a line that begins with `{`, ignoring whitespace. */
	get pendingIsJson(): boolean {
		return (
			this.#part === 0 &&
			/^\s*\{/.test(this.#pending.length === 0 ? '' : this.#pending[0]!.toString('latin1'))
		)
	}

	/** Yields the incomplete line as a part, without a trailing incomplete character or carriage return. */
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

	/** Yields parts of a line that is too long. At least one byte always remains for the last part. */
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

/** Divides whole lines into numbered parts, as a {@link LineSplitter} with a smaller limit would. */
export class LineDivider {
	readonly #bytesMax: number
	#part = 0

	/** @param bytesMax Maximum length of a part in bytes; must be at least 8. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax
	}

	/** Yields the parts of a line, or of a part of a longer line. */
	*divide(line: ByteLine): Generator<ByteLine> {
		const { bytes } = line
		let start = 0
		while (bytes.length - start > this.#bytesMax) {
			const cut = characterStart(bytes, start + this.#bytesMax)
			yield { bytes: bytes.subarray(start, cut), end: '', part: ++this.#part, isLast: false }
			start = cut
		}
		const part = line.part === 0 && this.#part === 0 ? 0 : ++this.#part
		if (line.isLast) this.#part = 0
		yield { ...line, bytes: bytes.subarray(start), part }
	}
}

/** Returns the length without a trailing incomplete character or carriage return. */
function wholeEnd(bytes: Buffer): number {
	if (bytes.at(-1) === RETURN) return bytes.length - 1
	const last = characterStart(bytes, bytes.length - 1)
	const lead = bytes[last] ?? 0
	const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1
	return last + length > bytes.length ? last : bytes.length
}

/** Returns the last index up to `at` that does not split a UTF-8 character. */
function characterStart(bytes: Buffer, at: number): number {
	for (let start = at; start > at - 4; start--) if ((bytes[start]! & 0xc0) !== 0x80) return start
	return at
}
