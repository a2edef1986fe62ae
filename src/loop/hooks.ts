/**
 * Calls the application's hooks: clock, context and transform. A line is published even if a hook fails. Each
 * failure is counted and reported, and the first failure of each hook emits a warning. A hook that publishes
 * a line is not called for that line.
 */
import { type SoundClock, soundClock } from '../guard/clock.ts'
import { hush } from '../guard/hush.ts'
import { discard, isThenable } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogLine } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'
import type { ResolvedLoopOptions, ScopeFields } from './options.ts'
import { scopeFields } from './scope-fields.ts'
import type { Counters } from './stats.ts'

type HookName = 'clock' | 'context' | 'transform' | 'serializers' | 'redact'

export class Hooks {
	readonly #source: object
	readonly #counters: Counters
	readonly #clock: SoundClock | undefined
	readonly #context: ResolvedLoopOptions['context']
	readonly #transform: ResolvedLoopOptions['transform']
	readonly #running = { context: false, transform: false }
	readonly #saidFailing = new Set<HookName>()
	#saidInvalid = false

	constructor(source: object, counters: Counters, options: ResolvedLoopOptions) {
		this.#source = source
		this.#counters = counters
		this.#clock = options.clock && soundClock(options.clock, (thrown) => this.failed('clock', thrown))
		this.#context = options.context
		this.#transform = options.transform
	}

	get hasTransform(): boolean {
		return this.#transform !== undefined
	}

	/** Returns the current time in whole milliseconds, at least 0. */
	now(): number {
		return this.#clock === undefined ? Date.now() : Math.floor(this.#clock())
	}

	/**
	 * Returns the fields from the context hook; undefined if the hook is absent, running or failing, or returns
	 * none.
	 */
	context(): ScopeFields | undefined {
		const context = this.#context
		if (context === undefined || this.#running.context) return undefined
		this.#running.context = true
		try {
			const fields = context()
			if (fields === undefined) return undefined
			discard(fields)
			if (typeof fields !== 'object' || fields === null) {
				throw new MeshChainError('INVALID_LINE', `context must return an object, not ${show(fields)}`)
			}
			const read = scopeFields(fields)
			if (read.invalid !== undefined) {
				this.failed(
					'context',
					new MeshChainError('INVALID_LINE', `context returned fields of which ${read.invalid}`),
				)
			}
			return read.fields
		} catch (thrown) {
			this.failed('context', thrown)
			return undefined
		} finally {
			this.#running.context = false
		}
	}

	/**
	 * Calls `transform` with a line.
	 *
	 * @throws {unknown} The error that `transform` throws, or an error if the result is neither a line nor
	 * null. The caller decides how to publish the line.
	 */
	transform(line: LogLine): LogLine | null {
		if (this.#transform === undefined) return line
		if (this.#running.transform)
			throw new MeshChainError('INVALID_USAGE', 'transform is not called for a line that it published')
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

	/** Counts and reports a line whose payload was removed because `transform` failed. */
	transformFailed(thrown: unknown): void {
		this.#counters.transformErrors += 1
		this.#tell('transform', thrown)
	}

	/** Counts a line with an invalid value, which its record contains, and warns once. */
	lineInvalid(why: string): void {
		this.#counters.invalidLines += 1
		if (this.#saidInvalid) return
		this.#saidInvalid = true
		warn(
			'INVALID_LINE',
			`a line with an invalid value was published: ${why}; the record contains the value as its message or ` +
				'in its data; further lines are only counted',
		)
	}

	/** Counts and reports a failure of any hook except `transform`. */
	failed(hook: HookName, thrown: unknown): void {
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
			`the ${hook} hook of a loop failed; further failures are only counted: ${messageOf(error)}`,
		)
	}
}

/** Rounds a time down to whole milliseconds. A negative time becomes 0. */
export function toWholeMs(tsMs: number): number {
	return tsMs > 0 ? Math.floor(tsMs) : 0
}
