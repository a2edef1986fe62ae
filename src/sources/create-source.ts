/** Recreates a source after a restart. */

import { settle, within } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { SourceEntry } from './entry.ts'
import type { Source } from './source.ts'

/**
 * Recreates a source after a restart. The status of that source shows an error; the other sources still
 * start.
 */
export type CreateSource = (entry: SourceEntry) => Source | Promise<Source>

/**
 * Calls `create`, and waits for at most `ms` milliseconds.
 *
 * @throws {MeshChainError} `SOURCE_UNAVAILABLE` if it takes longer; otherwise the error that `create` throws.
 */
export async function createWithin(create: CreateSource, entry: SourceEntry, ms: number): Promise<Source> {
	const made = await within(settle(create(entry)), ms)
	if (made.is === 'fulfilled') return made.value as Source
	if (made.is === 'rejected') throw made.thrown
	throw new MeshChainError('SOURCE_UNAVAILABLE', `create did not return ${show(entry.name)} within ${ms} ms`)
}
