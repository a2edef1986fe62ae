/**
 * Makes a draft of a line: everything of a record but its `seq`. All code of the application (context,
 * transform, clock, getters in data) runs here and may publish, which is why a draft has no seq.
 */
import { canonicalise, marker } from '../codec/canonical.ts'
import { cutMessage } from '../codec/message.ts'
import { hush } from '../guard/hush.ts'
import { MeshChainError } from '../model/errors.ts'
import { MESSAGE_LENGTH_MAX } from '../model/limits.ts'
import { checkFieldsOfLine, checkIsLine, checkLevel, checkLine } from '../model/line-check.ts'
import type { LogLevel, LogLine, LogRecord, PublisherId, RecordOrigin } from '../model/record.ts'
import { isWellFormed, toWellFormed } from '../text/well-formed.ts'
import { type Hooks, toWholeMs } from './hooks.ts'
import { inheritLine } from './inherited-fields.ts'
import type { ScopeFields } from './options.ts'
import type { Scope } from './scope.ts'
import type { Counters } from './stats.ts'

/** A record without its place in history. */
export interface Draft {
	/** The record, complete except for `seq`, which is 0. */
	readonly record: { -readonly [Name in keyof LogRecord]: LogRecord[Name] }
	/** Estimate of the memory that the record takes. */
	readonly bytes: number
}

/**
 * Gets each line below the level; undefined for a line that could not be built or that `transform` dropped.
 */
export type KeepBelow = (draft: Draft | undefined) => void

const KIND_DEFAULT = 'log'
const LEVEL_DEFAULT = 'info'
const NO_FIELDS: ScopeFields = Object.freeze({})
/** Estimated size of a record without its message and data. */
const RECORD_BYTES = 128

export class RecordBuilder {
	readonly #hooks: Hooks
	readonly #counters: Counters
	readonly #nodeId: PublisherId | null
	readonly #hasContext: boolean
	readonly #epoch: number
	#keep: KeepBelow | undefined

	constructor(
		hooks: Hooks,
		counters: Counters,
		options: { readonly nodeId: PublisherId | null; readonly context: unknown; readonly epoch: number },
	) {
		this.#hooks = hooks
		this.#counters = counters
		this.#nodeId = this.#id(options.nodeId)
		this.#epoch = options.epoch
		this.#hasContext = options.context !== undefined
	}

