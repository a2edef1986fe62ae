/**
 * Calls the application's functions: clock, context, transform. The line is published whatever they do; a
 * failure is counted, reported, and warned of once. A hook that publishes is not called for the line that it
 * publishes.
 */
import { isTime, type SoundClock, soundClock } from '../guard/clock.ts'
import { hush, hushAll } from '../guard/hush.ts'
import { discard, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { checkId, invalidTime } from '../model/line-check.ts'
import type { LogLine } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { isPlainObject } from './inherited-fields.ts'
import type { ResolvedLoopOptions, ScopeFields } from './options.ts'
import type { Counters } from './stats.ts'

type HookName = 'clock' | 'context' | 'transform'

export class Hooks {
	readonly #source: object
	readonly #counters: Counters
	readonly #clock: SoundClock | undefined
	readonly #context: ResolvedLoopOptions['context']
	readonly #transform: ResolvedLoopOptions['transform']
	readonly #running = { context: false, transform: false }
	readonly #saidFailing = new Set<HookName>()

	constructor(source: object, counters: Counters, options: ResolvedLoopOptions) {
		this.#source = source
		this.#counters = counters
		this.#clock = options.clock && soundClock(options.clock, (thrown) => this.#hookFailed('clock', thrown))
		this.#context = options.context
		this.#transform = options.transform
	}

	get hasTransform(): boolean {
		return this.#transform !== undefined
	}

	/** Returns the time in whole milliseconds, not before 1970. */
	now(): number {
		return this.#clock === undefined ? Date.now() : Math.floor(this.#clock())
	}

	/** Returns the fields of the context; undefined if there is no context or it fails. */
	context(): ScopeFields | undefined {
		const context = this.#context
		if (context === undefined || this.#running.context) return undefined
		this.#running.context = true
		try {
			const fields = context()
			if (fields === undefined) return undefined
			discard(fields)
			const own = ownFields(fields)
			return own.data === undefined ? own : { ...own, data: { ...own.data } }
		} catch (thrown) {
			this.#hookFailed('context', thrown)
			return undefined
		} finally {
			this.#running.context = false
		}
	}

	/**
	 * Calls `transform` with a line.
	 *
	 * @throws what `transform` throws, and an error for a result that is not a line; the caller decides what
	 * becomes of the line.
	 */
	transform(line: LogLine): LogLine | null {
		if (this.#transform === undefined) return line
		if (this.#running.transform)
			throw new MeshChainError('INVALID_USAGE', 'transform published a line itself')
		this.#running.transform = true
		try {
			const result: unknown = this.#transform(line)
			if (result === null) return null
			if (typeof result === 'object' && !isThenable(result)) return result as LogLine
			discard(result)
			const what = isThenable(result) ? 'a promise' : show(result)
			throw new MeshChainError('INVALID_LINE', `transform must return a line or null, not ${what}`)
		} finally {
			this.#running.transform = false
		}
	}

	/** Counts and reports that a line lost its payload because `transform` failed. */
	transformFailed(thrown: unknown): void {
		this.#counters.transformErrors += 1
		this.#tell('transform', thrown)
	}

	#hookFailed(hook: HookName, thrown: unknown): void {
		this.#counters.hookErrors += 1
		this.#tell(hook, thrown)
	}

	#tell(hook: HookName, error: unknown): void {
		hush(error)
		report('hookError', { source: this.#source, error, hook })
		if (this.#saidFailing.has(hook)) return
		this.#saidFailing.add(hook)
		warn(
			'HOOK_FAILED',
			`the ${hook} of a loop failed; further failures are only counted: ${messageOf(error)}`,
		)
	}
}

/** Rounds a time to whole milliseconds, not before 1970. */
export function toWholeMs(tsMs: number): number {
	return tsMs > 0 ? Math.floor(tsMs) : 0
}

/**
 * Returns the fields to merge into a line. Each is read once, so that the value that was checked is the value
 * that is merged.
 *
 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`, and any error of reading them.
 */
export function ownFields(fields: ScopeFields): ScopeFields {
	if (typeof fields !== 'object' || fields === null) {
		throw new MeshChainError('INVALID_LINE', `fields must be an object, not ${show(fields)}`)
	}
	const { daemonId, nodeId, tsMs, data } = fields
	hushAll(daemonId, nodeId, tsMs, data)
	checkId('daemonId', daemonId)
	checkId('nodeId', nodeId)
	if (tsMs !== undefined && !isTime(tsMs)) throw invalidTime(tsMs)
	if (data !== undefined && !isPlainObject(data)) {
		throw new MeshChainError('INVALID_LINE', `data to merge must be a plain object, not ${show(data)}`)
	}
	return { daemonId, nodeId, tsMs, data } as ScopeFields
}
