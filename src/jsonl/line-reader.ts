/**
 * Converts bytes to records, and counts the lines that are not records. This module is pure and does not
 * access files.
 */
import { canonicalise } from '../codec/canonical.ts'
import { isMap } from '../codec/data-map.ts'
import { cutMessage } from '../codec/message.ts'
import { hush, hushAll } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import { checkFieldsOfLine, checkLevel } from '../model/line-check.ts'
import {
	isEpoch,
	isGap,
	isRecordTime,
	isSeq,
	isWholeGap,
	type LogLine,
	type LogRecord,
	type PublisherId,
	toRecordTime,
} from '../model/record.ts'
import { toWellFormed } from '../text/well-formed.ts'
import { FormatDetector } from './detect-format.ts'
import { type JsonFields, jsonObjectOf } from './json-object.ts'
import {
	type FormatReading,
	isTextFormat,
	isUndecided,
	type LineFormat,
	readingBy,
	SKIP_REASONS,
	type SkipReason,
	type TextLineFormat,
} from './line-format.ts'
import { LineJoiner } from './line-joiner.ts'
import { type ByteLine, LineDivider, LineSplitter } from './line-splitter.ts'
import { PART_BYTES_MAX } from './text-lines.ts'

/** Number of lines that are not records, by reason. */
export type SkippedCounts = Readonly<Record<SkipReason, number>>

/** A line that is not a record. */
export interface SkippedLine {
	/** Line number, from 1. */
	readonly line: number
	readonly reason: SkipReason
}

interface Canonical {
	readonly record: LogRecord
	/** Whether part of the record could not be stored unchanged. */
	readonly isAltered: boolean
}

const BOM = '\ufeff'

/** Converts bytes to records, and reports each line that is not a record. */
export class LineReader {
	#format: LineFormat
	/** The format, if it is a format of plain text. */
	#text: TextLineFormat | undefined
	/** Format detector; undefined if the format is known. */
	#first: FormatDetector | undefined
	readonly #splitter: LineSplitter
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #onSkip: (skipped: SkippedLine) => void
	readonly #divider = new LineDivider(PART_BYTES_MAX)
	readonly #now: () => number
	#joiner: LineJoiner | undefined
	#line = 0
	#seq = 0
	/** Number of records that could not be stored unchanged. */
	altered = 0
	/** Number of records whose lines have no time. */
	noTime = 0
	/** Number of skipped lines so far, by reason. */
	readonly skipped = Object.fromEntries(SKIP_REASONS.map((reason) => [reason, 0])) as Record<
		SkipReason,
		number
	>

	/** @param now Clock for the time at which a line without a time is read. Default: `Date.now`. */
	constructor(
		format: LineFormat,
		lineBytesMax: number,
		onSkip: (skipped: SkippedLine) => void,
		now: () => number = () => Date.now(),
	) {
		this.#format = format
		this.#text = isTextFormat(format) ? format : undefined
		this.#now = now
		this.#first = isUndecided(format) ? new FormatDetector(format, lineBytesMax) : undefined
		this.#splitter = new LineSplitter(lineBytesMax)
		this.#onSkip = onSkip
	}

	/**
	 * Yields the records from the lines that these bytes complete. The reader retains the bytes, so they must
	 * not change.
	 */
	*push(bytes: Buffer): Generator<LogRecord> {
		for (const line of this.#splitter.push(bytes)) yield* this.#inFormat(line)
	}

	/** Number of joined lines that were ended because they reached a limit. */
	get cut(): number {
		return this.#joiner?.cut ?? 0
	}

	/** Yields the remaining records at the end of the input. */
	*end(): Generator<LogRecord> {
		for (const line of this.#splitter.end()) yield* this.#inFormat(line)
		yield* this.#decide()
		for (const line of this.#joiner?.flush() ?? []) yield* this.#read(line)
	}

	/** Yields the records from a line, or buffers the line until the format is determined. */
	*#inFormat(line: ByteLine): Generator<LogRecord> {
		const first = this.#first
		if (first === undefined) return yield* this.#take(line)
		const isDecided = first.hold(line)
		for (const each of first.release()) yield* this.#take(each)
		if (isDecided) yield* this.#decide()
	}

	*#decide(): Generator<LogRecord> {
		const first = this.#first
		if (first === undefined) return
		this.#first = undefined
		this.#format = first.format
		this.#text = isTextFormat(this.#format) ? this.#format : undefined
		for (const line of first.take()) yield* this.#take(line)
	}

	*#take(line: ByteLine): Generator<LogRecord> {
		if (line.isLast) this.#line++
		if (this.#text !== undefined) yield* this.#takeText(this.#text, line)
		else if (line.isLast) yield* this.#takeJson(line)
	}

	*#takeText(format: TextLineFormat, line: ByteLine): Generator<LogRecord> {
		if (propertyOf(format, 'isJoining') === true) this.#joiner ??= new LineJoiner()
		for (const part of this.#divider.divide(line)) {
			if (this.#joiner === undefined) yield* this.#read(part)
			else for (const joined of this.#joiner.push(part)) yield* this.#read(joined)
		}
	}

	*#read(line: ByteLine): Generator<LogRecord> {
		const given = attempt(() => this.#text?.readLine(line), undefined)
		if (given === undefined) this.#skip('invalidField')
		else yield* this.#checked(given, (each) => this.#stamped(each))
	}

	*#takeJson({ bytes, end, part }: ByteLine): Generator<LogRecord> {
		const reading = part > 0 ? ({ skipped: 'tooLong' } as const) : this.#readingOf(bytes)
		if ('record' in reading) return yield* this.#checked(reading.record, canonicalRecord)
		if ('lines' in reading) {
			for (const line of reading.lines) yield* this.#checked(line, (each) => this.#stamped(each))
			return
		}
		const isTorn = end === '' && (reading.skipped === 'notJson' || reading.skipped === 'notText')
		this.#skip(isTorn ? 'torn' : reading.skipped)
	}

	#readingOf(bytes: Buffer): FormatReading {
		const text = this.#textOf(bytes)
		if (text === undefined) return { skipped: 'notText' }
		if (text === '') return { skipped: 'blank' }
		if (text.startsWith('#')) return { skipped: 'comment' }
		const fields = jsonObjectOf(text)
		if (fields === undefined) return { skipped: 'notJson' }
		return readingBy(this.#format, fields, text)
	}

	#textOf(bytes: Buffer): string | undefined {
		try {
			const text = this.#utf8.decode(bytes)
			return (this.#line === 1 && text.startsWith(BOM) ? text.slice(1) : text).trim()
		} catch {
			return undefined
		}
	}

	/**
	 * Yields the record made from a value that a format returned, or skips the line if the value is invalid.
	 * The value can be anything, and any access to it can throw.
	 */
	*#checked<T>(given: T, make: (given: T) => Canonical): Generator<LogRecord> {
		let made: Canonical
		try {
			made = make(given)
		} catch (thrown) {
			hush(thrown)
			discard(given)
			return this.#skip('invalidField')
		}
		if (made.isAltered) this.altered++
		yield made.record
	}

