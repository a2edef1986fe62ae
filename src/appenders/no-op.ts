/** The appender of a loop that was given none: history lives in the ring alone. */
import type { Durability, LogChainAppender } from '../appender.ts'

/**
 * Takes every record and keeps none. Always succeeds; says `durability: 'none'`, so that no snapshot and no statistic
 * looks durable.
 */
export class NoOpAppender implements LogChainAppender {
	readonly durability: Durability = 'none'

	append(): void {}

	appendBatch(): void {}
}
