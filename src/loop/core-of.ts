/**
 * The internals of a loop, for other modules of mesh-chain. They are accessible only through {@link coreOf},
 * which is not part of the public API. The property key is a registered symbol, so that each build or copy of
 * this package in a process accepts loops from the others.
 */
import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import type { LoopCore } from './loop-core.ts'
import type { KeepBelow } from './record-builder.ts'
import type { Scope } from './scope.ts'

const CORE = Symbol.for('mesh-chain.loopCore')

/** The core that a loop shares with its children, and the scope of that loop or of one child. */
export class ScopedCore {
	readonly core: LoopCore
	readonly scope: Scope
	/** False for a child. */
	readonly isRoot: boolean
	#childClosing: Promise<void> | undefined

	constructor(core: LoopCore, scope: Scope, isRoot: boolean) {
		this.core = core
		this.scope = scope
		this.isRoot = isRoot
	}

	/**
	 * Publishes one of mesh-chain's own lines. The line may have a kind that starts with `$`, is published
	 * regardless of its level, and inherits no data from `context` or a child.
	 */
	publishOwn(line: LogLine): LogRecord | undefined {
		return this.core.publishOwn(line, this.scope)
	}

	/**
	 * Passes the draft of each line below the level, from the loop or its children, to `keep`. Returns a
	 * function that stops the calls to `keep`.
	 *
	 * @throws {MeshChainError} `INVALID_USAGE` if the loop already passes its lines to another `keep`
	 * function.
	 */
	keepBelow(keep: KeepBelow): () => void {
		return this.core.keepBelow(keep)
	}

	/** Returns the current time from the loop's clock. */
	now(): number {
		return this.core.now()
	}

	close(): Promise<void> {
		if (this.isRoot && !this.scope.closed) this.core.announceClose()
		this.scope.closed = true
		if (this.isRoot) return this.core.close()
		this.#childClosing ??= this.core.syncWithin()
		return this.#childClosing
	}
}

/** Returns the internals of a loop. The value must be a loop ({@link checkLoop}). */
export function coreOf(loop: object): ScopedCore {
	return (loop as { readonly [CORE]: ScopedCore })[CORE]
}

export function setCore(loop: object, core: ScopedCore): void {
	Object.defineProperty(loop, CORE, { value: core })
}

/**
 * Checks that a value is a loop.
 *
 * @param wanted Start of the error message, such as `a recorder needs a loop`.
 * @throws {MeshChainError} `INVALID_OPTION` if the value is not a loop.
 */
export function checkLoop(wanted: string, loop: unknown): void {
	if (propertyOf(loop, CORE) !== undefined) return
	throw new MeshChainError('INVALID_OPTION', `${wanted}, not ${show(loop)}; create one with new MeshLoop()`)
}
