/** The formats there are, by name, and how to tell which one a line has. */
import { eventFormat } from './event-format.ts'
import type { JsonFields, LineFormat, UndecidedFormat } from './line-format.ts'
import { otelFormat } from './otel-format.ts'
import { pinoFormat } from './pino-format.ts'
import { recordFormat } from './record-format.ts'

const anyEvents = eventFormat()

export const FORMATS: readonly LineFormat[] = [recordFormat, anyEvents, pinoFormat, otelFormat]

/**
 * Reads every line in the format that most of the first ones have; other loggers' lines in pino's. Lines of mesh-chain's own format
 * decide alone: read in another one, the seqs and times of a whole export would be lost.
 */
export function detectedFormat(): UndecidedFormat {
	return {
		name: 'detected',
		// pino's takes any object: it is behind those that say more of a line.
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
