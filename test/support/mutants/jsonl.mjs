/**
 * Safeguards of the file of a `JsonlAppender`: what is appended, by whom, and what happens when others change
 * the file.
 */
const tests = ['test/jsonl/line-file.test.ts']
const file = 'src/jsonl/line-file.ts'

export default [
	{
		name: 'JSON Lines: the file is not opened in append mode',
		file,
		from: 'O_RDWR | O_APPEND | O_CREAT',
		to: 'O_RDWR | (0 * O_APPEND) | O_CREAT',
		tests,
	},
	{
		name: 'JSON Lines: the path is not checked to still lead to the file',
		file,
		from: 'return isSameFile(this.#system.statSync(this.path), ours)',
		to: 'return this.#system.statSync(this.path).isFile() || isSameFile(ours, ours)',
		tests,
	},
	{
		name: 'JSON Lines: the lines of a removed file are not written again',
		file,
		from: '\t\t\tthis.#homeless.push(...this.#unseen)\n',
		to: '',
		tests,
	},
	{
		name: 'JSON Lines: lines that are missing are not counted',
		file,
		from: 'if (missing > 0) this.#lose(',
		to: 'if (missing < 0) this.#lose(',
		tests,
	},
	{
		name: 'JSON Lines: a file of the same length counts as unchanged',
		file,
		from: 'return found.equals(Buffer.concat(this.#unseen, this.#unseenBytes))',
		to: 'return found.length === this.#unseenBytes',
		tests,
	},
	{
		name: 'JSON Lines: the result of a check is not compared',
		file,
		from: 'this.#seenSize - length).equals(this.#seenEnd)',
		to: 'this.#seenSize - length).length === length',
		tests,
	},
	{
		name: 'JSON Lines: a line without its newline is written again',
		file,
		from: 'this.#owesNewline = count === bytes.length - 1',
		to: 'this.#owesNewline = count < 0',
		tests,
	},
	{
		name: 'JSON Lines: half a line is not terminated',
		file,
		from: '\t\t\tthis.#blankOut(fd, bytes.subarray(0, count))\n',
		to: '',
		tests,
	},
	{
		name: 'JSON Lines: there is no check once appending has stopped',
		file,
		from: '\t\tthis.#lookLater()\n\t}\n',
		to: '\t}\n',
		tests,
	},
	{
		name: 'JSON Lines: a renamed file is not synced',
		file,
		from: '(isKept ? this.#system.fdatasync(fd) : undefined)',
		to: '(isKept ? undefined : undefined)',
		tests,
	},
	{
		name: 'JSON Lines: integers of events are as exact as numbers are',
		file: 'src/jsonl/event-format.ts',
		from: 'const { ts, ev, ...data } = exactly(given, text)',
		to: 'const { ts, ev, ...data } = exactly(given, text) && given',
		tests: ['test/jsonl/event-format.test.ts'],
	},
	{
		name: 'JSON Lines: an event has a line with another time',
		file: 'src/jsonl/event-format.ts',
		from: 'if (timeOfDecimal(ts) !== tsMs) return undefined',
		to: '',
		tests: ['test/jsonl/event-format.test.ts'],
	},
]
