/** The forms there are, by name, and how to tell which one a line has. */
import { eventFormat } from './event-format.ts'
import type { JsonFields, LineFormat } from './line-format.ts'
import { otelFormat } from './otel-format.ts'
import { pinoFormat } from './pino-format.ts'
import { recordFormat } from './record-format.ts'

export const FORMATS: readonly LineFormat[] = [recordFormat, eventFormat(), pinoFormat, otelFormat]

/** Reads every line in the form that the first one has; other loggers' lines in pino's. */
export function detectedFormat(): LineFormat {
	let detected: LineFormat | undefined
	return {
		name: 'detected',
		read(fields, text) {
			detected ??= formatOf(fields)
			return detected.read(fields, text)
		},
		write: recordFormat.write,
	}
}

function formatOf(fields: JsonFields): LineFormat {
	if ('resourceLogs' in fields) return otelFormat
	if ('seq' in fields && 'epoch' in fields && 'tsMs' in fields) return recordFormat
	return 'ev' in fields && typeof fields['ts'] === 'number' ? eventFormat() : pinoFormat
}
