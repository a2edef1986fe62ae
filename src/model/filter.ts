/**
 * Filters records from rings, Buffering appenders and chains. All conditions of a filter must hold. A `$gap`
 * must overlap the range of seqs, but passes all other conditions, because a filter must never hide a loss.
 */
import { hush, hushAll } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { attempt, isInstance, isList, propertyOf } from '../guard/values.ts'
import { type Condition, parseCondition } from './condition.ts'
import { MeshChainError, messageOf } from './errors.ts'
import { FATAL, invalidLevel, isFatal, type LineLevel } from './level.ts'
import {
	isGap,
	isOwnKind,
	isTimeBound,
	LOG_LEVELS,
	type LogRecord,
	levelIndex,
	type PublisherId,
} from './record.ts'

/**
 * Tests whether a string matches, without keeping state between calls. An RE2 pattern satisfies this
 * interface.
 */
export interface TextPattern {
	test(text: string): boolean
}

/**
 * Conditions on records. All conditions must hold, and an omitted condition always holds. A gap must overlap
 * the range of seqs, but passes all other conditions.
 */
export interface LogFilter {
	/**
	 * Lowest accepted level, inclusive. `'fatal'` accepts the records of lines at level `fatal`, which have the
	 * level `error` and `data.level` `'fatal'`.
	 */
	readonly level?: LineLevel | undefined
	/** Accepted kind or kinds. `'$*'` means all of mesh-chain's own kinds. */
	readonly kind?: string | readonly string[] | undefined
	/** Id of the daemon, compared by value and type. A record without a daemon id does not match. */
	readonly daemonId?: PublisherId | undefined
	/** Id of the node, compared by value and type. A record without a node id does not match. */
	readonly nodeId?: PublisherId | undefined
	/**
	 * String or pattern to find in the message, the kind or the data. Data is searched both as a single line of
	 * JSON, as `dump -o ndjson` prints it, and as individual strings. A search for a string without capital
	 * letters ignores case. Binary data is not searched.
	 *
	 * A search for a string takes linear time. A RegExp that backtracks, such as `/(a+)+$/`, can block the
	 * process. An RE2 pattern cannot.
	 */
	readonly grep?: string | RegExp | TextPattern | undefined
	/**
	 * Condition on the fields of a record and of its data, such as `data.ms > 500 and not kind = health`. See
	 * docs/reference/conditions.md. A regular expression after `~` can block the process, as with `grep`.
	 */
	readonly where?: string | Condition | undefined
	/** Lower bound for the seq, exclusive. Whole number from 0. */
	readonly afterSeq?: number | undefined
	/** Lower bound for the seq, inclusive. Whole number from 0. */
	readonly fromSeq?: number | undefined
	/** Upper bound for the seq, inclusive. Whole number from 0. */
	readonly toSeq?: number | undefined
	/**
	 * Earliest time, inclusive: a Date, milliseconds since 1970 from -8.64e15 to 8.64e15, Infinity or
	 * -Infinity.
	 */
	readonly since?: number | Date | undefined
	/**
	 * Latest time, inclusive: a Date, milliseconds since 1970 from -8.64e15 to 8.64e15, Infinity or -Infinity.
	 */
	readonly until?: number | Date | undefined
}

/** A checked and complete filter. Lower layers never receive a partial filter. */
export interface ResolvedFilter {
	/** Lowest level, as an index in `LOG_LEVELS`; 0 accepts all levels. */
	readonly levelIndexMin: number
	/** Whether only the records of lines at level `fatal` match. */
	readonly fatalOnly: boolean
	readonly kinds: ReadonlySet<string> | undefined
	/** Whether all of mesh-chain's own kinds also match. */
	readonly anyOwnKind: boolean
	readonly daemonId: PublisherId | undefined
	readonly nodeId: PublisherId | undefined
	readonly grep: TextPattern | undefined
	readonly where: Condition | undefined
	readonly fromSeq: number
	readonly toSeq: number
	readonly sinceMs: number
	readonly untilMs: number
}

const ANY_OWN_KIND = '$*'

