/** What a `JetStreamAppender` did, and how it is. */
export interface JetStreamStats {
	readonly chainId: string
	readonly stream: string
	/** Undefined before anything was sent. */
	readonly subject: string | undefined
	/** Every record up to it is acknowledged. */
	readonly committedSeq: number
	/** Taken over and not acknowledged. */
	readonly pendingRecords: number
	/** An estimate. */
	readonly pendingBytes: number
	/** Why nothing can be committed at present. */
	readonly failure: string | undefined
	/** Acknowledged: records, gaps among them, their messages, and bytes of these. */
	readonly records: number
	readonly messages: number
	readonly bytes: number
	/** Records that no message can hold: a `$gap` stands for each in the stream. */
	readonly tooLarge: number
	/** Records that were acknowledged and that the servers have lost, as far as it is known. */
	readonly lostByServers: number
	/** Times that something failed and was tried again. */
	readonly failures: number
	/** Connections that were made. */
	readonly connections: number
	/** Records that were not acknowledged when `close()` gave up, or when the process ended. Some of them may be stored all the same. */
	readonly lostAtClose: number
}
