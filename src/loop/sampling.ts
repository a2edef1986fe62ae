/**
 * Drops lines by their kind: a random part of them, or those beyond a rate. A dropped line gets no seq, and
 * is counted by its cause and by the rule that dropped it.
 */
import { show } from '../guard/show.ts'
import {
	checkIsObject,
	checkWholeNumber,
	invalidOption,
	namesIn,
	readOption,
	readOptions,
} from '../model/check.ts'
import { MeshChainError } from '../model/errors.ts'
import { invalidLevel, type LogLevelInput, lineRankOf } from '../model/level.ts'
import { NAME_LENGTH_MAX } from '../model/limits.ts'

/** Which part of the lines of a kind is published. */
export interface SamplingRule {
	/** Probability that a line is published, from 0 to 1. */
	readonly rate: number
	/** Highest level to which the rule applies. Default: `'info'`. */
	readonly levelMax?: LogLevelInput | undefined
}

/** How many lines of a kind are published. */
export interface RateLimit {
	/** Maximum number of lines per second on average; a number above 0. */
	readonly perSecond: number
	/** Maximum number of lines at once. Whole number from 1. Default: `perSecond`, rounded up. */
	readonly burst?: number | undefined
	/** Highest level to which the limit applies. Default: `'info'`. */
	readonly levelMax?: LogLevelInput | undefined
}

/** The lines that one rule of `sampling` or `rateLimit` dropped. */
export interface DroppedCounts {
	/** Lines that `sampling` did not select. */
	readonly sampledOut: number
	/** Lines beyond a `rateLimit`. */
	readonly rateLimited: number
}

export interface Rule {
	/** The kind, or the start of the kinds. */
	readonly kind: string
	readonly isPrefix: boolean
	/** Highest rank to which the rule applies. */
	readonly levelMax: number
}

/** A resolved rule of `sampling`. */
export interface SamplingOfKind extends Rule {
	readonly rate: number
}

/** A resolved rule of `rateLimit`. */
export interface LimitOfKind extends Rule {
	readonly perSecond: number
	readonly burst: number
}

/** The resolved options `sampling` and `rateLimit`. */
export interface ResolvedSamplerOptions {
	readonly sampling: readonly SamplingOfKind[] | undefined
	readonly rateLimit: readonly LimitOfKind[] | undefined
}

/** Why a line was dropped. */
export type DropCause = keyof DroppedCounts

const LEVEL_MAX_DEFAULT = 'info'
const KIND_DEFAULT = 'log'

/** The rules of one option, by kind. */
class Rules<R extends Rule> {
	readonly #exact: ReadonlyMap<string, R>
	/** Longest prefix first. */
	readonly #prefixes: readonly R[]

	constructor(rules: readonly R[]) {
		this.#exact = new Map(rules.filter(({ isPrefix }) => !isPrefix).map((rule) => [rule.kind, rule]))
		this.#prefixes = rules.filter(({ isPrefix }) => isPrefix).sort((a, b) => b.kind.length - a.kind.length)
	}

	/** Returns the rule for a kind: its own, or the one with the longest matching prefix. */
	for(kind: string): R | undefined {
		return this.#exact.get(kind) ?? this.#prefixes.find((rule) => kind.startsWith(rule.kind))
	}
}

/** The number of lines that a limit lets pass now. It refills with time. */
class Bucket {
	#lines: number
	#atMs: number | undefined

	constructor({ burst }: LimitOfKind) {
		this.#lines = burst
	}

