/**
 * Appends that were begun, oldest first. Order is the invariant: an append counts as taken over only when all before it
 * are, and after a failure nothing begins until everything under way has settled.
 */
import { declaredBy, type LogChainAppender } from '../appender.ts'
import type { LogAppendError } from '../model/errors.ts'
import type { Gap, QueueRange } from './gap-list.ts'

/** One call of `append` or `appendBatch`. */
export interface Append {
	readonly span: QueueRange
	readonly shape: 'record' | 'batch' | 'gap'
	/** With shape `gap` only. */
	readonly gap: Gap | undefined
	outcome: 'waiting' | 'taken' | LogAppendError
}

export function newAppend(shape: Append['shape'], span: QueueRange, gap?: Gap): Append {
	return { shape, span, gap, outcome: 'waiting' }
}

export class InFlight {
	readonly #appends: Append[] = []
	readonly #max: number
	#waiting = 0
	#broken = false

	constructor(max: number) {
		this.#max = max
	}

	get count(): number {
		return this.#appends.length
	}

	get oldest(): Append | undefined {
		return this.#appends[0]
	}

	/** Whether another append may begin. */
	get hasRoom(): boolean {
		return !this.#broken && this.#appends.length < this.#max
	}

	/** How many positions of the queue are records under way. */
	get recordPositions(): number {
		let positions = 0
		for (const { shape, span } of this.#appends) if (shape !== 'gap') positions += span.to - span.from + 1
		return positions
	}

	/** The records under way, in order. */
	get recordSpans(): QueueRange[] {
		return this.#appends.filter(({ shape }) => shape !== 'gap').map(({ span }) => span)
	}

	/** How many gaps are under way. */
	get gaps(): number {
		return this.#appends.filter(({ shape }) => shape === 'gap').length
	}

	begin(append: Append): void {
		this.#appends.push(append)
		this.#waiting += 1
	}

	settle(append: Append, outcome: 'taken' | LogAppendError): void {
		append.outcome = outcome
		this.#waiting -= 1
		if (outcome !== 'taken') this.#broken = true
	}

	/** Takes out the oldest append, if it was taken over. */
	shiftTaken(): Append | undefined {
		return this.#appends[0]?.outcome === 'taken' ? this.#appends.shift() : undefined
	}

	/** After a failure, and once all have settled: takes out the failed append and all that were begun after it. */
	takeFailed(): Append[] | undefined {
		if (!this.#broken || this.#waiting > 0) return undefined
		this.#broken = false
		return this.#appends.splice(0)
	}
}

/** How many appends an appender takes at once. @throws {MeshChainError} `INVALID_OPTION` */
export function inFlightMaxOf(appender: LogChainAppender): number {
	return declaredBy(appender, 'inFlightMax')
}