/** The names of all conditions. */
export const FILTER_NAMES = [
	'level',
	'kind',
	'daemonId',
	'nodeId',
	'grep',
	'where',
	'afterSeq',
	'fromSeq',
	'toSeq',
	'since',
	'until',
] as const

/**
 * Checks a filter. Keys listed in `extraKeys` belong to the caller and are ignored.
 *
 * @throws {MeshChainError} `INVALID_FILTER` or `INVALID_LEVEL`. The message contains the key, the value and
 * the allowed values.
 */
export function resolveFilter(filter: LogFilter = {}, extraKeys: readonly string[] = []): ResolvedFilter {
	if (typeof filter !== 'object' || filter === null) throw invalid('filter', filter, 'an object')
	for (const key of keysOf(filter)) {
		if (!(FILTER_NAMES as readonly string[]).includes(key) && !extraKeys.includes(key)) {
			throw new MeshChainError(
				'INVALID_FILTER',
				`no such filter: ${show(key)}; valid filters: ${[...FILTER_NAMES, ...extraKeys].join(', ')}`,
			)
		}
	}
	const afterSeq = resolveSeq('afterSeq', filter.afterSeq, -1)
	const kinds = resolveKinds(filter.kind)
	return {
		levelIndexMin: resolveLevelMin(filter.level),
		fatalOnly: filter.level === FATAL,
		kinds,
		anyOwnKind: kinds?.has(ANY_OWN_KIND) ?? false,
		daemonId: resolveId('daemonId', filter.daemonId),
		nodeId: resolveId('nodeId', filter.nodeId),
		grep: resolveGrep(filter.grep),
		where: resolveWhere(filter.where),
		fromSeq: Math.max(resolveSeq('fromSeq', filter.fromSeq, 0), afterSeq + 1),
		toSeq: resolveSeq('toSeq', filter.toSeq, Number.POSITIVE_INFINITY),
		sinceMs: resolveTime('since', filter.since, Number.NEGATIVE_INFINITY),
		untilMs: resolveTime('until', filter.until, Number.POSITIVE_INFINITY),
	}
}

/**
 * Returns the keys of a filter, and handles promises among its values.
 *
 * @throws {MeshChainError} `INVALID_FILTER`
 */
