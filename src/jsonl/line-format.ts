/** Defines JSON Lines formats: how they read lines and write records. */
import { hush, hushAll } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { messageOf, propertyOf } from '../guard/values.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import type { JsonFields } from './json-object.ts'
import type { ByteLine } from './line-splitter.ts'

/** Reasons why a line is not a record. */
export const SKIP_REASONS = [
	/** An empty line. */
	'blank',
	/** A line that starts with `#`. */
	'comment',
	/** An incomplete last line: its writer was killed or is still writing. */
	'torn',
	/** A line longer than `lineBytesMax`. */
	'tooLong',
	/** Bytes that are not UTF-8. */
	'notText',
	/** Text that is not a JSON object. */
	'notJson',
	/** An event that the format does not define. */
	'unknownKind',
	/** A missing or invalid required field. */
	'invalidField',
] as const
/** Reason why a line is not a record. */
export type SkipReason = (typeof SKIP_REASONS)[number]

/**
 * The result of reading one line.
 *
 * - `record`: a record with its own seq and epoch.
 * - `lines`: log lines. Their seqs are assigned in file order, from 1, and their epoch is 1.
 * - `skipped`: the reason why the line is not a record.
 */
export type FormatReading =
	| { readonly record: LogRecord }
	| { readonly lines: readonly LogLine[] }
	| { readonly skipped: SkipReason }

/** A JSON Lines format: reads lines, and writes records. */
export interface LineFormat {
	/** Name of the format, as in `--format`. */
	readonly name: string
	/**
	 * Reads an object. Unknown keys must not make the line invalid. If this function throws or returns anything
	 * other than a reading, the line is skipped as `invalidField`.
	 *
	 * @param text Line from which the object was parsed.
	 */
	read(fields: JsonFields, text: string): FormatReading
	/**
	 * Writes a record as one line without a line end. Returns undefined if the format cannot represent the
	 * record. If this function throws or returns anything else, an export fails, and an appender refuses the
	 * record permanently.
	 */
	write(record: LogRecord): string | undefined
}

/** The reading for a line with a missing or invalid required field. */
export const INVALID_FIELD: FormatReading = { skipped: 'invalidField' }

/**
 * Reads an object with a format. Always returns a valid reading, even if the format throws or returns an
 * invalid one.
 */
export function readingBy(format: LineFormat, fields: JsonFields, text: string): FormatReading {
	try {
		const reading: unknown = format.read(fields, text)
		const { record, lines, skipped } = reading as { readonly [name: string]: unknown }
		hushAll(record, lines, skipped)
		if (typeof record === 'object' && record !== null) return { record: record as LogRecord }
		if (Array.isArray(lines)) return { lines: elementsOf(lines) }
		if (isSkipReason(skipped)) return { skipped }
		discard(reading)
	} catch (thrown) {
		// The format may also throw a RangeError for an object that is nested too deeply.
		hush(thrown)
	}
	return INVALID_FIELD
}

/** Returns the elements of a list. Reads them by index, because the list's iterator could be infinite. */
function elementsOf(lines: readonly LogLine[]): readonly LogLine[] {
	const elements: LogLine[] = []
	for (let index = 0; index < lines.length; index++) {
		const line = lines[index]!
		hush(line)
		elements.push(line)
	}
	return elements
}

function isSkipReason(reason: unknown): reason is SkipReason {
	return (SKIP_REASONS as readonly unknown[]).includes(reason)
}

/**
 * Writes a record with a format. Returns one line, or undefined if the format cannot represent the record.
 *
 * @throws {TypeError} If the format throws or returns anything else.
 */
export function lineBy(format: LineFormat, record: LogRecord): string | undefined {
	let line: unknown
	try {
		line = format.write(record)
	} catch (thrown) {
		throw new TypeError(`the format failed on record ${record.seq}: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
	if (line === undefined) return undefined
	if (typeof line === 'string' && !line.includes('\n')) return line
	discard(line)
	throw new TypeError(
		`the format must write record ${record.seq} as a string without a line break, not ${show(line)}`,
	)
}

/** A format that also reads lines that are not JSON objects. It reads every line as a record. */
export interface TextLineFormat extends LineFormat {
	/** Whether the lines of a stack trace or a printed object are joined. */
	readonly isJoining: boolean
	/** Reads a line, a part of a line, or a joined line. */
	readLine(line: ByteLine): LogLine
}

/** Returns whether a format reads lines that are not JSON objects. */
export function isTextFormat(format: LineFormat): format is TextLineFormat {
	return typeof propertyOf(format, 'readLine') === 'function'
}

/** A set of candidate formats. The first lines of a file determine which candidate is used. */
export interface UndecidedFormat extends LineFormat {
	/**
	 * Candidate formats. If several match the same number of lines, the first of these candidates is chosen.
	 */
	readonly formats: readonly LineFormat[]
	/** Returns the candidate that matches an object. */
	formatOf(fields: JsonFields): LineFormat
	/** Candidate that is chosen if any line matches it, regardless of the other lines. */
	readonly strongest: LineFormat
	/** Format that is chosen if the first lines are text and none of them is an object. Default: none. */
	readonly text?: TextLineFormat | undefined
}

/** Returns whether a format is a set of candidates. */
export function isUndecided(format: LineFormat): format is UndecidedFormat {
	return typeof propertyOf(format, 'formatOf') === 'function'
}
