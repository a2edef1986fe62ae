/** Replay into a running bus: every record is published anew, with its own time and the identity that it had. */
import { checkLoop } from '../../loop/core-of.ts'
import type { MeshLoop } from '../../loop/mesh-loop.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'

export class LoopTarget implements ReplayTarget {
	readonly name = 'the loop'
	readonly keepsGaps = true
	readonly #loop: MeshLoop

	/**
	 * @param loop gets each record as a line of its own: a new seq, and the record's `origin`.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(loop: MeshLoop) {
		checkLoop('a LoopTarget needs a loop', loop)
		this.#loop = loop
	}

	write({ kind, level, message, data, daemonId, nodeId, tsMs, origin }: LogRecord): void {
		this.#loop.publish({
			kind,
			level,
			message,
			...(data === undefined ? {} : { data }),
			daemonId,
			nodeId,
			tsMs,
			...(origin === undefined ? {} : { origin }),
		})
	}

	/** @throws {MeshChainError} what `loop.sync` throws. */
	flush(): Promise<void> {
		return this.#loop.sync()
	}
}
