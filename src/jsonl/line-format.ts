/** A way to write history as lines of JSON, and to read it back: the shape that every format has. */

import { hush, hushAll } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { show } from '../guard/show.ts'
import { messageOf, propertyOf } from '../guard/values.ts'
import type { LogLine, LogRecord } from '../model/record.ts'

/** Why a line of a file is no record. */
export const SKIP_REASONS = [
	/** Nothing in it. */
	'blank',
	/** It begins with `#`. */
	'comment',
	/** The last line, which ends before its object does: its writer was killed, or still writes. */
	'torn',
	/** Longer than a line may be. */
	'tooLong',
	/** Bytes that are no UTF-8. */
	'notText',
	/** Text that is no JSON object. */
	'notJson',
	/** An event that the format does not know. */
	'unknownKind',
	/** A field that is needed is missing or of the wrong type. */
	'invalidField',
] as const
export type SkipReason = (typeof SKIP_REASONS)[number]

export type JsonFields = Readonly<Record<string, unknown>>

/**
 * - `record`: with the seq and epoch that it had.
 * - `lines`: what gets them from its place in the file.
 */
export type FormatReading =
	| { readonly record: LogRecord }
	| { readonly lines: readonly LogLine[] }
	| { readonly skipped: SkipReason }

/** Both directions of a format that events have as JSON. */
export interface LineFormat {
	readonly name: string
	/**
	 * What an object says; keys that are not known are passed over. `text` is the line that it was read from. A line for which this throws, or
	 * returns anything other than a reading, is skipped as `invalidField`.
	 */
	read(fields: JsonFields, text: string): FormatReading
	/**
	 * A record as one line, without its end; undefined where the format has no place for it. If this throws, or returns anything else, an export
	 * fails, and an appender refuses that record for good.
	 */
	write(record: LogRecord): string | undefined
}

/** What a format makes of a line with a field that it needs and that is missing or wrong. */
export const INVALID_FIELD: FormatReading = { skipped: 'invalidField' }

/** What a format makes of an object: always a reading, whatever the format returns or throws. */
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
		// Also one that is nested as deep as no record is.
		hush(thrown)
	}
	return INVALID_FIELD
}

/** Without the iterator of the list, which need not end. */
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
 * What a format makes of a record: one line, or undefined.
 *
 * @throws {TypeError} The format threw, or returned anything else.
 */
export function lineBy(format: LineFormat, record: LogRecord): string | undefined {
	let line: unknown
	try {
		line = format.write(record)
	} catch (thrown) {
		throw new TypeError(`its format failed for the record ${record.seq}: ${messageOf(thrown)}`, {
			cause: thrown,
		})
	}
	if (line === undefined) return undefined
	if (typeof line === 'string' && !line.includes('\n')) return line
	discard(line)
	throw new TypeError(`its format must write the record ${record.seq} as one line of text, not ${show(line)}`)
}

/** Whether data is a map: has fields of its own to stand beside those of a record. */
export function isMap(data: unknown): data is JsonFields {
	if (typeof data !== 'object' || data === null || Array.isArray(data)) return false
	return !(data instanceof Date || data instanceof Uint8Array)
}

/** A format that is one of several: the first lines of a file say which. */
export interface UndecidedFormat extends LineFormat {
	/** The formats that it may be; where two have as many lines, the earlier one is chosen. */
	readonly formats: readonly LineFormat[]
	/** The one that an object looks like. */
	formatOf(fields: JsonFields): LineFormat
	/** The format that no line of another can outweigh. */
	readonly strongest: LineFormat
}

export function isUndecided(format: LineFormat): format is UndecidedFormat {
	return typeof propertyOf(format, 'formatOf') === 'function'
}
