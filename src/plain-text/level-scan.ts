/**
 * Finds the level of a plain text line: at the start of its text, or among the fields between its time and
 * its message. A word in the message, such as `no error`, is not a level.
 */
import { levelOfName, type NamedLevel } from '../model/level-names.ts'

/** A level in a line. */
export interface FoundLevel {
	readonly level: NamedLevel
	/** Index of the first character after the level. */
	readonly end: number
}

/** Upper-case words that are levels without brackets. */
const UPPER = new Set(
	(
		'TRACE DEBUG DEBUG1 DEBUG2 DEBUG3 DEBUG4 DEBUG5 VERBOSE INFO INFORMATION INFO2 INFO3 INFO4 NOTICE WARN ' +
		'WARNING ERROR ERR SEVERE CRITICAL CRIT FATAL ALERT EMERG EMERGENCY PANIC FINE FINER FINEST CONFIG ' +
		'NOTSET SUCCESS TRC DBG INF WRN FTL VRB DEBU ERRO FATA FAILURE'
	).split(' '),
)
/** Lower-case and capitalised words that are levels if a separator follows. */
const LOWER = new Set(
	(
		'trace debug verbose info information notice warn warning error err crit critical alert emerg ' +
		'emergency fatal panic silly trce dbug fail'
	).split(' '),
)
/** Part of a line in which a level is sought, from the end of the time. */
const SCAN_LENGTH = 240
const FIELDS_MAX = 8
const GROUP_LENGTH_MAX = 100
const LEVEL_FIELD = /^(?:level|lvl|severity|loglevel|log_level)=["']?(\w{1,16})/i
const WORD = /[^\s|,;()[\]<>{}"']+/y
/** Fields that can precede a level: numbers, loggers, hosts, threads, and names of files. */
const METADATA = /[\d.$@#/\\:*+~%=_-]/
/** A level of MongoDB: a letter and the name of a component. */
const LETTER_LEVEL = /([DIWEF])\d? {1,2}[A-Z_]{2,16} {1,8}\[/y
/** The host and the program of a syslog line, after its time. */
const SYSLOG_TAG = /^ ([^\s:[]{1,255}) ([^\s:[]{1,64})(?:\[[^\]]{1,32}\])?: /
/** Names in brackets that are levels only if they are in upper case. */
const NAMES_OF_GROUPS = new Set('all http config default log fine fail failure success'.split(' '))
const SEPARATOR = /(?:\t|:(?!\/)| {2}| ?[|>]| - |\])/y
const AFTER_LEVEL = /(?:[\s:|,\]>/]|-(?=\s)|$)/y

/**
 * Returns the level at the very start of a text: `[error]`, `ERROR:`, `ERROR `, `error:`, `INFO[0007]`.
 *
 * @param at Index at which the text begins.
 */
export function levelAtStart(text: string, at: number): FoundLevel | undefined {
	const inBrackets = bracketed(text, at)
	if (inBrackets !== undefined) {
		const level = levelOfGroup(inBrackets.content)
		return level === undefined ? undefined : { level, end: inBrackets.end }
	}
	const word = wordAt(text, at)
	const name = /^[A-Za-z]{3,11}\d?/.exec(word)?.[0]
	if (name === undefined) return undefined
	const end = at + name.length
	const isUpper = UPPER.has(name) && (follows(AFTER_LEVEL, text, end) || text[end] === '[')
	// `Error:` begins the text of an exception.
	const isLower = LOWER.has(name) && follows(SEPARATOR, text, end)
	const level = isUpper || isLower || name === 'LOG' ? levelOfName(name) : undefined
	if (level === undefined || (name === 'LOG' && text[end] !== ':')) return undefined
	return { level, end }
}

/**
 * Returns the level among the fields that follow a time. The search ends where the message begins.
 *
 * @param at Index of the first character after the time.
 */
export function levelAfterTime(line: string, at: number): NamedLevel | undefined {
	const text = line.slice(at, at + SCAN_LENGTH)
	const [tagged, host = '', program = ''] = SYSLOG_TAG.exec(text) ?? []
	if (tagged !== undefined && !isWord(host) && !isWord(program)) {
		const found = levelAtStart(text, tagged.length)
		// A word without a separator, such as `ALERT exited`, belongs to the message.
		const isSeparated = found !== undefined && /[\])>:]/.test(text.slice(found.end - 1, found.end + 1))
		return isSeparated ? found.level : undefined
	}
	return betweenDashes(text) ?? amongFields(text)
}

function isWord(text: string): boolean {
	return UPPER.has(text) || LOWER.has(text)
}

/** The layout `time - logger - LEVEL - message`, in which the name of a logger can contain spaces. */
function betweenDashes(text: string): NamedLevel | undefined {
	if (!text.startsWith(' - ')) return undefined
	for (const field of text.split(' - ', 4).slice(1)) {
		const name = field.trim()
		if (UPPER.has(name)) return levelOfName(name)
	}
	return undefined
}

function amongFields(text: string): NamedLevel | undefined {
	let words = 0
	for (let at = 0, fields = 0; fields < FIELDS_MAX; fields++) {
		at = skipSeparators(text, at)
		if (at >= text.length) return undefined
		const group = bracketed(text, at)
		if (group !== undefined) {
			const level = levelOfGroup(group.content)
			if (level !== undefined) return level
			at = group.end
			continue
		}
		const word = wordAt(text, at)
		if (word === '') return undefined
		if (fields === 0 && follows(LETTER_LEVEL, text, at)) return levelOfLetter(text[at]!)
		const end = at + word.length
		const level = levelOfWord(word, text, end, fields)
		if (level !== undefined) return level
		// A field that ends with a colon, such as `sshd[7]:`, is the last one before the message.
		if (word.endsWith(':') && word.length > 1 && text[end] === ' ') return messageLevel(text, end)
		// A capitalised word begins a sentence. A name of a logger without a dot or a digit is one word.
		if (/^[A-Z][a-z]+$/.test(word) || (!METADATA.test(word) && ++words > 1)) return undefined
		if (text[end] === '"' || text[end] === "'") return undefined
		at = end
	}
	return undefined
}

function messageLevel(text: string, at: number): NamedLevel | undefined {
	return levelAtStart(text, skipSpaces(text, at))?.level
}

/** Returns the level in a word such as `ERROR`, `error:`, `local.ERROR:`, `root:ERROR:` or `level=error`. */
function levelOfWord(word: string, text: string, end: number, fields: number): NamedLevel | undefined {
	const [, named] = LEVEL_FIELD.exec(word) ?? LEVEL_FIELD.exec(text.slice(end - word.length, end + 20)) ?? []
	if (named !== undefined) return levelOfName(named)
	const bare = word.replace(/[:-]+$/, '')
	if (UPPER.has(bare)) return levelOfName(bare)
	if (bare === 'LOG' && word === 'LOG:') return levelOfName(bare)
	if (LOWER.has(bare.toLowerCase()) && bare.slice(1) === bare.slice(1).toLowerCase()) {
		const isSeparated = word !== bare || (fields === 0 && follows(SEPARATOR, text, end))
		if (isSeparated && bare !== 'Error') return levelOfName(bare)
		if (fields === 0 && follows(/ {2}|\t/y, text, end)) return levelOfName(bare)
	}
	for (const part of word.split(':', 3)) if (UPPER.has(part)) return levelOfName(part)
	const [, last] = /\.([A-Z]{4,9}):$/.exec(word) ?? /^-?\/?([A-Z]{4,8})\/[\w-]+$/.exec(word) ?? []
	return last !== undefined && UPPER.has(last) ? levelOfName(last) : undefined
}

/** Returns the level of a group in brackets: `error`, `core:error`, `main/INFO`, `INFO `, `14:05:09 INF`. */
function levelOfGroup(content: string): NamedLevel | undefined {
	const whole = content.trim()
	if (/^[A-Za-z]{3,11}\d?$/.test(whole)) {
		const isName = NAMES_OF_GROUPS.has(whole.toLowerCase()) && !UPPER.has(whole)
		return isName || whole === 'system' || whole === 'note' ? undefined : levelOfName(whole)
	}
	if (/^[DIWEF]$/.test(whole)) return levelOfLetter(whole)
	const [, last] = /[:/ .]([A-Za-z]{3,9}\d?)$/.exec(whole) ?? []
	if (last === undefined) return undefined
	return UPPER.has(last) || (/^\w+:[a-z]+\d?$/.test(whole) && last !== 'http') ? levelOfName(last) : undefined
}

/** Returns the level of a letter, as Android, glog and others write it. */
export function levelOfLetter(letter: string): NamedLevel | undefined {
	switch (letter) {
		case 'V':
		case 'T':
			return { level: 'trace' }
		case 'D':
			return { level: 'debug' }
		case 'I':
		case 'N':
			return { level: 'info' }
		case 'W':
			return { level: 'warn' }
		case 'E':
			return { level: 'error' }
		case 'F':
		case 'A':
			return { level: 'error', name: 'fatal' }
		case 'C':
			return { level: 'error', name: 'critical' }
		default:
			return undefined
	}
}

interface Bracketed {
	readonly content: string
	readonly end: number
}

const CLOSING: Readonly<Record<string, string>> = { '[': ']', '(': ')', '<': '>', '{': '}' }

/** Returns the group in brackets that begins at a position. Brackets of the same type can be nested. */
function bracketed(text: string, at: number): Bracketed | undefined {
	const open = text[at]
	const close = CLOSING[open ?? '']
	if (close === undefined) return undefined
	let depth = 0
	const limit = Math.min(text.length, at + GROUP_LENGTH_MAX)
	for (let end = at; end < limit; end++) {
		if (text[end] === open) depth++
		else if (text[end] === close && --depth === 0) return { content: text.slice(at + 1, end), end: end + 1 }
	}
	return undefined
}

function wordAt(text: string, at: number): string {
	WORD.lastIndex = at
	return WORD.exec(text)?.[0] ?? ''
}

function follows(pattern: RegExp, text: string, at: number): boolean {
	pattern.lastIndex = at
	return pattern.test(text)
}

function skipSpaces(text: string, from: number): number {
	let at = from
	while (text[at] === ' ' || text[at] === '\t') at++
	return at
}

function skipSeparators(text: string, from: number): number {
	let at = from
	while (at < text.length && ' \t|-,;:.]})>#*'.includes(text[at]!)) at++
	return at
}
