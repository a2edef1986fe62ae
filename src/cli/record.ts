/**
 * Implements `mesh-chain record`, which records the output of a program in a chain and passes the output on.
 */
import type { Readable } from 'node:stream'
import { FileChainAppender } from '../chain/index.ts'
import { lineOfJson } from '../jsonl/json-line.ts'
import { type ByteLine, LineSplitter } from '../jsonl/line-splitter.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { type LineLevel, parseLevel } from '../model/level.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { checkLine } from '../model/line-check.ts'
import type { LogLine } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import { counted } from '../text/numbers.ts'
import { shellWord } from '../text/shell-word.ts'
import { isWellFormed } from '../text/well-formed.ts'
import { chainPath } from './chain-path.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { STATUS, statusTexts } from './exit-status.ts'
import { printed } from './printable.ts'
import type { Output } from './terminal.ts'

/** Fields of lines that do not set them. */
type Defaults = Omit<LogLine, 'level'> & { readonly level?: LineLevel | undefined }

/** Maximum number of bytes from a line that one record stores. */
const PART_BYTES_MAX = 64 * 1024
/** Silence after which an incomplete line is recorded as a part and passed on, because it may be a prompt. */
const SILENCE_MS = 100
/** Number of lines between two flushes. The ring of the loop must be able to hold that many lines. */
const LINES_PER_FLUSH = 1_000
/** Nothing reads the ring of this loop, so it can be small. */
const RING_BYTES_MAX = 1024 * 1024

export const record: Command = {
	name: 'record',
	summary: 'record the output of a program, and pass it on',
	usage: 'FILE [options]',
	examples: [
		['node app.js | mesh-chain record node.chain', 'records each line of the output and also prints it'],
		['node app.js 2>&1 | mesh-chain record node.chain -q', 'also records stderr, and prints nothing'],
		[
			'node app.js | mesh-chain record node.chain | pino-pretty',
			'records pino log lines with their level, time and fields, and formats them for the terminal',
		],
	],
	options: [
		{ long: 'quiet', short: 'q', help: 'print nothing' },
		{ long: 'level', value: 'LEVEL', defaultText: 'info', help: 'level for lines without a level' },
		{ long: 'kind', value: 'KIND', defaultText: 'log', help: 'kind for lines without a kind' },
		{ long: 'daemon', value: 'ID', help: 'daemon ID for lines without a daemon ID' },
		{ long: 'node', value: 'ID', help: 'node ID for lines without a node ID' },
	],
	statuses: statusTexts({
		ok: 'all input was recorded, even if a signal ended the recording',
		failed: 'writing to the chain or to stdout failed',
	}),
	async run(invocation, terminal) {
		const { file } = invocation
		const defaults = defaultsOf(invocation)
		if (terminal.stdinIsTerminal) {
			throw usage(
				'stdin is a terminal: pipe the output of a program into record, as in ' +
					`node app.js | mesh-chain record ${shellWord(file)}`,
			)
		}
		const recorder = new LineRecorder(openLoop(chainPath(file)), defaults)
		// Ctrl-C reaches every process in the pipeline, so the program may still print its last lines.
		const interrupted = terminal.interrupted({ sigintsPassed: 1 })
		const passing = invocation.flag('quiet') ? undefined : terminal.stdout
		let isRead = true
		try {
			isRead = await recordAll(recorder, terminal.stdin, passing, interrupted)
		} finally {
			await recorder.close()
		}
		await passing?.pass(recorder.takeRecorded())
		if (isRead && (terminal.stderrIsTerminal || recorder.isOdd)) {
			terminal.stderr.write(printed`mesh-chain: ${file}: ${recorder.summary()}\n`)
		}
		return STATUS.ok
	},
}

function openLoop(file: string): MeshLoop {
	return new MeshLoop(new FileChainAppender(file), { ringBytesMax: RING_BYTES_MAX })
}

/** Records the input, and passes on the recorded lines. Resolves to false if the reader has closed stdout. */
async function recordAll(
	recorder: LineRecorder,
	stdin: Readable,
	passing: Output | undefined,
	interrupted: AbortSignal,
): Promise<boolean> {
	const stop = () => stdin.destroy()
	interrupted.addEventListener('abort', stop)
	const chunks = stdin[Symbol.asyncIterator]()
	try {
		for (;;) {
			const next = chunks.next()
			// An incomplete line can be a prompt only if it is passed on to a user.
			const isWaiting = passing !== undefined && recorder.isWithinLine
			let step = isWaiting ? await orSilence(next) : await next
			if (step === undefined) {
				await recorder.cutLine(interrupted)
				await passing?.pass(recorder.takeRecorded())
				step = await next
			}
			if (step.done) return true
			await recorder.take(step.value as Buffer, interrupted)
			await passing?.pass(recorder.takeRecorded())
			if (passing?.isClosed) return false
		}
	} catch (error) {
		// The interruption destroyed stdin. All input that was read before the interruption is recorded.
		if (!interrupted.aborted) throw error
	} finally {
		interrupted.removeEventListener('abort', stop)
		await chunks.return?.()
	}
	return true
}

