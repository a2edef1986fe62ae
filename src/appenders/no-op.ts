/** The default appender of a loop: history is kept in the ring only. */
import type { Durability, LogChainAppender } from '../appender.ts'

/**
 * Takes every record and keeps none. Always succeeds. Its durability is `none`, so that no snapshot or
 * statistic appears durable.
 */
export class NoOpAppender implements LogChainAppender {
	readonly durability: Durability = 'none'

	append(): void {}

	appendBatch(): void {}
}
