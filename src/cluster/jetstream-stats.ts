/** Counters and state of a `JetStreamAppender`. */
export interface JetStreamStats {
	readonly chainId: string
	readonly stream: string
	/** Subject of the chain; undefined before anything was sent. */
	readonly subject: string | undefined
	/** Seq up to which every record is acknowledged. */
	readonly committedSeq: number
	/** Records that were accepted and are not acknowledged. */
	readonly pendingRecords: number
	/** Estimated bytes of these records. */
	readonly pendingBytes: number
	/** Why nothing can be committed at present; undefined while the appender works. */
	readonly failure: string | undefined
	/** Records that were acknowledged, gaps included. */
	readonly records: number
	/** Messages that were acknowledged. */
	readonly messages: number
	/** Bytes of these messages. */
	readonly bytes: number
	/** Records that no message can hold: a `$gap` stands for each of them in the stream. */
	readonly tooLarge: number
	/** Acknowledged records that the servers are known to have lost. */
	readonly lostByServers: number
	/** Failures that were retried. */
	readonly failures: number
	/** Connections that were made. */
	readonly connections: number
	/**
	 * Records that were not acknowledged when `close()` gave up, or when the process ended. Some of them may be
	 * stored nevertheless.
	 */
	readonly lostAtClose: number
}
