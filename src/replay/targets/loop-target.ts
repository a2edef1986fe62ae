/** Replays into a loop: every record is published again, with its own time and its origin. */
import { checkLoop } from '../../loop/core-of.ts'
import type { MeshLoop } from '../../loop/mesh-loop.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'

/** Publishes the records of a replay in a loop. */
export class LoopTarget implements ReplayTarget {
	/** Name of the target in messages. */
	readonly name = 'the loop'
	/** Always true: a loop keeps history. */
	readonly keepsGaps = true
	readonly #loop: MeshLoop

	/**
	 * @param loop gets each record as a line: with a new seq, and with the record's `origin`.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(loop: MeshLoop) {
		checkLoop('a LoopTarget needs a loop', loop)
		this.#loop = loop
	}

	/** Publishes the record. */
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

	/** Syncs the loop. @throws {MeshChainError} as `MeshLoop.sync`. */
	flush(): Promise<void> {
		return this.#loop.sync()
	}
}
