/**
 * Defines the filters that commands share: their options, and the query and the predicate built from them.
 */
import type { ChainQuery } from '../chain/index.ts'
import { attempt } from '../guard/values.ts'
import { type Condition, parseCondition } from '../model/condition.ts'
import { parseLevel } from '../model/level.ts'
import { isGap, type LogRecord, type PublisherId } from '../model/record.ts'
import { formatTime } from '../pretty/format-time.ts'
import { type Invocation, type OptionSpec, usage } from './command.ts'
import { patternOf } from './pattern.ts'
import { parseTime } from './times.ts'

/** The options of all filters. */
export const FILTER_OPTIONS: readonly OptionSpec[] = [
	{
		long: 'since',
		short: 'S',
		value: 'TIME',
		help: 'start of the time range, such as 14:05, today, -1h or 2026-01-31T14:05:09Z',
	},
	{ long: 'until', short: 'U', value: 'TIME', help: 'end of the time range, inclusive' },
	{
		long: 'level',
		short: 'l',
		value: 'LEVEL',
		help: 'minimum level: trace, debug, info, warn, error, fatal',
	},
	{
		long: 'kind',
		short: 'k',
		value: 'KIND',
		multiple: true,
		help: 'comma-separated list of kinds; repeatable',
	},
	{ long: 'daemon', value: 'ID', help: 'daemon ID of the records' },
	{ long: 'node', value: 'ID', help: 'node ID of the records' },
	{
		long: 'grep',
		short: 'g',
		value: 'PATTERN',
		help:
			'regular expression to search for in message, kind and data; ' +
			'case-insensitive unless it contains a capital letter',
	},
	{
		long: 'where',
		short: 'w',
		value: 'CONDITION',
		help: "condition on fields, such as 'data.ms > 500 and not kind = health'",
	},
	{ long: 'from-seq', value: 'SEQ', help: 'first seq to include' },
	{ long: 'to-seq', value: 'SEQ', help: 'last seq to include' },
	{ long: 'limit', short: 'n', value: 'COUNT', help: 'maximum number of records' },
	{ long: 'reverse', short: 'r', help: 'start with the newest record' },
]

/** Returns all filters except the named ones, which a command does not support. */
export function filtersWithout(...names: readonly string[]): readonly OptionSpec[] {
	return FILTER_OPTIONS.filter(({ long }) => !names.includes(long))
}

/**
 * A query for a chain, and a predicate for the conditions that a query cannot express. The predicate compares
 * ids as strings, so 7, 7n and "7" are equal.
 */
export interface Selection {
	readonly query: ChainQuery
	readonly limit: number
	matches(record: LogRecord): boolean
}

/**
 * Builds the selection that a command line describes.
 *
 * @throws {MeshChainError} `INVALID_USAGE`, `INVALID_TIME`, `INVALID_LEVEL`, `INVALID_FILTER`.
 */
export function selectionOf(invocation: Invocation, nowMs: number): Selection {
	const daemon = invocation.text('daemon')
	const node = invocation.text('node')
	const limit = invocation.count('limit') ?? Number.POSITIVE_INFINITY
	const byText = daemon !== undefined || node !== undefined
	return {
		query: {
			...timesOf(invocation, nowMs),
			...seqsOf(invocation),
			...optional('level', invocation.text('level'), parseLevel),
			...kindsOf(invocation),
			...optional('grep', invocation.text('grep'), (text) => patternOf('grep', text)),
			...optional('where', invocation.text('where'), (text) => conditionOf(text, nowMs)),
			reverse: invocation.flag('reverse'),
			...(byText || limit === Number.POSITIVE_INFINITY ? {} : { limit }),
		},
		limit,
		matches: (record) => isGap(record) || (isId(record.daemonId, daemon) && isId(record.nodeId, node)),
	}
}

/** Parses `--where`. Its times can be relative, and its patterns take linear time. */
function conditionOf(text: string, nowMs: number): Condition {
	return parseCondition(text, {
		pattern: (pattern) => patternOf('where', pattern),
		time: (time) => attempt(() => parseTime(time, nowMs), undefined),
	})
}

function timesOf(invocation: Invocation, nowMs: number): Pick<ChainQuery, 'since' | 'until'> {
	const since = optional('since', invocation.text('since'), (text) => parseTime(text, nowMs))
	const until = optional('until', invocation.text('until'), (text) => parseTime(text, nowMs))
	if (Number(since.since) > Number(until.until)) {
		const [from, to] = [Number(since.since), Number(until.until)].map(formatTime)
		throw usage(`no time can match, because --since ${from} is later than --until ${to}`)
	}
	return { ...since, ...until }
}

function seqsOf(invocation: Invocation): Pick<ChainQuery, 'fromSeq' | 'toSeq'> {
	const fromSeq = invocation.count('from-seq')
	const toSeq = invocation.count('to-seq')
	if (fromSeq !== undefined && toSeq !== undefined && fromSeq > toSeq) {
		throw usage(`no seq can match, because --from-seq ${fromSeq} is greater than --to-seq ${toSeq}`)
	}
	return { ...(fromSeq === undefined ? {} : { fromSeq }), ...(toSeq === undefined ? {} : { toSeq }) }
}

function kindsOf(invocation: Invocation): Pick<ChainQuery, 'kind'> {
	const kinds = invocation.texts('kind').flatMap((text) => text.split(',').filter((kind) => kind !== ''))
	return kinds.length === 0 ? {} : { kind: kinds }
}

function isId(id: PublisherId | null, text: string | undefined): boolean {
	return text === undefined || (id !== null && String(id) === text)
}

function optional<K extends string, T>(key: K, text: string | undefined, read: (text: string) => T) {
	return (text === undefined ? {} : { [key]: read(text) }) as { [key in K]?: T }
}
