/**
 * Defines the options of a component. Each option has one rule, which checks the value and supplies the
 * default. The resolved options are complete and frozen, and their types are derived from the rules. A new
 * option therefore requires only a rule, a type and a docstring.
 *
 * ```
 * const OPTIONS = defineOptions({
 * 	stream: withDefault('mesh', checkName),
 * 	messageBytes: withDefault(256 * 1024, wholeNumber(1024)),
 * 	signal: optional(checkSignal),
 * } satisfies OptionRules<ForwardOptions>)
 * ```
 */
import { checkFunction, checkTimerMs, checkWholeNumber, checkWord, readOptions } from './check.ts'

/** Checks a value that the caller passed. @throws {MeshChainError} `INVALID_OPTION` */
export type Check<T> = (name: string, value: unknown) => T

/** Resolves one option. `value` is undefined if the option is omitted. */
export type OptionRule<T> = (name: string, value: unknown) => T

/**
 * One rule for each option of an interface. With `satisfies`, a missing or misspelt name is a compile-time
 * error.
 */
export type OptionRules<Given> = { readonly [Name in keyof Given]-?: OptionRule<RuleResult<Given[Name]>> }

/**
 * The type of a resolved option. A function option keeps its declared type. Any other option has the return
 * type of its rule.
 */
type RuleResult<T> = T extends (...args: never) => unknown ? T | undefined : unknown

/** The resolved options of a set of rules. */
export type ResolvedOptions<Rules> = {
	readonly [Name in keyof Rules]: Rules[Name] extends OptionRule<infer T> ? T : never
}

/** Options defined by rules. */
export interface OptionDefinition<Rules> {
	/**
	 * Returns all options, checked and frozen. An explicit `undefined` means the default.
	 *
	 * @throws {MeshChainError} `INVALID_OPTION` for an unknown name or a refused value.
	 */
	resolve(given: unknown): ResolvedOptions<Rules>
}

/**
 * Defines options from their rules.
 *
 * @param others Names of further options, which the caller resolves.
 */
export function defineOptions<Rules extends Readonly<Record<string, OptionRule<unknown>>>>(
	rules: Rules,
	others: readonly string[] = [],
): OptionDefinition<Rules> {
	const names = Object.keys(rules)
	const allowed = [...names, ...others]
	return {
		resolve(given) {
			const values = readOptions(given, allowed)
			const resolved = Object.fromEntries(names.map((name) => [name, rules[name]!(name, values[name])]))
			return Object.freeze(resolved) as ResolvedOptions<Rules>
		},
	}
}

/** Defines a required option. Its check must refuse undefined. */
export function required<T>(check: Check<T>): OptionRule<T> {
	return check
}

/** Defines an option without a default. */
export function optional<T>(check: Check<T>): OptionRule<T | undefined> {
	return (name, value) => (value === undefined ? undefined : check(name, value))
}

/** Defines an option with a default. The default is not checked. */
export function withDefault<T>(otherwise: T, check: Check<T>): OptionRule<T> {
	return (name, value) => (value === undefined ? otherwise : check(name, value))
}

/** Defines a function option without a default. */
export function optionalFunction<F extends (...args: never) => unknown>(): OptionRule<F | undefined> {
	return (name, value) => (value === undefined ? undefined : checkFunction(name, value as F))
}

/** Defines a function option with a default. */
export function functionWithDefault<F extends (...args: never) => unknown>(otherwise: F): OptionRule<F> {
	return (name, value) => (value === undefined ? otherwise : checkFunction(name, value as F))
}

/** Defines an option that is checked elsewhere. */
export function unchecked<T>(): OptionRule<T | undefined> {
	return (_name, value) => value as T | undefined
}

/** Accepts whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max?: number): Check<number> {
	return (name, value) => checkWholeNumber(name, value, min, max)
}

/** Accepts whole numbers from `min`, and Infinity. */
export function wholeNumberOrInfinity(min: number): Check<number> {
	return (name, value) => (value === Number.POSITIVE_INFINITY ? value : checkWholeNumber(name, value, min))
}

/** Accepts durations in milliseconds that fit Node's timers. */
export function timerMs(min = 1): Check<number> {
	return (name, value) => checkTimerMs(name, value, min)
}

/** Accepts one of several keywords. */
export function oneOf<W extends string>(...words: readonly W[]): Check<W> {
	return (name, value) => checkWord(name, value, words)
}

/** An object type whose optional fields can be omitted, but cannot be undefined. */
export type Defined<T> = {
	[Name in keyof T as undefined extends T[Name] ? never : Name]: T[Name]
} & { [Name in keyof T as undefined extends T[Name] ? Name : never]?: Exclude<T[Name], undefined> }

/** Returns a copy without undefined fields, for options whose types forbid an explicit `undefined`. */
export function defined<T extends object>(fields: T): Defined<T> {
	return Object.fromEntries(
		Object.entries(fields).filter(([, value]) => value !== undefined),
	) as unknown as Defined<T>
}
