/** What a handover is made of, and what it tells its owner. */
import type { LogChainAppender } from '../appender.ts'
import type { LogAppendError } from '../model/errors.ts'
import type { Gap } from './gap-list.ts'
import type { RecordQueue } from './record-queue.ts'

/** What the owner hears, synchronously; it must not throw. */
export interface OutboxEvents {
	/** Said once; then comes `recovered` before it is said again. */
	failing(error: LogAppendError): void
	recovered(): void
	/** `error` is what the appender said, if it said anything. */
	lost(gap: Gap, error: LogAppendError | undefined): void
	/** Something may have been handed over without a call of the owner. */
	progress(): void
}

export interface OutboxOptions {
	readonly appender: LogChainAppender
	readonly queue: RecordQueue
	readonly nextSeq: number
	readonly epoch: number
	/** Stamps the `$gap` records. */
	readonly clock: () => number
	/** What it is called when the queue drops a record that was not handed over. */
	readonly evictionCause: 'evicted' | 'overflow'
	readonly events: OutboxEvents
}