	/** Takes a line from the bucket. Returns false if the bucket is empty. */
	take({ perSecond, burst }: LimitOfKind, nowMs: number): boolean {
		// The clock may step back.
		const passedMs = Math.max(0, nowMs - (this.#atMs ?? nowMs))
		this.#atMs = nowMs
		this.#lines = Math.min(burst, this.#lines + (passedMs * perSecond) / 1000)
		if (this.#lines < 1) return false
		this.#lines -= 1
		return true
	}
}

export class Sampler {
	readonly #sampling: Rules<SamplingOfKind>
	readonly #limits: Rules<LimitOfKind>
	readonly #buckets: ReadonlyMap<LimitOfKind, Bucket>
	readonly #now: () => number
	readonly #random: () => number
	readonly #dropped = new Map<string, { sampledOut: number; rateLimited: number }>()

	/**
	 * @param now Returns the time in milliseconds.
	 * @param random Returns a number from 0 to below 1. Default: `Math.random`.
	 */
	constructor(
		{ sampling = [], rateLimit = [] }: ResolvedSamplerOptions,
		now: () => number,
		random = Math.random,
	) {
		this.#sampling = new Rules(sampling)
		this.#limits = new Rules(rateLimit)
		this.#buckets = new Map(rateLimit.map((limit) => [limit, new Bucket(limit)]))
		this.#now = now
		this.#random = random
	}

	/**
	 * Returns why a line is dropped, and counts it; undefined if the line is published.
	 *
	 * @param rank Rank of the line's level.
	 */
	drop(kindGiven: unknown, rank: number): DropCause | undefined {
		const kind = kindGiven ?? KIND_DEFAULT
		// A kind that is not valid is refused later, and mesh-chain's own records are never dropped.
		if (typeof kind !== 'string' || kind.startsWith('$')) return undefined
		const sampling = this.#sampling.for(kind)
		if (sampling !== undefined && rank <= sampling.levelMax && this.#random() >= sampling.rate) {
			return this.#count(sampling, 'sampledOut')
		}
		const limit = this.#limits.for(kind)
		if (limit === undefined || rank > limit.levelMax) return undefined
		return this.#buckets.get(limit)!.take(limit, this.#now()) ? undefined : this.#count(limit, 'rateLimited')
	}

	/** Returns the lines that each rule dropped, by the name of the rule in the options. */
	dropped(): Readonly<Record<string, DroppedCounts>> {
		return Object.freeze(
			Object.fromEntries([...this.#dropped].map(([name, counts]) => [name, { ...counts }])),
		)
	}

	#count({ kind, isPrefix }: Rule, cause: DropCause): DropCause {
		const name = isPrefix ? `${kind}*` : kind
		const counts = this.#dropped.get(name) ?? { sampledOut: 0, rateLimited: 0 }
		counts[cause] += 1
		this.#dropped.set(name, counts)
		return cause
	}
}

/** Checks the option `sampling`. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveSampling(name: string, given: unknown): readonly SamplingOfKind[] | undefined {
	return rulesOf(name, given, (what, rule) => {
		const { rate, levelMax } =
			typeof rule === 'number' ? { rate: rule, levelMax: undefined } : fieldsOf(what, rule, RATE_NAMES)
		if (typeof rate !== 'number' || !(rate >= 0 && rate <= 1)) {
			throw invalidOption(`rate of ${what}`, rate, 'a number from 0 to 1')
		}
		return { rate, levelMax: checkLevelMax(levelMax) }
	})
}

/** Checks the option `rateLimit`. @throws {MeshChainError} `INVALID_OPTION` */
export function resolveRateLimit(name: string, given: unknown): readonly LimitOfKind[] | undefined {
	return rulesOf(name, given, (what, rule) => {
		const { perSecond, burst, levelMax } = fieldsOf(what, rule, LIMIT_NAMES)
		if (typeof perSecond !== 'number' || !(perSecond > 0 && perSecond < Number.POSITIVE_INFINITY)) {
			throw invalidOption(`perSecond of ${what}`, perSecond, 'a number above 0')
		}
		const most = burst === undefined ? Math.ceil(perSecond) : checkWholeNumber(`burst of ${what}`, burst, 1)
		return { perSecond, burst: most, levelMax: checkLevelMax(levelMax) }
	})
}

const RATE_NAMES = ['rate', 'levelMax']
const LIMIT_NAMES = ['perSecond', 'burst', 'levelMax']

function fieldsOf(what: string, rule: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
	checkIsObject(what, rule)
	return readOptions(rule, names)
}

/** Returns the rules of an option; undefined if there are none. */
function rulesOf<R>(
	name: string,
	given: unknown,
	resolve: (what: string, rule: unknown) => R,
): readonly (R & Pick<Rule, 'kind' | 'isPrefix'>)[] | undefined {
	checkIsObject(name, given)
	const rules = namesIn(name, given).flatMap((key) => {
		const what = `${name} of ${show(key)}`
		checkKindName(name, key)
		const rule = readOption(what, given, key)
		if (rule === undefined) return []
		const isPrefix = key.endsWith('*')
		return [{ ...resolve(what, rule), kind: isPrefix ? key.slice(0, -1) : key, isPrefix }]
	})
	return rules.length === 0 ? undefined : rules
}

function checkKindName(name: string, key: string): void {
	const hasOneStar = !key.slice(0, -1).includes('*')
	if (key !== '' && key.length <= NAME_LENGTH_MAX && !key.startsWith('$') && hasOneStar) return
	throw new MeshChainError(
		'INVALID_OPTION',
		`${name} contains ${show(key)}, which is not a kind; use a kind, the start of kinds and *, or *`,
	)
}

function checkLevelMax(level: unknown): number {
	const rank = lineRankOf(level ?? LEVEL_MAX_DEFAULT)
	if (rank < 0 || level === null) throw invalidLevel(level)
	return rank
}
