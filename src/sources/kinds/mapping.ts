/** From what an origin delivers to a sample. */

import { hush } from '../../guard/hush.ts'
import { discard } from '../../guard/promises.ts'
import { checkFunction, checkOptionNames, ifGiven } from '../../model/check.ts'
import type { Sample } from '../source.ts'

/** Undefined for what is no sample and is to be passed over. A throw counts the item as garbage: received, and dropped as `type`. */
export type ToSample<T> = (item: T) => Sample | undefined

export interface MappingOptions<T> {
	/** Default: the item is the value, and its time is when it was received. */
	readonly sample?: ToSample<T>
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkMapping<T>(
	options: MappingOptions<T>,
	others: readonly string[] = [],
): ToSample<T> | undefined {
	checkOptionNames(options, ['sample', ...others])
	return ifGiven('sample', options.sample, checkFunction)
}

const GARBAGE: Sample = Object.freeze({ value: undefined })

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
