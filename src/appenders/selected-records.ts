/**
 * The records that one child of a `TeeAppender` selects.
 *
 * A child that numbers its history, such as a chain, must have no holes in its seqs, because a reader
 * reports a hole as a loss. It therefore receives copies with its own seqs and its own epoch. If another
 * child is a chain that receives every record, the `origin` of each copy is the record in that chain, so
 * that a merge of both chains returns each record once.
 */
import { type LogChainAppender, startOf } from '../appender.ts'
import { discard, isThenable } from '../guard/promises.ts'
import { messageOf, propertyOf } from '../guard/values.ts'
import { gapDataOf, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { nameOf } from '../outbox/health-reporter.ts'
import { warn } from '../platform/diagnostics.ts'

/** Number of uncommitted records that are tracked. Beyond it, the committed seq is a lower bound. */
const TRACKED_MAX = 4_096

/** A selected record that the child may not have committed. */
interface Tracked {
	/** Seq of the record for the child. */
	readonly seq: number
	/** Seq in the loop up to which every earlier selected record is committed if the tracked ones are. */
	readonly committedBefore: number
}

export class SelectedRecords {
	/** Seq of the first record that the child receives, and the epoch of its records. */
	readonly start: { readonly nextSeq: number; readonly epoch: number }
	/** Number of records that the child did not receive because of its level or filter. */
	filtered = 0
	/** Number of records that the child received because its filter failed. */
	filterErrors = 0
	readonly #appender: LogChainAppender
	readonly #selects: (record: LogRecord) => unknown
	/** Id of the chain that contains every record; undefined if there is none. */
	readonly #originChainId: string | undefined
	readonly #isNumbered: boolean
	#nextSeq: number
	#tracked: Tracked[] = []
	#lastLoopSeq: number

	/** @param loopStart First seq and epoch of the loop. */
	constructor(
		appender: LogChainAppender,
		selects: (record: LogRecord) => unknown,
		loopStart: { readonly nextSeq: number; readonly epoch: number },
		originChainId: string | undefined,
	) {
		this.#appender = appender
		this.#selects = selects
		this.#originChainId = originChainId
		this.#isNumbered = propertyOf(appender, 'nextSeq') !== undefined
		this.start = this.#isNumbered ? startOf(appender) : loopStart
		this.#nextSeq = this.start.nextSeq
		this.#lastLoopSeq = loopStart.nextSeq - 1
	}

	/** Returns the record for the child, or undefined if the child does not select it. */
	take(record: LogRecord): LogRecord | undefined {
		this.#lastLoopSeq = record.seq
		if (!isGap(record) && !this.#isSelected(record)) {
			this.filtered += 1
			return undefined
		}
		const own = this.#isNumbered ? this.#renumbered(record) : record
		if (this.#tracked.length >= TRACKED_MAX) this.#trackLess()
		this.#tracked.push({ seq: own.seq, committedBefore: record.seq - 1 })
		return own
	}

	/** Returns the seq in the loop up to which the child has committed every record that it selects. */
	committedLoopSeq(committedSeq: number): number {
		let count = 0
		while (count < this.#tracked.length && this.#tracked[count]!.seq <= committedSeq) count += 1
		if (count > 0) this.#tracked.splice(0, count)
		return this.#tracked[0]?.committedBefore ?? this.#lastLoopSeq
	}

	/** Forgets every other record. The record after a forgotten one takes over its lower bound. */
	#trackLess(): void {
		const kept: Tracked[] = []
		const last = this.#tracked.length - 1
		let forgotten: Tracked | undefined
		for (const [index, each] of this.#tracked.entries()) {
			if (index % 2 === 1 && index < last) {
				forgotten = each
				continue
			}
			const { committedBefore } = forgotten ?? each
			kept.push({ seq: each.seq, committedBefore })
			forgotten = undefined
		}
		this.#tracked = kept
	}

	#isSelected(record: LogRecord): boolean {
		try {
			const answer = this.#selects(record)
			if (!isThenable(answer)) return Boolean(answer)
			discard(answer)
			this.#filterFailed('it returned a promise')
		} catch (thrown) {
			this.#filterFailed(messageOf(thrown))
		}
		return true
	}

	#filterFailed(reason: string): void {
		this.filterErrors += 1
		if (this.filterErrors > 1) return
		const text = `the filter of ${nameOf(this.#appender, 'a child')} failed (${reason})`
		warn('FILTER_FAILED', `${text}: the child receives the record; further failures are only counted`)
	}

	#renumbered(record: LogRecord): LogRecord {
		const { epoch } = this.start
		if (isGap(record)) {
			// All of the lost records may have been selected.
			const { count = 1, cause = 'evicted' } = gapDataOf(record.data) ?? {}
			const fromSeq = this.#nextSeq
			this.#nextSeq += count
			return gapRecord({ fromSeq, toSeq: fromSeq + count - 1, count, cause }, { epoch, tsMs: record.tsMs })
		}
		const seq = this.#nextSeq++
		const origin = record.origin ?? this.#originOf(record)
		return Object.freeze({ ...record, seq, epoch, ...(origin === undefined ? {} : { origin }) })
	}

	#originOf({ epoch, seq }: LogRecord): LogRecord['origin'] {
		const chainId = this.#originChainId
		return chainId === undefined ? undefined : Object.freeze({ chainId, epoch, seq })
	}
}
