/** Safeguards of reading what other programs print: times, levels, joined lines and restored bytes. */
const heads = ['test/plain-text/heads.test.ts', 'test/plain-text/formats.test.ts']
const times = ['test/plain-text/written-time.test.ts']
const joiner = ['test/jsonl/line-joiner.test.ts']

export default [
	{
		name: 'text lines: the whole line is searched for a head',
		file: 'src/plain-text/heads.ts',
		from: "line.slice(line.startsWith('\\ufeff') ? 1 : 0, HEAD_LENGTH)",
		to: "line.slice(line.startsWith('\\ufeff') ? 1 : 0)",
		tests: heads,
	},
	{
		name: 'text lines: a word of the message is a level',
		file: 'src/plain-text/level-scan.ts',
		from: '++words > 1)) return undefined',
		to: '++words > 9)) return undefined',
		tests: heads,
	},
	{
		name: 'text lines: a sentence contains a level',
		file: 'src/plain-text/level-scan.ts',
		from: '/^[A-Z][a-z]+$/.test(word) || ',
		to: '',
		tests: heads,
	},
	{
		name: 'text lines: a date of either order is a time',
		file: 'src/plain-text/time-notations.ts',
		from: String.raw`[ \u202f](?<half>[AP])\.?M`,
		to: String.raw`(?:[ \u202f](?<half>[AP])\.?M)?`,
		tests: heads,
	},
	{
		name: 'times: a time without a year is in the future',
		file: 'src/plain-text/written-time.ts',
		from: 'if (tsMs !== undefined && tsMs <= nowMs + AHEAD_MS) return tsMs',
		to: 'if (tsMs !== undefined) return tsMs',
		tests: times,
	},
	{
		name: 'times: the zone of a log is ignored',
		file: 'src/plain-text/written-time.ts',
		from: 'if (offsetMinutes === undefined) return this.zone.tsMsOf(clockMs)',
		to: 'if (offsetMinutes === undefined) return clockMs',
		tests: times,
	},
	{
		name: 'times: an assumption is said every time',
		file: 'src/plain-text/written-time.ts',
		from: 'if (this.assumed[assumption]++ === 0) this.#onFirst(assumption)',
		to: 'if (this.assumed[assumption]++ >= 0) this.#onFirst(assumption)',
		tests: times,
	},
	{
		name: 'times: a skipped time is another time',
		file: 'src/model/time-zone.ts',
		from: 'return this.#offsetAt(later) === clockMs - later ? later : undefined',
		to: 'return later',
		tests: ['test/model/time-zone.test.ts'],
	},
	{
		name: 'joined lines: the line ends are lost',
		file: 'src/jsonl/line-joiner.ts',
		from: '[bytes, Buffer.from(end)])',
		to: '[bytes])',
		tests: joiner,
	},
	{
		name: 'joined lines: there is no limit to the bytes',
		file: 'src/jsonl/line-joiner.ts',
		from: 'return this.#held.length < JOINED_LINES_MAX && total <= JOINED_BYTES_MAX',
		to: 'return this.#held.length < JOINED_LINES_MAX && total > 0',
		tests: joiner,
	},
	{
		name: 'joined lines: a line with a time continues a stack trace',
		file: 'src/jsonl/line-joiner.ts',
		from: 'if (!/^\\s/.test(text) && headOf(text).time !== undefined) return false\n',
		to: '',
		tests: joiner,
	},
	{
		name: 'joined lines: held bytes count as recorded',
		file: 'src/jsonl/joining-splitter.ts',
		from: 'return this.#splitter.pendingBytes + this.#heldBytes',
		to: 'return this.#splitter.pendingBytes',
		tests: joiner,
	},
	{
		name: 'import: a line without a time does not say so',
		file: 'src/jsonl/line-reader.ts',
		from: 'if (writtenMs !== undefined) return canonical',
		to: 'if (writtenMs !== null) return canonical',
		tests: ['test/jsonl/read-jsonl.test.ts'],
	},
	{
		name: 'import: a NUL byte is text',
		file: 'src/jsonl/detect-format.ts',
		from: 'if (bytes.includes(0)) this.#mayBeText = false',
		to: '',
		tests: ['test/process/text-logs.test.ts'],
	},
	{
		name: 'levels: another field named level is overwritten',
		file: 'src/jsonl/json-line.ts',
		from: 'if (isExact && !isTaken) {',
		to: 'if (isExact) {',
		tests: ['test/jsonl/logger-fields.test.ts'],
	},
]
