/**
 * Builds drafts from lines. A draft is a complete record except for its `seq`. All application code (context,
 * transform, clock, getters in data) runs here and may publish records, so the seq is assigned later.
 */
import { type Canonical, canonicalise, marker } from '../codec/canonical.ts'
import { cutMessage } from '../codec/message.ts'
import { hush } from '../guard/hush.ts'
import { messageOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import { lineRankOf } from '../model/level.ts'
import { MESSAGE_LENGTH_MAX } from '../model/limits.ts'
import { checkFieldsOfLine, checkLevel, checkLine } from '../model/line-check.ts'
import {
	LOG_LEVELS,
	type LogLevel,
	type LogLine,
	type LogRecord,
	levelIndex,
	type PublisherId,
	type RecordOrigin,
} from '../model/record.ts'
import { isWellFormed, toWellFormed } from '../text/well-formed.ts'
import { type Hooks, toWholeMs } from './hooks.ts'
import { inheritLine } from './inherited-fields.ts'
import { LineRules } from './line-rules.ts'
import type { ResolvedLoopOptions, ScopeFields } from './options.ts'
import { hasOnlyLineFields, regularLine } from './regular-line.ts'
import type { DroppedCounts } from './sampling.ts'
import type { Scope } from './scope.ts'
import type { Counters } from './stats.ts'

/**
 * A record without a seq. Until the loop stamps the record, `seq` contains the record's estimated size in
 * bytes ({@link sizeOf}). A separate object for the size would make `publish` measurably slower
 * (`bench/compare.mjs`).
 */
export type Draft = { -readonly [Name in keyof LogRecord]: LogRecord[Name] }

/** Returns the estimated size of a draft in memory, in bytes. */
export function sizeOf(draft: Draft): number {
	return draft.seq
}

/**
 * Receives the draft of each line below the level, or undefined if the line could not be built or `transform`
 * dropped it.
 */
export type KeepBelow = (draft: Draft | undefined) => void

const KIND_DEFAULT = 'log'
const LEVEL_DEFAULT = 'info'
const INFO_RANK = levelIndex(LEVEL_DEFAULT)
const NO_FIELDS: ScopeFields = Object.freeze({})
const CRASH_KIND = '$crash'
const NOTHING_DROPPED: Readonly<Record<string, DroppedCounts>> = Object.freeze({})
/** Estimated size of a record without its message and data. */
const RECORD_BYTES = 128

export class RecordBuilder {
	readonly #hooks: Hooks
	readonly #counters: Counters
	readonly #nodeId: PublisherId | null
	readonly #hasContext: boolean
	readonly #epoch: number
	readonly #rules: LineRules | undefined
	#keep: KeepBelow | undefined
	/** Ids of the newest line, which most lines repeat. */
	#lastDaemonId: PublisherId | null = null
	#lastNodeId: PublisherId | null = null

	constructor(hooks: Hooks, counters: Counters, options: ResolvedLoopOptions & { readonly epoch: number }) {
		this.#hooks = hooks
		this.#counters = counters
		this.#nodeId = this.#id(options.nodeId)
		this.#epoch = options.epoch
		this.#hasContext = options.context !== undefined
		this.#rules = LineRules.of(options, hooks, counters)
	}

	/** Lines dropped by each rule of `sampling` and `rateLimit`. */
	get droppedByKind(): Readonly<Record<string, DroppedCounts>> {
		return this.#rules?.droppedByKind ?? NOTHING_DROPPED
	}

	/**
	 * Builds the draft of a line. Returns undefined if the line is below the level, or if `sampling`,
	 * `rateLimit` or `transform` dropped it. Each case is counted. Never throws.
	 *
	 * @param isRegular Whether the line is an object literal that has only fields of lines.
	 */
	draft(line: unknown, scope: Scope, isRegular: boolean): Draft | undefined {
		// Each field of a line is read once, so that the published value is the value that was checked.
		const rank = rankOf(line, isRegular)
		if (rank < 0) return this.#draftOdd(line, scope)
		return this.#draftRegular(line as LogLine, LOG_LEVELS[rank]!, rank, scope)
	}

	/** Builds the draft of a line with unknown or invalid fields. */
	#draftOdd(given: unknown, scope: Scope): Draft | undefined {
		const { line, rank, invalid } = regularLine(given)
		if (invalid !== undefined) this.#hooks.lineInvalid(invalid)
		return this.#draftRegular(line, line.level ?? LEVEL_DEFAULT, rank, scope)
	}

	#draftRegular(line: LogLine, level: LogLevel, rank: number, scope: Scope): Draft | undefined {
		if (!this.#passes(rank, scope)) {
			if (this.#keep !== undefined) this.#keepBelow(line, level, scope, this.#keep)
			return undefined
		}
		const own = this.#rules === undefined ? line : this.#ruled(this.#rules, line, rank)
		if (own === undefined) return undefined
		const full = this.#hasContext || scope.fields !== undefined ? this.#mergeAny(own, scope) : own
		return this.#hooks.hasTransform
			? this.#transformed(full, level, scope, false)
			: this.#buildAny(full, level)
	}

	/** Whether lines below the level are built and passed to a black box. */
	get keepsBelow(): boolean {
		return this.#keep !== undefined
	}

	/**
	 * Passes the draft of each line below the level to `keep`. Returns a function that stops the calls to
	 * `keep`.
	 *
	 * @throws {MeshChainError} `INVALID_USAGE` if another `keep` function is already set.
	 */
	keepBelow(keep: KeepBelow): () => void {
		if (this.#keep !== undefined) {
			throw new MeshChainError('INVALID_USAGE', 'this loop already has a black box; close it first')
		}
		this.#keep = keep
		return () => {
			if (this.#keep === keep) this.#keep = undefined
		}
	}

	/**
	 * Builds the draft of a line below the level and passes it to `keep`. Never throws for an invalid line,
	 * because such a line does not throw without a black box either.
	 */
	#keepBelow(line: LogLine, level: LogLevel, scope: Scope, keep: KeepBelow): void {
		let draft: Draft | undefined
		try {
			const full = this.#merge(this.#rules?.serialized(line) ?? line, scope)
			draft = this.#hooks.hasTransform
				? this.#transformed(full, level, scope, false, true)
				: this.#build(full, level, false)
		} catch (thrown) {
			hush(thrown)
			draft = undefined
		}
		keep(draft)
	}

	/**
	 * Builds the draft of one of mesh-chain's own lines. The draft is built regardless of the level, its kind
	 * may start with `$`, and it inherits no data. `transform` is applied, so that it can remove secrets from
	 * checkpoints and crash records too.
	 */
	draftOwn(line: LogLine, scope: Scope): Draft | undefined {
		const { daemonId, nodeId } = scope.fields ?? NO_FIELDS
		const ids = {
			...(daemonId === undefined ? {} : { daemonId }),
			...(nodeId === undefined ? {} : { nodeId }),
		}
		const own = line.kind === CRASH_KIND ? (this.#rules?.serialized(line) ?? line) : line
		const full = inheritLine(own, ids, NO_FIELDS)
		const { level = LEVEL_DEFAULT } = full
		return this.#hooks.hasTransform
			? this.#transformed(full, level, scope, true)
			: this.#build(full, level, true)
	}

	/**
	 * Returns whether a level is at or above the scope's level, and counts the line if not. A value that is no
	 * level counts as `info`.
	 */
	passes(level: unknown, scope: Scope): boolean {
		const rank = lineRankOf(level)
		return this.#passes(rank < 0 ? INFO_RANK : rank, scope)
	}

	#passes(rank: number, scope: Scope): boolean {
		if (rank >= scope.rankMin) return true
		this.#counters.belowLevel += 1
		return false
	}

	#merge(line: LogLine, scope: Scope): LogLine {
		const context = this.#hooks.context() ?? NO_FIELDS
		return inheritLine(line, scope.fields ?? NO_FIELDS, this.#rules?.serializedFields(context) ?? context)
	}

	/** Returns the fields of a child loop, with a canonical copy of their data. */
	childFields(fields: ScopeFields): ScopeFields {
		const { data } = this.#rules?.serializedFields(fields) ?? fields
		return data === undefined ? fields : { ...fields, data: this.#copied(data).value as typeof data }
	}

	#copied(data: unknown): Canonical {
		const canonical = canonicalise(data)
		this.#counters.unserializable += canonical.markers
		this.#counters.replacedSurrogates += canonical.replaced
		return canonical
	}

	/** Returns a line with the results of the serializers; undefined if a rule drops it. Never throws. */
	#ruled(rules: LineRules, line: LogLine, rank: number): LogLine | undefined {
		if (!rules.changeLines) return line
		const own = this.#readable(line)
		return rules.drops(own.kind, rank) ? undefined : rules.serialized(own)
	}

	/** Returns a copy of a line, whose fields may be unreadable. */
	#readable(line: LogLine): LogLine {
		try {
			return inheritLine(line, NO_FIELDS, NO_FIELDS)
		} catch (thrown) {
			return this.#regular(line, thrown)
		}
	}

	/** Merges a line whose fields may be unreadable. */
	#mergeAny(line: LogLine, scope: Scope): LogLine {
		try {
			return this.#merge(line, scope)
		} catch (thrown) {
			return this.#merge(this.#regular(line, thrown), scope)
		}
	}

	#transformed(
		line: LogLine,
		level: LogLevel,
		scope: Scope,
		own: boolean,
		anyLevel = own,
	): Draft | undefined {
		const valid = own ? line : this.#valid(line)
		try {
			const result = this.#hooks.transform(withDefaults(valid, level))
			if (result === null) {
				this.#counters.transformDropped += 1
				return undefined
			}
			const newLevel = result.level ?? LEVEL_DEFAULT
			checkLevel(newLevel)
			if (!anyLevel && !this.passes(newLevel, scope)) return undefined
			return this.#build(result, newLevel, own)
		} catch (thrown) {
			this.#hooks.transformFailed(thrown)
			return this.#build(withoutPayload(withDefaults(valid, level)), level, own)
		}
	}

	/** Returns the line, or a line with its invalid fields in the data. */
	#valid(line: LogLine): LogLine {
		try {
			checkLine(line, false)
			return line
		} catch (thrown) {
			return this.#regular(line, thrown)
		}
	}

	/** Builds a line whose fields may be invalid. */
	#buildAny(line: LogLine, level: LogLevel): Draft {
		try {
			return this.#build(line, level, false)
		} catch (thrown) {
			return this.#build(this.#regular(line, thrown), level, false)
		}
	}

	#regular(line: LogLine, thrown: unknown): LogLine {
		this.#hooks.lineInvalid(messageOf(thrown))
		return regularLine(line).line
	}

	#build(line: LogLine, level: LogLevel, own: boolean): Draft {
		const { kind: kindGiven, message: messageGiven, daemonId: daemonGiven, nodeId: nodeGiven } = line
		const { tsMs: tsGiven, origin: originGiven } = line
		const checked = checkFieldsOfLine(
			kindGiven,
			messageGiven,
			daemonGiven,
			nodeGiven,
			tsGiven,
			originGiven,
			own,
		)
		const { data } = line
		const kind = kindGiven === undefined ? KIND_DEFAULT : this.#wellFormed(kindGiven)
		const message = messageGiven === undefined ? kind : this.#message(messageGiven)
		const daemonId = daemonGiven === this.#lastDaemonId ? daemonGiven : this.#daemonIdOf(daemonGiven)
		const nodeId = nodeGiven === this.#lastNodeId ? nodeGiven : this.#nodeIdOf(nodeGiven)
		const tsMs = tsGiven === undefined ? this.#hooks.now() : toWholeMs(tsGiven)
		const origin = checked === undefined ? undefined : this.#origin(checked)
		const bytes = RECORD_BYTES + message.length
		const epoch = this.#epoch
		if (data === undefined) {
			return newDraft(bytes, epoch, tsMs, level, kind, message, undefined, daemonId, nodeId, origin)
		}
		const copied = this.#copied(data)
		const canonical = this.#rules === undefined ? copied : this.#rules.redacted(copied, kind)
		const size = bytes + canonical.bytes
		return newDraft(size, epoch, tsMs, level, kind, message, canonical.value, daemonId, nodeId, origin)
	}

	#message(message: string): string {
		if (message.length <= MESSAGE_LENGTH_MAX) return this.#wellFormed(message)
		this.#counters.truncatedMessages += 1
		return this.#wellFormed(cutMessage(message))
	}

	#daemonIdOf(given: LogLine['daemonId']): PublisherId | null {
		this.#lastDaemonId = this.#id(given ?? null)
		return this.#lastDaemonId
	}

	#nodeIdOf(given: LogLine['nodeId']): PublisherId | null {
		if (given === undefined) return this.#nodeId
		this.#lastNodeId = this.#id(given)
		return this.#lastNodeId
	}

	#id(id: PublisherId | null): PublisherId | null {
		return typeof id === 'string' ? this.#wellFormed(id) : id
	}

	#origin({ chainId, epoch, seq }: RecordOrigin): RecordOrigin {
		return Object.freeze({ chainId: this.#wellFormed(chainId), epoch, seq })
	}

	#wellFormed(text: string): string {
		if (isWellFormed(text)) return text
		this.#counters.replacedSurrogates += 1
		return toWellFormed(text)
	}
}

