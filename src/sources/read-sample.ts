/** Reads the samples that a source delivers. They come from other code, whose getters may throw. */
import { hush } from '../guard/hush.ts'
import { attempt } from '../guard/values.ts'
import type { Sample } from './source.ts'

/** The fields of a sample, each read once. */
export interface ReadSample {
	readonly value: unknown
	readonly tsMs?: number | undefined
}

/** Stands for anything that is not a sample, and has no value. */
const NOTHING: Sample = Object.freeze({ value: undefined })

/**
 * Reads a sample once. A sample that cannot be read has no value and is dropped; its source, which is in the
 * middle of a push, gets no error.
 */
export function readSample(sample: Sample | null | undefined): ReadSample {
	return attempt<ReadSample>(() => {
		hush(sample)
		const { value, tsMs }: { value: unknown; tsMs?: number | undefined } = sample ?? NOTHING
		// Neither may be a promise, and the promise of a dropped sample would reject unhandled.
		hush(value)
		hush(tsMs)
		return { value, tsMs }
	}, NOTHING)
}
