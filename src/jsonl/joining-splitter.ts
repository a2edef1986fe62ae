/** Splits a stream of bytes into lines, and joins the lines of stack traces and printed objects. */
import { LineJoiner } from './line-joiner.ts'
import { type ByteLine, LineSplitter } from './line-splitter.ts'

/**
 * Works like a {@link LineSplitter}. If it joins lines, it also holds complete lines until the next line
 * shows whether it continues them, or until {@link release} is called.
 */
export class JoiningSplitter {
	readonly #splitter: LineSplitter
	readonly #joiner: LineJoiner | undefined

	/** @param bytesMax Maximum length in bytes of a line that is not divided into parts. */
	constructor(bytesMax: number, isJoining: boolean) {
		this.#splitter = new LineSplitter(bytesMax)
		this.#joiner = isJoining ? new LineJoiner() : undefined
	}

	/** Whether complete lines are held. */
	get isHolding(): boolean {
		return this.#heldBytes > 0
	}

	/** Number of bytes that have not been returned, including the bytes of held lines. */
	get pendingBytes(): number {
		return this.#splitter.pendingBytes + this.#heldBytes
	}

	/** Whether all pending bytes are the start of a line that begins with `{`, ignoring whitespace. */
	get pendingIsJson(): boolean {
		return !this.isHolding && this.#splitter.pendingIsJson
	}

	/** Number of joined lines that were ended because they reached a limit. */
	get cutJoins(): number {
		return this.#joiner?.cut ?? 0
	}

	/** Yields the lines and parts that these bytes complete. The bytes must not change. */
	*push(bytes: Buffer): Generator<ByteLine> {
		yield* this.#joined(this.#splitter.push(bytes))
	}

	/** Yields the held lines. */
	*release(): Generator<ByteLine> {
		if (this.#joiner !== undefined) yield* this.#joiner.flush()
	}

	/** Yields the held lines, and the incomplete line as a part. A line that begins with `{` is not divided. */
	*cut(): Generator<ByteLine> {
		yield* this.release()
		if (!this.#splitter.pendingIsJson) yield* this.#splitter.cut()
	}

	/** Yields the held lines and the incomplete line at the end of the stream. */
	*end(): Generator<ByteLine> {
		yield* this.#joined(this.#splitter.end())
		yield* this.release()
	}

	get #heldBytes(): number {
		return this.#joiner?.heldBytes ?? 0
	}

	*#joined(lines: Iterable<ByteLine>): Generator<ByteLine> {
		if (this.#joiner === undefined) yield* lines
		else for (const line of lines) yield* this.#joiner.push(line)
	}
}
