/**
 * Defines a command as an entry in a table. Parsing, validation, help and completion all derive from this
 * table.
 */
import { parseArgs } from 'node:util'
import { show } from '../guard/show.ts'
import { MeshChainError } from '../model/errors.ts'
import type { StatusText } from './exit-status.ts'
import type { Terminal } from './terminal.ts'

/** One option of a command. */
export interface OptionSpec {
	readonly long: string
	readonly short?: string
	/** Name of the value in the help. An option without a value name is a switch. */
	readonly value?: string
	/** Whether the option can be given more than once. */
	readonly multiple?: boolean
	/** Whether the option requires two consecutive values. */
	readonly pair?: boolean
	/** Accepted values. Default: any value. */
	readonly choices?: readonly string[]
	/** Value if the option is omitted. */
	readonly default?: string
	/** Help text for a default that is not a fixed value. */
	readonly defaultText?: string
	/** Help text: a noun phrase, or an imperative for a switch. The choices and the default are appended. */
	readonly help: string
}

/** Names of environment variables, with their meaning. */
export type EnvironmentVariable = readonly [names: string, meaning: string]

/** One command of the program. */
export interface Command {
	readonly name: string
	readonly summary: string
	/** Arguments after the command name, such as `FILE [options]`. */
	readonly usage: string
	/** Whether FILE can be the address of a stream. */
	readonly takesAddresses?: boolean
	/** Keywords, one of which follows the command name in place of a file. */
	readonly words?: readonly string[]
	/** Whether files follow the keyword. */
	readonly filesFollow?: boolean
	/** Whether a program and its arguments can follow `--`. */
	readonly takesProgram?: boolean
	/** Example command lines, each with a description of its effect. */
	readonly examples: readonly (readonly [line: string, does: string])[]
	readonly options: readonly OptionSpec[]
	/** Environment variables that the command reads, other than those that control colour. */
	readonly environment?: readonly EnvironmentVariable[]
	readonly statuses: readonly StatusText[]
	/** Runs the command and resolves to the exit status. */
	run(invocation: Invocation, terminal: Terminal): Promise<number>
}

/** A parsed command line, checked against the command's table entry. */
export class Invocation {
	readonly #values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>
	readonly #files: readonly string[]
	readonly #command: Command
	/** Program after `--`, followed by its arguments; undefined without `--`. */
	readonly program: readonly [string, ...string[]] | undefined

	constructor(command: Command, argv: readonly string[]) {
		this.#command = command
		const [own, program] = splitAtProgram(command, joinValues(command, argv))
		const { values, positionals } = parseFor(command, own)
		this.#values = values
		this.#files = positionals
		this.program = program
		for (const option of command.options) this.#checkChoice(option)
	}

	/** The only file on the command line, or the keyword in its place. */
	get file(): string {
		const [file, ...more] = this.someFiles
		if (more.length > 0)
			throw usage(`expected one file, not ${this.#files.length}: ${this.#files.map(show).join(' ')}`)
		return file
	}

	/** All files on the command line. */
	get files(): readonly string[] {
		return this.#files
	}

	/** All files on the command line, at least one. */
	get someFiles(): readonly [string, ...string[]] {
		const [file, ...more] = this.#files
		if (file !== undefined) return [file, ...more]
		const { name, words } = this.#command
		throw usage(
			words === undefined
				? `${name} requires a file, such as node.chain`
				: `${name} requires one of ${words.join(', ')}`,
		)
	}

	/** Returns the value of an option, or its default. */
	text(long: string): string | undefined {
		const value = this.#values[long]
		if (typeof value === 'string') return value
		return this.#command.options.find((option) => option.long === long)?.default
	}

	/** Returns all values of a repeatable option. */
	texts(long: string): readonly string[] {
		const value = this.#values[long]
		return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
	}

	/** Returns whether the command line contains the option. */
	isGiven(long: string): boolean {
		return this.#values[long] !== undefined
	}

	/** Returns whether a switch is on. */
	flag(long: string): boolean {
		return this.#values[long] === true
	}

