/**
 * Conditions on records, such as `data.ms > 500 and data.path ~ "^/api" and not kind = health`. One parser
 * for the command line and the API.
 *
 * A comparison with a field that a record does not have is false, `!=` included. Values of different types
 * are never equal and never ordered, except a number and a bigint, and a time and a text with a time.
 */
import { show } from '../guard/show.ts'
import { timeOfText } from './calendar.ts'
import { CONDITION_LENGTH_MAX, type Token, tokensOf, wrongAt } from './condition-tokens.ts'
import { MeshChainError, messageOf } from './errors.ts'
import { LINE_LEVELS, lineRankOf, rankOfRecord } from './level.ts'
import type { LogRecord } from './record.ts'

/** A parsed condition. */
export interface Condition {
	/** Returns whether the condition holds for a record. */
	holdsFor(record: LogRecord): boolean
}

/** Reads what the language of conditions leaves to its user. */
export interface ConditionOptions {
	/** Compiles the regular expression after `~`. Default: a RegExp, which can backtrack. */
	readonly pattern?: (text: string) => { test(text: string): boolean }
	/** Reads a time, such as `-1h`; undefined if the text is not a time. Default: only complete times. */
	readonly time?: (text: string) => number | undefined
}

type Holds = (record: LogRecord) => boolean
type Literal = string | number | bigint | boolean | null
type Test = (value: unknown) => boolean
type Read = (record: LogRecord) => unknown
type Field = { readonly read: Read; readonly as?: 'level' | 'time' | 'milliseconds' }

/** Maximum depth of nested parentheses and `not`. */
const DEPTH_MAX = 100
const COMPARISONS = ['=', '!=', '<', '<=', '>', '>=', '~']
const UNITS: Readonly<Record<string, number>> = {
	...{ ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 },
	...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}
const NUMBER = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const AMOUNT = /^(-?\d+(?:\.\d+)?)([a-zA-Z]+)$/
const WORDS: Readonly<Record<string, Literal>> = { true: true, false: false, null: null }

const FIELDS: Readonly<Record<string, Field>> = {
	seq: { read: ({ seq }) => seq },
	epoch: { read: ({ epoch }) => epoch },
	time: { read: ({ tsMs }) => tsMs, as: 'time' },
	tsMs: { read: ({ tsMs }) => tsMs, as: 'milliseconds' },
	level: { read: rankOfRecord, as: 'level' },
	kind: { read: ({ kind }) => kind },
	message: { read: ({ message }) => message },
	daemonId: { read: ({ daemonId }) => daemonId ?? undefined },
	nodeId: { read: ({ nodeId }) => nodeId ?? undefined },
	origin: { read: ({ origin }) => origin },
	data: { read: ({ data }) => data },
}

/**
 * Parses a condition.
 *
 * @throws {MeshChainError} `INVALID_FILTER` with the place of the mistake and what was expected, for a text
 * of more than 10,000 characters, and for more than 100 nested parentheses.
 */
export function parseCondition(source: unknown, options: ConditionOptions = {}): Condition {
	if (typeof source !== 'string') {
		throw new MeshChainError('INVALID_FILTER', `a condition must be a string, not ${show(source)}`)
	}
	if (source.length > CONDITION_LENGTH_MAX) {
		const text = `a condition can have at most ${CONDITION_LENGTH_MAX} characters, not ${source.length}`
		throw new MeshChainError('INVALID_FILTER', text)
	}
	return { holdsFor: new Parser(source, options).condition() }
}

class Parser {
	readonly #source: string
	readonly #tokens: readonly Token[]
	readonly #compile: (text: string) => { test(text: string): boolean }
	readonly #time: (text: string) => number | undefined
	#next = 0
	#depth = 0

	constructor(source: string, { pattern = (text) => new RegExp(text), time = timeOfText }: ConditionOptions) {
		this.#source = source
		this.#tokens = tokensOf(source)
		this.#compile = pattern
		this.#time = time
	}

	condition(): Holds {
		const condition = this.#or()
		if (this.#token.kind !== 'end') throw this.#expected('and, or, or the end')
		return condition
	}

	get #token(): Token {
		return this.#tokens[this.#next]!
	}

