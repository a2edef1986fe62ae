/** `mesh-chain record`: what a program prints becomes a chain while it passes through. */

import type { Readable } from 'node:stream'
import { FileChainAppender } from '../chain/index.ts'
import { isWellFormed } from '../codec/canonical.ts'
import { lineOfJson } from '../jsonl/json-line.ts'
import { type ByteLine, LineSplitter } from '../jsonl/line-splitter.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { checkLine } from '../model/line-check.ts'
import { type LogLine, parseLevel } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { wait } from '../platform/wait.ts'
import { shellWord } from '../text/shell-word.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { count } from './numbers.ts'
import { printed } from './printable.ts'
import { chainNamed } from './targets.ts'
import { type Output, STATUS } from './terminal.ts'

/** A longer line becomes several records. */
const PART_BYTES_MAX = 64 * 1024
/** A line that has not ended is passed on, and recorded as a part, when nothing came for so long: it may be a prompt. */
const SILENCE_MS = 100
/** No more lines wait in the loop than its ring holds. */
const LINES_PER_FLUSH = 1_000
/** Nobody looks into this loop's ring: it need not hold two thousand parts. */
const RING_BYTES_MAX = 1024 * 1024

export const record: Command = {
	name: 'record',
	summary: 'record what a program prints, and pass it on',
	usage: 'FILE [options]',
	examples: [
		['node app.js | mesh-chain record node.chain', 'the output passes through, each line becomes a record'],
		['node app.js 2>&1 | mesh-chain record node.chain -q', 'stderr too, and nothing on the terminal'],
		[
			'node app.js | mesh-chain record node.chain | pino-pretty',
			'pino and JSON lines keep level, time and fields',
		],
	],
	options: [
		{ long: 'quiet', short: 'q', help: 'do not pass the output on' },
		{ long: 'level', short: 'l', value: 'LEVEL', help: 'level of lines that name none: info unless told' },
		{ long: 'kind', short: 'k', value: 'KIND', help: 'kind of lines that name none' },
		{ long: 'daemon', value: 'ID', help: 'daemon of lines that name none' },
		{ long: 'node', value: 'ID', help: 'node of lines that name none' },
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const defaults = defaultsOf(invocation)
		if (terminal.stdinIsTerminal) {
			throw usage(`record reads a program's output: node app.js | mesh-chain record ${shellWord(file)}`)
		}
		const recorder = new LineRecorder(openLoop(chainNamed(file)), defaults)
		// A Ctrl-C reaches the whole pipeline: the program's last words still have to come.
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
		return STATUS.fine
	},
}

function openLoop(file: string): MeshLoop {
	return new MeshLoop(new FileChainAppender(file), { ringBytesMax: RING_BYTES_MAX })
}

/** Passes on what is in the chain. False when it ended because nobody reads that. */
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
			// Nobody waits for a line that is not passed on.
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
		// Destroyed by us: whatever was read is recorded.
		if (!interrupted.aborted) throw error
	} finally {
		interrupted.removeEventListener('abort', stop)
		await chunks.return?.()
	}
	return true
}

/** Undefined after a while in which nothing came. */
async function orSilence<T>(next: Promise<T>): Promise<T | undefined> {
	let timer: NodeJS.Timeout | undefined
	const silence = new Promise<undefined>((resolve) => {
		timer = setTimeout(() => resolve(undefined), SILENCE_MS)
	})
	return Promise.race([next, silence]).finally(() => clearTimeout(timer))
}

function defaultsOf(invocation: Invocation): LogLine {
	const level = invocation.text('level')
	const kind = invocation.text('kind')
	const daemonId = invocation.text('daemon')
	const nodeId = invocation.text('node')
	const defaults: LogLine = {
		...(level === undefined ? {} : { level: parseLevel(level) }),
		...(kind === undefined ? {} : { kind }),
		...(daemonId === undefined ? {} : { daemonId }),
		...(nodeId === undefined ? {} : { nodeId }),
	}
	checkLine(defaults, false)
	return defaults
}

/** Bytes to records. {@link takeRecorded} gives the bytes back once the records made of them are with the operating system. */
class LineRecorder {
	readonly #loop: MeshLoop
	readonly #defaults: LogLine
	readonly #splitter = new LineSplitter(PART_BYTES_MAX)
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #counts = { lines: 0, parts: 0, binary: 0, unterminated: 0 }
	/** Bytes that were not given back yet, some of which are in no record yet. */
	#received: Buffer[] = []
	#recordedBytes = 0

	constructor(loop: MeshLoop, defaults: LogLine) {
		this.#loop = loop
		this.#defaults = defaults
	}

	/** Something in the input that the user may want to know of. */
	get isOdd(): boolean {
		const { parts, binary, unterminated } = this.#counts
		return parts + binary + unterminated > 0
	}

	/** The input stands within a line that may be for a person, such as a prompt: a line of JSON is none. */
	get isWithinLine(): boolean {
		return this.#splitter.pendingBytes > 0 && !this.#splitter.pendingIsJson
	}

	async take(bytes: Buffer, interrupted: AbortSignal): Promise<void> {
		this.#received.push(bytes)
		await this.#publishAll(this.#splitter.push(bytes), interrupted)
	}

	/** Records what there is of a line, as a part of it. */
	async cutLine(interrupted: AbortSignal): Promise<void> {
		await this.#publishAll(this.#splitter.cut(), interrupted)
	}

	/** Bytes that are in the chain, in order, each once. */
	takeRecorded(): Buffer {
		const bytes = Buffer.concat(this.#received)
		const recorded = bytes.subarray(0, this.#recordedBytes)
		this.#received = [bytes.subarray(this.#recordedBytes)]
		this.#recordedBytes = 0
		return recorded
	}

	/** @throws {MeshChainError} when something could not be written. */
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
				: `${count(parts)} parts of lines that paused, or are above ${PART_BYTES_MAX / 1024} KiB`,
			binary === 0 ? '' : `${count(binary)} not UTF-8, kept as bytes`,
			unterminated === 0 ? '' : 'the last one without a newline',
		].filter(Boolean)
		return `${count(lines)} lines recorded${odd.length === 0 ? '' : `; ${odd.join('; ')}`}`
	}

	/** Waits for a disk that fails rather than read what it could not keep; the chain itself says on stderr what is wrong. */
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
