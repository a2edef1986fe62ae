/** Ready-made serializers for requests, responses and errors. */
import { requestForm, responseForm, withoutQueries } from '../codec/web-object.ts'
import { hush } from '../guard/hush.ts'
import { attempt, isList, propertyOf } from '../guard/values.ts'
import { checkBoolean, invalidOption } from '../model/check.ts'
import { defineOptions, type OptionRules, withDefault } from '../model/define-options.ts'
import type { Serializer } from './serializers.ts'

/** Options for `requestSerializer` and `responseSerializer`. */
export interface WebSerializerOptions {
	/**
	 * Names of the headers to record, in any case. They are recorded even if they identify a user, such as
	 * `authorization`. Default: none.
	 */
	readonly headers?: readonly string[] | undefined
	/** Whether to record the query of an address, which can contain secrets. Default: false. */
	readonly query?: boolean | undefined
}

/** Options for `errorSerializer`. */
export interface ErrorSerializerOptions {
	/** Names of the error's own fields to record too. Default: none. */
	readonly fields?: readonly string[] | undefined
}

const WEB_RULES = {
	headers: withDefault<readonly string[]>([], checkNames),
	query: withDefault(false, checkBoolean),
} satisfies OptionRules<WebSerializerOptions>
const WEB_OPTIONS = defineOptions(WEB_RULES)

const ERROR_RULES = {
	fields: withDefault<readonly string[]>([], checkNames),
} satisfies OptionRules<ErrorSerializerOptions>
const ERROR_OPTIONS = defineOptions(ERROR_RULES)

/** Fields of an error that are always recorded. */
const ERROR_FIELDS = ['name', 'message', 'stack', 'code', 'status', 'statusCode']
/** Maximum depth of the causes of an error, and maximum number of errors in an `AggregateError`. */
const CAUSES_MAX = 16
const ERRORS_MAX = 64

/**
 * Returns a serializer for requests: those of `node:http`, Fetch and web frameworks, and plain objects. It
 * records `id`, `method`, `url`, `remoteAddress` and `remotePort`, if they are known, and the named headers
 * under `headers`. Never records a body.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop, requestSerializer } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new BufferingAppender(), {
 * 	serializers: { req: requestSerializer({ headers: ['user-agent'] }) },
 * })
 * const req = { method: 'GET', url: '/a?token=1', headers: { 'User-Agent': 'curl', Cookie: 'id=1' } }
 * console.log(loop.info('request', { req })?.data)
 * // { req: { method: 'GET', url: '/a?…', headers: { 'user-agent': 'curl' } } }
 * ```
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function requestSerializer(options: WebSerializerOptions = {}): Serializer {
	const { headers, query } = WEB_OPTIONS.resolve(options)
	return (request) =>
		isObject(request) ? withHeaders(requestForm(request, query), request, headers) : request
}

/**
 * Returns a serializer for responses: those of `node:http`, Fetch and web frameworks, and plain objects such
 * as a response of Axios. It records `statusCode` and `url`, if they are known, and the named headers under
 * `headers`. Never records a body.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function responseSerializer(options: WebSerializerOptions = {}): Serializer {
	const { headers, query } = WEB_OPTIONS.resolve(options)
	return (response) =>
		isObject(response) ? withHeaders(responseForm(response, query), response, headers) : response
}

/**
 * Returns a serializer for errors. It records the name, the message, the stack, `code`, `status` and
 * `statusCode`, the same fields of up to 16 nested causes and of the errors in an `AggregateError`, and the
 * named fields. No other field of an error is recorded, so an unknown client cannot add a secret. Addresses
 * in these texts have neither user information nor a query.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function errorSerializer(options: ErrorSerializerOptions = {}): Serializer {
	const { fields } = ERROR_OPTIONS.resolve(options)
	return (error) => errorForm(error, [...ERROR_FIELDS, ...fields], CAUSES_MAX)
}

function errorForm(error: unknown, names: readonly string[], causesLeft: number): unknown {
	if (!isObject(error)) return error
	hush(error)
	const form: Record<string, unknown> = {}
	for (const name of names) form[name] = shown(propertyOf(error, name))
	const cause = propertyOf(error, 'cause')
	const errors = propertyOf(error, 'errors')
	if (causesLeft > 0) {
		if (cause !== undefined) form['cause'] = errorForm(cause, names, causesLeft - 1)
		if (isList(errors)) {
			form['errors'] = errors.slice(0, ERRORS_MAX).map((each) => errorForm(each, names, causesLeft - 1))
		}
	}
	return form
}

function shown(value: unknown): unknown {
	return typeof value === 'string' ? withoutQueries(value) : value
}

function withHeaders(form: object, message: object, names: readonly string[]): object {
	const found = names.flatMap((name) => {
		const value = headerOf(message, name.toLowerCase())
		return value === undefined ? [] : [[name.toLowerCase(), value] as const]
	})
	return found.length === 0 ? form : { ...form, headers: Object.fromEntries(found) }
}

/** Returns a header of a message. Headers are an object with a method `get`, or a plain object. */
function headerOf(message: object, name: string): unknown {
	const headers = propertyOf(message, 'headers')
	const values = [
		() => methodResult(headers, 'get', name),
		() => methodResult(message, 'getHeader', name),
		() => {
			const key = Object.keys(headers as object).find((each) => each.toLowerCase() === name)
			return key === undefined ? undefined : propertyOf(headers, key)
		},
	]
	for (const read of values) {
		const value = attempt(read, undefined)
		if (value !== undefined && value !== null) return value
	}
	return undefined
}

function methodResult(target: unknown, method: string, name: string): unknown {
	const call = propertyOf(target, method)
	return typeof call === 'function' ? Reflect.apply(call, target, [name]) : undefined
}

function isObject(value: unknown): value is object {
	return typeof value === 'object' && value !== null
}

function checkNames(option: string, value: unknown): readonly string[] {
	const names = isList(value) ? attempt(() => [...value], [0]) : [0]
	if (names.every((name) => typeof name === 'string')) return names as string[]
	throw invalidOption(option, value, 'a list of names')
}
