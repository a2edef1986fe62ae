/** Parses text that holds one JSON object and nothing else. */

/** The fields of an object. */
export type JsonFields = Readonly<Record<string, unknown>>

/** Returns the fields of the object in a text; undefined if the text does not hold one. */
export function jsonObjectOf(text: string): JsonFields | undefined {
	if (!/^\s*\{/.test(text)) return undefined
	try {
		return JSON.parse(text) as JsonFields
	} catch {
		return undefined
	}
}
