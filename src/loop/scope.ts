/** What a loop and each of its children have for themselves: a level, fields, and whether they are open. */
import { canonicalise } from '../codec/canonical.ts'
import { checkLevel } from '../model/line-check.ts'
import { LOG_LEVELS, type LogLevel } from '../model/record.ts'
import { ownFields } from './hooks.ts'
import { inheritFields } from './inherited-fields.ts'
import type { ScopeFields } from './options.ts'

/** The level of the parent holds. */
const NO_LEVEL = -1

export class Scope {
	closed = false
	/** With those of the parent; undefined where there are none. */
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

	/** @throws {MeshChainError} `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME` */
	child(fields: ScopeFields): Scope {
		// Copied now, so that later mutation of the data changes nothing.
		const { data, ...rest } = ownFields(fields)
		const own =
			data === undefined ? rest : { ...rest, data: canonicalise(data).value as ScopeFields['data'] & {} }
		return new Scope(this, NO_LEVEL, inheritFields(own, this.fields ?? {}))
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
