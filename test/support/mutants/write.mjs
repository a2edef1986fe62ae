/** Of the writer: what it must notice, and what nobody may be told before it is so. Shape: first.mjs. */
export default [
	{
		name: 'an unreadable end stands for no record',
		file: 'src/chain/scan/continuity.ts',
		from: 'if (!remains.mayHoldRecords) return nextSeq',
		to: 'if (remains.frames.length === 0 || !remains.mayHoldRecords || nextSeq > 0) return nextSeq',
		tests: ['test/model/damaged-end.test.ts'],
	},
	{
		name: 'a writer begins with the seqs that an unreadable end may have held',
		file: 'src/chain/write/opening.ts',
		from: 'return isLost ? seqBehind(suffix, nextSeq) : nextSeq',
		to: 'return isLost ? Math.min(nextSeq, seqBehind(suffix, nextSeq)) : nextSeq',
		tests: ['test/model/damaged-end.test.ts'],
	},
	{
		name: 'an epoch whose opening cannot be read is given again',
		file: 'src/chain/scan/chain-end.ts',
		from: 'return suffix === undefined || suffix.torn ? 0 : Math.floor(suffix.bytes / ANCHOR_BYTES)',
		to: 'return suffix === undefined || suffix.torn ? 0 : 0 * ANCHOR_BYTES',
		tests: ['test/model/damaged-end.test.ts'],
	},
	{
		name: 'a repair forgets what an unreadable end may have held',
		file: 'src/chain/verify/rebuild.ts',
		from: 'const nextSeq = Math.max(nextSeqMin, behindEnd)',
		to: 'const nextSeq = Math.max(nextSeqMin, 0 * behindEnd)',
		tests: ['test/model/damaged-end.test.ts'],
	},
	{
		name: 'a new file counts as on disk before its name does',
		file: 'src/chain/write/new-file.ts',
		from: 'if (placed.unsynced === undefined) file.acknowledgeWritten()',
		to: 'file.acknowledgeWritten()',
		tests: ['test/model/failing-calls.test.ts'],
	},
	{
		name: 'a watermark that could not be written is not written again by itself',
		file: 'src/chain/write/watermark-keeper.ts',
		from: '\t\t\tthis.#file.retry()\n',
		to: '',
		tests: ['test/chain/watermark.test.ts'],
	},
	{
		name: 'a file that is being synced is synced once more at the exit',
		file: 'src/chain/write/writer.ts',
		from: 'if (this.isSyncing) return\n',
		to: '',
		tests: ['test/chain/watermark.test.ts'],
	},
]
