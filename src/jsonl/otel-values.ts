/** Converts OpenTelemetry values in JSON (`AnyValue`, attributes) to and from plain values. */

import { isMap } from '../codec/data-map.ts'
import type { JsonFields } from './json-object.ts'

/** The fields of an object. Mutable, unlike {@link JsonFields}. */
export type Values = Record<string, unknown>

/** Returns the value in an `AnyValue`; undefined if the `AnyValue` is empty. */
export function contentOf(value: unknown): unknown {
	const any = fieldsOf(value)
	if ('stringValue' in any) return any['stringValue']
	if ('boolValue' in any) return any['boolValue']
	if ('doubleValue' in any) return Number(any['doubleValue'])
	if ('intValue' in any) return integerOf(any['intValue'])
	if ('bytesValue' in any) return Uint8Array.from(Buffer.from(String(any['bytesValue']), 'base64'))
	if ('arrayValue' in any) return objectsIn(fieldsOf(any['arrayValue'])['values']).map(contentOf)
	if ('kvlistValue' in any) return mapOf(fieldsOf(any['kvlistValue'])['values'])
	// A value of an unknown type is returned unchanged.
	return isEmpty(any) ? undefined : any
}

/** Returns an integer as a number if a number can represent it exactly, and otherwise as a bigint. */
function integerOf(value: unknown): number | bigint {
	const number = Number(value)
	if (Number.isSafeInteger(number) || typeof value !== 'string' || !/^-?\d+$/.test(value)) return number
	return BigInt(value)
}

/** Converts a value to an `AnyValue`. */
export function anyValueOf(value: unknown): JsonFields {
	if (typeof value === 'string') return { stringValue: value }
	if (typeof value === 'boolean') return { boolValue: value }
	if (typeof value === 'bigint') return { intValue: String(value) }
	if (Number.isSafeInteger(value)) return { intValue: String(value) }
	if (typeof value === 'number') return { doubleValue: Number.isFinite(value) ? value : String(value) }
	if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
	if (value instanceof Date) return { stringValue: value.toISOString() }
	if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValueOf) } }
	return isMap(value) ? { kvlistValue: { values: attributesOf(value) } } : {}
}

/** Converts fields to a list of attributes. */
export function attributesOf(fields: JsonFields): readonly JsonFields[] {
	return Object.entries(fields).map(([key, value]) => ({ key, value: anyValueOf(value) }))
}

/** Converts a list of attributes to a map. */
export function mapOf(attributes: unknown): Values {
	const entries = objectsIn(attributes).map(({ key, value }) => [String(key), contentOf(value) ?? null])
	return Object.fromEntries(entries) as Values
}

/**
 * Returns whether the map does not represent the list completely, because several attributes have the same
 * key or one has no key.
 */
export function isDoubled(attributes: unknown, map: Values): boolean {
	const list = objectsIn(attributes)
	return list.length !== Object.keys(map).length || list.some(({ key }) => typeof key !== 'string')
}

/** Returns whether an object has no fields. */
export function isEmpty(fields: JsonFields): boolean {
	return Object.keys(fields).length === 0
}

/** Returns the elements of a list as objects; an empty list if the value is not a list. */
export function objectsIn(value: unknown): readonly JsonFields[] {
	return Array.isArray(value) ? value.map(fieldsOf) : []
}

/** Returns the fields of an object; no fields if the value is not an object. */
export function fieldsOf(value: unknown): JsonFields {
	return typeof value === 'object' && value !== null ? (value as JsonFields) : {}
}