/**
 * Creates a draft, without `data` or `origin` if they are undefined. The order of the fields is fixed in each
 * case, so that all records share a few V8 shapes.
 */
function newDraft(
	bytes: number,
	epoch: number,
	tsMs: number,
	level: LogLevel,
	kind: string,
	message: string,
	data: unknown,
	daemonId: PublisherId | null,
	nodeId: PublisherId | null,
	origin: RecordOrigin | undefined,
): Draft {
	if (origin === undefined) {
		return data === undefined
			? { seq: bytes, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false }
			: { seq: bytes, epoch, tsMs, level, kind, message, data, daemonId, nodeId, chainPending: false }
	}
	const record = {
		seq: bytes,
		epoch,
		tsMs,
		level,
		kind,
		message,
		daemonId,
		nodeId,
		chainPending: false,
		origin,
	}
	return data === undefined ? record : { ...record, data }
}

/** Returns the rank of a line's level; -1 if the line has unknown fields, or a level that no record has. */
function rankOf(line: unknown, isRegular: boolean): number {
	try {
		if (!isRegular && !hasOnlyLineFields(line)) return -1
		const { level } = line as LogLine
		const rank = level === undefined ? INFO_RANK : levelIndex(level)
		if (rank < 0) hush(level)
		return rank
	} catch (thrown) {
		hush(thrown)
		return -1
	}
}

/** Returns the line to pass to `transform`, with all defaults that do not depend on the loop. */
function withDefaults(line: LogLine, level: LogLevel): LogLine {
	const merged = inheritLine(line, NO_FIELDS, NO_FIELDS)
	const kind = merged.kind ?? KIND_DEFAULT
	return { ...merged, kind, level, message: merged.message ?? kind }
}

/**
 * Returns a line without its message and data, which may contain parts that `transform` should have removed.
 */
function withoutPayload(line: LogLine): LogLine {
	return { ...line, message: line.kind ?? KIND_DEFAULT, data: marker('transform threw') }
}
