/** What only the comparison with the oracle noticed: places where a reader, or a verification, looked away. */
export default [
	{
		name: 'a reader of everything passes over a frame whose flags say that it has no level',
		file: 'src/chain/read/query.ts',
		from: 'if (this.#query.isEverything || (frame.flags & FLAG_CONTROL) !== 0) return true',
		to: 'if ((frame.flags & FLAG_CONTROL) !== 0) return true',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'a file may begin with a seq that the file before has',
		file: 'src/chain/verify/judge.ts',
		from: 'if (firstSeq >= nextSeq) return',
		to: 'if (firstSeq >= 0) return',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'a verification takes an entry that reaches beyond the end of its file',
		file: 'src/chain/verify/verify.ts',
		from: 'const end = Math.max(HEADER_BYTES, Math.min(size, listed.end ?? size))',
		to: 'const end = size',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'an entry that is torn below the watermark is nothing',
		file: 'src/chain/verify/file-judge.ts',
		from: 'this.missedAt = offset',
		to: 'void offset',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'a power loss explains what is missing behind its place',
		file: 'src/chain/scan/continuity.ts',
		from: "this.epoch = frame.epoch\n\t\tthis.#cause = 'damaged'",
		to: 'this.epoch = frame.epoch',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'a key that was met before is not counted as a value of its data',
		file: 'src/codec/data-reader.ts',
		from: 'if (--this.#objectsLeft < 0) return BAD\n\t\t\t\tthis.#pos = at + length',
		to: 'this.#pos = at + length',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
	{
		name: 'an anchor that does not say whether a kind of our own is there is wrong',
		file: 'src/chain/verify/file-judge.ts',
		from: 'return { ...extent, presence: extent.presence & ~PRESENCE_PLAIN }',
		to: 'return extent',
		tests: ['test/oracle/format-oracle.test.ts'],
	},
]