/** Resolves to undefined if nothing arrives within `SILENCE_MS`. */
async function orSilence<T>(next: Promise<T>): Promise<T | undefined> {
	let timer: NodeJS.Timeout | undefined
	const silence = new Promise<undefined>((resolve) => {
		timer = setTimeout(() => resolve(undefined), SILENCE_MS)
	})
	return Promise.race([next, silence]).finally(() => clearTimeout(timer))
}

function defaultsOf(invocation: Invocation): Defaults {
	const level = invocation.text('level')
	const kind = invocation.text('kind')
	const daemonId = invocation.text('daemon')
	const nodeId = invocation.text('node')
	const defaults: Defaults = {
		...(level === undefined ? {} : { level: parseLevel(level) }),
		...(kind === undefined ? {} : { kind }),
		...(daemonId === undefined ? {} : { daemonId }),
		...(nodeId === undefined ? {} : { nodeId }),
	}
	checkLine(defaults, false)
	return defaults
}

/**
 * Converts bytes to records. {@link takeRecorded} returns the bytes whose records have been handed to the
 * operating system.
 */
class LineRecorder {
	readonly #loop: MeshLoop
	readonly #defaults: Defaults
	readonly #splitter = new LineSplitter(PART_BYTES_MAX)
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #counts = { lines: 0, parts: 0, binary: 0, unterminated: 0 }
	/** Bytes that {@link takeRecorded} has not returned yet. Some of them may not be in a record yet. */
	#received: Buffer[] = []
	#recordedBytes = 0

	constructor(loop: MeshLoop, defaults: Defaults) {
		this.#loop = loop
		this.#defaults = defaults
	}

	/**
	 * Whether the input contained partial lines, bytes that are not UTF-8, or a last line without a newline.
	 */
	get isOdd(): boolean {
		const { parts, binary, unterminated } = this.#counts
		return parts + binary + unterminated > 0
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

	/** Records the incomplete line as a part. */
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

	/**
	 * Closes the chain.
	 *
	 * @throws {MeshChainError} If part of the input could not be written.
	 */
	async close(): Promise<void> {
		for (const line of this.#splitter.end()) this.#publish(line)
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
			if (++unflushed === LINES_PER_FLUSH) {
				await this.#flush(interrupted)
				unflushed = 0
			}
		}
		if (await this.#flush(interrupted))
			this.#recordedBytes = this.#receivedBytes - this.#splitter.pendingBytes
	}

	summary(): string {
		const { lines, parts, binary, unterminated } = this.#counts
		const odd = [
			parts === 0
				? ''
				: `${counted(parts, 'part')} of lines that were interrupted by a pause ` +
					`or are longer than ${PART_BYTES_MAX / 1024} KiB`,
			binary === 0 ? '' : `${counted(binary, 'line')} recorded as bytes because of invalid UTF-8`,
			unterminated === 0 ? '' : 'the last line has no newline',
		].filter(Boolean)
		return `${counted(lines, 'line')} recorded${odd.length === 0 ? '' : `; ${odd.join('; ')}`}`
	}

	/**
	 * Waits while writes to the disk fail, so that pending lines do not accumulate in memory. The appender
	 * emits the warning on stderr.
	 */
	async #flush(interrupted: AbortSignal): Promise<boolean> {
		const backoff = new Backoff(RETRY_MS_MIN, RETRY_MS_MAX)
		while (!interrupted.aborted) {
			try {
				this.#loop.flush()
				return true
			} catch {
				await wait(backoff.next(), interrupted)
			}
		}
		return false
	}

	#publish(line: ByteLine): void {
		if (line.part <= 1) this.#counts.lines++
		if (line.part > 0) this.#counts.parts++
		if (line.end === '' && line.isLast) this.#counts.unterminated++
		this.#loop.publish({ ...this.#defaults, ...this.#lineOf(line) })
	}

	#lineOf(line: ByteLine): LogLine {
		const text = this.#textOf(line.bytes)
		const notes: Record<string, unknown> = {}
		if (line.part > 0) notes['part'] = line.part
		if (line.part > 0 && line.isLast) notes['last'] = true
		if (line.end === '\r\n') notes['eol'] = '\r\n'
		if (line.end === '' && line.isLast) notes['unterminated'] = true
		if (text === undefined) {
			this.#counts.binary++
			return { message: line.bytes.toString(), data: { ...notes, bytes: line.bytes } }
		}
		const json = line.part === 0 ? lineOfJson(text) : undefined
		const noted = Object.keys(notes).length > 0
		if (json === undefined) return noted ? { message: text, data: notes } : { message: text }
		return noted ? { ...json, data: { ...(json.data as object | undefined), ...notes } } : json
	}

	#textOf(bytes: Buffer): string | undefined {
		try {
			const text = this.#utf8.decode(bytes)
			return isWellFormed(text) ? text : undefined
		} catch {
			return undefined
		}
	}
}
