/**
 * Selects what may be recorded of HTTP requests and responses, of headers, and of the errors of HTTP clients.
 * Headers, bodies and sockets contain secrets, so they are recorded only if a serializer returns them. The
 * objects are recognised by their properties, because any framework or client may define their classes, and
 * `node:http` is not loaded.
 */
import { attempt, isInstance, isPlainObject, propertyOf } from '../guard/values.ts'
import { tagOf } from './object-class.ts'

/** Stands for a value that is withheld. The copier replaces it by a marker. */
export const WITHHELD = Symbol('withheld')

/** The parts of a request that may be recorded. */
export interface RequestForm {
	/** The id that a framework assigned to the request. */
	readonly id?: string | number
	readonly method?: string
	/** The path, or the whole address if it is known. `?…` replaces the query. */
	readonly url?: string
	readonly remoteAddress?: string
	readonly remotePort?: number
}

/** The parts of a response that may be recorded. */
export interface ResponseForm {
	readonly statusCode?: number
	/** The address that the response came from, with `?…` instead of the query. */
	readonly url?: string
}

/** Headers that identify a user. Their values are withheld. */
const CREDENTIALS: readonly string[] = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie']
const WITHHELD_USER = '[withheld]@'

/** Whether the value of a header is withheld. */
export function isCredential(header: unknown): boolean {
	return typeof header === 'string' && CREDENTIALS.includes(header.toLowerCase())
}

/**
 * Returns what to record instead of the fields of a class instance: the form of a request or a response, or
 * undefined if the instance is neither.
 */
export function webFormOf(value: object): object | undefined {
	const isResponse = 'headers' in value || 'getHeaders' in value
	if (!isResponse && !('header' in value)) return undefined
	if (typeof propertyOf(value, 'method') === 'string') {
		const form = requestForm(value)
		if (form.url !== undefined) return form
	}
	const form = isResponse ? responseForm(value) : {}
	// A message of `node:http` has no status before it is complete.
	if (form.statusCode !== undefined || 'rawHeaders' in value || '_header' in value) return form
	return undefined
}

/** Returns whether a class instance is a stream, a socket, or an agent, which contains sockets. */
export function isTransport(value: object): boolean {
	if ('freeSockets' in value) return true
	return 'pipe' in value && ('_readableState' in value || '_writableState' in value)
}

/** Returns the parts of a request that may be recorded. The request can be of any class or a plain object. */
export function requestForm(request: unknown, withQuery = false): RequestForm {
	const id = propertyOf(request, 'id')
	const method = textOf(propertyOf(request, 'method'))
	const url = urlOf(request, withQuery)
	const socket = propertyOf(request, 'socket')
	const remoteAddress = textOf(propertyOf(socket, 'remoteAddress'))
	const remotePort = propertyOf(socket, 'remotePort')
	return {
		...(typeof id === 'string' || typeof id === 'number' ? { id } : {}),
		...(method === undefined ? {} : { method }),
		...(url === undefined ? {} : { url }),
		...(remoteAddress === undefined ? {} : { remoteAddress }),
		...(typeof remotePort === 'number' ? { remotePort } : {}),
	}
}

/** Returns the parts of a response that may be recorded. */
export function responseForm(response: unknown, withQuery = false): ResponseForm {
	const statusCode = statusOf(response)
	const url = addressOf(propertyOf(response, 'url'))
	return {
		...(statusCode === undefined ? {} : { statusCode }),
		...(url === undefined ? {} : { url: shownUrl(url, withQuery) }),
	}
}

function statusOf(response: unknown): number | undefined {
	for (const name of ['statusCode', 'status']) {
		const status = propertyOf(response, name)
		if (Number.isInteger(status) && (status as number) >= 100 && (status as number) < 1000) {
			return status as number
		}
	}
	return undefined
}

function urlOf(request: unknown, withQuery: boolean): string | undefined {
	const given =
		addressOf(propertyOf(request, 'originalUrl')) ??
		addressOf(propertyOf(request, 'url')) ??
		addressOf(propertyOf(request, 'path'))
	if (given === undefined) return undefined
	const url = shownUrl(given, withQuery)
	const base = addressOf(propertyOf(request, 'baseURL'))
	if (base !== undefined && !/^[a-z][a-z\d+.-]*:/i.test(url)) {
		return `${shownUrl(base, withQuery).replace(/\/+$/, '')}/${url.replace(/^\/+/, '')}`
	}
	// A request that a client sends knows its host.
	const [protocol, host] = [textOf(propertyOf(request, 'protocol')), textOf(propertyOf(request, 'host'))]
	const isSent = isFunction(propertyOf(request, 'getHeaders')) && protocol !== undefined && host !== undefined
	return isSent && url.startsWith('/') ? `${protocol}//${host}${url}` : url
}

/** Returns a non-empty address. It may be a text or a `URL`. */
function addressOf(value: unknown): string | undefined {
	return textOf(value) ?? textOf(propertyOf(value, 'href'))
}

function textOf(value: unknown): string | undefined {
	return typeof value === 'string' && value !== '' ? value : undefined
}

