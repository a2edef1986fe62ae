/**
 * Cuts a stream of bytes into lines, whatever the bytes and however they arrive. A line that is too long
 * comes in parts, so that memory is bounded. Every byte comes out exactly once.
 */

/** A line, or a part of one, without its end. */
export interface ByteLine {
	readonly bytes: Buffer
	/** `''` where it goes on in the next part, or the stream ended within it. */
	readonly end: '\n' | '\r\n' | ''
	/** From 1 for the parts of a line that was too long; 0 for a line in one piece. */
	readonly part: number
	/** Nothing of this line follows. */
	readonly isLast: boolean
}

const NEWLINE = 0x0a
const RETURN = 0x0d

export class LineSplitter {
	readonly #bytesMax: number
	#pending: Buffer[] = []
	#pendingBytes = 0
	#part = 0

	/** @param bytesMax the longest piece that is handed out, at least 8. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax
	}

	/** The lines and parts that are complete with these bytes, which are kept and must not change. */
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
	 * What is left when the stream has ended: nothing, or a line without its end, of which {@link cut} may have
	 * taken all.
	 */
	*end(): Generator<ByteLine> {
		if (this.#pendingBytes > 0) yield this.#finish(false)
	}

	/** Bytes that were not handed out yet. */
	get pendingBytes(): number {
		return this.#pendingBytes
	}

	/** What was not handed out begins a line as JSON does. */
	get pendingIsJson(): boolean {
		return (
			this.#part === 0 &&
			/^\s*\{/.test(this.#pending.length === 0 ? '' : this.#pending[0]!.toString('latin1'))
		)
	}

	/**
	 * What there is of a line that has not ended, as a part of it; its last character stays where it may not be
	 * whole.
	 */
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

	/** Hands out what cannot wait, and always leaves something for the last part. */
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

/**
 * The end, or before it where a character begins that is not whole, or a line end of which the second half
 * may follow.
 */
function wholeEnd(bytes: Buffer): number {
	if (bytes.at(-1) === RETURN) return bytes.length - 1
	const last = characterStart(bytes, bytes.length - 1)
	const lead = bytes[last] ?? 0
	const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1
	return last + length > bytes.length ? last : bytes.length
}

/** `at`, or up to three bytes before it, so that no UTF-8 character is cut. */
function characterStart(bytes: Buffer, at: number): number {
	for (let start = at; start > at - 4; start--) if ((bytes[start]! & 0xc0) !== 0x80) return start
	return at
}
