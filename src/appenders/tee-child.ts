/** Describes and checks the children of a `TeeAppender`. */
import { checkAppender, type LogChainAppender } from '../appender.ts'
import { attempt, isPlainObject, propertyOf } from '../guard/values.ts'
import { invalidOption } from '../model/check.ts'
import { defineOptions, type OptionRules, unchecked, withDefault } from '../model/define-options.ts'
import { type LogFilter, matches, resolveFilter } from '../model/filter.ts'
import { checkLevelMin, type LogLevelInput, rankOfRecord } from '../model/level.ts'
import type { LogRecord } from '../model/record.ts'

/** A child of a `TeeAppender` that receives only some of the records. */
export interface TeeChild {
	/** The child, of which the `TeeAppender` takes ownership. */
	readonly appender: LogChainAppender
	/** Lowest level that the child receives, in any form that a loop accepts. Default: all levels. */
	readonly level?: LogLevelInput | undefined
	/**
	 * Filter, or function that returns whether the child receives a record. The function is called once for
	 * each record at or above `level`. If it throws or returns a promise, the child receives the record, and
	 * the failure is counted. Default: every record.
	 */
	readonly filter?: LogFilter | ((record: LogRecord) => boolean) | undefined
}

/** A checked child. */
export interface ResolvedChild {
	readonly appender: LogChainAppender
	/** Returns whether the child receives a record; undefined if it receives all. May throw. */
	readonly selects: ((record: LogRecord) => unknown) | undefined
}

const CHILD_OPTIONS = defineOptions({
	appender: unchecked<LogChainAppender>(),
	level: withDefault(0, (_name, level) => checkLevelMin(level)),
	filter: unchecked<TeeChild['filter']>(),
} satisfies OptionRules<TeeChild>)

/** Returns whether a value describes a child instead of being one. */
export function isTeeChild(value: unknown): value is TeeChild {
	return (
		isPlainObject(value) &&
		propertyOf(value, 'append') === undefined &&
		attempt(() => 'appender' in value, false)
	)
}

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL` or `INVALID_FILTER` */
export function resolveChild(given: LogChainAppender | TeeChild): ResolvedChild {
	if (!isTeeChild(given)) return { appender: given, selects: undefined }
	const { appender, level, filter } = CHILD_OPTIONS.resolve(given)
	checkAppender(appender)
	const isWanted = predicateOf(filter)
	const selects = (record: LogRecord) => rankOfRecord(record) >= level && (isWanted?.(record) ?? true)
	return {
		appender: appender as LogChainAppender,
		selects: level === 0 && isWanted === undefined ? undefined : selects,
	}
}

function predicateOf(filter: TeeChild['filter']): ((record: LogRecord) => unknown) | undefined {
	if (filter === undefined || typeof filter === 'function') return filter
	if (typeof filter !== 'object' || filter === null)
		throw invalidOption('filter', filter, 'a function, or a filter such as { kind: "order" }')
	const wanted = resolveFilter(filter)
	return (record) => matches(record, wanted)
}
