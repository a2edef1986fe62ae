/** Recreates a source after a restart. */
import { settle, within } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { SourceEntry } from './entry.ts'
import type { Source } from './source.ts'

/**
 * Recreates a source after a restart. If this function fails during `restore`, the source's status contains
 * the error message, and the other sources still start.
 */
export type CreateSource = (entry: SourceEntry) => Source | Promise<Source>

/**
 * Calls `create`, and waits at most `ms` milliseconds for the source.
 *
 * @throws {MeshChainError} `SOURCE_UNAVAILABLE` if `create` takes longer, or any error from `create`.
 */
export async function createWithin(create: CreateSource, entry: SourceEntry, ms: number): Promise<Source> {
	const made = await within(settle(create(entry)), ms)
	if (made.is === 'fulfilled') return made.value as Source
	if (made.is === 'rejected') throw made.thrown
	throw new MeshChainError(
		'SOURCE_UNAVAILABLE',
		`create did not return the source ${show(entry.name)} within ${ms} ms`,
	)
}
