/** The contract of a JSON Lines format: how it reads a line, and how it writes a record. */

import { hush, hushAll } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { messageOf, propertyOf } from '../guard/values.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import type { JsonFields } from './json-object.ts'

/** Reasons why a line is not a record. */
export const SKIP_REASONS = [
	/** An empty line. */
	'blank',
	/** A line that begins with `#`. */
	'comment',
	/** An incomplete last line: its writer was killed or is still writing. */
	'torn',
	/** A line longer than `lineBytesMax`. */
	'tooLong',
	/** Bytes that are not UTF-8. */
	'notText',
	/** Text that is not a JSON object. */
	'notJson',
	/** An event that is unknown to the format. */
	'unknownKind',
	/** A required field that is missing or has an invalid value. */
	'invalidField',
] as const
/** Why a line is not a record. */
export type SkipReason = (typeof SKIP_REASONS)[number]

/**
 * The result of reading one line.
 *
 * - `record`: a record with its own seq and epoch.
 * - `lines`: log lines, which get seq and epoch from their position in the file.
 * - `skipped`: the reason why the line is not a record.
 */
export type FormatReading =
	| { readonly record: LogRecord }
	| { readonly lines: readonly LogLine[] }
	| { readonly skipped: SkipReason }

/** A JSON Lines format: reads lines, and writes records. */
export interface LineFormat {
	/** Name of the format, as for `--format`. */
	readonly name: string
	/**
	 * Reads an object and ignores unknown keys. If it throws, or returns anything other than a reading, the
	 * line is skipped as `invalidField`.
	 *
	 * @param text The line that the object was parsed from.
	 */
	read(fields: JsonFields, text: string): FormatReading
	/**
	 * Writes a record as one line, without a line end. Returns undefined if the format cannot represent the
	 * record as a line. If it throws or returns anything else, an export fails, and an appender refuses the
	 * record permanently.
	 */
	write(record: LogRecord): string | undefined
}

/** The reading of a line with a missing or invalid required field. */
export const INVALID_FIELD: FormatReading = { skipped: 'invalidField' }

/** Reads an object in a format. Always returns a valid reading, whatever the format returns or throws. */
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
		// Includes a RangeError from an object that is nested too deeply.
		hush(thrown)
	}
	return INVALID_FIELD
}

/** Returns the elements of a list without using its iterator, which may be endless. */
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
 * Writes a record in a format: one line, or undefined.
 *
 * @throws {TypeError} If the format threw, or returned something else.
 */
export function lineBy(format: LineFormat, record: LogRecord): string | undefined {
	let line: unknown
	try {
		line = format.write(record)
	} catch (thrown) {
		throw new TypeError(`its format failed on the record ${record.seq}: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
	if (line === undefined) return undefined
	if (typeof line === 'string' && !line.includes('\n')) return line
	discard(line)
	throw new TypeError(`its format must write the record ${record.seq} as one line of text, not ${show(line)}`)
}

/** Returns whether data is a map, whose fields can be placed next to those of a record. */
export function isMap(data: unknown): data is JsonFields {
	if (typeof data !== 'object' || data === null || Array.isArray(data)) return false
	return !(data instanceof Date || data instanceof Uint8Array)
}

/** A format that stands for several: the first lines of a file decide. */
export interface UndecidedFormat extends LineFormat {
	/** Candidates. If two match the same number of lines, the earlier one is chosen. */
	readonly formats: readonly LineFormat[]
	/** Returns the candidate that an object looks like. */
	formatOf(fields: JsonFields): LineFormat
	/** Candidate that a single matching line selects, regardless of the other lines. */
	readonly strongest: LineFormat
}

/** Returns whether a format stands for several. */
export function isUndecided(format: LineFormat): format is UndecidedFormat {
	return typeof propertyOf(format, 'formatOf') === 'function'
}
