/** Counters and state of a `JetStreamAppender`. */
export interface JetStreamStats {
	readonly chainId: string
	readonly stream: string
	/** Subject of the chain; undefined before the first record is sent. */
	readonly subject: string | undefined
	/** Seq up to which every record is acknowledged. */
	readonly committedSeq: number
	/** Number of accepted records that are not yet acknowledged. */
	readonly pendingRecords: number
	/** Estimated size of the pending records, in bytes. */
	readonly pendingBytes: number
	/** Reason why records cannot currently be committed; undefined if they can. */
	readonly failure: string | undefined
	/** Number of acknowledged records, including gaps. */
	readonly records: number
	/** Number of acknowledged messages. */
	readonly messages: number
	/** Total size of the acknowledged messages, in bytes. */
	readonly bytes: number
	/** Number of records that were too large for any message. In the stream, a `$gap` replaces each of them. */
	readonly tooLarge: number
	/** Number of acknowledged records that the appender has found missing from the stream. */
	readonly lostByServers: number
	/** Number of failures that were retried. */
	readonly failures: number
	/** Number of connections established so far. */
	readonly connections: number
	/**
	 * Number of records that were not acknowledged when `close()` gave up, or when the process ended. The
	 * servers may nevertheless have stored some of these records.
	 */
	readonly lostAtClose: number
}
