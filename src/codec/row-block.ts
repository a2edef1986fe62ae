/** Defines the input of the decoder: the rows of one frame. */
/** The position of the rows, and the base values of their seqs and times. */
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
	 * One bit for each level that is present, at its position in `LOG_LEVELS`, and one bit for kinds that start
	 * with `$`.
	 */
	readonly flags: number
	/**
	 * Whether every string in the fixed parts is ASCII. If so, the block is decoded as one string, which is
	 * then sliced.
	 */
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
