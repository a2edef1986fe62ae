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
	/** Clock for the times of `$gap` records. */
	readonly clock: () => number
	/** Cause of the gap if the queue drops a record that the appender has not accepted. */
	readonly evictionCause: 'evicted' | 'overflow'
	/** Reports when the appender starts to fail and when it recovers. */
	readonly health: HealthReporter
	/** Called synchronously for each loss. Must not throw. `error` is the appender's error, if any. */
	readonly lost: (gap: Gap, error: LogAppendError | undefined) => void
	/** Called when the appender may have accepted records asynchronously. Must not throw. */
	readonly progress: () => void
}