	/** Parses the value of an option as a non-negative integer. */
	count(long: string): number | undefined {
		const text = this.text(long)
		if (text === undefined) return undefined
		const count = Number(text)
		if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count
		throw usage(`--${long} must be a non-negative integer, not ${show(text)}`)
	}

	#checkChoice(option: OptionSpec): void {
		const value = this.text(option.long)
		if (value === undefined || option.choices === undefined || option.choices.includes(value)) return
		throw usage(`--${option.long} must be one of ${option.choices.join(', ')}, not ${show(value)}`)
	}
}

/** Returns an error for an invalid command line. The command exits with status 2 before it does anything. */
export function usage(message: string): MeshChainError {
	return new MeshChainError('INVALID_USAGE', message)
}

/** Returns the known name closest to a misspelt one; undefined if none is close. */
export function nearest(name: string, known: readonly string[]): string | undefined {
	const ranked = known.map((candidate) => ({ candidate, steps: editSteps(name, candidate) }))
	ranked.sort((a, b) => a.steps - b.steps)
	const [best] = ranked
	return best !== undefined && best.steps <= Math.max(2, Math.floor(name.length / 3))
		? best.candidate
		: undefined
}

/** Splits a command line into the arguments of the command, and the program with its arguments. */
function splitAtProgram(
	{ name, takesProgram }: Command,
	argv: readonly string[],
): [own: readonly string[], program: [string, ...string[]] | undefined] {
	const separator = takesProgram ? argv.indexOf('--') : -1
	if (separator < 0) return [argv, undefined]
	const [program = '', ...args] = argv.slice(separator + 1)
	if (program !== '') return [argv.slice(0, separator), [program, ...args]]
	throw usage(`-- must be followed by a program, as in ${name} node.chain -- node app.js`)
}

function parseFor(command: Command, args: readonly string[]) {
	const options = Object.fromEntries(
		command.options.map(({ long, short, value, multiple, pair }) => [
			long,
			{
				type: value === undefined ? ('boolean' as const) : ('string' as const),
				...(short === undefined ? {} : { short }),
				...(multiple || pair ? { multiple: true } : {}),
			},
		]),
	)
	try {
		return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
	} catch (error) {
		throw explain(command, error)
	}
}

/**
 * Joins each option and its value into one argument, because a value can start with a dash: `-S -1h` becomes
 * `--since=-1h`.
 */
function joinValues(command: Command, argv: readonly string[]): string[] {
	const joined: string[] = []
	for (let index = 0; index < argv.length; index++) {
		const arg = argv[index] ?? ''
		if (arg === '--') return [...joined, ...argv.slice(index)]
		const option = command.options.find(({ long, short }) => arg === `--${long}` || arg === `-${short}`)
		const value = argv[index + 1]
		if (option?.value === undefined) joined.push(arg)
		else if (value === undefined) throw usage(`${arg} requires a value: ${option.value}`)
		else {
			joined.push(`--${option.long}=${value}`)
			index++
			if (!option.pair) continue
			const second = argv[++index]
			if (second === undefined) throw usage(`${arg} requires two values: ${option.value}`)
			joined.push(`--${option.long}=${second}`)
		}
	}
	return joined
}

function explain(command: Command, error: unknown): MeshChainError {
	const message = error instanceof Error ? error.message : String(error)
	const [, unknown] = /^Unknown option '(-+[^']+)'/.exec(message) ?? []
	if (unknown === undefined) return usage(message)
	const names = command.options.map(({ long }) => `--${long}`)
	const meant = nearest(unknown.startsWith('--') ? unknown : `-${unknown}`, names)
	return usage(
		`${command.name} has no option ${unknown}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
	)
}

function editSteps(from: string, to: string): number {
	let row = Array.from({ length: to.length + 1 }, (_unused, index) => index)
	for (let i = 1; i <= from.length; i++) {
		const next = [i]
		for (let j = 1; j <= to.length; j++) {
			const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
			next[j] = Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
		}
		row = next
	}
	return row[to.length] ?? 0
}
