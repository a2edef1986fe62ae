/** What an outbox is made of. */
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
	/** The cause of a gap where the queue drops a record that the appender has not taken. */
	readonly evictionCause: 'evicted' | 'overflow'
	/** Hears once that the appender fails, and once that it has recovered. */
	readonly health: HealthReporter
	/**
	 * Hears of each loss, synchronously, and must not throw. `error` is what the appender said, if it said
	 * anything.
	 */
	readonly lost: (gap: Gap, error: LogAppendError | undefined) => void
	/** Called after records may have been taken without a call of the owner; must not throw. */
	readonly progress: () => void
}
