/**
 * Joins the lines of stack traces and printed objects, so that each becomes one record. A joined line
 * contains its lines with their line ends, so every byte is returned exactly once and in order.
 */
import { headOf, isSecondOfTwo } from '../plain-text/heads.ts'
import { jsonObjectOf } from './json-object.ts'
import type { ByteLine } from './line-splitter.ts'

/** Maximum number of lines in a joined line. */
export const JOINED_LINES_MAX = 2_000
/** Maximum number of bytes in a joined line. A message of this size is never truncated. */
export const JOINED_BYTES_MAX = 256 * 1024

/** Part of a line that determines whether the line continues another one. */
const START_BYTES = 1024

/** The stack traces that contain lines which are neither indented nor recognisable on their own. */
type Trace = 'python' | 'go' | 'node'

const PYTHON = /^Traceback \(most recent call last\):/
const PYTHON_EXCEPTION = /^[A-Za-z_][\w.]{0,200}(?:: |:?$)/
const PYTHON_CHAIN = /^(?:During handling of the above exception|The above exception was the direct cause)/
const GO = /^(?:panic: |fatal error: |goroutine \d+ \[|SIG[A-Z]+: )/
const GO_LINE =
	/^(?:goroutine \d|\[signal |\[orig|created by |exit status \d|runtime stack:|\.{3}|[^\s(]{1,200}\()/
const NODE = /^(?:\/|file:\/\/|node:|[A-Z]:\\)\S.{0,500}:\d+$/
const NODE_END = /^Node\.js v\d/
const JAVA_EXCEPTION = /^[\w$.]{0,300}\.[\w$]{0,100}(?:Exception|Error|Throwable|Failure)(?::|$)/
const JAVA_LINE = /^(?:Caused by: |Suppressed: |\.\.\. \d+ (?:more|common frames))/
const ERROR = /^(?:Uncaught )?(?:[A-Z]\w{0,64})?(?:Error|Exception)(?: \[\w{1,64}\])?(?:: |$)/
const OPENING = /[{[(]\s*$/
const CLOSING = /^[)\]}]/

/** What is known about the held lines. */
interface Group {
	readonly first: string
	/** Whether the first line has a time or a level. */
	readonly hasHead: boolean
	/** Whether the first line is a warning or an error, so that the text of an error can follow. */
	readonly isFailure: boolean
	trace: Trace | undefined
	/** Whether a Python trace continues with the line of its exception. */
	isInFrames: boolean
	/** Whether a bracket is open that a line without indentation closes. */
	isOpen: boolean
}

/** Holds a line until the next line shows whether it continues the held one. */
export class LineJoiner {
	/** Number of joined lines that were ended because they reached a limit. */
	cut = 0
	#group: Group | undefined
	#held: ByteLine[] = []
	#heldBytes = 0
	/** Number of blank lines at the end of the held lines. They belong to the group if it continues. */
	#blanks = 0

	/** Number of bytes in held lines, including line ends. */
	get heldBytes(): number {
		return this.#heldBytes
	}

	/** Yields the lines that are complete because this line does not continue them. */
	*push(line: ByteLine): Generator<ByteLine> {
		// A line that is too long or incomplete has been divided before its end is known.
		if (line.part > 0) {
			yield* this.flush()
			yield line
			return
		}
		const text = line.bytes.toString('utf8', 0, START_BYTES)
		const isBlank = text.trim() === ''
		if (this.#group !== undefined && this.#continues(this.#group, line, text, isBlank)) {
			if (this.#hasRoom(line)) return this.#hold(line, isBlank)
			this.cut++
		}
		yield* this.flush()
		if (isBlank || isObject(text, line)) yield line
		else this.#begin(line, text)
	}

	/** Yields all held lines, joined. Blank lines at the end are returned separately. */
	*flush(): Generator<ByteLine> {
		const held = this.#held
		const joined = held.length - this.#blanks
		this.#held = []
		this.#heldBytes = 0
		this.#blanks = 0
		this.#group = undefined
		if (joined > 0) yield join(held.slice(0, joined))
		yield* held.slice(joined)
	}

	#hasRoom({ bytes, end }: ByteLine): boolean {
		const total = this.#heldBytes + bytes.length + end.length
		return this.#held.length < JOINED_LINES_MAX && total <= JOINED_BYTES_MAX
	}

	#begin(line: ByteLine, text: string): void {
		const { time, level } = headOf(text)
		const trace = PYTHON.test(text) ? 'python' : GO.test(text) ? 'go' : NODE.test(text) ? 'node' : undefined
		this.#group = {
			first: text,
			hasHead: time !== undefined || level !== undefined,
			isFailure: level?.level === 'error' || level?.level === 'warn',
			trace,
			isInFrames: trace === 'python',
			isOpen: isOpening(line),
		}
		this.#hold(line, false)
	}

	#hold(line: ByteLine, isBlank: boolean): void {
		this.#held.push(line)
		this.#heldBytes += line.bytes.length + line.end.length
		this.#blanks = isBlank ? this.#blanks + 1 : 0
	}

	/** Returns whether a line continues the held lines, and updates what is known about them. */
	#continues(group: Group, line: ByteLine, text: string, isBlank: boolean): boolean {
		if (isBlank) return group.trace !== undefined
		// The elements of a printed list can be times.
		if (!/^\s/.test(text) && headOf(text).time !== undefined) return false
		const isContinued = this.#isInTrace(group, text) || (this.#blanks === 0 && this.#isMore(group, text))
		if (isContinued && (isOpening(line) || CLOSING.test(text))) group.isOpen = isOpening(line)
		return isContinued
	}

	/** Returns whether a line belongs to a stack trace with lines that are not indented. */
	#isInTrace(group: Group, text: string): boolean {
		if (group.trace === undefined && group.hasHead && PYTHON.test(text)) group.trace = 'python'
		switch (group.trace) {
			case 'python':
				return this.#isInPython(group, text)
			case 'go':
				return /^\s/.test(text) || (GO_LINE.test(text) && !GO.test(text)) || /^goroutine \d/.test(text)
			case 'node':
				if (NODE_END.test(text)) group.trace = undefined
				return /^\s/.test(text) || this.#held.length === 1 || ERROR.test(text) || NODE_END.test(text)
			default:
				return false
		}
	}

	#isInPython(group: Group, text: string): boolean {
		if (PYTHON.test(text)) {
			group.isInFrames = true
			return true
		}
		if (/^\s/.test(text)) return this.#blanks === 0
		if (PYTHON_CHAIN.test(text)) return true
		const isException = group.isInFrames && PYTHON_EXCEPTION.test(text)
		group.isInFrames = false
		return isException
	}

	#isMore(group: Group, text: string): boolean {
		if (/^\s/.test(text) || JAVA_LINE.test(text)) return true
		if (group.isOpen && CLOSING.test(text)) return true
		if (group.hasHead && JAVA_EXCEPTION.test(text)) return true
		if (group.isFailure && ERROR.test(text)) return true
		return this.#held.length === 1 && isSecondOfTwo(group.first, text)
	}
}

/** Returns whether a line is a whole JSON object, which is a record of its own. */
function isObject(start: string, { bytes }: ByteLine): boolean {
	return /^\s*\{/.test(start) && jsonObjectOf(bytes.toString()) !== undefined
}

function isOpening({ bytes }: ByteLine): boolean {
	return OPENING.test(bytes.toString('latin1', Math.max(0, bytes.length - 8)))
}

function join(lines: readonly ByteLine[]): ByteLine {
	const last = lines.at(-1)!
	if (lines.length === 1) return last
	const pieces = lines.flatMap(({ bytes, end }) => [bytes, Buffer.from(end)])
	return { bytes: Buffer.concat(pieces.slice(0, -1)), end: last.end, part: 0, isLast: true }
}
