/** The state of a loop or a child loop: its level, its fields, and whether it is closed. */
import { checkLevel } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel } from '../model/record.ts'
import { ownFields } from './hooks.ts'
import { inheritFields } from './inherited-fields.ts'
import type { ScopeFields } from './options.ts'

/** Level index of a scope that uses its parent's level. */
const NO_LEVEL = -1

export class Scope {
	closed = false
	/** Fields of this scope, merged with those of its ancestors; undefined for a root. */
	readonly fields: ScopeFields | undefined
	readonly #parent: Scope | undefined
	#ownLevelIndex: number

	private constructor(parent: Scope | undefined, level: number, fields: ScopeFields | undefined) {
		this.#parent = parent
		this.#ownLevelIndex = level
		this.fields = fields
	}

	static root(level: LogLevel): Scope {
		return new Scope(undefined, checkLevel(level), undefined)
	}

	/**
	 * @param copy Returns the fields with a copy of their data, so that later changes to it have no effect.
	 * @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`
	 */
	child(fields: ScopeFields, copy: (fields: ScopeFields) => ScopeFields): Scope {
		return new Scope(this, NO_LEVEL, inheritFields(copy(ownFields(fields)), this.fields ?? {}))
	}

	get levelIndex(): number {
		let scope: Scope = this
		while (scope.#ownLevelIndex === NO_LEVEL && scope.#parent !== undefined) scope = scope.#parent
		return scope.#ownLevelIndex
	}

	get level(): LogLevel {
		return LOG_LEVELS[this.levelIndex]!
	}

	/** @throws {MeshChainError} `INVALID_LEVEL` */
	setLevel(level: LogLevel): void {
		this.#ownLevelIndex = checkLevel(level)
	}
}
