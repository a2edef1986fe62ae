/** The list of all formats, and the detection of the format from the first lines of a file. */
import { eventFormat } from './event-format.ts'
import type { JsonFields } from './json-object.ts'
import type { LineFormat, UndecidedFormat } from './line-format.ts'
import { otelFormat } from './otel-format.ts'
import { pinoFormat } from './pino-format.ts'
import { recordFormat } from './record-format.ts'

const anyEvents = eventFormat()

/** All formats, named as for `--format`. */
export const FORMATS: readonly LineFormat[] = [recordFormat, anyEvents, pinoFormat, otelFormat]

/**
 * Returns a format that reads every line in the format of most of the first lines; lines of other loggers
 * count as pino's. A single line in mesh-chain's own format decides alone, because reading an export in
 * another format would lose its seqs and times.
 */
export function detectedFormat(): UndecidedFormat {
	return {
		name: 'detected',
		// pino's format accepts any object, so it follows the more specific formats.
		formats: [recordFormat, otelFormat, anyEvents, pinoFormat],
		strongest: recordFormat,
		formatOf,
		read: (fields, text) => formatOf(fields).read(fields, text),
		write: recordFormat.write,
	}
}

function formatOf(fields: JsonFields): LineFormat {
	if ('resourceLogs' in fields) return otelFormat
	if (['seq', 'epoch', 'tsMs'].every((name) => typeof fields[name] === 'number')) return recordFormat
	return typeof fields['ev'] === 'string' && typeof fields['ts'] === 'number' ? anyEvents : pinoFormat
}
