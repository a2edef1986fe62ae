/**
 * The appends that have started, oldest first. Invariants: an append counts as accepted only after all
 * earlier appends have been accepted. After a failure, no append starts until all appends in flight have
 * settled.
 */
import { declaredBy, type LogChainAppender } from '../appender.ts'
import type { LogAppendError } from '../model/errors.ts'
import type { Gap, QueueRange } from './gap-list.ts'

/** One call to `append` or `appendBatch`. */
export interface Append {
	readonly range: QueueRange
	readonly shape: 'record' | 'batch' | 'gap'
	/** Gap to append; undefined unless the shape is `gap`. */
	readonly gap: Gap | undefined
	outcome: 'waiting' | 'taken' | LogAppendError
}

export function newAppend(shape: Append['shape'], range: QueueRange, gap?: Gap): Append {
	return { shape, range, gap, outcome: 'waiting' }
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

	/** Whether another append may start. */
	get hasRoom(): boolean {
		return !this.#broken && this.#appends.length < this.#max
	}

	/** Number of queue positions whose records are in flight. */
	get recordPositions(): number {
		let positions = 0
		for (const { shape, range } of this.#appends) if (shape !== 'gap') positions += range.to - range.from + 1
		return positions
	}

	/** Ranges of the records in flight, in order. */
	get recordRanges(): QueueRange[] {
		return this.#appends.filter(({ shape }) => shape !== 'gap').map(({ range }) => range)
	}

	/** Number of gaps in flight. */
	get gaps(): number {
		return this.#appends.filter(({ shape }) => shape === 'gap').length
	}

	/** Adds an append that is waiting or has settled. */
	add(append: Append): void {
		this.#appends.push(append)
		if (append.outcome === 'waiting') this.#waiting += 1
		else if (append.outcome !== 'taken') this.#broken = true
	}

	/** Sets the outcome of an append that was waiting. */
	settle(append: Append, outcome: 'taken' | LogAppendError): void {
		append.outcome = outcome
		this.#waiting -= 1
		if (outcome !== 'taken') this.#broken = true
	}

	/** Removes and returns the oldest append, if it was accepted. */
	shiftTaken(): Append | undefined {
		return this.#appends[0]?.outcome === 'taken' ? this.#appends.shift() : undefined
	}

	/**
	 * Removes and returns the failed append and all later appends. Returns undefined if there is no failed
	 * append, or if an append has not settled.
	 */
	takeFailed(): Append[] | undefined {
		if (!this.#broken || this.#waiting > 0) return undefined
		this.#broken = false
		return this.#appends.splice(0)
	}
}

/**
 * Returns an appender's `inFlightMax`. Default: 1.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 */
export function inFlightMaxOf(appender: LogChainAppender): number {
	return declaredBy(appender, 'inFlightMax')
}
