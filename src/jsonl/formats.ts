/** Lists all formats, and detects the format of a file from its first lines. */
import { eventFormat } from './event-format.ts'
import type { JsonFields } from './json-object.ts'
import type { LineFormat, UndecidedFormat } from './line-format.ts'
import { otelFormat } from './otel-format.ts'
import { pinoFormat } from './pino-format.ts'
import { recordFormat } from './record-format.ts'

const anyEvents = eventFormat()

/** All formats. Their names are the possible values of `--format`. */
export const FORMATS: readonly LineFormat[] = [recordFormat, anyEvents, pinoFormat, otelFormat]

/**
 * Returns an undecided format, which detects the format that most of the first lines match, and reads all
 * lines in that format. Lines from other loggers are read as pino lines. A single line in mesh-chain's own
 * format selects that format, because reading an export in another format would not preserve its seqs and
 * epochs.
 */
export function detectedFormat(): UndecidedFormat {
	return {
		name: 'detected',
		// pino's format accepts any object, so it is listed after the more specific formats.
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
