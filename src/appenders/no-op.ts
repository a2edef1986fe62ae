/** The default appender of a loop. A loop with this appender keeps its history only in the ring. */
import type { Durability, LogChainAppender } from '../appender.ts'

/**
 * Accepts every record and keeps none. Never fails. The durability is `none`, so that no snapshot or
 * statistic reports its records as durable.
 */
export class NoOpAppender implements LogChainAppender {
	readonly durability: Durability = 'none'

	append(): void {}

	appendBatch(): void {}
}
