/** Lists all formats, and detects the format of a file from its first lines. */
import type { WrittenTimes } from '../plain-text/written-time.ts'
import { eventFormat } from './event-format.ts'
import type { JsonFields } from './json-object.ts'
import type { LineFormat, UndecidedFormat } from './line-format.ts'
import { otelFormat } from './otel-format.ts'
import { pinoFormat, pinoFormatIn } from './pino-format.ts'
import { recordFormat } from './record-format.ts'
import { textFormatIn } from './text-format.ts'

const anyEvents = eventFormat()

/** All formats of JSON Lines. Their names are the possible values of `--format`. */
export const FORMATS: readonly LineFormat[] = [recordFormat, anyEvents, pinoFormat, otelFormat]

/** How a log is read whose format or whose zone is not in its lines. */
export interface LogReading {
	/** Converts times that are written without an offset. */
	readonly times: WrittenTimes
	/** Whether the lines of a stack trace or a printed object are joined. */
	readonly isJoining: boolean
}

/** Returns all formats in which an import can read lines: the formats of JSON Lines, and plain text. */
export function readableFormats({ times, isJoining }: LogReading): readonly LineFormat[] {
	return [recordFormat, anyEvents, pinoFormatIn(times), otelFormat, textFormatIn(times, isJoining)]
}

/**
 * Returns an undecided format, which detects the format that most of the first lines match, and reads all
 * lines in that format. Lines from other loggers are read as pino lines. A single line in mesh-chain's own
 * format selects that format, because reading an export in another format would not preserve its seqs and
 * epochs.
 *
 * @param reading Selects plain text if the first lines contain no object. Default: such lines are skipped.
 */
export function detectedFormat(reading?: LogReading): UndecidedFormat {
	const pino = reading === undefined ? pinoFormat : pinoFormatIn(reading.times)
	const formatOf = (fields: JsonFields) => formatAmong(pino, fields)
	return {
		name: 'detected',
		// pino's format accepts any object, so it is listed after the more specific formats.
		formats: [recordFormat, otelFormat, anyEvents, pino],
		strongest: recordFormat,
		...(reading === undefined ? {} : { text: textFormatIn(reading.times, reading.isJoining) }),
		formatOf,
		read: (fields, text) => formatOf(fields).read(fields, text),
		write: recordFormat.write,
	}
}

function formatAmong(pino: LineFormat, fields: JsonFields): LineFormat {
	if ('resourceLogs' in fields) return otelFormat
	if (['seq', 'epoch', 'tsMs'].every((name) => typeof fields[name] === 'number')) return recordFormat
	return typeof fields['ev'] === 'string' && typeof fields['ts'] === 'number' ? anyEvents : pino
}
