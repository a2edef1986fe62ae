/**
 * A flight recorder for the lines below a loop's level. The lines are held in a bounded ring of their own and
 * take no seq. A trigger writes them as one record.
 */
import { discard } from '../guard/promises.ts'
import { checkLoop, coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import type { Draft } from '../loop/record-builder.ts'
import { checkFunction, checkOptionNames, checkWholeNumber, ifGiven, invalidOption } from '../model/check.ts'
import type { BlackBoxData, BlackBoxLine } from '../model/own-events.ts'
import { type LogLevel, type LogRecord, levelIndex, parseLevel } from '../model/record.ts'

/** Kind of the records that hold these lines. */
export const BLACK_BOX_KIND = '$blackbox'

/** Data that one record can hold, less room for its other fields. */
const BYTES_MAX = 960 * 1024
const REASON_LENGTH_MAX = 200
/** Estimate of the field names and headers of a line. */
const LINE_BYTES = 256

/** Options of a `BlackBox`. */
export interface BlackBoxOptions {
	/** Maximum number of lines held; the oldest are dropped first. Default: 1,000. */
	readonly linesMax?: number | undefined
	/**
	 * Maximum number of bytes held, by an upper estimate. Default and maximum: 960 KiB, the capacity of one
	 * record.
	 */
	readonly bytesMax?: number | undefined
	/** Longest time that a line is held, by the loop's clock. Default: 300,000 (five minutes). */
	readonly ageMsMax?: number | undefined
	/**
	 * Lowest level of a record that triggers a write; `'none'` for no level. Default: `'error'`, which is the
	 * level of `$crash` too.
	 */
	readonly level?: LogLevel | 'none' | undefined
	/** Returns true for any other record that triggers a write. */
	readonly when?: ((record: LogRecord) => boolean) | undefined
}

/** Counters of a `BlackBox`. */
export interface BlackBoxStats {
	/** Lines held at present. */
	readonly held: number
	/** Upper estimate of the bytes held at present. */
	readonly bytes: number
	/** Lines taken in so far. */
	readonly kept: number
	/** Lines written to the chain. */
	readonly written: number
	/** Lines dropped before they were written, by the bound that they exceeded. */
	readonly dropped: {
		readonly lines: number
		readonly bytes: number
		readonly age: number
		/** Dropped because the loop or the black box was closed. */
		readonly closed: number
	}
	/** Lines that were not taken in, because their kind or level was invalid or `transform` dropped them. */
	readonly refused: number
	/** Number of `$blackbox` records written. */
	readonly triggers: number
}

interface Held {
	readonly line: BlackBoxLine
	readonly sinceMs: number
	readonly bytes: number
}

/**
 * Keeps the lines below a loop's level until they are needed: a service runs at `info`, and its chain has the
 * minutes before each error at `debug`. A held line is built and copied like a published one. A loop has at
 * most one black box, which also covers its children. The constructor attaches the black box to the loop.
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
	readonly #levelIndex: number
	readonly #when: ((record: LogRecord) => boolean) | undefined
	readonly #letGo: () => void
	#held: Held[] = []
	/** Index of the first line that is still held. */
	#first = 0
	#bytes = 0
	#droppedSince = 0
	readonly #counts = { kept: 0, written: 0, refused: 0, triggers: 0 }
	readonly #dropped = { lines: 0, bytes: 0, age: 0, closed: 0 }

	/**
	 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`; `INVALID_USAGE` if the loop already has a
	 * black box.
	 */
	constructor(loop: MeshLoop, options: BlackBoxOptions = {}) {
		checkLoop('a black box needs a loop', loop)
		checkOptionNames(options, ['linesMax', 'bytesMax', 'ageMsMax', 'level', 'when'])
		const { level = 'error', when } = options
		this.#loop = loop
		this.#bounds = {
			linesMax: checkWholeNumber('linesMax', options.linesMax ?? 1000, 1),
			bytesMax: checkWholeNumber('bytesMax', options.bytesMax ?? BYTES_MAX, 1),
			ageMsMax: checkWholeNumber('ageMsMax', options.ageMsMax ?? 300_000, 1),
		}
		if (this.#bounds.bytesMax > BYTES_MAX)
			throw invalidOption('bytesMax', options.bytesMax, `at most ${BYTES_MAX}`)
		this.#levelIndex = level === 'none' ? Number.POSITIVE_INFINITY : levelIndex(parseLevel(level))
		this.#when = ifGiven('when', when, checkFunction)
		this.#letGo = coreOf(loop).keepBelow((draft) => this.#keep(draft))
		loop.on('*', this.#onRecord)
	}

	/**
	 * Writes the held lines as one `$blackbox` record, and empties the black box.
	 *
	 * @returns the record; undefined after the loop was closed.
	 */
	trigger(reason = 'asked for'): LogRecord | undefined {
		return this.#write(String(reason), null)
	}

	/** Returns the counters. */
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
		const isAtLevel = levelIndex(record.level) >= this.#levelIndex
		if (!isAtLevel && !this.#isWanted(record)) return
		this.#write(record.message, record.seq)
	}

	/**
	 * Tells whether a record triggers a write. The loop counts an error thrown by `when`, as of any listener.
	 */
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
		const { tsMs, level, kind, message, data, daemonId, nodeId } = draft.record
		const line = { tsMs, level, kind, message, ...(data === undefined ? {} : { data }), daemonId, nodeId }
		const bytes = draft.bytes + sizeBeside(line)
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
		// Cleared before the record is published: lines published during its delivery belong to the next
		// record.
		this.#forget()
		const message = `${lines.length} ${lines.length === 1 ? 'line' : 'lines'} below ${this.#loop.level}: ${shortReason}`
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

/** Returns an upper estimate of a line's size in a record without its data, at three bytes per character. */
function sizeBeside({ kind, message, daemonId, nodeId }: BlackBoxLine): number {
	const ids = [daemonId, nodeId].map((id) => (typeof id === 'string' ? id.length : 0))
	return LINE_BYTES + 2 * message.length + 3 * (kind.length + ids[0]! + ids[1]!)
}