	/**
	 * Builds the draft of a line. Returns undefined for a line below the level and for one that `transform`
	 * dropped, each counted.
	 *
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_LEVEL`, `INVALID_KIND`, `INVALID_ID`, `INVALID_TIME`
	 */
	draft(line: LogLine, scope: Scope): Draft | undefined {
		checkIsLine(line)
		// Each field of a line is read once, so that the value that was checked is the value that is
		// published.
		const level = line.level ?? LEVEL_DEFAULT
		if (!this.passes(level, scope)) {
			if (this.#keep !== undefined) this.#keepBelow(line, level, scope, this.#keep)
			return undefined
		}
		const full = this.#hasContext || scope.fields !== undefined ? this.#merge(line, scope) : line
		return this.#hooks.hasTransform
			? this.#transformed(full, level, scope, false)
			: this.#build(full, level, false)
	}

	/** Whether lines below the level are kept too. */
	get keepsBelow(): boolean {
		return this.#keep !== undefined
	}

	/**
	 * Passes each line below the level to `keep`. Returns a function that ends this.
	 *
	 * @throws {MeshChainError} `INVALID_USAGE` if another `keep` is in place.
	 */
	keepBelow(keep: KeepBelow): () => void {
		if (this.#keep !== undefined) {
			throw new MeshChainError('INVALID_USAGE', 'this loop has a black box already: close() that one first')
		}
		this.#keep = keep
		return () => {
			if (this.#keep === keep) this.#keep = undefined
		}
	}

	/**
	 * Builds the record that the line would have been. A mistake in the line does not throw, because a line
	 * below the level does not throw without a black box either.
	 */
	#keepBelow(line: LogLine, level: LogLevel, scope: Scope, keep: KeepBelow): void {
		let draft: Draft | undefined
		try {
			const full = this.#merge(line, scope)
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
	 * Builds the draft of a line of mesh-chain's own: it has no minimum level, its kind may start with `$`,
	 * and it inherits no data. `transform` sees the line, so that secrets stay out of checkpoints and crash
	 * records too.
	 */
	draftOwn(line: LogLine, scope: Scope): Draft | undefined {
		const { daemonId, nodeId } = scope.fields ?? NO_FIELDS
		const ids = {
			...(daemonId === undefined ? {} : { daemonId }),
			...(nodeId === undefined ? {} : { nodeId }),
		}
		const full = inheritLine(line, ids, NO_FIELDS)
		const { level = LEVEL_DEFAULT } = full
		return this.#hooks.hasTransform
			? this.#transformed(full, level, scope, true)
			: this.#build(full, level, true)
	}

	/** Tells whether a level is at or above the scope's level, and counts the line if not. */
	passes(level: LogLevel, scope: Scope): boolean {
		if (checkLevel(level) >= scope.levelIndex) return true
		this.#counters.belowLevel += 1
		return false
	}

	#merge(line: LogLine, scope: Scope): LogLine {
		return inheritLine(line, scope.fields ?? NO_FIELDS, this.#hooks.context() ?? NO_FIELDS)
	}

	#transformed(
		line: LogLine,
		level: LogLevel,
		scope: Scope,
		own: boolean,
		anyLevel = own,
	): Draft | undefined {
		try {
			const result = this.#hooks.transform(withDefaults(line, level))
			if (result === null) {
				this.#counters.transformDropped += 1
				return undefined
			}
			const newLevel = result.level ?? LEVEL_DEFAULT
			if (anyLevel) checkLevel(newLevel)
			else if (!this.passes(newLevel, scope)) return undefined
			return this.#build(result, newLevel, own)
		} catch (thrown) {
			// The line before the transform: a mistake in it is the publisher's, and throws.
			const before = withDefaults(line, level)
			checkLine(before, own)
			this.#hooks.transformFailed(thrown)
			return this.#build(withoutPayload(before), level, own)
		}
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
		const daemonId = this.#id(daemonGiven ?? null)
		const nodeId = nodeGiven === undefined ? this.#nodeId : this.#id(nodeGiven)
		const tsMs = tsGiven === undefined ? this.#hooks.now() : toWholeMs(tsGiven)
		const origin = checked === undefined ? undefined : this.#origin(checked)
		if (data === undefined) {
			return {
				record: newRecord(this.#epoch, tsMs, level, kind, message, undefined, daemonId, nodeId, origin),
				bytes: RECORD_BYTES + message.length,
			}
		}
		const canonical = canonicalise(data)
		this.#counters.unserializable += canonical.markers
		this.#counters.replacedSurrogates += canonical.replaced
		return {
			record: newRecord(this.#epoch, tsMs, level, kind, message, canonical.value, daemonId, nodeId, origin),
			bytes: RECORD_BYTES + message.length + canonical.bytes,
		}
	}

	#message(message: string): string {
		if (message.length <= MESSAGE_LENGTH_MAX) return this.#wellFormed(message)
		this.#counters.truncatedMessages += 1
		return this.#wellFormed(cutMessage(message))
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
 * Sets only the fields that have a value, always in the same order, so that all records share a few V8
 * shapes.
 */
function newRecord(
	epoch: number,
	tsMs: number,
	level: LogLevel,
	kind: string,
	message: string,
	data: unknown,
	daemonId: PublisherId | null,
	nodeId: PublisherId | null,
	origin: RecordOrigin | undefined,
): Draft['record'] {
	if (origin === undefined) {
		return data === undefined
			? { seq: 0, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false }
			: { seq: 0, epoch, tsMs, level, kind, message, data, daemonId, nodeId, chainPending: false }
	}
	const record = { seq: 0, epoch, tsMs, level, kind, message, daemonId, nodeId, chainPending: false, origin }
	return data === undefined ? record : { ...record, data }
}

/** Returns the line for `transform`: with all defaults except those of the loop. */
function withDefaults(line: LogLine, level: LogLevel): LogLine {
	const merged = inheritLine(line, NO_FIELDS, NO_FIELDS)
	const kind = merged.kind ?? KIND_DEFAULT
	return { ...merged, kind, level, message: merged.message ?? kind }
}

/** Returns a line without the payload that its failed transform might have removed. */
function withoutPayload(line: LogLine): LogLine {
	return { ...line, message: line.kind ?? KIND_DEFAULT, data: marker('transform threw') }
}
