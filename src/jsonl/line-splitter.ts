/**
 * Cuts a stream of bytes into lines, whatever the bytes and however they are chunked. A line that is too long
 * is handed out in parts, so that memory is bounded. Every byte is handed out exactly once.
 */

/** A line, or a part of one, without its end. */
export interface ByteLine {
	readonly bytes: Buffer
	/** Empty where the next part continues the line, or the stream ended within it. */
	readonly end: '\n' | '\r\n' | ''
	/** Number of the part, from 1; 0 for a line in one piece. */
	readonly part: number
	/** Whether this is the end of the line. */
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

	/** @param bytesMax longest piece that is handed out, at least 8. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax
	}

	/** The lines and parts that these bytes complete. The bytes are kept and must not change. */
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
	 * The rest at the end of the stream: nothing, or an unfinished line, of which {@link cut} may have taken
	 * all bytes.
	 */
	*end(): Generator<ByteLine> {
		if (this.#pendingBytes > 0) yield this.#finish(false)
	}

	/** Number of bytes not handed out yet. */
	get pendingBytes(): number {
		return this.#pendingBytes
	}

	/** Whether the bytes not handed out yet begin a line, and with a brace. */
	get pendingIsJson(): boolean {
		return (
			this.#part === 0 &&
			/^\s*\{/.test(this.#pending.length === 0 ? '' : this.#pending[0]!.toString('latin1'))
		)
	}

	/** Hands out the unfinished line as a part. Its last character stays where it may be incomplete. */
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

	/** Hands out parts of a line that is too long, and always leaves something for the last part. */
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

/** The length without an incomplete character, and without half of a line end. */
function wholeEnd(bytes: Buffer): number {
	if (bytes.at(-1) === RETURN) return bytes.length - 1
	const last = characterStart(bytes, bytes.length - 1)
	const lead = bytes[last] ?? 0
	const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1
	return last + length > bytes.length ? last : bytes.length
}

/** The nearest position at or before `at` that does not cut a UTF-8 character. */
function characterStart(bytes: Buffer, at: number): number {
	for (let start = at; start > at - 4; start--) if ((bytes[start]! & 0xc0) !== 0x80) return start
	return at
}
