/**
 * Reads the samples that a source delivers. Samples come from application code, so their getters may throw.
 */
import { hush } from '../guard/hush.ts'
import { attempt } from '../guard/values.ts'
import type { Sample } from './source.ts'

/** The fields of a sample, each read once. */
export interface ReadSample {
	readonly value: unknown
	readonly tsMs?: number | undefined
}

/** Replacement for anything that is not a sample. It has no value. */
const NOTHING: Sample = Object.freeze({ value: undefined })

/**
 * Reads each field of a sample once. A sample that cannot be read counts as a sample without a value and is
 * dropped. The error is not thrown into the source, which is in the middle of a push.
 */
export function readSample(sample: Sample | null | undefined): ReadSample {
	return attempt<ReadSample>(() => {
		hush(sample)
		const { value, tsMs }: { value: unknown; tsMs?: number | undefined } = sample ?? NOTHING
		// Neither field should be a promise. If one is, its rejection must be handled.
		hush(value)
		hush(tsMs)
		return { value, tsMs }
	}, NOTHING)
}