	/**
	 * Stamps a line with the next seq. The record of a line without a time has the time at which the line is
	 * read, and `noTime` in its data.
	 */
	#stamped(line: LogLine): Canonical {
		const { kind = 'log', level = 'info', message = kind, tsMs: writtenMs, data, origin } = line
		const { daemonId = null, nodeId = null } = line
		hushAll(level, data)
		const tsMs = writtenMs ?? toRecordTime(this.#now())
		checkFieldsOfLine(kind, message, daemonId, nodeId, tsMs, origin, false)
		const canonical = canonicalRecord({
			seq: this.#seq + 1,
			epoch: 1,
			tsMs: Math.max(0, Math.floor(tsMs)),
			level,
			kind,
			message,
			...(data === undefined ? {} : { data }),
			daemonId,
			nodeId,
			chainPending: false,
			...(origin === undefined ? {} : { origin }),
		})
		this.#seq++
		if (writtenMs !== undefined) return canonical
		this.noTime++
		const { record, isAltered } = canonical
		return { record: { ...record, data: withoutTime(record.data) }, isAltered }
	}

	#skip(reason: SkipReason): void {
		this.skipped[reason]++
		this.#onSkip({ line: this.#line, reason })
	}
}

/**
 * Converts a record that a format has returned to a record that a chain accepts. Reads each field only once,
 * because a getter can return a different value each time.
 *
 * @throws {MeshChainError} `INVALID_LINE`, or any error from `checkFieldsOfLine`.
 */
function canonicalRecord(given: LogRecord): Canonical {
	const { seq, epoch, tsMs, level, kind, message, data, daemonId, nodeId, origin } = given
	hushAll(seq, epoch, tsMs, level, kind, message, data, daemonId, nodeId, origin)
	const isWhole = isSeq(seq) && isEpoch(epoch) && isRecordTime(tsMs)
	if (!isWhole || typeof kind !== 'string' || typeof message !== 'string')
		throw new MeshChainError(
			'INVALID_LINE',
			'a record must have a seq, an epoch, a time, a kind and a message',
		)
	checkLevel(level)
	const ownOrigin = checkFieldsOfLine(kind, message, daemonId, nodeId, tsMs, origin, true)
	const canonical = canonicalise(data)
	const cut = cutMessage(message)
	const record: LogRecord = {
		seq,
		epoch,
		tsMs,
		level,
		kind: toWellFormed(kind),
		message: toWellFormed(cut),
		...(data === undefined ? {} : { data: canonical.value }),
		daemonId: canonicalId(daemonId),
		nodeId: canonicalId(nodeId),
		chainPending: false,
		...(ownOrigin === undefined ? {} : { origin: ownOrigin }),
	}
	if (isGap(record) && !isWholeGap(record))
		throw new MeshChainError('INVALID_LINE', 'a $gap must contain its seqs, its count and its cause')
	return { record, isAltered: canonical.markers + canonical.replaced > 0 || record.message !== message }
}

/**
 * Returns data that states that a line has no time. Data with a field of that name becomes a field itself.
 */
function withoutTime(data: unknown): JsonFields {
	if (data === undefined) return { noTime: true }
	return isMap(data) && !Object.hasOwn(data, 'noTime') ? { noTime: true, ...data } : { noTime: true, data }
}

function canonicalId(id: PublisherId | null | undefined): PublisherId | null {
	return typeof id === 'string' ? toWellFormed(id) : (id ?? null)
}
