/** Detects the format of a file from its first lines, which are buffered until the format is determined. */
import { discard } from '../guard/promises.ts'
import { attempt } from '../guard/values.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'
import type { LineFormat, UndecidedFormat } from './line-format.ts'
import type { ByteLine } from './line-splitter.ts'

/** Maximum number of lines to buffer, starting with the first line that is an object. */
const LINES_MAX = 64

const NOTHING = Buffer.alloc(0)

/** Buffers lines until the objects in them determine the format. */
export class FormatDetector {
	readonly #format: UndecidedFormat
	readonly #bytesMax: number
	readonly #objects = new Map<LineFormat, number>()
	#held: ByteLine[] = []
	#bytes = 0

	/** @param bytesMax Maximum size of the buffered lines in bytes, not counting the last one. */
	constructor(format: UndecidedFormat, bytesMax: number) {
		this.#format = format
		this.#bytesMax = bytesMax
	}

	/**
	 * Buffers a line. Returns whether the format can be determined now: the line matches the strongest
	 * candidate, or a limit is reached.
	 */
	hold(line: ByteLine): boolean {
		// Only the end of a line that is too long is available here, so the line is not parsed.
		const { bytes } = line.part > 0 ? { bytes: NOTHING } : line
		const fields = jsonObjectOf(bytes.toString().trim())
		const format = fields === undefined ? undefined : this.#formatOf(fields)
		if (format !== undefined) this.#objects.set(format, (this.#objects.get(format) ?? 0) + 1)
		this.#held.push({ ...line, bytes })
		this.#bytes += bytes.length
		return format === this.#format.strongest || this.#held.length >= LINES_MAX || this.#bytes > this.#bytesMax
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

	/** Returns the buffered lines and empties the buffer. */
	take(): readonly ByteLine[] {
		const held = this.#held
		this.#held = []
		this.#bytes = 0
		return held
	}

	/** The candidate that matches the most objects so far, or the strongest candidate if it matches any. */
	get format(): LineFormat {
		const { formats, strongest } = this.#format
		if (this.#objects.has(strongest)) return strongest
		const counted = formats.map((format) => ({ format, objects: this.#objects.get(format) ?? 0 }))
		return counted.reduce((most, each) => (each.objects > most.objects ? each : most)).format
	}
}
