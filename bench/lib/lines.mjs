/**
 * Typical log lines from services, by shape. The index of a line determines its content. Lines are created
 * before the clock starts.
 */
import { daemonOf, messages, NODE_ID } from './workload.mjs'

const METHODS = ['GET', 'PUT', 'POST', 'DELETE']
const PLANS = ['free', 'pro', 'team']
/** Number of fields of a wide event, without those that `dataOf` names. */
const WIDE_FIELDS = 36

const DATA = {
	/** Without data. */
	plain: () => undefined,
	/** The log line of an HTTP request. */
	request: (index) => ({
		requestId: `r-${index}`,
		method: METHODS[index % METHODS.length],
		path: `/api/orders/${index % 1000}`,
		status: index % 10 === 0 ? 404 : 200,
		ms: (index * 7) % 997,
		user: { id: index % 500, plan: PLANS[index % PLANS.length] },
	}),
	/** An error with a stack and a cause. */
	error: (index) => ({
		orderId: index,
		error: Object.assign(new Error(`order ${index} failed`, { cause: new TypeError('card declined') }), {
			code: 'E_CARD',
		}),
	}),
	/** A wide event of 40 fields with nested arrays. A tenth of its texts are not ASCII. */
	wide: (index) => ({
		...Object.fromEntries(
			Array.from({ length: WIDE_FIELDS }, (_unused, at) => [`field${at}`, fieldOf(at, index + at)]),
		),
		tags: ['eu', `shard-${index % 16}`, 'canary'],
		spans: [
			{ name: 'parse', ms: index % 13 },
			{ name: 'query', ms: index % 101, rows: [index % 7, index % 5] },
		],
		at: new Date(1_700_000_000_000 + index),
		größe: 'naïve – 日本語',
	}),
}

export const SHAPES = Object.keys(DATA)

/** The kind of a field depends only on its position, as in the events of one service. */
function fieldOf(at, seed) {
	switch (at % 6) {
		case 0:
			return at === 0 ? `Ärger ${seed}` : `value ${seed}`
		case 1:
			return seed
		case 2:
			return seed / 7
		case 3:
			return seed % 2 === 0
		case 4:
			return null
		default:
			return { id: seed, name: `n${seed % 100}` }
	}
}

/** Returns the data of one line; undefined if the lines of this shape have none. */
export function dataOf(shape, index) {
	return DATA[shape](index)
}

/** Returns the data of the lines `[from, to)`; undefined if the lines of this shape have none. */
export function datasBetween(shape, from, to) {
	if (shape === 'plain') return undefined
	return Array.from({ length: to - from }, (_unused, index) => DATA[shape](from + index))
}

/** Returns `count` lines for `publish`. Lines with the shape `error` have the level `error`. */
export function lines(shape, count) {
	const level = shape === 'error' ? 'error' : 'info'
	return messages(count).map((message, index) => {
		const data = DATA[shape](index)
		const line = { message, level, daemonId: daemonOf(index), nodeId: NODE_ID }
		return data === undefined ? line : { ...line, data }
	})
}

/**
 * Returns an error as an object with its name, message, code, stack and cause, for peers that do not encode
 * errors.
 */
export function plainError({ name, message, code, stack, cause }) {
	return {
		name,
		message,
		...(code === undefined ? {} : { code }),
		stack,
		...(cause === undefined ? {} : { cause: plainError(cause) }),
	}
}

/** Returns data without errors, for peers that do not encode errors. */
export function plainData(shape, data) {
	return shape === 'error' ? { orderId: data.orderId, error: plainError(data.error) } : data
}

/** Numbers that a reader can only know after it has decoded the data. A test sum is made from them. */
export const PROBES = {
	request: ({ requestId, path, status, user }) => requestId.length + path.length + status + user.id,
	error: ({ orderId, error }) => orderId + error.message.length + error.cause.message.length,
	wide: ({ field1, field5, tags, spans, größe }) =>
		field1 + field5.id + tags[1].length + spans[1].rows[0] + größe.length,
}

/**
 * Checks the data of one record, field by field. Errors are compared without their stacks, which must only be
 * texts, and times in any of the ways in which a peer stores them.
 *
 * @throws If the data differs from what was written.
 */
export function checkData(shape, index, found) {
	const expected = shape === 'plain' ? undefined : comparable(shape, plainData(shape, dataOf(shape, index)))
	const got = found === undefined || found === null ? undefined : comparable(shape, found)
	if (got !== expected) throw new Error(`record ${index + 1}: read data ${got} instead of ${expected}`)
}

function comparable(shape, data) {
	if (shape !== 'error') return JSON.stringify(sorted(data))
	const { orderId, error } = data
	for (const { stack } of [error, error.cause])
		if (typeof stack !== 'string' || !stack.includes('\n')) throw new Error(`an error has the stack ${stack}`)
	const { message, code, cause } = error
	return JSON.stringify({ orderId, message, code, cause: cause.message })
}

function sorted(value) {
	if (typeof value !== 'object' || value === null || value instanceof Date) return value
	if (Array.isArray(value)) return value.map(sorted)
	return Object.fromEntries(
		Object.keys(value)
			.toSorted()
			.map((key) => [key, sorted(value[key])]),
	)
}