function keysOf(filter: LogFilter): readonly string[] {
	try {
		for (const name of FILTER_NAMES) hush(filter[name])
		return Object.keys(filter)
	} catch (thrown) {
		throw new MeshChainError('INVALID_FILTER', `the filter cannot be read: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
}

/** Extracts the filter conditions from an options object. */
export function filterIn<T extends LogFilter>(options: T): Pick<T, keyof T & keyof LogFilter> {
	return picked(options, FILTER_NAMES as readonly (keyof T & keyof LogFilter)[])
}

/** Returns the fields with these names, except undefined fields. */
export function picked<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
	return Object.fromEntries(
		names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
	) as Pick<T, K>
}

/**
 * Returns whether a record passes a filter. A gap passes if its range of seqs overlaps the filter's range.
 */
export function matches(record: LogRecord, filter: ResolvedFilter): boolean {
	if (isGap(record)) {
		const fromSeq = record.data?.fromSeq ?? record.seq
		return record.seq >= filter.fromSeq && fromSeq <= filter.toSeq
	}
	return (
		record.seq >= filter.fromSeq &&
		record.seq <= filter.toSeq &&
		record.tsMs >= filter.sinceMs &&
		record.tsMs <= filter.untilMs &&
		levelIndex(record.level) >= filter.levelIndexMin &&
		(!filter.fatalOnly || isFatal(record)) &&
		(filter.kinds === undefined ||
			filter.kinds.has(record.kind) ||
			(filter.anyOwnKind && isOwnKind(record.kind))) &&
		(filter.daemonId === undefined || record.daemonId === filter.daemonId) &&
		(filter.nodeId === undefined || record.nodeId === filter.nodeId) &&
		(filter.where === undefined || filter.where.holdsFor(record)) &&
		(filter.grep === undefined || isFoundIn(record, filter.grep))
	)
}

/**
 * Returns whether a pattern matches a visible part of a record: the message, the kind, or the names and
 * values in the data.
 */
function isFoundIn({ message, kind, data }: LogRecord, pattern: TextPattern): boolean {
	if (pattern.test(message) || pattern.test(kind)) return true
	if (data === undefined) return false
	const unlike: string[] = []
	return pattern.test(searchText(data, unlike)) || unlike.some((text) => pattern.test(text))
}

/**
 * Converts canonical data to JSON on one line. Bigints, infinities and times are written in their printed
 * form, and bytes become an empty string.
 *
 * @param unlike Receives the strings whose JSON form differs from the string itself.
 */
function searchText(value: unknown, unlike: string[]): string {
	if (typeof value === 'string') return quoted(value, unlike)
	if (typeof value !== 'object' || value === null) return String(value)
	if (value instanceof Uint8Array) return '""'
	if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'null' : `"${value.toISOString()}"`
	let text = ''
	if (Array.isArray(value)) {
		for (const item of value) text += `${text === '' ? '' : ','}${searchText(item, unlike)}`
		return `[${text}]`
	}
	for (const [name, field] of Object.entries(value))
		text += `${text === '' ? '' : ','}${quoted(name, unlike)}:${searchText(field, unlike)}`
	return `{${text}}`
}

function quoted(text: string, unlike: string[]): string {
	const json = JSON.stringify(text)
	if (json.length !== text.length + 2) unlike.push(text)
	return json
}

function resolveLevelMin(level: unknown): number {
	if (level === undefined) return 0
	const index = levelIndex(level === FATAL ? 'error' : level)
	if (index >= 0) return index
	throw invalidLevel(level, [...LOG_LEVELS, FATAL])
}

function resolveKinds(kind: unknown): ReadonlySet<string> | undefined {
	if (kind === undefined) return undefined
	const kinds = isList(kind) ? attempt(() => [...kind], [undefined]) : [kind]
	if (kinds.some((name) => typeof name !== 'string')) {
		hushAll(...kinds)
		throw invalid('kind', kind, 'a string or an array of strings')
	}
	return new Set(kinds as string[])
}

function resolveId(key: string, id: unknown): PublisherId | undefined {
	if (id === undefined || typeof id === 'string' || typeof id === 'bigint') return id
	if (typeof id === 'number' && Number.isFinite(id)) return id
	throw invalid(key, id, 'a string, a finite number or a bigint')
}

/**
 * Returns whether a search for this string ignores case. A capital letter makes the search case-sensitive.
 */
export function ignoresCase(pattern: string): boolean {
	return !/\p{Lu}/u.test(pattern)
}

function resolveGrep(grep: unknown): TextPattern | undefined {
	if (grep === undefined) return undefined
	if (typeof grep === 'string')
		return new RegExp(grep.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), ignoresCase(grep) ? 'i' : '')
	// A global or sticky pattern keeps its last index between calls, so it would miss matches.
	if (isInstance(grep, RegExp)) return new RegExp(grep.source, grep.flags.replace(/[gy]/g, ''))
	if (typeof propertyOf(grep, 'test') === 'function') return grep as TextPattern
	throw invalid('grep', grep, 'a string, a RegExp or an object with a test method')
}

function resolveWhere(where: unknown): Condition | undefined {
	if (where === undefined) return undefined
	if (typeof propertyOf(where, 'holdsFor') === 'function') return where as Condition
	return parseCondition(where, { pattern: (text) => new RegExp(text, ignoresCase(text) ? 'i' : '') })
}

function resolveSeq(key: string, seq: unknown, missing: number): number {
	if (seq === undefined) return missing
	if (typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0) return seq
	throw invalid(key, seq, 'a whole number from 0')
}

function resolveTime(key: string, time: unknown, missing: number): number {
	if (time === undefined) return missing
	const ms = isInstance(time, Date) ? time.getTime() : time
	if (isTimeBound(ms)) return ms
	throw invalid(key, time, 'a valid Date, Infinity, -Infinity, or milliseconds in the range of a Date')
}

function invalid(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_FILTER', `${key} must be ${allowed}, not ${show(value)}`)
}
