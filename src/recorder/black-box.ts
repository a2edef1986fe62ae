/**
 * A flight recorder for the lines below a loop's level. The lines are held in a separate bounded buffer and
 * have no seq. A trigger writes them as one record.
 */
import { discard } from '../guard/promises.ts'
import { checkLoop, coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import { type Draft, sizeOf } from '../loop/record-builder.ts'
import { checkFunction, checkOptionNames, checkWholeNumber, ifGiven, invalidOption } from '../model/check.ts'
import { type LineLevel, lineRankOf, parseLevel, rankOfRecord } from '../model/level.ts'
import { BLACK_BOX_KIND, type BlackBoxData, type BlackBoxLine } from '../model/own-events.ts'
import type { LogRecord } from '../model/record.ts'

/**
 * Maximum total size of the lines in one record, in bytes. Leaves space for the other fields of the record's
 * data.
 */
const BYTES_MAX = 960 * 1024
const REASON_LENGTH_MAX = 200
/** Estimated size of the field names and headers of a line, in bytes. */
const LINE_BYTES = 256

/** Options for a `BlackBox`. */
export interface BlackBoxOptions {
	/** Maximum number of lines to hold. The oldest lines are dropped first. Default: 1,000. */
	readonly linesMax?: number | undefined
	/**
	 * Maximum total size of the held lines, in bytes. Sizes are estimated upper bounds. Default and maximum:
	 * 960 KiB, which fits in one record.
	 */
	readonly bytesMax?: number | undefined
	/** Maximum time that a line is held, measured by the loop's clock. Default: 300,000 ms (five minutes). */
	readonly ageMsMax?: number | undefined
	/**
	 * Lowest level at which a record triggers a write; `'none'` if no level triggers a write. Default:
	 * `'error'`, which is also the level of `$crash` records.
	 */
	readonly level?: LineLevel | 'none' | undefined
	/** Function that returns true if a record below `level` should also trigger a write. Default: none. */
	readonly when?: ((record: LogRecord) => boolean) | undefined
}

/** Statistics for a `BlackBox`. */
export interface BlackBoxStats {
	/** Number of lines that are currently held. */
	readonly held: number
	/** Estimated upper bound on the total size of the held lines, in bytes. */
	readonly bytes: number
	/** Number of lines that the black box has accepted. */
	readonly kept: number
	/** Number of lines written to the chain. */
	readonly written: number
	/** Number of lines dropped before they were written, by reason. */
	readonly dropped: {
		readonly lines: number
		readonly bytes: number
		readonly age: number
		/**
		 * Dropped because the loop or the black box was closed, or `transform` dropped the `$blackbox` record.
		 */
		readonly closed: number
	}
	/**
	 * Number of lines that the black box did not accept because they were invalid or `transform` dropped them.
	 */
	readonly refused: number
	/**
	 * Number of triggers, including those that wrote no record because the loop was closed or `transform`
	 * dropped the record.
	 */
	readonly triggers: number
}

interface Held {
	readonly line: BlackBoxLine
	readonly sinceMs: number
	readonly bytes: number
}

/**
 * Holds the lines below a loop's level until a trigger occurs. A service can therefore run at level `info`,
 * while its chain still contains the `debug` lines from the minutes before each error. A held line is built
 * and copied in the same way as a published line. A loop has at most one black box, which also covers the
 * loop's children. The constructor attaches the black box to the loop.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop } from 'mesh-chain'
 * import { BlackBox } from 'mesh-chain/recorder'
 *
 * const loop = new MeshLoop(new BufferingAppender())
 * const blackBox = new BlackBox(loop)
 * loop.debug('about to divide', { by: 0 })
 * loop.error('divided by zero') // the next record is a $blackbox with the debug line
 * console.log(blackBox.stats().written)
 * ```
 */
export class BlackBox {
	readonly #loop: MeshLoop
	readonly #bounds: { readonly linesMax: number; readonly bytesMax: number; readonly ageMsMax: number }
	readonly #rankMin: number
	readonly #when: ((record: LogRecord) => boolean) | undefined
	readonly #letGo: () => void
	#held: Held[] = []
	/** Index of the first line in `#held` that is still held. */
	#first = 0
	#bytes = 0
	#droppedSince = 0
	readonly #counts = { kept: 0, written: 0, refused: 0, triggers: 0 }
	readonly #dropped = { lines: 0, bytes: 0, age: 0, closed: 0 }

	/**
	 * @throws {MeshChainError} `INVALID_OPTION` or `INVALID_LEVEL`, or `INVALID_USAGE` if the loop already has
	 * a black box.
	 */
	constructor(loop: MeshLoop, options: BlackBoxOptions = {}) {
		checkLoop('a black box needs a loop', loop)
		checkOptionNames(options, ['linesMax', 'bytesMax', 'ageMsMax', 'level', 'when'])
		const { linesMax = 1000, bytesMax = BYTES_MAX, ageMsMax = 300_000, level = 'error', when } = options
		this.#loop = loop
		this.#bounds = {
			linesMax: checkWholeNumber('linesMax', linesMax, 1),
			bytesMax: checkWholeNumber('bytesMax', bytesMax, 1),
			ageMsMax: checkWholeNumber('ageMsMax', ageMsMax, 1),
		}
		if (bytesMax > BYTES_MAX) throw invalidOption('bytesMax', bytesMax, `at most ${BYTES_MAX}`)
		this.#rankMin = level === 'none' ? Number.POSITIVE_INFINITY : lineRankOf(parseLevel(level))
		this.#when = ifGiven('when', when, checkFunction)
		this.#letGo = coreOf(loop).keepBelow((draft) => this.#keep(draft))
		loop.on('*', this.#onRecord)
	}

	/**
	 * Writes the held lines as one `$blackbox` record and empties the black box.
	 *
	 * @returns The record; undefined if the loop is closed or `transform` drops the record.
	 */
	trigger(reason = 'requested'): LogRecord | undefined {
		return this.#write(String(reason), null)
	}

	/** Returns the statistics. */
	stats(): BlackBoxStats {
		return {
			held: this.#held.length - this.#first,
			bytes: this.#bytes,
			...this.#counts,
			dropped: { ...this.#dropped },
		}
	}

	/** Detaches from the loop and drops the held lines. */
	close(): void {
		this.#letGo()
		this.#loop.off('*', this.#onRecord)
		this.#dropped.closed += this.#held.length - this.#first
		this.#forget()
	}

	readonly #onRecord = (record: LogRecord): void => {
		if (record.kind === BLACK_BOX_KIND || this.#first === this.#held.length) return
		const isAtLevel = rankOfRecord(record) >= this.#rankMin
		if (!isAtLevel && !this.#isWanted(record)) return
		this.#write(record.message, record.seq)
	}

	/** Returns whether `when` accepts a record. An error that `when` throws is counted as a listener error. */
	#isWanted(record: LogRecord): boolean {
		const answer: unknown = this.#when?.(record)
		discard(answer)
		return answer === true
	}

	#keep(draft: Draft | undefined): void {
		if (draft === undefined) {
			this.#counts.refused++
			return
		}
		const { tsMs, level, kind, message, data, daemonId, nodeId } = draft
		const line = { tsMs, level, kind, message, ...(data === undefined ? {} : { data }), daemonId, nodeId }
		const bytes = sizeOf(draft) + sizeBeside(line)
		this.#counts.kept++
		const sinceMs = coreOf(this.#loop).now()
		this.#dropAged(sinceMs)
		this.#held.push({ line, sinceMs, bytes })
		this.#bytes += bytes
		while (this.#held.length - this.#first > this.#bounds.linesMax) this.#drop('lines')
		while (this.#bytes > this.#bounds.bytesMax) this.#drop('bytes')
	}

	#dropAged(nowMs: number): void {
		const sinceMs = nowMs - this.#bounds.ageMsMax
		while (this.#first < this.#held.length && this.#held[this.#first]!.sinceMs < sinceMs) this.#drop('age')
	}

	#drop(bound: keyof BlackBoxStats['dropped']): void {
		this.#bytes -= this.#held[this.#first]!.bytes
		this.#first++
		this.#dropped[bound]++
		this.#droppedSince++
		if (this.#first < 1024 || this.#first * 2 < this.#held.length) return
		this.#held = this.#held.slice(this.#first)
		this.#first = 0
	}

	#write(reason: string, bySeq: number | null): LogRecord | undefined {
		this.#dropAged(coreOf(this.#loop).now())
		const lines = this.#held.slice(this.#first).map(({ line }) => line)
		const shortReason = reason.slice(0, REASON_LENGTH_MAX)
		const data: BlackBoxData = { reason: shortReason, bySeq, lines, dropped: this.#droppedSince }
		// The held lines are cleared first, because lines published during the delivery of this record belong to
		// the next `$blackbox` record.
		this.#forget()
		const counted = `${lines.length} ${lines.length === 1 ? 'line' : 'lines'}`
		const message = `${counted} below ${this.#loop.level}: ${shortReason}`
		const record = coreOf(this.#loop).publishOwn({ kind: BLACK_BOX_KIND, level: 'debug', message, data })
		this.#counts.triggers++
		if (record === undefined) this.#dropped.closed += lines.length
		else this.#counts.written += lines.length
		return record
	}

	#forget(): void {
		this.#held = []
		this.#first = 0
		this.#bytes = 0
		this.#droppedSince = 0
	}
}

/**
 * Returns an estimated upper bound on the size of a line in a record, in addition to `sizeOf`. A character
 * counts as three bytes, of which `sizeOf` counts one for the message.
 */
function sizeBeside({ kind, message, daemonId, nodeId }: BlackBoxLine): number {
	const ids = [daemonId, nodeId].map((id) => (typeof id === 'string' ? id.length : 0))
	return LINE_BYTES + 2 * message.length + 3 * (kind.length + ids[0]! + ids[1]!)
}
