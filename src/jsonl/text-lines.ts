/**
 * Converts lines of any program's output to log lines: JSON lines as json-line.ts does, and other lines with
 * the time and the level of their heads. The bytes of each line can be restored from its message and data.
 */
import { isMap } from '../codec/data-map.ts'
import { levelOfName } from '../model/level-names.ts'
import type { LogLine } from '../model/record.ts'
import { type Head, headOf, isSecondOfTwo } from '../plain-text/heads.ts'
import type { WrittenTimes } from '../plain-text/written-time.ts'
import { isWellFormed } from '../text/well-formed.ts'
import { lineOfJson } from './json-line.ts'
import type { ByteLine } from './line-splitter.ts'

/** Maximum number of bytes from a line that one record stores. A longer line is divided into parts. */
export const PART_BYTES_MAX = 64 * 1024

type Notes = Record<string, unknown>

/** Converts lines, and counts lines that are not UTF-8. */
export class TextLines {
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #times: WrittenTimes
	/** Number of lines that are not UTF-8. */
	binary = 0

	/** @param times Converts the times in the lines. */
	constructor(times: WrittenTimes) {
		this.#times = times
	}

	/**
	 * Converts a line, a part of a line, or a joined line.
	 *
	 * - The message is the text of the line. If the line is not UTF-8, `data.bytes` contains its bytes.
	 * - `data.part` is the number of a part. `data.last` marks the last part.
	 * - `data.eol` is the line end, if it is not a newline. `data.unterminated` marks a line without one.
	 * - `data.level` is the name of a level above `error`.
	 * - A line that is one JSON object becomes the fields of the record instead. Its text can be restored from
	 *   the fields, or is in `data.raw`.
	 */
	lineOf(line: ByteLine): LogLine {
		const notes = notesOf(line)
		const text = this.#textOf(line.bytes)
		if (text === undefined) {
			this.binary++
			const message = line.bytes.toString()
			return this.#plainLine(line, message, { ...notes, bytes: line.bytes })
		}
		const json = line.part === 0 && !text.includes('\n') ? lineOfJson(text, this.#times) : undefined
		if (json === undefined) return this.#plainLine(line, text, notes)
		return hasAny(notes) ? { ...json, data: { ...(json.data as Notes | undefined), ...notes } } : json
	}

	#plainLine({ part }: ByteLine, message: string, notes: Notes): LogLine {
		// Only the first part of a line contains its head.
		const { tsMs, level, name } = part > 1 ? NO_HEAD : this.#headOf(message)
		const data = name === undefined ? notes : { ...notes, level: name }
		return {
			message,
			...(level === undefined ? {} : { level }),
			...(tsMs === undefined ? {} : { tsMs }),
			...(hasAny(data) ? { data } : {}),
		}
	}

	/** Returns the time and the level of a line, or of the first line of a joined line. */
	#headOf(text: string): LineHead {
		const newline = text.indexOf('\n')
		if (newline < 0) return this.#resolved(headOf(text))
		const json = /^\s*[{]/.test(text) ? lineOfJson(text, this.#times) : undefined
		if (json !== undefined) return headOfObject(json)
		const first = text.slice(0, newline)
		const head = headOf(first)
		const second = text.slice(newline + 1, newline + 200)
		const isSplit = head.level === undefined && isSecondOfTwo(first, second)
		return this.#resolved(isSplit ? { ...head, level: headOf(second).level } : head)
	}

	#resolved({ time, level }: Head): LineHead {
		return { tsMs: time === undefined ? undefined : this.#times.tsMsOf(time), ...level }
	}

	#textOf(bytes: Buffer): string | undefined {
		try {
			const text = this.#utf8.decode(bytes)
			return isWellFormed(text) ? text : undefined
		} catch {
			return undefined
		}
	}
}

interface LineHead extends Pick<LogLine, 'tsMs' | 'level'> {
	readonly name?: string | undefined
}

const NO_HEAD: LineHead = {}

/** Returns the head of a printed object, whose text stays the message. */
function headOfObject({ tsMs, level, data }: LogLine): LineHead {
	const name = isMap(data) && level === 'error' ? data['level'] : undefined
	return { tsMs, level, name: typeof name === 'string' ? levelOfName(name)?.name : undefined }
}

function notesOf({ part, end, isLast }: ByteLine): Notes {
	return {
		...(part > 0 ? { part } : {}),
		...(part > 0 && isLast ? { last: true } : {}),
		...(end === '\r\n' ? { eol: '\r\n' } : {}),
		...(end === '' && isLast ? { unterminated: true } : {}),
	}
}

function hasAny(notes: Notes): boolean {
	return Object.keys(notes).length > 0
}
