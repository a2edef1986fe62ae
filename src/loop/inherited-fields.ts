/**
 * Merges fields from a context hook and a child loop into a line. The line takes precedence over the child,
 * and the child over the context.
 */
import { hush } from '../guard/hush.ts'
import { isPlainObject } from '../guard/values.ts'
import type { LogLine } from '../model/record.ts'
import type { ScopeFields } from './options.ts'

/** Returns the line, with missing fields filled in from the child and then from the context. */
export function inheritLine(line: LogLine, child: ScopeFields, context: ScopeFields): LogLine {
	const merged: { -readonly [Name in keyof LogLine]: LogLine[Name] } = {}
	const { kind, level, message, origin } = line
	if (kind !== undefined) merged.kind = kind
	if (level !== undefined) merged.level = level
	if (message !== undefined) merged.message = message
	if (origin !== undefined) merged.origin = origin
	const daemonId = firstGiven(line.daemonId, child.daemonId, context.daemonId)
	if (daemonId !== undefined) merged.daemonId = daemonId
	const nodeId = firstGiven(line.nodeId, child.nodeId, context.nodeId)
	if (nodeId !== undefined) merged.nodeId = nodeId
	const tsMs = firstGiven(line.tsMs, child.tsMs, context.tsMs)
	if (tsMs !== undefined) merged.tsMs = tsMs
	const data = mergeData(line.data, child.data, context.data)
	if (data !== undefined) merged.data = data
	return merged
}

/** Returns a child's fields, merged with its parent's. */
export function inheritFields(fields: ScopeFields, parent: ScopeFields): ScopeFields {
	return inheritLine(fields, parent, {}) as ScopeFields
}

function firstGiven<T>(first: T, second: T, third: T): T {
	return first !== undefined ? first : second !== undefined ? second : third
}

function mergeData(own: unknown, child: ScopeFields['data'], context: ScopeFields['data']): unknown {
	if (child === undefined && context === undefined) return own
	if (own === undefined) return { ...context, ...child }
	try {
		if (isMergeable(own)) return { ...context, ...child, ...own }
	} catch (thrown) {
		hush(thrown)
		// A getter threw. The data is not merged, and becomes a marker when it is copied.
	}
	return { ...context, ...child, data: own }
}

/**
 * Returns whether data can be merged key by key. An object with `toJSON` cannot, because it is stored as the
 * result of that method.
 */
export function isMergeable(data: unknown): data is Record<string, unknown> {
	if (!isPlainObject(data)) return false
	try {
		const { toJSON } = data
		hush(toJSON)
		return typeof toJSON !== 'function'
	} catch (thrown) {
		hush(thrown)
		return false
	}
}
