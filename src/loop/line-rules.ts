/**
 * Applies the options of a loop that decide what is recorded of its lines: `sampling` and `rateLimit` drop
 * lines, `serializers` replace values before data is copied, and `redact` replaces values in the copy.
 */
import type { Canonical } from '../codec/canonical.ts'
import type { LogLine } from '../model/record.ts'
import type { Hooks } from './hooks.ts'
import type { ResolvedLoopOptions, ScopeFields } from './options.ts'
import { Redaction } from './redaction.ts'
import { type DroppedCounts, Sampler } from './sampling.ts'
import { Serializers } from './serializers.ts'
import type { Counters } from './stats.ts'

export class LineRules {
	readonly #counters: Counters
	readonly #redaction: Redaction | undefined
	readonly #serializers: Serializers | undefined
	readonly #sampler: Sampler | undefined

	private constructor(options: ResolvedLoopOptions, hooks: Hooks, counters: Counters) {
		const { redact, serializers, sampling, rateLimit } = options
		this.#counters = counters
		if (redact !== undefined) {
			this.#redaction = new Redaction(redact, counters, (thrown) => hooks.failed('redact', thrown))
		}
		if (serializers !== undefined) {
			const failed = (thrown: unknown) => hooks.failed('serializers', thrown)
			this.#serializers = new Serializers(serializers, counters, failed)
		}
		if (sampling !== undefined || rateLimit !== undefined) {
			this.#sampler = new Sampler({ sampling, rateLimit }, () => hooks.now())
		}
	}

	/** Returns the rules of a loop; undefined if its options contain none. */
	static of(options: ResolvedLoopOptions, hooks: Hooks, counters: Counters): LineRules | undefined {
		const { redact, serializers, sampling, rateLimit } = options
		const isUsed = [redact, serializers, sampling, rateLimit].some((option) => option !== undefined)
		return isUsed ? new LineRules(options, hooks, counters) : undefined
	}

	/** Whether {@link drops} or {@link serialized} have any effect. */
	get changeLines(): boolean {
		return this.#sampler !== undefined || this.#serializers !== undefined
	}

	/** Returns whether a line is dropped, and counts it. */
	drops(kind: unknown, rank: number): boolean {
		const cause = this.#sampler?.drop(kind, rank)
		if (cause === undefined) return false
		this.#counters[cause] += 1
		return true
	}

	/** The lines that each rule of `sampling` and `rateLimit` dropped. */
	get droppedByKind(): Readonly<Record<string, DroppedCounts>> | undefined {
		return this.#sampler?.dropped()
	}

	/** Returns a line with the results of the serializers. The fields of the line must be readable. */
	serialized(line: LogLine): LogLine {
		if (this.#serializers === undefined || line.data === undefined) return line
		return { ...line, data: this.#serializers.serialized(line.data) }
	}

	/** Returns the fields of `context` or of a child loop with the results of the serializers. */
	serializedFields(fields: ScopeFields): ScopeFields {
		const { data } = fields
		if (this.#serializers === undefined || data === undefined) return fields
		return { ...fields, data: this.#serializers.serialized(data) as typeof data }
	}

	/** Returns the data to record. */
	redacted(data: Canonical, kind: string): Canonical {
		return this.#redaction === undefined ? data : this.#redaction.redacted(data, kind)
	}
}
