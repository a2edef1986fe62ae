/**
 * Writes canonical values as JSON in the dialect of `json-dialect.ts`. Needs only a single pass, without the
 * tagged copy that `JSON.stringify` would need. Escapes only strings that are not plain ASCII text.
 *
 * Invariant: the text is the same as `escapeJson(JSON.stringify(toTagged(value)))`.
 */
import { escapeJson } from '../text/escape.ts'

/** Keys that make a map look like a tag if the map has no other key. */
export const TAG = /^\$+(?:bigint|bytes|date|number)$/

/** Text that is the same in JSON: printable ASCII characters except quotation marks and backslashes. */
const PLAIN = /^[ !#-[\]-~]*$/

type PlainMap = Readonly<Record<string, unknown>>

/** Maximum number of keys whose text is cached. A service has fewer distinct keys, unless they are ids. */
const KEYS_MAX = 4_096
/** Maximum length of a key whose text is cached. */
const KEY_LENGTH_MAX = 64

/** The JSON text of each cached key, with its quotation marks and the colon. */
const keyTexts = new Map<string, string>()

function stringToJson(text: string): string {
	return PLAIN.test(text) ? `"${text}"` : escapeJson(JSON.stringify(text))
}

/** Returns the JSON of a number. Like `JSON.stringify`, returns `null` if the number is not finite. */
export function numberToJson(value: number): string {
	return Number.isFinite(value) ? String(value) : 'null'
}

/**
 * Returns the JSON of a canonical value. Returns undefined for a value that `JSON.stringify` omits from an
 * object.
 */
export function valueToJson(value: unknown): string | undefined {
	switch (typeof value) {
		case 'string':
			return stringToJson(value)
		case 'number':
			return Number.isFinite(value) ? String(value) : `{"$number":"${value}"}`
		case 'boolean':
			return value ? 'true' : 'false'
		case 'object':
			return value === null ? 'null' : objectToJson(value)
		case 'bigint':
			return `{"$bigint":"${value}"}`
		default:
			return undefined
	}
}

/** Returns the JSON of a canonical value. A value that `JSON.stringify` omits becomes `null`. */
export function fieldToJson(value: unknown): string {
	return valueToJson(value) ?? 'null'
}

function objectToJson(value: object): string {
	if (Array.isArray(value)) return listToJson(value)
	if (Object.getPrototypeOf(value) === Object.prototype) return mapToJson(value as PlainMap)
	if (value instanceof Date) return `{"$date":"${value.toISOString()}"}`
	if (value instanceof Uint8Array) return `{"$bytes":"${Buffer.from(value).toString('base64')}"}`
	return mapToJson(value as PlainMap)
}

function listToJson(list: readonly unknown[]): string {
	let text = '['
	for (let index = 0; index < list.length; index++) {
		if (index > 0) text += ','
		text += fieldToJson(list[index])
	}
	return `${text}]`
}

function mapToJson(map: PlainMap): string {
	const keys = Object.keys(map)
	if (keys.length === 1 && TAG.test(keys[0]!)) {
		return `{${keyToJson(`$${keys[0]}`)}${fieldToJson(map[keys[0]!])}}`
	}
	let text = ''
	for (const key of keys) {
		const field = valueToJson(map[key])
		if (field === undefined) continue
		text += text === '' ? keyToJson(key) : `,${keyToJson(key)}`
		text += field
	}
	return `{${text}}`
}

function keyToJson(key: string): string {
	const known = keyTexts.get(key)
	if (known !== undefined) return known
	const text = `${stringToJson(key)}:`
	if (key.length > KEY_LENGTH_MAX) return text
	if (keyTexts.size === KEYS_MAX) keyTexts.clear()
	keyTexts.set(key, text)
	return text
}
