/** The options of an outbox. */
import type { LogChainAppender } from '../appender.ts'
import type { LogAppendError } from '../model/errors.ts'
import type { Gap } from './gap-list.ts'
import type { HealthReporter } from './health-reporter.ts'
import type { RecordQueue } from './record-queue.ts'

export interface OutboxOptions {
	readonly appender: LogChainAppender
	readonly queue: RecordQueue
	readonly nextSeq: number
	readonly epoch: number
	/** Stamps the `$gap` records. */
	readonly clock: () => number
	/** Cause of a gap if the queue drops a record that the appender has not taken. */
	readonly evictionCause: 'evicted' | 'overflow'
	/** Called once when the appender fails, and once when it has recovered. */
	readonly health: HealthReporter
	/**
	 * Called synchronously for each loss; must not throw. `error` is the appender's error, if there is one.
	 */
	readonly lost: (gap: Gap, error: LogAppendError | undefined) => void
	/** Called after records may have been taken without a call by the owner; must not throw. */
	readonly progress: () => void
}
