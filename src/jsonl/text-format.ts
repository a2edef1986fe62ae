/**
 * The format of plain text: what any program prints. It reads every line as a record, and takes over the time
 * and the level of the line if the line has them.
 */
import { checkBoolean } from '../model/check.ts'
import { defineOptions, type OptionRules, withDefault } from '../model/define-options.ts'
import type { LogRecord } from '../model/record.ts'
import { LOCAL_ZONE, parseTimeZone, type TimeZone } from '../model/time-zone.ts'
import { WrittenTimes } from '../plain-text/written-time.ts'
import { lineOfJson } from './json-line.ts'
import type { LineFormat, TextLineFormat } from './line-format.ts'
import { TextLines } from './text-lines.ts'

/** Options of {@link textFormat}. */
export interface TextFormatOptions {
	/**
	 * Zone of times that are written without an offset: `local`, `UTC`, an offset such as `+02:00`, or a name
	 * such as `Europe/Berlin`. Default: `local`.
	 */
	readonly timeZone?: string | undefined
	/**
	 * Whether the lines of a stack trace or a printed object are joined into one record. A joined line has at
	 * most 2,000 lines and 256 KiB. Default: false.
	 */
	readonly multiline?: boolean | undefined
}

const OPTIONS = defineOptions({
	timeZone: withDefault<TimeZone>(LOCAL_ZONE, parseTimeZone),
	multiline: withDefault(false, checkBoolean),
} satisfies OptionRules<TextFormatOptions>)

/**
 * Returns the format of plain text, for `readJsonl` and `importJsonl`. Every line becomes a record, whose
 * message is the line. The time and the level of the line are taken over if its layout is
 * known. A line that is a JSON object is read as `pinoFormat` reads it. `data` contains
 * what is needed to restore the bytes of the line: `eol` for a line end other than a newline, `unterminated`
 * for a last line without one, `bytes` for a line that is not UTF-8, and `part` and `last` for the parts of a
 * line longer than 64 KiB.
 *
 * A time without a year has the newest year that is not in the future. When the format writes a record, it
 * writes the message, and it cannot write a message with line breaks.
 *
 * @throws {MeshChainError} `INVALID_OPTION`
 *
 * @example
 * ```ts
 * import { readJsonl, textFormat } from 'mesh-chain'
 *
 * const lines = readJsonl('/var/log/syslog', { format: textFormat({ timeZone: 'UTC' }) })
 * console.log(lines.noTime)
 * ```
 */
export function textFormat(options: TextFormatOptions = {}): LineFormat {
	const { timeZone, multiline } = OPTIONS.resolve(options)
	return textFormatIn(new WrittenTimes(timeZone), multiline)
}

/** Works like {@link textFormat} with times that the caller observes. */
export function textFormatIn(times: WrittenTimes, isJoining: boolean): TextLineFormat {
	const lines = new TextLines(times)
	return {
		name: 'text',
		isJoining,
		readLine: (line) => lines.lineOf(line),
		read: (_fields, text) => ({ lines: [lineOfJson(text, times) ?? { message: text }] }),
		write: ({ message }: LogRecord) => (/[\r\n]/.test(message) ? undefined : message),
	}
}
