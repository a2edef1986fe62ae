/** Text that holds one JSON object, and nothing else. */

/** The fields of an object. */
export type JsonFields = Readonly<Record<string, unknown>>

/** The fields of the object that a text holds; undefined where it holds none. */
export function jsonObjectOf(text: string): JsonFields | undefined {
	if (!/^\s*\{/.test(text)) return undefined
	try {
		return JSON.parse(text) as JsonFields
	} catch {
		return undefined
	}
}
