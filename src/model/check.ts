/** Shared checks for option resolvers and entry points. */
import { types } from 'node:util'
import { show } from '../guard/show.ts'
import { isInstance, isList, propertyOf } from '../guard/values.ts'
import type { FileSystem } from '../platform/file-system.ts'
import { TIMER_MS_MAX } from '../platform/time-limits.ts'
import { MeshChainError, messageOf } from './errors.ts'
import { NAME_LENGTH_MAX } from './limits.ts'

/** Creates the error for an option or argument whose value is not allowed. */
export function invalidOption(name: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_OPTION', `${name} must be ${allowed}, not ${show(value)}`)
}

/**
 * Refuses options that are not an object or that contain an unknown name. Otherwise, a misspelt option would
 * silently fall back to its default.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function checkOptionNames(options: unknown, names: readonly string[]): void {
	readOptions(options, names)
}

/**
 * Reads each option once, by name. Refuses the same values as {@link checkOptionNames}.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function readOptions(options: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
	checkIsObject('options', options)
	for (const name of namesOf(options)) {
		if (names.includes(name)) continue
		throw new MeshChainError(
			'INVALID_OPTION',
			`no such option: ${show(name)}; valid options: ${names.join(', ')}`,
		)
	}
	return Object.fromEntries(names.map((name) => [name, readOption(name, options, name)]))
}

function namesOf(options: object): readonly string[] {
	try {
		return Object.keys(options)
	} catch (thrown) {
		throw new MeshChainError('INVALID_OPTION', `options cannot be read: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
}

/**
 * Reads a field of an object that the caller passed. Refuses a promise, and reports an error from a getter.
 *
 * @param what Name of the field in error messages.
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function readOption(what: string, given: object, name: string): unknown {
	let value: unknown
	try {
		value = (given as Readonly<Record<string, unknown>>)[name]
	} catch (thrown) {
		throw new MeshChainError('INVALID_OPTION', `${what} cannot be read: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
	if (types.isPromise(value)) throw invalidOption(what, value, 'a value that is available immediately')
	return value
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkIsObject(name: string, value: unknown): asserts value is object {
	if (typeof value === 'object' && value !== null && !isList(value)) return
	throw invalidOption(name, value, 'an object')
}

/** Checks an option unless it is undefined. */
export function ifGiven<V, T>(
	name: string,
	value: V | undefined,
	check: (name: string, value: V) => T,
): T | undefined {
	return value === undefined ? undefined : check(name, value)
}

/** Checks that a value is a whole number from `min` to `max`. @throws {MeshChainError} `INVALID_OPTION` */
export function checkWholeNumber(
	name: string,
	value: unknown,
	min: number,
	max = Number.MAX_SAFE_INTEGER,
): number {
	if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value
	const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`
	throw invalidOption(name, value, `a whole number from ${min}${upTo}`)
}

/** Checks that a duration fits Node's timers. @throws {MeshChainError} `INVALID_OPTION` */
export function checkTimerMs(name: string, value: unknown, min = 1): number {
	const ms = checkWholeNumber(name, value, min)
	if (ms > TIMER_MS_MAX) throw invalidOption(name, ms, `at most ${TIMER_MS_MAX}`)
	return ms
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkBoolean(name: string, value: unknown): boolean {
	if (typeof value === 'boolean') return value
	throw invalidOption(name, value, 'true or false')
}

/** Checks that a value is one of several keywords. @throws {MeshChainError} `INVALID_OPTION` */
export function checkWord<W extends string>(name: string, value: unknown, words: readonly W[]): W {
	if (words.includes(value as W)) return value as W
	throw invalidOption(name, value, words.map((word) => `'${word}'`).join(' or '))
}

/** @throws {MeshChainError} `INVALID_OPTION` */
// biome-ignore lint/complexity/noBannedTypes: the parameter and the result have the option's declared type
export function checkFunction<F extends Function>(name: string, value: F): F {
	if (typeof value === 'function') return value
	throw invalidOption(name, value, 'a function')
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkSignal(name: string, value: unknown): AbortSignal {
	if (isInstance(value, AbortSignal)) return value
	throw invalidOption(name, value, 'an AbortSignal')
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkText(name: string, value: unknown): string {
	if (typeof value === 'string' && value !== '') return value
	throw invalidOption(name, value, 'a non-empty string')
}

/** Checks a name that is used in records and messages. @throws {MeshChainError} `INVALID_OPTION` */
export function checkName(name: string, value: unknown): string {
	if (typeof value === 'string' && value !== '' && value.length <= NAME_LENGTH_MAX) return value
	throw invalidOption(name, value, `a string of 1 to ${NAME_LENGTH_MAX} characters`)
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkMode(name: string, value: unknown): number {
	if (Number.isInteger(value) && (value as number) >= 0o400 && (value as number) <= 0o777)
		return value as number
	throw invalidOption(name, value, 'file permissions, such as 0o600')
}

/** @throws {MeshChainError} `INVALID_OPTION` */
export function checkFileSystem(name: string, value: unknown): FileSystem {
	if (typeof propertyOf(value, 'openSync') === 'function') return value as FileSystem
	throw invalidOption(name, value, 'a FileSystem, such as nodeFileSystem')
}

/** Checks that an option is the path of a file. @throws {MeshChainError} `INVALID_OPTION` */
export function checkFileOption(name: string, value: unknown): string {
	if (isPath(value)) return value
	throw invalidOption(name, value, 'the path of a file')
}

/**
 * Checks that a path can be passed to the operating system.
 *
 * @param what Name of the file in error messages.
 * @throws {MeshChainError} `INVALID_PATH`
 */
export function checkPath(what: string, path: unknown): string {
	if (isPath(path)) return path
	throw new MeshChainError(
		'INVALID_PATH',
		`the path of ${what} must be a non-empty string, not ${show(path)}`,
	)
}

function isPath(path: unknown): path is string {
	return typeof path === 'string' && path !== '' && !path.includes('\0')
}

/**
 * Returns the names of the entries of an option.
 *
 * @throws {MeshChainError} `INVALID_OPTION` if they cannot be read.
 */
export function namesIn(name: string, given: object): readonly string[] {
	try {
		return Object.keys(given)
	} catch (thrown) {
		const text = `${name} cannot be read: ${messageOf(thrown)}`
		throw new MeshChainError('INVALID_OPTION', text, { cause: thrown })
	}
}
