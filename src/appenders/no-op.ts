/** The default appender of a loop. The loop keeps history only in its ring. */
import type { Durability, LogChainAppender } from '../appender.ts'

/**
 * Accepts every record and keeps none. Never fails. Its durability is `none`, so that no snapshot or
 * statistic reports its records as durable.
 */
export class NoOpAppender implements LogChainAppender {
	readonly durability: Durability = 'none'

	append(): void {}

	appendBatch(): void {}
}
