/**
 * Typical log lines from services, by shape. The index of a line determines its content. Lines are created
 * before the clock starts.
 */
import { daemonOf, messages, NODE_ID } from './workload.mjs'

const METHODS = ['GET', 'PUT', 'POST', 'DELETE']
const PLANS = ['free', 'pro', 'team']
const WIDE_FIELDS = 24

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
	/** Many fields of every common type. */
	wide: (index) => ({
		...Object.fromEntries(
			Array.from({ length: WIDE_FIELDS }, (_unused, at) => [`field${at}`, fieldOf(index + at)]),
		),
		tags: ['eu', `shard-${index % 16}`, 'canary'],
		at: new Date(1_700_000_000_000 + index),
		größe: 'naïve – 日本語',
	}),
}

export const SHAPES = Object.keys(DATA)

function fieldOf(seed) {
	switch (seed % 6) {
		case 0:
			return `value ${seed}`
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

/** Returns `count` lines for `publish`. Lines with the shape `error` have the level `error`. */
export function lines(shape, count) {
	const level = shape === 'error' ? 'error' : 'info'
	return messages(count).map((message, index) => {
		const data = DATA[shape](index)
		const line = { message, level, daemonId: daemonOf(index), nodeId: NODE_ID }
		return data === undefined ? line : { ...line, data }
	})
}
