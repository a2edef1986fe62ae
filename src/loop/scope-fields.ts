/** Reads the fields that a child loop or a `context` hook adds to each line. */
import { hush } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { isPlainObject } from '../guard/values.ts'
import type { ScopeFields } from './options.ts'
import { FieldSorter } from './regular-line.ts'

const KNOWN = { daemonId: 0, nodeId: 0, tsMs: 0, data: 0 } satisfies Record<keyof ScopeFields, 0>

/** Fields for lines, and what was invalid in the fields that were read. */
export interface ReadFields {
	readonly fields: ScopeFields
	/** Such as `the field nodeId is {}`; undefined if every field is valid. */
	readonly invalid: string | undefined
}

/**
 * Reads fields. A field that is not an id or a time becomes part of the data under its own name, and so does
 * an id or a time that is not valid. Never throws.
 */
export function scopeFields(given: unknown): ReadFields {
	hush(given)
	if (given === undefined) return { fields: {}, invalid: undefined }
	if (typeof given !== 'object' || given === null) {
		return { fields: { data: { data: given } }, invalid: `the fields are ${show(given)}` }
	}
	const sorter = new FieldSorter(given)
	const fields = sorter.takeIdsAndTime()
	sorter.takeUnknown(KNOWN)
	const data = sorter.takeData()
	if (data === undefined) return { fields, invalid: sorter.invalid }
	if (isPlainObject(data)) return { fields: { ...fields, data }, invalid: sorter.invalid }
	return { fields: { ...fields, data: { data } }, invalid: `the field data is ${show(data)}` }
}
