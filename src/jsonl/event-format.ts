/**
 * The format of the Channel Access event recorder (epics-ca-rs):
 * `{"ts":1714200000.123,"ev":"beacon_recv",…}`. `ts` is in seconds with three decimals, and the other fields
 * of the event follow `ev`. Integers of any size are preserved: integers beyond 2^53 − 1 are bigints in a
 * record.
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

/**
 * Returns whether the value of a field is valid. Integers beyond 2^53 − 1 are passed as bigints. If the check
 * throws, the value is invalid.
 */
export type FieldCheck = (value: unknown) => boolean

/** The required fields of an event, each with its type or a function that checks its value. */
export type EventFields = Readonly<Record<string, (typeof FIELD_TYPES)[number] | FieldCheck>>

const TAKEN = ['ts', 'ev']
const FIELD_TYPES = ['string', 'number', 'boolean'] as const

/**
 * Returns a format for the events of an application. The field `ev` becomes the kind of a record, and the
 * fields other than `ts` and `ev` become its data. `ts` is in seconds; milliseconds, microseconds and
 * nanoseconds are recognised by their magnitude. Lines with an invalid `ts` are skipped as `invalidField`. A
 * record is not written if its time, such as a time after the year 5138, could not be read back unchanged.
 * Integers can have any size: integers beyond 2^53 − 1 are bigints in data, and the type `number` accepts
 * both numbers and bigints.
 *
 * @param events Required fields of each event, keyed by event name. Each field has a type or a function that
 * checks its value. Lines with any other `ev`, or with a missing or invalid field, are skipped and counted.
 * Records that would become such lines are not written. Default: any event with any fields.
 * @throws {MeshChainError} `INVALID_OPTION` for a field named `ts` or `ev`, and for an unknown type.
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
				const text = `an event cannot have a field ${show(name)}, because the format uses this name`
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

/** Converts bytes to base64, which readers of this format expect. Returns other values unchanged. */
function plain(value: unknown): unknown {
	return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value
}
