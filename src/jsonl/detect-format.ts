/** The first lines of a file, held back until they say in which format all of it is to be read. */

import { discard } from '../guard/promises.ts'
import { attempt } from '../guard/values.ts'
import type { JsonFields, LineFormat, UndecidedFormat } from './line-format.ts'
import type { ByteLine } from './line-splitter.ts'

/** So many lines, from the first object on, decide. */
const LINES_MAX = 64

const NOTHING = Buffer.alloc(0)

export class FormatDetector {
	readonly #format: UndecidedFormat
	readonly #bytesMax: number
	readonly #objects = new Map<LineFormat, number>()
	#held: ByteLine[] = []
	#bytes = 0

	/** @param bytesMax as many bytes of lines are held, and one line more. */
	constructor(format: UndecidedFormat, bytesMax: number) {
		this.#format = format
		this.#bytesMax = bytesMax
	}

	/** Whether these are enough to decide. */
	hold(line: ByteLine): boolean {
		// Of one that is too long there is only an end, which nobody reads.
		const { bytes } = line.part > 0 ? { bytes: NOTHING } : line
		const fields = fieldsIn(bytes)
		const format = fields === undefined ? undefined : this.#formatOf(fields)
		if (format !== undefined) this.#objects.set(format, (this.#objects.get(format) ?? 0) + 1)
		this.#held.push({ ...line, bytes })
		this.#bytes += bytes.length
		return format === this.#format.strongest || this.#held.length >= LINES_MAX || this.#bytes > this.#bytesMax
	}

	/** Undefined where it is none of the formats that there are. */
	#formatOf(fields: JsonFields): LineFormat | undefined {
		const given = attempt(() => this.#format.formatOf(fields), undefined)
		const format = this.#format.formats.find((each) => each === given)
		if (format === undefined) discard(given)
		return format
	}

	/** No object yet: whatever the format is, what is held is no record. */
	get isNone(): boolean {
		return this.#objects.size === 0
	}

	/** What was held, which is held no longer. */
	take(): readonly ByteLine[] {
		const held = this.#held
		this.#held = []
		this.#bytes = 0
		return held
	}

	/** The format of most of the objects so far. */
	get format(): LineFormat {
		const { formats, strongest } = this.#format
		if (this.#objects.has(strongest)) return strongest
		const counted = formats.map((format) => ({ format, objects: this.#objects.get(format) ?? 0 }))
		return counted.reduce((most, each) => (each.objects > most.objects ? each : most)).format
	}
}

function fieldsIn(bytes: Buffer): JsonFields | undefined {
	const text = bytes.toString().trim()
	if (!text.startsWith('{')) return undefined
	try {
		return JSON.parse(text) as JsonFields
	} catch {
		return undefined
	}
}
