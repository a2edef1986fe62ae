/**
 * Converts whatever an application publishes to a line that a loop can publish.
 *
 * Invariant: every field that an application passes is in the record. A field that no line has, and a field
 * with a value that it cannot have, become part of the data, under their own name.
 */
import { marker } from '../codec/canonical.ts'
import { shownMessage } from '../codec/web-object.ts'
import { isTime } from '../guard/clock.ts'
import { hush } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { attempt, errorNameOf, isInstance, isList, messageOf } from '../guard/values.ts'
import { FATAL, levelAt, lineRankOf } from '../model/level.ts'
import { checkOrigin, isId, isKind, isKindOfOrigin } from '../model/line-check.ts'
import { type LineFields, LOG_LEVELS, type LogLine, type PublisherId } from '../model/record.ts'
import { isMergeable } from './inherited-fields.ts'

/** A line in which every field has a value that it can have. */
export interface RegularLine {
	readonly line: LogLine
	/** Rank of the level that the application passed, which can be `fatal`. */
	readonly rank: number
	/** What is invalid, such as `the field level is 'loud'`; undefined for a line without an invalid value. */
	readonly invalid: string | undefined
}

type Fields = Record<string, unknown>
type Line = { -readonly [Name in keyof LogLine]: LogLine[Name] }

const INFO_RANK = LOG_LEVELS.indexOf('info')
/** Fields that a record has, but a line has not. They are ignored in a record that is published again. */
const STAMPED: readonly string[] = ['seq', 'epoch', 'chainPending']

/**
 * Returns whether a line is an object literal that has only fields of lines. Its values may still be invalid.
 *
 * @throws {unknown} Any error from a proxy or a getter.
 */
export function hasOnlyLineFields(line: unknown): line is LogLine {
	// Reading the prototype instead would make `publish` measurably slower (`bench/compare.mjs`).
	if (typeof line !== 'object' || line === null) return false
	const { constructor: type } = line
	if (type !== Object) {
		hush(type)
		return false
	}
	for (const name in line) {
		switch (name) {
			case 'level':
			case 'kind':
			case 'message':
			case 'data':
			case 'daemonId':
			case 'nodeId':
			case 'tsMs':
			case 'origin':
				continue
			default:
				return false
		}
	}
	return true
}

/** Converts any value to a line. Never throws. */
export function regularLine(given: unknown): RegularLine {
	hush(given)
	if (typeof given !== 'object' || given === null) {
		return { line: { message: textOfValue(given) }, rank: INFO_RANK, invalid: `the line is ${show(given)}` }
	}
	if (isError(given)) {
		const line = { message: messageOfError(given), data: { error: given } }
		return { line, rank: INFO_RANK, invalid: undefined }
	}
	if (isList(given)) return { line: { data: given }, rank: INFO_RANK, invalid: 'the line is an array' }
	return regularLineOf(new FieldSorter(given))
}

function regularLineOf(sorter: FieldSorter): RegularLine {
	const line: Line = {}
	const given = sorter.take('level', (level) => lineRankOf(level) >= 0)
	const rank = given === undefined ? INFO_RANK : lineRankOf(given)
	line.level = LOG_LEVELS[rank] ?? 'error'
	const origin = sorter.read('origin')
	const own = attempt(() => (origin === undefined ? undefined : checkOrigin(origin as never)), undefined)
	if (own !== undefined) line.origin = own
	else sorter.refuse('origin', origin)
	const kind = sorter.take('kind', own === undefined ? isKind : isKindOfOrigin)
	if (kind !== undefined) line.kind = kind as string
	Object.assign(line, sorter.takeIdsAndTime())
	sorter.takeUnknown(LINE_FIELDS)
	const message = sorter.takeMessage()
	if (message !== undefined) line.message = message
	const data = sorter.takeData()
	if (levelAt(rank) === FATAL) line.data = together({ level: FATAL }, data)
	else if (data !== undefined) line.data = data
	return { line, rank, invalid: sorter.invalid }
}

/**
 * Sorts the fields of an object from an application into valid fields and fields for the data. Reads each
 * field once. A field that cannot be read becomes a marker.
 */
export class FieldSorter {
	/** Description of the first invalid field. */
	invalid: string | undefined
	readonly #given: Fields
	/** Fields for the data. */
	readonly #rest: Fields = {}

	constructor(given: object) {
		this.#given = given as Fields
	}

	read(name: string): unknown {
		try {
			const value = this.#given[name]
			hush(value)
			return value
		} catch (thrown) {
			hush(thrown)
			this.refuse(name, marker(`threw ${errorNameOf(thrown)}`))
			return undefined
		}
	}

