/**
 * The format of pino: `{"level":30,"time":1714200000123,"msg":…}`. It also reads lines from other JSON
 * loggers without loss, and recognises their names for the level, time and message fields, and their time
 * units (json-line.ts).
 */
import { pinoLine } from '../codec/pino-line.ts'
import { lineOfJson } from './json-line.ts'
import type { LineFormat } from './line-format.ts'

/** The format of pino. It also reads lines from other JSON loggers without loss. */
export const pinoFormat: LineFormat = {
	name: 'pino',
	read(_fields, text) {
		const line = lineOfJson(text)
		// If an object is nested too deeply for `data`, the line becomes the message.
		return { lines: [line ?? { message: text }] }
	},
	write: pinoLine,
}
