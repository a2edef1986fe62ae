/**
 * The format of pino: `{"level":30,"time":1714200000123,"msg":…}`. It also reads lines from other JSON
 * loggers without loss, and recognises their names for the level, time and message fields, and their time
 * units (json-line.ts).
 */
import { pinoLine } from '../codec/pino-line.ts'
import { WrittenTimes } from '../plain-text/written-time.ts'
import { lineOfJson } from './json-line.ts'
import type { LineFormat } from './line-format.ts'

/** The format of pino. It also reads lines from other JSON loggers without loss. */
export const pinoFormat: LineFormat = pinoFormatIn(new WrittenTimes())

/** Returns the format of pino. @param times Converts times that are written without an offset. */
export function pinoFormatIn(times: WrittenTimes): LineFormat {
	return {
		name: 'pino',
		read(_fields, text) {
			const line = lineOfJson(text, times)
			// If an object is nested too deeply for `data`, the line becomes the message.
			return { lines: [line ?? { message: text }] }
		},
		write: pinoLine,
	}
}
