/** Counters and state of a `JetStreamAppender`. */
export interface JetStreamStats {
	readonly chainId: string
	readonly stream: string
	/** Subject of the chain; undefined before anything was sent. */
	readonly subject: string | undefined
	/** Seq up to which every record is acknowledged. */
	readonly committedSeq: number
	/** Number of records that were accepted and are not acknowledged. */
	readonly pendingRecords: number
	/** Estimated bytes of these records. */
	readonly pendingBytes: number
	/** Why records cannot be committed at present; undefined while the appender works. */
	readonly failure: string | undefined
	/** Number of acknowledged records, including gaps. */
	readonly records: number
	/** Number of acknowledged messages. */
	readonly messages: number
	/** Total bytes of these messages. */
	readonly bytes: number
	/** Number of records too large for any message; in the stream, a `$gap` stands for each. */
	readonly tooLarge: number
	/** Number of acknowledged records that the servers are known to have lost. */
	readonly lostByServers: number
	/** Number of failures that were retried. */
	readonly failures: number
	/** Number of connections made. */
	readonly connections: number
	/**
	 * Number of records that were not acknowledged when `close()` gave up, or when the process ended. Some of
	 * them may nevertheless be stored.
	 */
	readonly lostAtClose: number
}
