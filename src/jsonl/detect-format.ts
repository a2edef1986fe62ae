/** Detects the format of a file from its first lines, which are buffered until the format is determined. */
import { discard } from '../guard/promises.ts'
import { attempt } from '../guard/values.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'
import type { LineFormat, UndecidedFormat } from './line-format.ts'
import type { ByteLine } from './line-splitter.ts'

/** Maximum number of lines to buffer, starting with the first line that is an object. */
const LINES_MAX = 64

const NOTHING = Buffer.alloc(0)
/** Part of a line that shows whether the line is text. */
const START_BYTES = 1024

/** Number of lines without an object after which the lines are plain text. */
const TEXT_LINES = 1_000

/** Buffers lines until the objects in them determine the format. */
export class FormatDetector {
	readonly #format: UndecidedFormat
	readonly #bytesMax: number
	readonly #objects = new Map<LineFormat, number>()
	#held: ByteLine[] = []
	#bytes = 0
	/** Lines before the first object, if the lines are not plain text. */
	#released: ByteLine[] = []
	/** Whether the lines so far may be plain text: none of them is an object or contains a NUL byte. */
	#mayBeText: boolean
	/** Whether a line is neither blank nor a comment nor the start of an object. */
	#hasText = false

	/** @param bytesMax Maximum size of the buffered lines in bytes, not counting the last one. */
	constructor(format: UndecidedFormat, bytesMax: number) {
		this.#format = format
		this.#bytesMax = bytesMax
		this.#mayBeText = format.text !== undefined
	}

	/**
	 * Buffers a line. Returns whether the format can be determined now: the line matches the strongest
	 * candidate, or a limit is reached.
	 */
	hold(line: ByteLine): boolean {
		if (this.#mayBeText) this.#lookForText(line)
		// Only the end of a line that is too long is available here, so the line is not parsed.
		const { bytes } = line.part > 0 && !this.#mayBeText ? { bytes: NOTHING } : line
		const fields = line.part > 0 ? undefined : jsonObjectOf(bytes.toString().trim())
		const format = fields === undefined ? undefined : this.#formatOf(fields)
		if (format !== undefined) this.#count(format)
		this.#held.push({ ...line, bytes })
		this.#bytes += bytes.length
		if (this.isNone) return this.#isSurelyText()
		return format === this.#format.strongest || this.#held.length >= LINES_MAX || this.#bytes > this.#bytesMax
	}

	#lookForText({ bytes, part }: ByteLine): void {
		if (bytes.includes(0)) this.#mayBeText = false
		this.#hasText ||= part > 0 || /^\s*[^\s#{]/.test(bytes.toString('latin1', 0, START_BYTES))
	}

	/** Returns whether the limit is reached at which lines without an object are plain text. */
	#isSurelyText(): boolean {
		if (this.#held.length < TEXT_LINES && this.#bytes <= this.#bytesMax) return false
		this.#mayBeText &&= this.#hasText
		return this.#mayBeText
	}

	#count(format: LineFormat): void {
		if (this.isNone) {
			this.#released.push(...this.take())
			this.#mayBeText = false
		}
		this.#objects.set(format, (this.#objects.get(format) ?? 0) + 1)
	}

	/**
	 * Returns the candidate format of an object, or undefined if `formatOf` throws or returns anything other
	 * than a candidate.
	 */
	#formatOf(fields: JsonFields): LineFormat | undefined {
		const given = attempt(() => this.#format.formatOf(fields), undefined)
		const format = this.#format.formats.find((each) => each === given)
		if (format === undefined) discard(given)
		return format
	}

	/**
	 * Whether none of the lines so far matches a candidate format. Such lines are not records in any format.
	 */
	get isNone(): boolean {
		return this.#objects.size === 0
	}

	/**
	 * Returns lines that precede the first object and that need not be buffered, because they are not plain
	 * text. They are not records in any format.
	 */
	release(): readonly ByteLine[] {
		if (this.isNone && !this.#mayBeText) return this.take()
		const released = this.#released
		this.#released = []
		return released
	}

	/** Returns the buffered lines and empties the buffer. */
	take(): readonly ByteLine[] {
		const held = this.#held
		this.#held = []
		this.#bytes = 0
		return held
	}

	/**
	 * The candidate that matches the most objects so far, or the strongest candidate if it matches any. If
	 * there are no objects, the format of plain text, if the lines are text.
	 */
	get format(): LineFormat {
		const { formats, strongest, text } = this.#format
		if (this.isNone && this.#mayBeText && this.#hasText && text !== undefined) return text
		if (this.#objects.has(strongest)) return strongest
		const counted = formats.map((format) => ({ format, objects: this.#objects.get(format) ?? 0 }))
		return counted.reduce((most, each) => (each.objects > most.objects ? each : most)).format
	}
}
