/** The first lines of a file, held back until they say in which form all of it is to be read. */

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
		const form = fields === undefined ? undefined : this.#formOf(fields)
		if (form !== undefined) this.#objects.set(form, (this.#objects.get(form) ?? 0) + 1)
		this.#held.push({ ...line, bytes })
		this.#bytes += bytes.length
		return form === this.#format.strongest || this.#held.length >= LINES_MAX || this.#bytes > this.#bytesMax
	}

	/** Undefined where it is none of the forms that there are. */
	#formOf(fields: JsonFields): LineFormat | undefined {
		const given = attempt(() => this.#format.formOf(fields), undefined)
		const form = this.#format.forms.find((each) => each === given)
		if (form === undefined) discard(given)
		return form
	}

	/** No object yet: whatever the form is, what is held is no record. */
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

	/** The form of most of the objects so far. */
	get form(): LineFormat {
		const { forms, strongest } = this.#format
		if (this.#objects.has(strongest)) return strongest
		const counted = forms.map((form) => ({ form, objects: this.#objects.get(form) ?? 0 }))
		return counted.reduce((most, each) => (each.objects > most.objects ? each : most)).form
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
