/**
 * Implements `mesh-chain record`, which records the output of a program in a chain and passes the output on.
 */
import { FileChainAppender, type FileChainOptions } from '../chain/index.ts'
import type { LogReading } from '../jsonl/formats.ts'
import { JoiningSplitter } from '../jsonl/joining-splitter.ts'
import type { ByteLine } from '../jsonl/line-splitter.ts'
import { PART_BYTES_MAX, TextLines } from '../jsonl/text-lines.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { type LineLevel, parseLevel } from '../model/level.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { checkLine } from '../model/line-check.ts'
import type { LogLine } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import { counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { chainPath } from './chain-path.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { statusTexts } from './exit-status.ts'
import { CHAIN_OPTIONS, chainOptionsOf } from './record/chain-options.ts'
import { FilePace } from './record/file-pace.ts'
import { recordInput } from './record/record-input.ts'
import { recordProgram } from './record/record-program.ts'
import type { Terminal } from './terminal.ts'
import { logReadingOf, TEXT_OPTIONS } from './text-options.ts'

/** Fields of lines that do not set them. */
type Defaults = Omit<LogLine, 'level'> & { readonly level?: LineLevel | undefined }

/** Maximum number of lines between two flushes. The ring of the loop must be able to hold that many lines. */
const LINES_PER_FLUSH = 1_000
/** Nothing reads the ring of this loop, so it can be small. */
const RING_BYTES_MAX = 1024 * 1024
/** Level for lines without a level on stderr. Many programs write all of their messages to stderr. */
const STDERR_LEVEL: LineLevel = 'warn'

export const record: Command = {
	name: 'record',
	summary: 'record the output of a program, and pass it on',
	usage: 'FILE [options] [-- PROGRAM [ARGUMENTS]]',
	takesProgram: true,
	examples: [
		[
			'mesh-chain record node.chain -- node app.js',
			'runs a program, records both of its streams and its exit status, and prints the streams',
		],
		['node app.js | mesh-chain record node.chain', 'records each line of the output and also prints it'],
		['node app.js 2>&1 | mesh-chain record node.chain -q', 'also records stderr, and prints nothing'],
		[
			'node app.js | mesh-chain record node.chain | pino-pretty',
			'records pino log lines with their level, time and fields, and formats them for the terminal',
		],
		[
			'mesh-chain record node.chain --rotate 64MiB --retain 1GiB,30d -- node app.js',
			'keeps at most 1 GiB and 30 days, in files of 64 MiB',
		],
	],
	options: [
		{ long: 'quiet', short: 'q', help: 'print nothing' },
		{ long: 'level', value: 'LEVEL', defaultText: 'info', help: 'level for lines without a level' },
		{
			long: 'stderr-level',
			value: 'LEVEL',
			defaultText: STDERR_LEVEL,
			help: 'level for lines without a level on the stderr of PROGRAM',
		},
		{ long: 'kind', value: 'KIND', defaultText: 'log', help: 'kind for lines without a kind' },
		{ long: 'daemon', value: 'ID', help: 'daemon ID for lines without a daemon ID' },
		{ long: 'node', value: 'ID', help: 'node ID for lines without a node ID' },
		...TEXT_OPTIONS,
		...CHAIN_OPTIONS,
	],
	statuses: statusTexts({
		ok: 'all input was recorded; with PROGRAM, the status is that of the program',
		failed: 'writing to the chain or to stdout failed',
		notExecutable: 'PROGRAM cannot be executed; the chain contains the reason',
		notFound: 'PROGRAM was not found; the chain contains the reason',
		interrupted: 'a second signal ended the recording before its input ended, or signal N terminated PROGRAM',
	}),
	async run(invocation, terminal) {
		const { file, program } = invocation
		const defaults = defaultsOf(invocation)
		const stderrDefaults = { ...defaults, ...levelOf(invocation, 'stderr-level', STDERR_LEVEL) }
		const options = chainOptionsOf(invocation)
		const reading = logReadingOf(invocation, terminal)
		if (program === undefined) checkInput(invocation, terminal)
		const appender = new FileChainAppender(chainPath(file), options)
		const loop = new MeshLoop(appender, { ringBytesMax: RING_BYTES_MAX })
		const common = { reading, durability: options.durability, pace: new FilePace(appender, options) }
		const recorders = {
			stdout: new LineRecorder(loop, defaults, common),
			stderr: new LineRecorder(loop, stderrDefaults, { ...common, stream: 'stderr' }),
		}
		const isQuiet = invocation.flag('quiet')
		return program === undefined
			? recordInput({ file, recorder: recorders.stdout, isQuiet }, terminal)
			: recordProgram({ file, program, loop, recorders, ids: idsOf(invocation), isQuiet }, terminal)
	},
}

function checkInput(invocation: Invocation, terminal: Terminal): void {
	if (invocation.isGiven('stderr-level'))
		throw usage('--stderr-level requires a program, as in record node.chain -- node app.js')
	if (!terminal.stdinIsTerminal) return
	const file = shellWord(invocation.file)
	throw usage(
		'stdin is a terminal: pipe the output of a program into record, as in ' +
			`node app.js | mesh-chain record ${file}, or name the program, as in ` +
			`mesh-chain record ${file} -- node app.js`,
	)
}

function defaultsOf(invocation: Invocation): Defaults {
	const kind = invocation.text('kind')
	const defaults: Defaults = {
		...levelOf(invocation, 'level'),
		...(kind === undefined ? {} : { kind }),
		...idsOf(invocation),
	}
	checkLine(defaults, false)
	return defaults
}

function idsOf(invocation: Invocation): Pick<LogLine, 'daemonId' | 'nodeId'> {
	const daemonId = invocation.text('daemon')
	const nodeId = invocation.text('node')
	return {
		...(daemonId === undefined ? {} : { daemonId }),
		...(nodeId === undefined ? {} : { nodeId }),
	}
}

function levelOf(invocation: Invocation, option: string, fallback?: LineLevel): { level?: LineLevel } {
	const level = invocation.text(option)
	if (level === undefined) return fallback === undefined ? {} : { level: fallback }
	try {
		return { level: parseLevel(level) }
	} catch (error) {
		throw new MeshChainError('INVALID_LEVEL', `--${option}: ${messageOf(error)}`)
	}
}

/** Options of a {@link LineRecorder}. */
export interface LineRecorderOptions {
	/** Stream that the records name in their data; undefined for stdin and stdout, which they do not name. */
	readonly stream?: 'stderr'
	/** Durability of the chain. With `'disk'`, bytes count as recorded when they are on disk. */
	readonly durability?: FileChainOptions['durability']
	/** How the lines are read. */
	readonly reading: LogReading
	/** Waits for the rotations of the chain. */
	readonly pace: FilePace
}

/**
 * Converts bytes to records. {@link takeRecorded} returns the bytes whose records have been handed to the
 * operating system.
 */
export class LineRecorder {
	readonly #loop: MeshLoop
	readonly #defaults: Defaults
	readonly #options: LineRecorderOptions
	readonly #linesPerFlush: number
	readonly #splitter: JoiningSplitter
	readonly #lines: TextLines
	readonly #counts = { lines: 0, parts: 0, unterminated: 0 }
	/** Bytes that {@link takeRecorded} has not returned yet. Some of them may not be in a record yet. */
	#received: Buffer[] = []
	#recordedBytes = 0

	constructor(loop: MeshLoop, defaults: Defaults, options: LineRecorderOptions) {
		this.#loop = loop
		this.#defaults = defaults
		this.#options = options
		this.#splitter = new JoiningSplitter(PART_BYTES_MAX, options.reading.isJoining)
		this.#lines = new TextLines(options.reading.times)
		this.#linesPerFlush = Math.min(LINES_PER_FLUSH, options.pace.recordsMax)
	}

	/**
	 * Whether the input contained partial lines, bytes that are not UTF-8, a last line without a newline, or a
	 * joined line that reached a limit.
	 */
	get isOdd(): boolean {
		const { parts, unterminated } = this.#counts
		return parts + unterminated + this.#lines.binary + this.#splitter.cutJoins > 0
	}

	/** Whether complete lines are held, because the next line may belong to them. */
	get isHolding(): boolean {
		return this.#splitter.isHolding
	}

	/**
	 * Whether the input so far ends in an incomplete line that may be a prompt. A line of JSON is not a
	 * prompt.
	 */
	get isWithinLine(): boolean {
		return this.#splitter.pendingBytes > 0 && !this.#splitter.pendingIsJson
	}

	async take(bytes: Buffer, interrupted: AbortSignal): Promise<void> {
		this.#received.push(bytes)
		await this.#publishAll(this.#splitter.push(bytes), interrupted)
	}

	/** Records the held lines. */
	async releaseLines(interrupted: AbortSignal): Promise<void> {
		await this.#publishAll(this.#splitter.release(), interrupted)
	}

	/** Records the held lines, and the incomplete line as a part. */
	async cutLine(interrupted: AbortSignal): Promise<void> {
		await this.#publishAll(this.#splitter.cut(), interrupted)
	}

	/** Returns the bytes that are in the chain and have not been returned before, in order. */
	takeRecorded(): Buffer {
		const bytes = Buffer.concat(this.#received)
		const recorded = bytes.subarray(0, this.#recordedBytes)
		this.#received = [bytes.subarray(this.#recordedBytes)]
		this.#recordedBytes = 0
		return recorded
	}

	/** Publishes the held lines and the incomplete line at the end of the input. */
	end(): void {
		for (const line of this.#splitter.end()) this.#publish(line)
	}

	/**
	 * Closes the chain.
	 *
	 * @throws {MeshChainError} If part of the input could not be written.
	 */
	async close(): Promise<void> {
		this.end()
		await this.#loop.close()
		this.#recordedBytes = this.#receivedBytes
	}

	get #receivedBytes(): number {
		return this.#received.reduce((sum, { length }) => sum + length, 0)
	}

	async #publishAll(lines: Iterable<ByteLine>, interrupted: AbortSignal): Promise<void> {
		let unflushed = 0
		for (const line of lines) {
			this.#publish(line)
			if (++unflushed === this.#linesPerFlush) {
				await this.#flush(interrupted)
				unflushed = 0
			}
		}
		if (await this.#flush(interrupted))
			this.#recordedBytes = this.#receivedBytes - this.#splitter.pendingBytes
	}

	summary(): string {
		const { lines, parts, unterminated } = this.#counts
		const { binary } = this.#lines
		const { cutJoins } = this.#splitter
		const odd = [
			parts === 0
				? ''
				: `${counted(parts, 'part')} of lines that were interrupted by a pause ` +
					`or are longer than ${PART_BYTES_MAX / 1024} KiB`,
			binary === 0 ? '' : `${counted(binary, 'line')} recorded as bytes because of invalid UTF-8`,
			cutJoins === 0 ? '' : `${counted(cutJoins, 'joined line')} cut at the size limit`,
			unterminated === 0 ? '' : 'the last line has no newline',
		].filter(Boolean)
		return `${counted(lines, 'line')} recorded${odd.length === 0 ? '' : `; ${odd.join('; ')}`}`
	}

	/**
	 * Waits while writes to the disk fail, so that pending lines do not accumulate in memory. The appender
	 * emits the warning on stderr.
	 *
	 * @throws {MeshChainError} If a line is lost for good, for example because another writer took the chain
	 * over.
	 */
	async #flush(interrupted: AbortSignal): Promise<boolean> {
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!interrupted.aborted) {
			const failure = await this.#write(interrupted)
			const { lost } = this.#loop.stats().appender
			if (Object.values(lost).some((count) => count > 0))
				throw failure ?? new MeshChainError('WRITE_FAILED', 'a line of the other stream cannot be written')
			if (failure === undefined) return true
			await wait(backoff.next(), interrupted)
		}
		return false
	}

	async #write(interrupted: AbortSignal): Promise<unknown> {
		try {
			if (this.#options.durability === 'disk') await this.#loop.sync()
			else this.#loop.flush()
			await this.#options.pace.keep(interrupted)
			return undefined
		} catch (error) {
			return error
		}
	}

	#publish(line: ByteLine): void {
		if (line.part <= 1) this.#counts.lines++
		if (line.part > 0) this.#counts.parts++
		if (line.end === '' && line.isLast) this.#counts.unterminated++
		this.#loop.publish({ ...this.#defaults, ...this.#lineOf(line) })
	}

	#lineOf(given: ByteLine): LogLine {
		const line = this.#lines.lineOf(given)
		const { stream } = this.#options
		// A field `stream` of the line itself takes precedence.
		return stream === undefined ? line : { ...line, data: { stream, ...(line.data as object | undefined) } }
	}
}
