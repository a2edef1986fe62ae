/** Safeguards that account for each sample. */
export default [
	{
		name: 'sources: one flooding source may fill the whole queue',
		file: 'src/sources/sample-queue.ts',
		from: 'share.count < SHARE_FACTOR * (this.capacity - this.#count)',
		to: 'this.#count < this.capacity',
		tests: ['test/sources'],
	},
	{
		name: 'sources: a displaced sample is not counted',
		file: 'src/sources/managed-source.ts',
		from: '\t\t\tthis.counts.dropped.overflow++\n\t\t\t// A waiting sample',
		to: '\t\t\t// A waiting sample',
		tests: ['test/sources'],
	},
	{
		name: 'sources: a failing appender still receives samples',
		file: 'src/loop/loop-core.ts',
		from: 'if (failure !== undefined || failureOf(this.#appender) !== undefined) return 0',
		to: 'if (failure !== undefined && failureOf(this.#appender) === undefined && pending < 0) return 0',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
	{
		name: 'sources: samples are refused after a clock was years ahead',
		file: 'src/sources/sample-checks.ts',
		from: 'lastMs > nowMs && tsMs <= nowMs',
		to: 'lastMs < 0',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
	{
		name: 'sources: an idle source is removed from the registry',
		file: 'src/sources/registry.ts',
		from: 'if (seq > oldest) break',
		to: 'if (seq > oldest || oldest > 0) break',
		tests: ['test/sources/registry.test.ts'],
	},
	{
		name: 'sources: damage to a newest record hides older ones',
		file: 'src/sources/registry.ts',
		from: 'contents.missing === 0 || fromSeq === 1',
		to: 'contents.missing >= 0 || fromSeq === 1',
		tests: ['test/sources/registry.test.ts'],
	},
	{
		name: 'sources: a process that exits leaves its queue behind',
		file: 'src/sources/source-manager.ts',
		from: '\t\tthis.#writer.drain()\n',
		to: '',
		tests: ['test/process/sources-exit.test.ts'],
	},
	{
		name: 'sources: policies apply by order only',
		file: 'src/sources/policies.ts',
		from: 'this.#exact.get(name) ??',
		to: 'undefined ??',
		tests: ['test/sources', 'test/behaviours/channel-manager.test.ts'],
	},
]
