/**
 * The internals of a loop, for mesh-chain's own layers. {@link coreOf} is the only way to reach them and is
 * not part of the public API. The property has a registered symbol, so that every build and copy of this
 * package in a process accepts the loops of the others.
 */
import { show } from '../guard/show.ts'
import { propertyOf } from '../guard/values.ts'
import { MeshChainError } from '../model/errors.ts'
import type { LogLine, LogRecord } from '../model/record.ts'
import type { LoopCore } from './loop-core.ts'
import type { KeepBelow } from './record-builder.ts'
import type { Scope } from './scope.ts'

const CORE = Symbol.for('mesh-chain.loopCore')

/** The core that a loop and its children share, with the scope of one of them. */
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
	 * Publishes a line of mesh-chain's own. Its kind may start with `$`, it has no minimum level, and it
	 * inherits no data from `context` or a child.
	 */
	publishOwn(line: LogLine): LogRecord | undefined {
		return this.core.publish(line, this.scope, true)
	}

	/**
	 * Passes each line below the level, of the loop and its children, to `keep` as the record that it would
	 * have been, without a seq. Returns a function that ends this.
	 *
	 * @throws {MeshChainError} `INVALID_USAGE` if the lines of this loop are already kept.
	 */
	keepBelow(keep: KeepBelow): () => void {
		return this.core.keepBelow(keep)
	}

	/** Returns the time of the loop's clock. */
	now(): number {
		return this.core.now()
	}

	close(): Promise<void> {
		this.scope.closed = true
		if (this.isRoot) return this.core.close()
		this.#childClosing ??= this.core.syncWithin()
		return this.#childClosing
	}
}

/** Returns the internals of a loop that {@link checkLoop} accepts. */
export function coreOf(loop: object): ScopedCore {
	return (loop as { readonly [CORE]: ScopedCore })[CORE]
}

export function setCore(loop: object, core: ScopedCore): void {
	Object.defineProperty(loop, CORE, { value: core })
}

/**
 * Checks that a value is a loop.
 *
 * @param wanted what needs a loop, for the message.
 * @throws {MeshChainError} `INVALID_OPTION` if it is not.
 */
export function checkLoop(wanted: string, loop: unknown): void {
	if (propertyOf(loop, CORE) !== undefined) return
	throw new MeshChainError('INVALID_OPTION', `${wanted}, not ${show(loop)}: new MeshLoop() makes one`)
}
