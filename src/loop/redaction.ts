/**
 * Redacts data: replaces or removes the values that the paths of the option `redact` select. Works on
 * canonical data, so it calls no application code except the censor. Copies only the objects and arrays that
 * contain a selected value.
 */
import { type Canonical, canonicalise } from '../codec/canonical.ts'
import { BYTES_PER_UNIT_MAX, HEAD_BYTES } from '../codec/object-builder.ts'
import { REMOVED, renewObject } from '../codec/object-shapes.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import { DATA_BYTES_MAX } from '../model/limits.ts'
import { type PathState, PathStates } from './path-states.ts'
import type { Censor, ResolvedRedactOptions } from './redact-options.ts'
import type { Counters } from './stats.ts'

/**
 * Fields of mesh-chain's own records that contain data of the application. The other fields of these records
 * identify sessions and checkpoints, so no path selects them.
 */
const OWN_PAYLOAD: readonly string[] = ['error', 'state']

export class Redaction {
	readonly #states: PathStates
	readonly #text: string
	readonly #textBytes: number
	readonly #censor: Censor | undefined
	readonly #remove: boolean
	readonly #counters: Counters
	readonly #failed: (thrown: unknown) => void
	/** The keys and indexes that lead to the current value; undefined if nothing needs them. */
	#path: (string | number)[] | undefined
	#bytes = 0
	#isCensoring = false

	/** @param failed Called with the error from each failure of the censor. */
	constructor(options: ResolvedRedactOptions, counters: Counters, failed: (thrown: unknown) => void) {
		this.#states = new PathStates(options.paths)
		this.#text = options.text
		this.#textBytes = HEAD_BYTES + options.text.length * BYTES_PER_UNIT_MAX
		this.#censor = options.censor
		this.#remove = options.remove
		this.#counters = counters
		this.#failed = failed
	}

	/** Returns the data to record. */
	redacted(data: Canonical, kind: string): Canonical {
		this.#bytes = data.bytes
		this.#path = this.#censor === undefined ? undefined : []
		const { value } = data
		const { start } = this.#states
		const redacted = kind.startsWith('$') ? this.#ownPayload(value, start) : this.#walk(value, start)
		if (redacted === value) return data
		return { value: redacted, bytes: this.#bytes, markers: data.markers, replaced: data.replaced }
	}

	#ownPayload(value: unknown, state: PathState): unknown {
		if (!isFields(value)) return value
		return this.#fields(value, state, OWN_PAYLOAD)
	}

	#walk(value: unknown, state: PathState): unknown {
		if (typeof value !== 'object' || value === null) return value
		if (Array.isArray(value)) return this.#elements(value, state)
		return isFields(value) ? this.#fields(value, state) : value
	}

	#fields(object: Record<string, unknown>, state: PathState, only?: readonly string[]): unknown {
		let values: unknown[] | undefined
		let isShorter = false
		let index = -1
		for (const key in object) {
			index++
			if (only !== undefined && !only.includes(key)) continue
			const field = object[key]
			let renewed: unknown
			if (key === '$map' && Array.isArray(field)) renewed = this.#pairs(field, state)
			else {
				const next = state.field(key)
				if (next === undefined || endsAt(field, next)) continue
				renewed = this.#at(key, field, next)
			}
			if (Object.is(renewed, field)) continue
			values ??= Object.values(object)
			values[index] = renewed
			if (renewed === REMOVED) isShorter = true
		}
		return values === undefined ? object : renewObject(object, values, isShorter)
	}

	#elements(array: readonly unknown[], state: PathState): readonly unknown[] {
		let renewed: unknown[] | undefined
		for (let index = 0; index < array.length; index++) {
			const next = state.element(index)
			if (next === undefined || endsAt(array[index], next)) continue
			const element = this.#at(index, array[index], next)
			if (Object.is(element, array[index])) continue
			renewed ??= [...array]
			renewed[index] = element === REMOVED ? null : element
		}
		return renewed === undefined ? array : Object.freeze(renewed)
	}

	/** Redacts the entries of a map that has keys other than distinct strings. */
	#pairs(pairs: readonly unknown[], state: PathState): readonly unknown[] {
		const renewed = pairs.flatMap((pair) => {
			if (!Array.isArray(pair) || pair.length !== 2) return [this.#anyElement(pair, state)]
			const [key, value] = pair
			const [keptKey, kept] = [this.#anyElement(key, state), this.#entry(key, value, state)]
			if (kept === REMOVED) return []
			return Object.is(kept, value) && Object.is(keptKey, key) ? [pair] : [Object.freeze([keptKey, kept])]
		})
		const isSame = renewed.length === pairs.length && renewed.every((pair, at) => Object.is(pair, pairs[at]))
		return isSame ? pairs : Object.freeze(renewed)
	}

	#entry(key: unknown, value: unknown, state: PathState): unknown {
		if (typeof key === 'object' && key !== null) return this.#anyElement(value, state)
		const name = String(key)
		const next = state.field(name)
		return next === undefined ? value : this.#at(name, value, next)
	}

	/** Redacts an object or array without a name of its own, such as the key of a map. */
	#anyElement(value: unknown, state: PathState): unknown {
		if (typeof value !== 'object' || value === null) return value
		const next = state.field('')
		if (next === undefined) return value
		const renewed = this.#at('', value, next)
		return renewed === REMOVED ? null : renewed
	}

	#at(key: string | number, value: unknown, state: PathState): unknown {
		this.#path?.push(key)
		const renewed = state.isSelected ? this.#replacement(value) : this.#walk(value, state)
		this.#path?.pop()
		return renewed
	}

	#replacement(value: unknown): unknown {
		this.#counters.redacted += 1
		if (this.#remove) return REMOVED
		const censored = this.#censor === undefined ? undefined : this.#censored(this.#censor, value)
		if (censored === undefined) return this.#fitting(this.#text, this.#textBytes)
		return this.#fitting(censored.value, censored.bytes)
	}

	/** Returns a replacement, or null if there is no space for it, so that a record never becomes too large. */
	#fitting(value: unknown, bytes: number): unknown {
		if (this.#bytes + bytes > DATA_BYTES_MAX) return null
		this.#bytes += bytes
		return value
	}

	/** Returns the result of the censor; undefined if it fails, or if it published the line itself. */
	#censored(censor: Censor, value: unknown): Canonical | undefined {
		if (this.#isCensoring) return undefined
		this.#isCensoring = true
		const bytes = this.#bytes
		const path = this.#path
		try {
			const result: unknown = censor(value, Object.freeze([...path!]))
			if (isScalar(result)) return canonicalise(result)
			discard(result)
			throw new MeshChainError('INVALID_OPTION', `a censor must return a text, not ${show(result)}`)
		} catch (thrown) {
			this.#failed(thrown)
			return undefined
		} finally {
			// A line that the censor published has its own path and size.
			this.#bytes = bytes
			this.#path = path
			this.#isCensoring = false
		}
	}
}

/** Returns whether nothing at or below a value can be selected. This check is enough for most values. */
function endsAt(value: unknown, state: PathState): boolean {
	return !state.isSelected && (typeof value !== 'object' || value === null)
}

function isFields(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function isScalar(value: unknown): boolean {
	return value === null || ['string', 'number', 'boolean', 'bigint'].includes(typeof value)
}
