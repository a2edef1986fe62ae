/**
 * Selects records: the same filter for the ring, a captured buffer and a chain. All conditions must hold. A
 * `$gap` passes every condition, because a loss must never be hidden.
 */
import { hush, hushAll } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { attempt, isInstance, isList, propertyOf } from '../guard/values.ts'
import { MeshChainError, messageOf } from './errors.ts'
import {
	isGap,
	isOwnKind,
	isTimeBound,
	LOG_LEVELS,
	type LogLevel,
	type LogRecord,
	levelIndex,
	type PublisherId,
} from './record.ts'

/** Tests whether a text matches and keeps no state between texts. A pattern of RE2 has this shape. */
export interface TextPattern {
	test(text: string): boolean
}

/** Conditions on records. All must hold; an omitted condition always holds. A gap passes all of them. */
export interface LogFilter {
	/** Lowest level, inclusive. */
	readonly level?: LogLevel | undefined
	/** Accepted kind or kinds; `'$*'` stands for all kinds of mesh-chain's own. */
	readonly kind?: string | readonly string[] | undefined
	/** Id of the daemon, compared with its type. A record without a daemon id does not match. */
	readonly daemonId?: PublisherId | undefined
	/** Id of the node, compared with its type. A record without a node id does not match. */
	readonly nodeId?: PublisherId | undefined
	/**
	 * Text or pattern to find in the message, the kind or the data. Data is searched as JSON on one line, as
	 * `dump -o ndjson` prints it, and in each of its texts. A text without a capital letter ignores case.
	 * Binary data is not searched.
	 *
	 * A text is found in linear time. The time of a pattern depends on the pattern: a RegExp that backtracks,
	 * such as `/(a+)+$/`, can block the process; a pattern of RE2 cannot.
	 */
	readonly grep?: string | RegExp | TextPattern | undefined
	/** First seq, exclusive; whole number from 0. */
	readonly afterSeq?: number | undefined
	/** First seq, inclusive; whole number from 0. */
	readonly fromSeq?: number | undefined
	/** Last seq, inclusive; whole number from 0. */
	readonly toSeq?: number | undefined
	/** Earliest time, inclusive: milliseconds since 1970, within 8.64e15 of it or infinite, or a Date. */
	readonly since?: number | Date | undefined
	/** Latest time, inclusive: milliseconds since 1970, within 8.64e15 of it or infinite, or a Date. */
	readonly until?: number | Date | undefined
}

/** A checked and complete filter. The lower layers never see a partial filter. */
export interface ResolvedFilter {
	/** Lowest level as a position in `LOG_LEVELS`; 0 accepts all levels. */
	readonly levelIndexMin: number
	readonly kinds: ReadonlySet<string> | undefined
	/** Whether every kind of mesh-chain's own matches, too. */
	readonly anyOwnKind: boolean
	readonly daemonId: PublisherId | undefined
	readonly nodeId: PublisherId | undefined
	readonly grep: TextPattern | undefined
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
	'afterSeq',
	'fromSeq',
	'toSeq',
	'since',
	'until',
] as const

/**
 * Checks a filter. Keys listed in `extraKeys` belong to the caller and are ignored.
 *
 * @throws {MeshChainError} `INVALID_FILTER` or `INVALID_LEVEL`, with the key, the value and the allowed
 * values.
 */
export function resolveFilter(filter: LogFilter = {}, extraKeys: readonly string[] = []): ResolvedFilter {
	if (typeof filter !== 'object' || filter === null) throw invalid('filter', filter, 'an object')
	for (const key of keysOf(filter)) {
		if (!(FILTER_NAMES as readonly string[]).includes(key) && !extraKeys.includes(key)) {
			throw new MeshChainError(
				'INVALID_FILTER',
				`no such filter: ${show(key)} (one of ${[...FILTER_NAMES, ...extraKeys].join(', ')})`,
			)
		}
	}
	const afterSeq = resolveSeq('afterSeq', filter.afterSeq, -1)
	const kinds = resolveKinds(filter.kind)
	return {
		levelIndexMin: resolveLevelMin(filter.level),
		kinds,
		anyOwnKind: kinds?.has(ANY_OWN_KIND) ?? false,
		daemonId: resolveId('daemonId', filter.daemonId),
		nodeId: resolveId('nodeId', filter.nodeId),
		grep: resolveGrep(filter.grep),
		fromSeq: Math.max(resolveSeq('fromSeq', filter.fromSeq, 0), afterSeq + 1),
		toSeq: resolveSeq('toSeq', filter.toSeq, Number.POSITIVE_INFINITY),
		sinceMs: resolveTime('since', filter.since, Number.NEGATIVE_INFINITY),
		untilMs: resolveTime('until', filter.until, Number.POSITIVE_INFINITY),
	}
}

