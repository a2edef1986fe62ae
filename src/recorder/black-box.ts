/**
 * A flight recorder for what a loop's level holds back: such lines are kept in a bounded ring of their own, take no seq and go
 * nowhere, until something happens. Then they are written as one record.
 */
import { discard } from '../guard/promises.ts'
import { checkLoop, coreOf } from '../loop/core-of.ts'
import type { MeshLoop } from '../loop/mesh-loop.ts'
import type { Draft } from '../loop/record-builder.ts'
import { checkFunction, checkOptionNames, checkWholeNumber, ifGiven, invalidOption } from '../model/check.ts'
import type { BlackBoxData, BlackBoxLine } from '../model/own-events.ts'
import { type LogLevel, type LogRecord, levelIndex, parseLevel } from '../model/record.ts'

/** The kind of the record that holds them. */
export const BLACK_BOX_KIND = '$blackbox'

/** What one record can hold, with room for the rest of it. */
const BYTES_MAX = 960 * 1024
const REASON_LENGTH_MAX = 200
/** The names of a line's fields, and what heads them. */
const LINE_BYTES = 256

export interface BlackBoxOptions {
	/** Lines held, default 1,000. The oldest go first. */
	lines?: number
	/** Bytes held, by an upper estimate, default and at most 960 KiB: what one record can hold. */
	bytes?: number
	/** A line is held for so long by the loop's clock, whatever its own time, default 300,000 (five minutes). */
	ageMs?: number
	/** A record at this level or above triggers it; null: none does. Default `'error'`, a `$crash` among them. */
	level?: LogLevel | null
	/** So does a record for which this is true. */
	when?: (record: LogRecord) => boolean
}

export interface BlackBoxStats {
	readonly held: number
	readonly bytes: number
	/** Lines that were kept so far. */
	readonly kept: number
	/** Lines that were written to the chain. */
	readonly written: number
	/** Lines that went unwritten, by the bound that they were beyond. */
	readonly dropped: {
		readonly lines: number
		readonly bytes: number
		readonly age: number
		/** The loop, or the black box, was closed. */
		readonly closed: number
	}
	/** Lines that were none: their kind or level was wrong, or `transform` dropped them. */
	readonly refused: number
	readonly triggers: number
}

interface Held {
	readonly line: BlackBoxLine
	readonly sinceMs: number
	readonly bytes: number
}

/**
 * The lines below a loop's level, for when they are needed: a service runs at `info`, and its chain holds the minutes before each error at
 * `debug`. A held line is built and copied as a published one is. One to a loop; its children are in it.
 *
 * @example
 * ```ts
 * import { BufferingAppender, MeshLoop } from 'mesh-chain'
 * import { BlackBox } from 'mesh-chain/recorder'
 *
 * const loop = new MeshLoop(new BufferingAppender())
 * const blackBox = new BlackBox(loop)
 * loop.debug('about to divide', { by: 0 })
 * loop.error('divided by zero') // the debug line is in a $blackbox record behind it
 * console.log(blackBox.stats().written)
 * ```
 */
export class BlackBox {
	readonly #loop: MeshLoop
	readonly #bounds: { readonly lines: number; readonly bytes: number; readonly ageMs: number }
	readonly #levelIndex: number
	readonly #when: ((record: LogRecord) => boolean) | undefined
	readonly #letGo: () => void
	#held: Held[] = []
	/** Those before it are gone already. */
	#first = 0
	#bytes = 0
	#droppedSince = 0
	readonly #counts = { kept: 0, written: 0, refused: 0, triggers: 0 }
	readonly #dropped = { lines: 0, bytes: 0, age: 0, closed: 0 }

	/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`; `INVALID_USAGE` for a loop that has one. */
	constructor(loop: MeshLoop, options: BlackBoxOptions = {}) {
		checkLoop('a black box needs a loop', loop)
		checkOptionNames(options, ['lines', 'bytes', 'ageMs', 'level', 'when'])
		const { level = 'error', when } = options
		this.#loop = loop
		this.#bounds = {
			lines: checkWholeNumber('lines', options.lines ?? 1000, 1),
			bytes: checkWholeNumber('bytes', options.bytes ?? BYTES_MAX, 1),
			ageMs: checkWholeNumber('ageMs', options.ageMs ?? 300_000, 1),
		}
		if (this.#bounds.bytes > BYTES_MAX) throw invalidOption('bytes', options.bytes, `at most ${BYTES_MAX}`)
		this.#levelIndex = level === null ? Number.POSITIVE_INFINITY : levelIndex(parseLevel(level))
		this.#when = ifGiven('when', when, checkFunction)
		this.#letGo = coreOf(loop).keepBelow((draft) => this.#keep(draft))
		loop.on('*', this.#onRecord)
	}

	/**
	 * Writes what is held as one `$blackbox` record, and holds nothing from there.
	 *
	 * @returns the record; undefined once the loop is closed.
	 */
	trigger(reason = 'asked for'): LogRecord | undefined {
		return this.#write(String(reason), null)
	}

	stats(): BlackBoxStats {
		return {
			held: this.#held.length - this.#first,
			bytes: this.#bytes,
			...this.#counts,
			dropped: { ...this.#dropped },
		}
	}

	/** Lets go of the loop and of what is held. */
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

	/** A throw is the loop's to count, as of any listener. */
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
		while (this.#held.length - this.#first > this.#bounds.lines) this.#drop('lines')
		while (this.#bytes > this.#bounds.bytes) this.#drop('bytes')
	}

	#dropAged(nowMs: number): void {
		const sinceMs = nowMs - this.#bounds.ageMs
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
		// First: what is published while it is delivered is held for the next one.
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

/** What a line takes in a record beyond what it took by itself, at three bytes a character. */
function sizeBeside({ kind, message, daemonId, nodeId }: BlackBoxLine): number {
	const ids = [daemonId, nodeId].map((id) => (typeof id === 'string' ? id.length : 0))
	return LINE_BYTES + 2 * message.length + 3 * (kind.length + ids[0]! + ids[1]!)
}
