/**
 * Text that is safe to print to a terminal. Everything that the program or the library prints is a {@link
 * Printable}, and only the functions in this file create one. Each function escapes values of any type.
 * Therefore, no text from a record, a file name or a server can control the terminal or start a new line.
 * Only the literal parts of {@link printed} in the source code and the colours of this package are not
 * escaped.
 */
import { recordToJson } from '../codec/json-dialect.ts'
import type { LogRecord } from '../model/record.ts'
import { escapeJson, escapeText } from '../text/escape.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of this package
const COLOR = /\x1b\[\d+m/g
/** Matches a surrogate pair, which encodes a single character. */
const PAIR = /[\ud800-\udbff][\udc00-\udfff]/g

let make: (text: string) => Printable

/** Text that is safe to print to a terminal. */
export class Printable {
	readonly #text: string

	private constructor(text: string) {
		this.#text = text
	}

	static {
		make = (text) => new Printable(text)
	}

	get isEmpty(): boolean {
		return this.#text === ''
	}

	/** Number of characters, not counting colour codes. */
	get width(): number {
		const bare = this.#text.replace(COLOR, '')
		return bare.length - (bare.match(PAIR)?.length ?? 0)
	}

	padEnd(width: number): Printable {
		return make(this.#text + ' '.repeat(Math.max(0, width - this.width)))
	}

	padStart(width: number): Printable {
		return make(' '.repeat(Math.max(0, width - this.width)) + this.#text)
	}

	trimEnd(): Printable {
		return make(this.#text.trimEnd())
	}

	/** Returns the text with four spaces before each line. */
	indented(): Printable {
		return make(this.#text.replaceAll(/^(?=.)/gm, '    '))
	}

	toString(): string {
		return this.#text
	}
}

/** Formats any value as a single line of escaped text. Never throws. */
export function printable(value: unknown): Printable {
	return value instanceof Printable ? value : make(escapeText(textOf(value)))
}

/**
 * Formats a template literal and makes each of its values {@link printable}: `` printed`${file}: ${count}
 * records\n` ``.
 */
export function printed(literals: TemplateStringsArray, ...values: readonly unknown[]): Printable {
	let text = literals[0] ?? ''
	for (const [index, value] of values.entries()) text += `${printable(value)}${literals[index + 1]}`
	return make(text)
}

/** Joins all non-empty values with a separator. */
export function joined(values: readonly unknown[], separator: Printable): Printable {
	const texts = values.map(printable).filter(({ isEmpty }) => !isEmpty)
	return make(texts.join(String(separator)))
}

/** Puts each value on a separate line. */
export function linesOf(values: readonly unknown[]): Printable {
	return make(values.map((value) => `${printable(value)}\n`).join(''))
}

/** Concatenates printable values. */
export function together(values: readonly Printable[]): Printable {
	return make(values.join(''))
}

/**
 * Makes multi-line text printable. Line breaks and tabs are preserved, so the text must come from this
 * program.
 */
export function printableLines(text: string): Printable {
	return make(text.replaceAll(/[^\n\t]+/g, escapeText))
}

/** Escapes JSON without changing its value. Line breaks between tokens are preserved. */
export function printableJson(json: string): Printable {
	return make(escapeJson(json))
}

/** Formats a record as one line of JSON. `recordToJson` already escapes it. */
export function printableRecord(record: LogRecord): Printable {
	return printableRecords([record])
}

/** Formats records like {@link printableRecord}, one per line. */
export function printableRecords(records: readonly LogRecord[]): Printable {
	let text = ''
	for (const record of records) text += `${recordToJson(record)}\n`
	return make(text)
}

/** Formats a value in a colour or weight, given the start and end codes of that style. */
export function colored([begin, end]: readonly [number, number], value: unknown): Printable {
	const text = printable(value)
	return text.isEmpty ? text : make(`\x1b[${begin}m${text}\x1b[${end}m`)
}

function textOf(value: unknown): string {
	if (typeof value === 'string') return value
	try {
		return String(value)
	} catch {
		return 'a value that cannot be displayed'
	}
}