/** Returns the keys of a filter after reading each once. @throws {MeshChainError} `INVALID_FILTER` */
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

/** Returns the part of some options that is a filter. */
export function filterIn<T extends LogFilter>(options: T): Pick<T, keyof T & keyof LogFilter> {
	return picked(options, FILTER_NAMES as readonly (keyof T & keyof LogFilter)[])
}

/** Returns the fields of these names that are not undefined. */
export function picked<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
	return Object.fromEntries(
		names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]),
	) as Pick<T, K>
}

/** Returns whether a record passes a filter. A gap passes if its range overlaps the range of the filter. */
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
		(filter.kinds === undefined ||
			filter.kinds.has(record.kind) ||
			(filter.anyOwnKind && isOwnKind(record.kind))) &&
		(filter.daemonId === undefined || record.daemonId === filter.daemonId) &&
		(filter.nodeId === undefined || record.nodeId === filter.nodeId) &&
		(filter.grep === undefined || isFoundIn(record, filter.grep))
	)
}

/**
 * Returns whether a pattern occurs in the visible parts of a record: message, kind, names and values of the
 * data.
 */
function isFoundIn({ message, kind, data }: LogRecord, pattern: TextPattern): boolean {
	if (pattern.test(message) || pattern.test(kind)) return true
	if (data === undefined) return false
	const unlike: string[] = []
	return pattern.test(searchText(data, unlike)) || unlike.some((text) => pattern.test(text))
}

/**
 * Converts canonical data to JSON on one line: bigints, infinities and times in their printed form, bytes as
 * an empty text.
 *
 * @param unlike Receives the texts whose JSON form differs.
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
	const index = levelIndex(level)
	if (index >= 0) return index
	throw new MeshChainError('INVALID_LEVEL', `no such level: ${show(level)} (one of ${LOG_LEVELS.join(', ')})`)
}

function resolveKinds(kind: unknown): ReadonlySet<string> | undefined {
	if (kind === undefined) return undefined
	const kinds = isList(kind) ? attempt(() => [...kind], [undefined]) : [kind]
	if (kinds.some((name) => typeof name !== 'string')) {
		hushAll(...kinds)
		throw invalid('kind', kind, 'a name or an array of names')
	}
	return new Set(kinds as string[])
}

function resolveId(key: string, id: unknown): PublisherId | undefined {
	if (id === undefined || typeof id === 'string' || typeof id === 'bigint') return id
	if (typeof id === 'number' && Number.isFinite(id)) return id
	throw invalid(key, id, 'a string, a finite number or a bigint')
}

/** Returns whether a search for this pattern ignores case: true if it has no capital letter. */
export function ignoresCase(pattern: string): boolean {
	return !/\p{Lu}/u.test(pattern)
}

function resolveGrep(grep: unknown): TextPattern | undefined {
	if (grep === undefined) return undefined
	if (typeof grep === 'string')
		return new RegExp(grep.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), ignoresCase(grep) ? 'i' : '')
	// A global or sticky pattern keeps its last index, so every other match would be missed.
	if (isInstance(grep, RegExp)) return new RegExp(grep.source, grep.flags.replace(/[gy]/g, ''))
	if (typeof propertyOf(grep, 'test') === 'function') return grep as TextPattern
	throw invalid('grep', grep, 'a text or a RegExp')
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
	throw invalid(key, time, 'milliseconds since 1970 that a Date can hold, infinite, or a valid Date')
}

function invalid(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_FILTER', `${key} must be ${allowed}, not ${show(value)}`)
}
