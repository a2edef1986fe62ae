/** Calls the serializers of a loop, which choose what is recorded of a value in data by its key. */
import { types } from 'node:util'
import { marker } from '../codec/canonical.ts'
import { nameOf } from '../codec/object-class.ts'
import { hush } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { attempt, isInstance, isPlainObject } from '../guard/values.ts'
import { checkFunction, checkIsObject, namesIn, readOption } from '../model/check.ts'
import type { Counters } from './stats.ts'

/** Returns what is recorded of a value. */
export type Serializer = { serialize(value: unknown): unknown }['serialize']

/** The keys of an error that is the whole data of a line, in the order in which they are looked up. */
const ERROR_KEYS = ['error', 'err']

type Fields = Readonly<Record<string, unknown>>

export class Serializers {
	readonly #serializers: ReadonlyMap<string, Serializer>
	readonly #counters: Counters
	readonly #failed: (thrown: unknown) => void
	#isSerializing = false

	/** @param failed Called with the error from each failure of a serializer. */
	constructor(
		serializers: ReadonlyMap<string, Serializer>,
		counters: Counters,
		failed: (thrown: unknown) => void,
	) {
		this.#serializers = serializers
		this.#counters = counters
		this.#failed = failed
	}

	/** Returns data in which the serializers have replaced the values of their keys. Never throws. */
	serialized(data: unknown): unknown {
		if (typeof data !== 'object' || data === null) return data
		// A serializer that publishes a line is not called for that line.
		if (this.#isSerializing) return data
		if (isPlainObject(data)) return this.#fields(data)
		if (!types.isNativeError(data) && !isInstance(data, Error)) return data
		const serializer = ERROR_KEYS.map((key) => this.#serializers.get(key)).find((each) => each !== undefined)
		return serializer === undefined ? data : this.#result(serializer, () => data)
	}

	#fields(data: Fields): unknown {
		let copy: Record<string, unknown> | undefined
		for (const [key, serializer] of this.#serializers) {
			if (!attempt(() => Object.hasOwn(data, key), false)) continue
			const value = this.#result(serializer, () => data[key])
			copy ??= copyOf(data)
			Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true })
		}
		return copy ?? data
	}

	/** Returns the result of a serializer, or a marker if it or the getter of its value throws. */
	#result(serializer: Serializer, read: () => unknown): unknown {
		this.#isSerializing = true
		try {
			const value = read()
			const result = serializer(value)
			if (result !== value) hush(value)
			return result
		} catch (thrown) {
			this.#counters.unserializable += 1
			this.#failed(thrown)
			return marker(`threw ${nameOf(thrown)}`)
		} finally {
			this.#isSerializing = false
		}
	}
}

/**
 * Returns a copy of the fields. If one throws, all are read later, so that only that one becomes a marker.
 */
function copyOf(data: Fields): Record<string, unknown> {
	try {
		return { ...data }
	} catch (thrown) {
		hush(thrown)
		const copy: Record<string, unknown> = {}
		for (const key of attempt<readonly string[]>(() => Object.keys(data), [])) {
			Object.defineProperty(copy, key, { get: () => data[key], enumerable: true, configurable: true })
		}
		return copy
	}
}

/**
 * Checks the option `serializers`. Returns undefined if it is empty.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function resolveSerializers(
	name: string,
	given: unknown,
): ReadonlyMap<string, Serializer> | undefined {
	checkIsObject(name, given)
	const serializers = new Map<string, Serializer>()
	for (const key of namesIn(name, given)) {
		const what = `the serializer for ${show(key)}`
		const serializer = readOption(what, given, key)
		if (serializer !== undefined) serializers.set(key, checkFunction(what, serializer as Serializer))
	}
	return serializers.size === 0 ? undefined : serializers
}