/** Returns an address without user information, and by default without its query. */
export function shownUrl(url: string, withQuery = false): string {
	const end = withQuery ? url.indexOf('#') : url.search(/[?#]/)
	if (end < 0) return withoutUser(url)
	return withoutUser(url.slice(0, end)) + (url[end] === '?' ? '?…' : '')
}

/** Replaces the user name and the password in an address. */
export function withoutUser(url: string): string {
	return url.replace(/^((?:[a-z][a-z\d+.-]*:)?[/\\]{2})[^/\\?#]*@/i, `$1${WITHHELD_USER}`)
}

/** Returns a text in which addresses have neither user information nor a query. */
export function withoutQueries(text: string): string {
	return text.replaceAll(/\b[a-z][a-z\d+.-]{0,20}:\/\/[^\s"'<>`]+/gi, (url) => shownUrl(url))
}

/** Returns the message of an error. Addresses in an error of HTTP have neither users nor queries. */
export function shownMessage(error: unknown, message: string): string {
	if (!message.includes('://') || !isObject(error)) return message
	const keys = attempt<readonly string[]>(() => Object.keys(error as object), [])
	return errorParts(error as object, keys) === undefined ? message : withoutQueries(message)
}

/**
 * Returns the result of `toJSON` without credentials. A `URL` loses its user information, and the headers of
 * some clients have a `toJSON` method.
 */
export function withoutCredentials(answer: unknown, asked: object): unknown {
	if (typeof answer === 'string') return tagOf(asked) === 'URL' ? withoutUser(answer) : answer
	if (!isPlainObject(answer) || !tagOf(asked)?.endsWith('Headers')) return answer
	return Object.fromEntries(
		Object.entries(answer).map(([name, value]) => [name, isCredential(name) ? WITHHELD : value]),
	)
}

/** Fields of a client's error that are withheld, unless they are numbers, true, false or empty. */
const WITHHELD_PARTS: readonly string[] = [
	...['headers', 'header', 'rawHeaders', 'trailers', 'body', 'rawBody', 'data', 'text', 'rawResponse'],
	...['rawPacket', 'socket', 'error', 'auth', 'agent'],
]
const REQUEST_PARTS: readonly string[] = ['request', 'req', 'config', 'options']
const RESPONSE_PARTS: readonly string[] = ['response', 'res']
/** Fields that only errors of HTTP have. */
const HTTP_PARTS: readonly string[] = [
	...['request', 'req', 'response', 'res', 'headers', 'rawHeaders', 'rawPacket', 'socket'],
]

/** A field that only the errors of node-fetch have. */
const OF_NODE_FETCH = 'erroredSysCall'
const PARTS: ReadonlySet<string> = new Set([
	...[...WITHHELD_PARTS, ...REQUEST_PARTS, ...RESPONSE_PARTS],
	OF_NODE_FETCH,
])

/**
 * Returns the fields of an error of HTTP that are not recorded as they are, with their replacements. Returns
 * undefined for any other error.
 *
 * @param keys The keys of the error's own fields.
 */
export function errorParts(error: object, keys: readonly string[]): ReadonlyMap<string, unknown> | undefined {
	if (!keys.some((key) => PARTS.has(key)) || !isOfHttp(error, keys)) return undefined
	const parts = new Map<string, unknown>()
	for (const key of ['message', 'stack']) {
		const text = propertyOf(error, key)
		if (typeof text === 'string' && text.includes('://')) parts.set(key, withoutQueries(text))
	}
	for (const key of keys) {
		const value = propertyOf(error, key)
		if (REQUEST_PARTS.includes(key)) parts.set(key, formOr(requestForm, value))
		else if (RESPONSE_PARTS.includes(key)) parts.set(key, formOr(responseForm, value))
		else if (WITHHELD_PARTS.includes(key) && isLarge(value)) parts.set(key, WITHHELD)
	}
	return parts
}

function isOfHttp(error: object, keys: readonly string[]): boolean {
	const code = propertyOf(error, 'code')
	return (
		keys.some((key) => HTTP_PARTS.includes(key) && isObject(propertyOf(error, key))) ||
		REQUEST_PARTS.some(
			(key) => keys.includes(key) && isObject(propertyOf(propertyOf(error, key), 'headers')),
		) ||
		'isAxiosError' in error ||
		keys.includes(OF_NODE_FETCH) ||
		(typeof code === 'string' && code.startsWith('HPE_')) ||
		(statusOf(error) !== undefined && keys.some((key) => WITHHELD_PARTS.includes(key)))
	)
}

function formOr(form: (value: unknown) => object, value: unknown): unknown {
	if (!isObject(value)) return isLarge(value) ? WITHHELD : value
	const shown = form(value)
	return Object.keys(shown).length === 0 ? WITHHELD : shown
}

function isObject(value: unknown): boolean {
	return typeof value === 'object' && value !== null
}

function isFunction(value: unknown): boolean {
	return typeof value === 'function'
}

/** Returns whether a value can contain a secret. An error in a field is copied as an error. */
function isLarge(value: unknown): boolean {
	if (typeof value === 'string') return value !== ''
	return (isObject(value) && !isInstance(value, Error)) || isFunction(value)
}
