/** Replays into a loop, which publishes every record again with its time and origin. */
import { checkLoop } from '../../loop/core-of.ts'
import type { MeshLoop } from '../../loop/mesh-loop.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'

/** Publishes the records of a replay through a loop. */
export class LoopTarget implements ReplayTarget {
	/** Name of the target in messages. */
	readonly name = 'the loop'
	/** Always true: a loop keeps history. */
	readonly keepsGaps = true
	readonly #loop: MeshLoop

	/**
	 * @param loop Loop that publishes each record again, with a new seq and the record's `origin`.
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

	/** Syncs the loop. @throws {MeshChainError} `SYNC_FAILED`, as for `MeshLoop.sync`. */
	flush(): Promise<void> {
		return this.#loop.sync()
	}
}
