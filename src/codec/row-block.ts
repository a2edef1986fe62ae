/** Defines the input of the decoder: all or some rows of one frame. */
/** The position of the rows in a buffer, and the fields of their frame that are needed to decode them. */
export interface RowBlock {
	readonly bytes: Buffer
	/** Position of the first byte of the first row. */
	readonly start: number
	readonly end: number
	readonly rows: number
	readonly epoch: number
	readonly baseSeq: number
	readonly baseTsMs: number
	/**
	 * Bits: one for each level that is present, at its index in `LOG_LEVELS`, and one for kinds that start with
	 * `$`.
	 */
	readonly flags: number
	/** Whether every string outside `data` is ASCII, as flagged in the frame. */
	readonly ascii: boolean
}

/** A block without rows. */
export const NO_BLOCK: RowBlock = {
	bytes: Buffer.alloc(0),
	start: 0,
	end: 0,
	rows: 0,
	epoch: 0,
	baseSeq: 0,
	baseTsMs: 0,
	flags: 0,
	ascii: false,
}
