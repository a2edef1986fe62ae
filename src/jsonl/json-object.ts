/** Parses a string that contains one JSON object and nothing else. */

/** The fields of an object. */
export type JsonFields = Readonly<Record<string, unknown>>

/**
 * Returns the fields of the JSON object in a string. Returns undefined if the string is not a JSON object.
 */
export function jsonObjectOf(text: string): JsonFields | undefined {
	if (!/^\s*\{/.test(text)) return undefined
	try {
		return JSON.parse(text) as JsonFields
	} catch {
		return undefined
	}
}
