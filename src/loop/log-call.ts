/**
 * Converts the arguments of a logging call, such as `loop.info(…)`, to a line. Never throws, and keeps every
 * argument: in the message, or in the data.
 */
import { format } from 'node:util'
import { isTime } from '../guard/clock.ts'
import { hush, hushAll } from '../guard/hush.ts'
import { attempt, errorNameOf, isPlainObject, messageOf } from '../guard/values.ts'
import type { LineLevel } from '../model/level.ts'
import { isId } from '../model/line-check.ts'
import type { LineFields, LogLine } from '../model/record.ts'
import { fieldsOf, isError, messageOfError, textOfValue, together } from './regular-line.ts'

/** A line whose level can be `fatal`. */
export type CallLine = Omit<LogLine, 'level'> & { readonly level: LineLevel }

const NO_FIELDS: LineFields = Object.freeze({})
/** The placeholders of `console.log`. */
const PLACEHOLDERS = /%[sdifjoOc%]/g
/** Placeholders that write a whole object. The others would replace an object by a part of it, or by NaN. */
const FOR_OBJECTS = ['%j', '%o', '%O']

/**
 * Returns whether the arguments are a message without placeholders, data that is not an error, and optional
 * fields. Almost all calls have these arguments, and need no conversion.
 */
export function isPlainCall(message: unknown, data: unknown, fields: unknown): message is string {
	if (typeof message !== 'string') return false
	if (data === undefined) return fields === undefined || isLineFields(fields)
	if (typeof data !== 'object' || data === null || message.includes('%')) return false
	return isPlainObject(data) && (fields === undefined || isLineFields(fields))
}

/** Converts the arguments of a call to a line. */
export function lineOfCall(level: LineLevel, args: readonly unknown[]): CallLine {
	const call = new Call(args)
	const { daemonId, nodeId, tsMs } = call.fields
	return { level, message: call.message, data: call.data(), daemonId, nodeId, tsMs }
}

class Call {
	/** Message of the line; undefined for the default message. */
	message: string | undefined
	readonly fields: LineFields
	#data: unknown
	#error: Error | undefined
	/** Arguments that are neither in the message nor in the data. */
	#rest: unknown[]

	constructor(args: readonly unknown[]) {
		hushAll(...args)
		const last = args[2]
		this.fields = isLineFields(last) && withoutMissing(args).length === 3 ? last : NO_FIELDS
		const given = withoutMissing(this.fields === NO_FIELDS ? args : args.slice(0, 2))
		const [first, ...rest] = given
		this.#rest = rest
		if (given.length > 0) this.#take(first)
	}

	#take(first: unknown): void {
		if (typeof first === 'string') this.#takeText(first)
		else if (isError(first)) {
			this.#error = first
			const [text, ...rest] = this.#rest
			if (typeof text === 'string') {
				this.#rest = rest
				this.#takeText(text)
			} else this.message = messageOfError(first)
		} else if (typeof first === 'object' && first !== null) {
			this.#data = first
			if (!this.#takeTextOfRest()) this.#takeMessageOf(first)
			this.#takeRest()
		} else {
			this.message = textOfValue(first)
			this.#takeRest()
		}
	}

	/** Takes the second argument as the message if the first was an object and the second is a string. */
	#takeTextOfRest(): boolean {
		const [text, ...rest] = this.#rest
		if (typeof text !== 'string') return false
		this.#rest = rest
		this.message = this.#formatted(text)
		return true
	}

	#takeText(text: string): void {
		const given = this.#rest
		this.message = this.#formatted(text)
		const [data, ...others] = this.#rest
		const isData = given === this.#rest && data !== undefined && !isError(data)
		if (
			isData &&
			(others.length === 0 || isPlainObject(data) || (others.length === 1 && isError(others[0])))
		) {
			this.#data = data
			this.#rest = others
		}
		this.#takeRest()
	}

	/** Takes `msg` or `message` of an object as the message. */
	#takeMessageOf(object: object): void {
		const others = isPlainObject(object) ? fieldsOf(object) : undefined
		if (others === undefined) return
		for (const name of ['msg', 'message']) {
			const text = others[name]
			if (typeof text !== 'string') continue
			this.message = text
			delete others[name]
			this.#data = Object.keys(others).length === 0 ? undefined : others
			return
		}
	}

	#takeRest(): void {
		const index = this.#rest.findIndex(isError)
		if (this.#error !== undefined || index < 0) return
		this.#error = this.#rest[index] as Error
		this.#rest.splice(index, 1)
		this.message ??= messageOfError(this.#error)
	}

	/** Formats a text with the arguments that its placeholders use, and removes them from the rest. */
	#formatted(text: string): string {
		if (this.#rest.length === 0 || !text.includes('%')) return text
		const used: unknown[] = []
		for (const [placeholder] of text.matchAll(PLACEHOLDERS)) {
			if (placeholder === '%%') continue
			if (used.length === this.#rest.length) break
			const value = this.#rest[used.length]
			// The object remains data. The text can come from outside: %d0 in a URL is not a placeholder.
			if (!canReplace(placeholder, value)) return text
			used.push(value)
		}
		if (used.length === 0) return text
		const texts = used.map((value) => (isError(value) ? `${errorNameOf(value)}: ${messageOf(value)}` : value))
		const message = attempt<string | undefined>(() => format(text, ...texts), undefined)
		if (message === undefined) return text
		this.#rest = [...used.filter(isError), ...this.#rest.slice(used.length)]
		return message
	}

	/** Returns the data of the line. */
	data(): unknown {
		let data = this.#data
		if (this.#error !== undefined) data = together({ error: this.#error }, data)
		return this.#rest.length === 0 ? data : together({ args: this.#rest }, data)
	}
}

/** Returns the arguments without those at the end that are undefined, but with the first one. */
function withoutMissing(args: readonly unknown[]): readonly unknown[] {
	let { length } = args
	while (length > 1 && args[length - 1] === undefined) length--
	return args.slice(0, length)
}

/** Returns whether a placeholder writes a value completely. */
function canReplace(placeholder: string, value: unknown): boolean {
	if (FOR_OBJECTS.includes(placeholder)) return true
	if (typeof value === 'object' && value !== null) return placeholder === '%s' && isError(value)
	switch (placeholder) {
		case '%s':
			return true
		case '%d':
		case '%f':
			return typeof value === 'number' || (typeof value === 'bigint' && placeholder === '%d')
		case '%i':
			return Number.isInteger(value) || typeof value === 'bigint'
		default:
			// `%c` removes its value.
			return false
	}
}

/** Returns whether a value is an object literal that has only valid ids and a valid time. Never throws. */
function isLineFields(value: unknown): value is LineFields {
	try {
		return hasOnlyValidFields(value)
	} catch (thrown) {
		hush(thrown)
		return false
	}
}

/** @throws {unknown} Any error from a proxy or a getter. */
function hasOnlyValidFields(value: unknown): boolean {
	if (typeof value !== 'object' || value === null || isError(value)) return false
	const { constructor: type } = value
	hush(type)
	if (type !== Object) return false
	let isEmpty = true
	for (const name in value) {
		if (name !== 'daemonId' && name !== 'nodeId' && name !== 'tsMs') return false
		const field = value[name as never] as unknown
		hush(field)
		const isValid = name === 'tsMs' ? isTime(field) : field === null || isId(field)
		if (field !== undefined && !isValid) return false
		isEmpty = false
	}
	return !isEmpty
}
