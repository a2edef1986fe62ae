/** From the bytes of a file to records: what each line is, and what becomes of one that is none. Pure; knows no files. */
import { canonicalise, toWellFormed } from '../codec/canonical.ts'
import { cutMessage } from '../codec/message.ts'
import { MeshChainError } from '../errors.ts'
import { checkLevel, checkLine } from '../line-check.ts'
import { type Id, isGap, isWholeGap, type LogLine, type LogRecord } from '../record.ts'
import { FirstLines } from './first-lines.ts'
import {
	type FormatReading,
	isUndecided,
	type JsonFields,
	type LineFormat,
	SKIP_REASONS,
	type SkipReason,
} from './line-format.ts'
import { type ByteLine, LineSplitter } from './line-splitter.ts'

/** How many lines were no records, by reason. */
export type SkippedCounts = Readonly<Record<SkipReason, number>>

/** A line that was no record. */
export interface SkippedLine {
	/** From 1. */
	readonly line: number
	readonly reason: SkipReason
}

interface Canonical {
	readonly record: LogRecord
	/** Something of it did not fit. */
	readonly isAltered: boolean
}

const BOM = '\ufeff'

export class LineReader {
	#format: LineFormat
	/** Until the form is decided. */
	#first: FirstLines | undefined
	readonly #splitter: LineSplitter
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #onSkip: (skipped: SkippedLine) => void
	#line = 0
	#seq = 0
	#tsMs = 0
	/** Records of which something did not fit, and a marker or a note stands for it. */
	altered = 0
	/** Changed as lines are read. */
	readonly skipped = Object.fromEntries(SKIP_REASONS.map((reason) => [reason, 0])) as Record<
		SkipReason,
		number
	>

	constructor(format: LineFormat, lineBytesMax: number, onSkip: (skipped: SkippedLine) => void) {
		this.#format = format
		this.#first = isUndecided(format) ? new FirstLines(format, lineBytesMax) : undefined
		this.#splitter = new LineSplitter(lineBytesMax)
		this.#onSkip = onSkip
	}

	/** The records of the lines that are complete with these bytes, which are kept and must not change. */
	*push(bytes: Buffer): Generator<LogRecord> {
		for (const line of this.#splitter.push(bytes)) if (line.isLast) yield* this.#inForm(line)
	}

	/** Those of a last line that nothing ends. */
	*end(): Generator<LogRecord> {
		for (const line of this.#splitter.end()) yield* this.#inForm(line)
		yield* this.#decide()
	}

	/** The line, once it is known what it is to be read as. */
	*#inForm(line: ByteLine): Generator<LogRecord> {
		const first = this.#first
		if (first === undefined) return yield* this.#take(line)
		if (first.hold(line)) yield* this.#decide()
		else if (first.isNone) yield* this.#takeAll(first)
	}

	*#decide(): Generator<LogRecord> {
		const first = this.#first
		if (first === undefined) return
		this.#first = undefined
		this.#format = first.form
		yield* this.#takeAll(first)
	}

	*#takeAll(first: FirstLines): Generator<LogRecord> {
		for (const line of first.take()) yield* this.#take(line)
	}

	*#take({ bytes, end, part }: ByteLine): Generator<LogRecord> {
		this.#line++
		const reading = part > 0 ? ({ skipped: 'tooLong' } as const) : this.#readingOf(bytes)
		if ('record' in reading) return yield* this.#checked(() => canonicalRecord(reading.record))
		if ('lines' in reading) {
			for (const line of reading.lines) yield* this.#checked(() => this.#stamped(line))
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
		const fields = fieldsOf(text)
		if (fields === undefined) return { skipped: 'notJson' }
		try {
			return this.#format.read(fields, text)
		} catch (error) {
			// Nested as no record is.
			if (error instanceof RangeError) return { skipped: 'invalidField' }
			throw error
		}
	}

	#textOf(bytes: Buffer): string | undefined {
		try {
			const text = this.#utf8.decode(bytes)
			return (this.#line === 1 && text.startsWith(BOM) ? text.slice(1) : text).trim()
		} catch {
			return undefined
		}
	}

	*#checked(make: () => Canonical): Generator<LogRecord> {
		let made: Canonical
		try {
			made = make()
		} catch (error) {
			if (!(error instanceof MeshChainError)) throw error
			return this.#skip('invalidField')
		}
		if (made.isAltered) this.altered++
		this.#tsMs = made.record.tsMs
		yield made.record
	}

	/** A line becomes a record by its place; one without a time has that of the record before it. */
	#stamped(line: LogLine): Canonical {
		checkLine(line, false)
		checkLevel(line.level ?? 'info')
		const { kind = 'log', level = 'info', message = kind, tsMs = this.#tsMs, origin } = line
		const record = canonicalRecord({
			seq: this.#seq + 1,
			epoch: 1,
			tsMs: Math.max(0, Math.floor(tsMs)),
			level,
			kind,
			message,
			...(line.data === undefined ? {} : { data: line.data }),
			daemonId: line.daemonId ?? null,
			nodeId: line.nodeId ?? null,
			chainPending: false,
			...(origin === undefined ? {} : { origin }),
		})
		this.#seq++
		return record
	}

	#skip(reason: SkipReason): void {
		this.skipped[reason]++
		this.#onSkip({ line: this.#line, reason })
	}
}

function fieldsOf(text: string): JsonFields | undefined {
	if (!text.startsWith('{')) return undefined
	try {
		return JSON.parse(text) as JsonFields
	} catch {
		return undefined
	}
}

/**
 * A record that a chain takes as it is, whoever wrote the line.
 *
 * @throws {MeshChainError} what `checkLine` throws.
 */
function canonicalRecord(record: LogRecord): Canonical {
	checkLine(record, true)
	if (isGap(record) && !isWholeGap(record))
		throw new MeshChainError('INVALID_LINE', 'a $gap must say what it stands for')
	const { data, kind, message, daemonId, nodeId } = record
	const canonical = canonicalise(data)
	const cut = cutMessage(message)
	const own = {
		...record,
		kind: toWellFormed(kind),
		message: toWellFormed(cut),
		...(data === undefined ? {} : { data: canonical.value }),
		daemonId: canonicalId(daemonId),
		nodeId: canonicalId(nodeId),
	}
	return { record: own, isAltered: canonical.markers + canonical.replaced > 0 || own.message !== message }
}

function canonicalId(id: Id | null): Id | null {
	return typeof id === 'string' ? toWellFormed(id) : id
}
