/**
 * Resolves a query into its complete form, and decides which stretches and frames of a chain can match it.
 * `matches` (model/filter.ts) decides which records match. collectors.ts applies both decisions to the
 * entries of a walk, and limit.ts applies the limit and the rule for gaps.
 */
import { show } from '../../guard/show.ts'
import { checkBoolean, checkSignal, checkTimerMs, ifGiven } from '../../model/check.ts'
import { MeshChainError } from '../../model/errors.ts'
import { type ResolvedFilter, resolveFilter } from '../../model/filter.ts'
import { isOwnKind } from '../../model/record.ts'
import type { ChainQuery, TailQuery } from '../chain.ts'
import { type Extent, PRESENCE_GAP, PRESENCE_PLAIN } from '../format/anchor.ts'
import { FLAG_CONTROL, type Frame, LEVELS_MASK } from '../format/frame.ts'

const QUERY_KEYS = ['limit', 'reverse', 'gaps'] as const
const POLL_MS_DEFAULT = 200
const TAIL_KEYS = ['pollIntervalMs', 'durableOnly', 'signal'] as const

export interface ResolvedQuery extends ResolvedFilter {
	readonly limit: number
	readonly reverse: boolean
	readonly gaps: 'yield' | 'throw' | 'skip'
	/** The requested levels, as bits of frame flags and of {@link Extent.presence}. */
	readonly levelsWanted: number
	/** Whether only mesh-chain's own kinds are requested. */
	readonly isOwnOnly: boolean
	/** Whether the query has no conditions. */
	readonly isEverything: boolean
}

/**
 * Checks and completes a query. Keys in `extraKeys` belong to the caller and are ignored.
 *
 * @throws {MeshChainError} `INVALID_FILTER` or `INVALID_LEVEL`
 */
export function resolveQuery(query: ChainQuery, extraKeys: readonly string[] = []): ResolvedQuery {
	const filter = resolveFilter(query, [...QUERY_KEYS, ...extraKeys])
	const { limit = Number.POSITIVE_INFINITY, reverse = false, gaps = 'yield' } = query
	if (limit !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(limit) || limit < 0)) {
		throw invalidQuery('limit', limit, 'a whole number from 0')
	}
	if (typeof reverse !== 'boolean') throw invalidQuery('reverse', reverse, 'true or false')
	if (gaps !== 'yield' && gaps !== 'throw' && gaps !== 'skip') {
		throw invalidQuery('gaps', gaps, "'yield', 'throw' or 'skip'")
	}
	const levelsWanted = (LEVELS_MASK << filter.levelIndexMin) & LEVELS_MASK
	// A spread would create an object with a new shape each time, but V8 optimizes the code that reads these
	// objects for a single shape.
	return {
		levelIndexMin: filter.levelIndexMin,
		fatalOnly: filter.fatalOnly,
		kinds: filter.kinds,
		anyOwnKind: filter.anyOwnKind,
		daemonId: filter.daemonId,
		nodeId: filter.nodeId,
		grep: filter.grep,
		where: filter.where,
		fromSeq: filter.fromSeq,
		toSeq: filter.toSeq,
		sinceMs: filter.sinceMs,
		untilMs: filter.untilMs,
		limit,
		reverse,
		gaps,
		levelsWanted,
		isOwnOnly: filter.kinds !== undefined && [...filter.kinds].every(isOwnKind),
		isEverything: isEverything(filter),
	}
}

/** Returns whether a stretch with this extent can contain a matching record or a gap. Gaps always match. */
export function mayHold(query: ResolvedQuery, extent: Extent): boolean {
	if ((extent.presence & PRESENCE_GAP) !== 0) return true
	if (query.isOwnOnly && (extent.presence & PRESENCE_PLAIN) !== 0) return false
	return (
		(extent.presence & query.levelsWanted) !== 0 &&
		extent.minTsMs <= query.untilMs &&
		extent.maxTsMs >= query.sinceMs
	)
}

/**
 * Returns whether no part of a stretch with this extent can be skipped because of its times, levels or kinds.
 */
export function isWithin(query: ResolvedQuery, extent: Extent): boolean {
	return (
		query.levelIndexMin === 0 &&
		!query.isOwnOnly &&
		extent.minTsMs >= query.sinceMs &&
		extent.maxTsMs <= query.untilMs
	)
}

/** Returns whether a frame can contain a matching row or a gap. */
export function mayHoldRow(query: ResolvedQuery, frame: Frame): boolean {
	if (frame.baseSeq + frame.rows - 1 < query.fromSeq) return false
	if (query.isEverything || (frame.flags & FLAG_CONTROL) !== 0) return true
	return !query.isOwnOnly && frame.baseSeq <= query.toSeq && (frame.flags & query.levelsWanted) !== 0
}

function isEverything(filter: ResolvedFilter): boolean {
	const { kinds, daemonId, nodeId, grep, where, fromSeq, toSeq, sinceMs, untilMs } = filter
	const anySeq = fromSeq <= 1 && toSeq === Number.POSITIVE_INFINITY
	const anyTime = sinceMs === Number.NEGATIVE_INFINITY && untilMs === Number.POSITIVE_INFINITY
	const anyName = kinds === undefined && daemonId === undefined && nodeId === undefined
	return (
		filter.levelIndexMin === 0 && anySeq && anyTime && anyName && grep === undefined && where === undefined
	)
}

function invalidQuery(key: string, value: unknown, allowed: string): MeshChainError {
	return new MeshChainError('INVALID_FILTER', `${key} must be ${allowed}, not ${show(value)}`)
}

export interface ResolvedTail {
	readonly query: ResolvedQuery
	readonly pollIntervalMs: number
	readonly durableOnly: boolean
	readonly signal: AbortSignal | undefined
}

/** @throws {MeshChainError} `INVALID_FILTER`, `INVALID_LEVEL`, `INVALID_OPTION` */
export function resolveTail(query: TailQuery): ResolvedTail {
	const resolved = resolveQuery(query, TAIL_KEYS)
	const { pollIntervalMs = POLL_MS_DEFAULT, durableOnly = false, signal } = query
	checkTimerMs('pollIntervalMs', pollIntervalMs)
	checkBoolean('durableOnly', durableOnly)
	ifGiven('signal', signal, checkSignal)
	if (resolved.reverse || resolved.limit !== Number.POSITIVE_INFINITY) {
		throw new MeshChainError('INVALID_FILTER', 'a tail has no end, so reverse and limit are not allowed')
	}
	return { query: resolved, pollIntervalMs, durableOnly, signal }
}
