/**
 * The format of the Channel Access event recorder (epics-ca-rs): `{"ts":1714200000.123,"ev":"beacon_recv",…}`, with `ts` in seconds and
 * three decimals, and the fields of the event beside them. Integers of any size are kept: beyond 2^53 − 1 they are bigints in a record.
 */

import { exactJsonOf, exactly } from '../codec/exact-json.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { timeOfDecimal, timeOfNumber } from '../model/calendar.ts'
import { checkIsObject, checkWord } from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { escapeJson } from '../text/escape.ts'
import { INVALID_FIELD, type LineFormat } from './line-format.ts'

/** Whether a field's value is what it has to be; an integer beyond 2^53 − 1 is a bigint. One that throws says no. */
export type FieldCheck = (value: unknown) => boolean

/** The fields that an event must have, with the type of each or a check of its value. */
export type EventFields = Readonly<Record<string, (typeof FIELD_TYPES)[number] | FieldCheck>>

const TAKEN = ['ts', 'ev']
const FIELD_TYPES = ['string', 'number', 'boolean'] as const

/**
 * A format with the events of an application. The kind of a record is its `ev`, its data the other fields. `ts` is in seconds; milliseconds,
 * microseconds and nanoseconds are read too, by their size. Lines with a `ts` that is no time are skipped as `invalidField`; a record with a time
 * that would be read as another one, such as those from the year 5138 on, has no line. Integers have any size: beyond 2^53 − 1 they are bigints in
 * data, and the type `number` takes both.
 *
 * @param events by name, with the fields that each must have: a type, or a function that checks the value. Lines with another `ev`, and lines of which a
 * field is missing or wrong, are skipped and counted; records like that have no line. Undefined takes any event with any fields.
 * @throws {MeshChainError} `INVALID_OPTION` for a field that the format itself has, or of a type that is none.
 *
 * @example
 * ```ts
 * import { eventFormat } from 'mesh-chain'
 *
 * const format = eventFormat({ client_connect: { peer: 'string' }, client_disconnect: { peer: 'string' } })
 * console.log(format.name)
 * ```
 */
export function eventFormat(events?: Readonly<Record<string, EventFields>>): LineFormat {
	if (events !== undefined) checkEvents(events)
	const fieldsOf = (kind: string) =>
		events === undefined ? {} : Object.hasOwn(events, kind) ? events[kind] : undefined
	return {
		name: 'events',
		read(given, text) {
			const { ts, ev, ...data } = exactly(given, text)
			const tsMs = typeof given['ts'] === 'number' ? timeOfNumber(given['ts']) : undefined
			if (typeof ev !== 'string' || tsMs === undefined) return INVALID_FIELD
			const fields = fieldsOf(ev)
			if (fields === undefined) return { skipped: 'unknownKind' }
			if (!hasFields(data, fields)) return INVALID_FIELD
			const line = { kind: ev, tsMs }
			return { lines: [Object.keys(data).length === 0 ? line : { ...line, data }] }
		},
		write({ kind, tsMs, data = {} }: LogRecord) {
			if (kind.startsWith('$') || fieldsOf(kind) === undefined) return undefined
			if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined
			if (TAKEN.some((name) => Object.hasOwn(data, name))) return undefined
			if (!hasFields(data as Readonly<Record<string, unknown>>, fieldsOf(kind) ?? {})) return undefined
			const ts = (tsMs / 1000).toFixed(3)
			if (timeOfDecimal(ts) !== tsMs) return undefined
			const rest = escapeJson(exactJsonOf({ ev: kind, ...data }, plain))
			return `{"ts":${ts},${rest.slice(1)}`
		},
	}
}

function checkEvents(events: Readonly<Record<string, EventFields>>): void {
	checkIsObject('the events of a format', events)
	for (const [kind, fields] of Object.entries(events)) {
		checkIsObject(`the fields of the event ${show(kind)}`, fields)
		for (const [name, type] of Object.entries(fields)) {
			if (TAKEN.includes(name)) {
				const text = `an event cannot have a field ${show(name)}: the format has it`
				throw new MeshChainError('INVALID_OPTION', text)
			}
			if (typeof type !== 'function') checkWord(`the type of ${kind}.${name}`, type, FIELD_TYPES)
		}
	}
}

function hasFields(data: Readonly<Record<string, unknown>>, fields: EventFields): boolean {
	return Object.entries(fields).every(([name, type]) => Object.hasOwn(data, name) && isOf(type, data[name]))
}

function isOf(type: EventFields[string], value: unknown): boolean {
	if (typeof type === 'string')
		return typeof value === type || (type === 'number' && typeof value === 'bigint')
	try {
		const answer: unknown = type(value)
		discard(answer)
		return answer === true
	} catch {
		return false
	}
}

/** What JSON has no type for, as readers of such a format expect it. */
function plain(value: unknown): unknown {
	return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
