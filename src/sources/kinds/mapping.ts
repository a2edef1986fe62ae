/** Converts the items that a source receives into samples. */
import { hush } from '../../guard/hush.ts'
import { discard } from '../../guard/promises.ts'
import { checkFunction, checkOptionNames, ifGiven } from '../../model/check.ts'
import type { Sample } from '../source.ts'

/**
 * Returns the sample for an item, or undefined to skip the item. If the function throws, the item is dropped
 * and counted under `type`.
 */
export type ToSample<T> = (item: T) => Sample | undefined

/** Options shared by all sources that receive items. */
export interface MappingOptions<T> {
	/**
	 * Mapping from an item to a sample. Default: the item is the value, and the time of receipt is the time.
	 */
	readonly sample?: ToSample<T> | undefined
}

/** Checks the options and returns the mapping, if any. @throws {MeshChainError} `INVALID_OPTION` */
export function checkMapping<T>(
	options: MappingOptions<T>,
	others: readonly string[] = [],
): ToSample<T> | undefined {
	checkOptionNames(options, ['sample', ...others])
	return ifGiven('sample', options.sample, checkFunction)
}

const GARBAGE: Sample = Object.freeze({ value: undefined })

/**
 * Returns the sample for an item; undefined if the item is skipped. If the mapping throws, returns a sample
 * without a value.
 */
export function sampleOf<T>(item: T, toSample: ToSample<T> | undefined): Sample | undefined {
	if (toSample === undefined) return { value: item }
	try {
		const sample = toSample(item)
		discard(sample)
		return sample
	} catch (thrown) {
		hush(thrown)
		return GARBAGE
	}
}
