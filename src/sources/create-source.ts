/** Makes a source anew after a restart. */

import { settle, within } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { SourceEntry } from './entry.ts'
import type { Source } from './source.ts'

/** Makes a source anew after a restart; whatever it throws is kept with that source, and the others go on. */
export type CreateSource = (entry: SourceEntry) => Source | Promise<Source>

/** @throws {MeshChainError} `SOURCE_UNAVAILABLE` when it takes too long; and whatever `create` throws. */
export async function createWithin(create: CreateSource, entry: SourceEntry, ms: number): Promise<Source> {
	const made = await within(settle(create(entry)), ms)
	if (made.is === 'fulfilled') return made.value as Source
	if (made.is === 'rejected') throw made.thrown
	throw new MeshChainError('SOURCE_UNAVAILABLE', `create did not make ${show(entry.name)} within ${ms} ms`)
}