	/** Returns a field; undefined if it is missing or invalid. */
	take(name: string, isValid: (value: unknown) => boolean): unknown {
		const value = this.read(name)
		if (value === undefined || isValid(value)) return value
		this.refuse(name, value)
		return undefined
	}

	/** Moves an invalid field to the data. */
	refuse(name: string, value: unknown): void {
		if (value === undefined) return
		setField(this.#rest, name, value)
		this.invalid ??= `the field ${name} is ${show(value)}`
	}

	takeIdsAndTime(): LineFields {
		const fields: { -readonly [Name in keyof LineFields]: LineFields[Name] } = {}
		const daemonId = this.take('daemonId', isIdOrNull) as PublisherId | null | undefined
		if (daemonId !== undefined) fields.daemonId = daemonId
		const nodeId = this.take('nodeId', isIdOrNull) as PublisherId | null | undefined
		if (nodeId !== undefined) fields.nodeId = nodeId
		const tsMs = this.take('tsMs', isTime) as number | undefined
		if (tsMs !== undefined) fields.tsMs = tsMs
		return fields
	}

	/** Moves all fields that are not known to the data. */
	takeUnknown(known: object): void {
		const names = attempt<readonly string[]>(() => Object.keys(this.#given), [])
		const isRecord = STAMPED.every((name) => names.includes(name))
		for (const name of names) {
			if (Object.hasOwn(known, name) || (isRecord && STAMPED.includes(name))) continue
			const value = this.read(name)
			if (value !== undefined) setField(this.#rest, name, value)
		}
	}

	/** Returns the message: the text of `message`, or `msg` if there is no message. */
	takeMessage(): string | undefined {
		const message = this.read('message')
		if (typeof message === 'string') return message
		if (isError(message)) {
			this.refuse(Object.hasOwn(this.#rest, 'error') ? 'message' : 'error', message)
			return messageOfError(message)
		}
		if (typeof message === 'object' && message !== null) this.refuse('message', message)
		else if (message !== undefined) {
			this.invalid ??= `the message is ${show(message)}`
			return textOfValue(message)
		}
		const { msg } = this.#rest
		if (typeof msg !== 'string') return undefined
		delete this.#rest['msg']
		return msg
	}

	/** Returns the data, together with the fields that were moved to it. */
	takeData(): unknown {
		const data = this.read('data')
		return Object.keys(this.#rest).length === 0 ? data : together(this.#rest, data)
	}
}

const LINE_FIELDS = {
	level: 0,
	kind: 0,
	message: 0,
	data: 0,
	daemonId: 0,
	nodeId: 0,
	tsMs: 0,
	origin: 0,
} satisfies Record<keyof LogLine, 0>

function isIdOrNull(id: unknown): boolean {
	return id === null || isId(id)
}

/**
 * Returns an object that contains the fields and the data. Data that is not a plain object, or that has a
 * field with the same name, is stored under `data`.
 */
export function together(fields: Readonly<Fields>, data: unknown): Fields {
	if (data === undefined) return { ...fields }
	const own = isMergeable(data) ? fieldsOf(data) : undefined
	const hasBoth = own !== undefined && Object.keys(fields).some((name) => Object.hasOwn(own, name))
	if (own !== undefined && !hasBoth) return { ...own, ...fields }
	return Object.hasOwn(fields, 'data') ? { fields, data } : { ...fields, data }
}

/** Returns a copy of an object with its own fields; undefined if they cannot be read. */
export function fieldsOf(object: object): Fields | undefined {
	const copy: Fields = {}
	try {
		for (const name of Object.keys(object)) {
			const value = (object as Fields)[name]
			hush(value)
			setField(copy, name, value)
		}
		return copy
	} catch (thrown) {
		hush(thrown)
		return undefined
	}
}

/** Returns whether a value is an error. Never throws. */
export function isError(value: unknown): value is Error {
	return typeof value === 'object' && value !== null && isInstance(value, Error)
}

/** Returns the message of an error, or its name if it has no message. */
export function messageOfError(error: Error): string {
	const message = shownMessage(error, messageOf(error))
	return message === '' ? errorNameOf(error) : message
}

/** Returns the text of a value that is not an object. */
export function textOfValue(value: unknown): string {
	if (typeof value !== 'function') return String(value)
	const name = attempt<unknown>(() => value.name, '')
	return typeof name === 'string' && name !== '' ? `[Function: ${name}]` : '[Function (anonymous)]'
}

/** Sets a field, even one with a name such as `__proto__`. */
function setField(fields: Fields, name: string, value: unknown): void {
	if (name !== '__proto__') fields[name] = value
	else Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true })
}
