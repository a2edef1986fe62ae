/** The state of a loop or a child loop: its level, its fields, and whether it is closed. */
import { checkLevelMin, type LogLevelInput, type LogLevelMin, levelAt } from '../model/level.ts'
import { inheritFields } from './inherited-fields.ts'
import type { ScopeFields } from './options.ts'
import { scopeFields } from './scope-fields.ts'

/** Rank of a scope that uses its parent's level. */
const NO_LEVEL = -1

export class Scope {
	closed = false
	/** Fields of this scope, merged with those of its ancestors; undefined for a root. */
	readonly fields: ScopeFields | undefined
	readonly #parent: Scope | undefined
	#ownRank: number

	private constructor(parent: Scope | undefined, rank: number, fields: ScopeFields | undefined) {
		this.#parent = parent
		this.#ownRank = rank
		this.fields = fields
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	static root(level: LogLevelInput): Scope {
		return new Scope(undefined, checkLevelMin(level), undefined)
	}

	/**
	 * Returns the scope of a child. Fields that are no fields of a line become part of the data.
	 *
	 * @param copy Returns the fields with a copy of their data, so that later changes to it have no effect.
	 */
	child(fields: unknown, copy: (fields: ScopeFields) => ScopeFields): Scope {
		return new Scope(this, NO_LEVEL, inheritFields(copy(scopeFields(fields).fields), this.fields ?? {}))
	}

	/** Lowest rank that is published. */
	get rankMin(): number {
		let scope: Scope = this
		while (scope.#ownRank === NO_LEVEL && scope.#parent !== undefined) scope = scope.#parent
		return scope.#ownRank
	}

	get level(): LogLevelMin {
		return levelAt(this.rankMin)
	}

	/**
	 * Sets the level. Undefined means the level of the parent, or `trace` without a parent.
	 *
	 * @throws {MeshChainError} `INVALID_LEVEL`
	 */
	setLevel(level: LogLevelInput | undefined): void {
		if (level === undefined) this.#ownRank = this.#parent === undefined ? 0 : NO_LEVEL
		else this.#ownRank = checkLevelMin(level)
	}
}
