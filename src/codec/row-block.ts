/** The rows of one frame, as they are decoded. */
/** Where the rows are, and what they are relative to. */
export interface RowBlock {
	readonly bytes: Buffer
	/** The first row's first byte. */
	readonly start: number
	readonly end: number
	readonly rows: number
	readonly epoch: number
	readonly baseSeq: number
	readonly baseTsMs: number
	/** A bit for each level that a row has, by its position in `LOG_LEVELS`, and one for kinds that start with `$`. */
	readonly flags: number
	/** Every text in the fixed parts is ASCII: the block is decoded once and cut into pieces. */
	readonly ascii: boolean
}

/** No rows. */
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