	#or(): Holds {
		const all = [this.#and()]
		while (this.#takeWord('or')) all.push(this.#and())
		return all.length === 1 ? all[0]! : (record) => all.some((condition) => condition(record))
	}

	#and(): Holds {
		const all = [this.#not()]
		while (this.#takeWord('and')) all.push(this.#not())
		return all.length === 1 ? all[0]! : (record) => all.every((condition) => condition(record))
	}

	#not(): Holds {
		if (++this.#depth > DEPTH_MAX) {
			throw wrongAt(this.#source, this.#token.start, `it has more than ${DEPTH_MAX} levels`)
		}
		try {
			if (this.#takeWord('not')) {
				const inner = this.#not()
				return (record) => !inner(record)
			}
			if (!this.#takeOperator('(')) return this.#comparison()
			const inner = this.#or()
			if (!this.#takeOperator(')')) throw this.#expected('and, or, or )')
			return inner
		} finally {
			this.#depth--
		}
	}

	#comparison(): Holds {
		const field = this.#field()
		if (this.#takeWord('exists')) return (record) => field.read(record) !== undefined
		const test = this.#takeWord('in') ? this.#membership(field) : this.#test(field)
		return (record) => {
			const value = field.read(record)
			return value !== undefined && test(value)
		}
	}

	/** Reads a field, such as `kind` or `data.items[0]["a key"]`. */
	#field(): Field {
		const { kind, text, start } = this.#token
		if (kind !== 'word') throw this.#expected('a field, such as level or data.ms')
		this.#next++
		const [root = '', ...path] = text.split('.')
		const field = Object.hasOwn(FIELDS, root) ? FIELDS[root] : undefined
		if (field === undefined || path.includes('')) {
			const names = Object.keys(FIELDS).join(', ')
			throw wrongAt(this.#source, start, `expected a field: ${names}, or a path such as data.user.id`)
		}
		while (this.#isAttached('[')) path.push(...this.#index())
		if (path.length === 0) return field
		if (root !== 'data' && root !== 'origin') {
			throw wrongAt(this.#source, start, `${root} has no fields; only data and origin have`)
		}
		return { read: (record) => valueAt(field.read(record), path) }
	}

	/** Reads an index or a key in brackets, and the names after it. */
	#index(): string[] {
		this.#next++
		const { kind, text } = this.#token
		if (kind !== 'text' && !(kind === 'word' && /^\d+$/.test(text))) {
			throw this.#expected('an index or a key in quotes')
		}
		this.#next++
		if (!this.#takeOperator(']')) throw this.#expected(']')
		const { kind: after, text: names, start } = this.#token
		const isAttached = start === this.#tokens[this.#next - 1]!.end
		if (after !== 'word' || !isAttached) return [text]
		if (!/^(?:\.[^.]+)+$/.test(names)) throw this.#expected('a name such as .id')
		this.#next++
		return [text, ...names.slice(1).split('.')]
	}

	#test({ as }: Field): Test {
		const operator = this.#token.text
		if (this.#token.kind !== 'operator' || !COMPARISONS.includes(operator)) {
			throw this.#expected(`an operator: ${COMPARISONS.join(', ')}, in, or exists`)
		}
		this.#next++
		if (operator === '~' && as !== undefined) {
			throw wrongAt(this.#source, this.#tokens[this.#next - 1]!.start, 'only a text can be compared with ~')
		}
		if (operator === '~') return this.#match()
		const literal = this.#literal(as)
		switch (operator) {
			case '=':
				return (value) => order(value, literal) === 0
			case '!=':
				return (value) => order(value, literal) !== 0
			case '<':
				return (value) => isOrdered(literal) && order(value, literal) < 0
			case '<=':
				return (value) => isOrdered(literal) && order(value, literal) <= 0
			case '>':
				return (value) => isOrdered(literal) && order(value, literal) > 0
			default:
				return (value) => isOrdered(literal) && order(value, literal) >= 0
		}
	}

	#match(): Test {
		const { kind, start, end } = this.#token
		if (kind !== 'text' && kind !== 'word') throw this.#expected('a regular expression in quotes')
		this.#next++
		const found = this.#source.slice(start, end)
		try {
			const pattern = this.#compile(kind === 'text' ? patternIn(found) : found)
			return (value) => typeof value === 'string' && pattern.test(value)
		} catch (error) {
			throw wrongAt(this.#source, start, messageOf(error))
		}
	}

	#membership({ as }: Field): Test {
		if (!this.#takeOperator('(')) throw this.#expected('( and a list of values')
		const literals: Literal[] = []
		do literals.push(this.#literal(as))
		while (this.#takeOperator(','))
		if (!this.#takeOperator(')')) throw this.#expected(', or )')
		return (value) => literals.some((literal) => order(value, literal) === 0)
	}

	/** Reads a value. The value for a level is its rank, and the value for a time is in milliseconds. */
	#literal(as: Field['as']): Literal {
		const { kind, text, start } = this.#token
		if (kind !== 'text' && kind !== 'word') throw this.#expected('a value')
		this.#next++
		if (as === 'level') {
			const rank = lineRankOf(text.toLowerCase())
			if (rank >= 0) return rank
			throw wrongAt(this.#source, start, `expected a level: ${LINE_LEVELS.join(', ')}`)
		}
		if (as === 'time' || (as === 'milliseconds' && !NUMBER.test(text))) {
			const tsMs = this.#time(text)
			if (tsMs !== undefined) return tsMs
			throw wrongAt(this.#source, start, 'expected a time, such as "2026-01-31T14:05:09Z"')
		}
		if (as === 'milliseconds') return Number(text)
		return kind === 'text' ? text : literalOf(text)
	}

	#takeWord(word: string): boolean {
		const { kind, text } = this.#token
		if (kind !== 'word' || text.toLowerCase() !== word) return false
		this.#next++
		return true
	}

	#takeOperator(text: string): boolean {
		if (this.#token.kind !== 'operator' || this.#token.text !== text) return false
		this.#next++
		return true
	}

	#isAttached(text: string): boolean {
		const { kind, text: found, start } = this.#token
		return kind === 'operator' && found === text && start === this.#tokens[this.#next - 1]!.end
	}

	#expected(what: string): MeshChainError {
		return wrongAt(this.#source, this.#token.start, `expected ${what}`)
	}
}

/** Returns the regular expression in quotes. Its backslashes are part of it, except before the quote. */
function patternIn(quoted: string): string {
	return quoted
		.slice(1, -1)
		.replaceAll(/\\(.)/gs, (pair, letter: string) => (letter === quoted[0] ? letter : pair))
}

/** Reads a word as a value: a number, an amount in milliseconds or bytes, true, false, null, or a text. */
function literalOf(word: string): Literal {
	if (Object.hasOwn(WORDS, word)) return WORDS[word]!
	if (NUMBER.test(word)) {
		const number = Number(word)
		return Number.isSafeInteger(number) || !/^-?\d+$/.test(word) ? number : BigInt(word)
	}
	const [, amount, unit = ''] = AMOUNT.exec(word) ?? []
	return amount !== undefined && Object.hasOwn(UNITS, unit) ? Math.round(Number(amount) * UNITS[unit]!) : word
}

function valueAt(from: unknown, path: readonly string[]): unknown {
	let value = from
	for (const name of path) {
		if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
		if (ArrayBuffer.isView(value)) return undefined
		value = (value as Readonly<Record<string, unknown>>)[name]
	}
	return value
}

/**
 * Compares a value with a literal. Returns a negative number, 0 or a positive number, or NaN if they have no
 * order. The order of two texts is that of their UTF-16 code units.
 */
function order(value: unknown, literal: Literal): number {
	if (value instanceof Date) {
		const tsMs = typeof literal === 'string' ? timeOfText(literal) : Number.NaN
		return tsMs === undefined ? Number.NaN : value.getTime() - tsMs
	}
	const isNumeric = (of: unknown) => typeof of === 'number' || typeof of === 'bigint'
	if (isNumeric(value) && isNumeric(literal)) return compared(value as number, literal as number)
	if (typeof value !== typeof literal || typeof value === 'object') return value === literal ? 0 : Number.NaN
	return compared(value as string, literal as string)
}

function compared<T extends string | number>(a: T, b: T): number {
	// A number and a bigint can be equal without being identical.
	// biome-ignore lint/suspicious/noDoubleEquals: see above.
	if (a == b) return 0
	return a < b ? -1 : a > b ? 1 : Number.NaN
}

/** Returns whether values can be less or greater than a literal. */
function isOrdered(literal: Literal): boolean {
	return typeof literal !== 'boolean' && literal !== null
}
