/** `mesh-chain record`: what a program prints becomes a chain while it passes through. */

import { FileChainAppender } from '../chain/write/file-chain-appender.ts'
import { isWellFormed } from '../codec/canonical.ts'
import { lineOfJson } from '../jsonl/json-line.ts'
import { type ByteLine, LineSplitter } from '../jsonl/line-splitter.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../limits.ts'
import { checkLine } from '../line-check.ts'
import { MeshLoop } from '../loop/mesh-loop.ts'
import { type LogLine, parseLevel } from '../record.ts'
import { type Command, type Invocation, usage } from './command.ts'
import { escapeControls } from './escape.ts'
import { count } from './numbers.ts'
import { chainNamed } from './targets.ts'
import { Output, STATUS, type Terminal } from './terminal.ts'

/** A longer line becomes several records. */
const PART_BYTES_MAX = 64 * 1024
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
			throw usage(`record reads a program's output: node app.js | mesh-chain record ${escapeControls(file)}`)
		}
		const recorder = new LineRecorder(openLoop(chainNamed(file)), defaults)
		// A Ctrl-C reaches the whole pipeline: the program's last words still have to come.
		const interrupted = terminal.interrupted({ sigintsPassed: 1 })
		let isRead = true
		try {
			isRead = await recordAll(recorder, terminal, invocation.flag('quiet'), interrupted)
		} finally {
			await recorder.close()
		}
		if (isRead && (terminal.stderrIsTerminal || recorder.isOdd)) {
			terminal.stderr.write(`mesh-chain: ${escapeControls(file)}: ${recorder.summary()}\n`)
		}
		return STATUS.fine
	},
}

function openLoop(file: string): MeshLoop {
	return new MeshLoop(new FileChainAppender(file), { ringBytesMax: RING_BYTES_MAX })
}

/** False when it ended because nobody reads what is passed on. */
async function recordAll(
	recorder: LineRecorder,
	{ stdin, stdout }: Terminal,
	quiet: boolean,
	interrupted: AbortSignal,
): Promise<boolean> {
	const output = new Output(stdout)
	const stop = () => stdin.destroy()
	interrupted.addEventListener('abort', stop)
	try {
		for await (const chunk of stdin) {
			await recorder.take(chunk as Buffer, interrupted)
			if (!quiet) await output.write(chunk as Buffer)
			if (output.isClosed) return false
		}
	} catch (error) {
		// Destroyed by us: whatever was read is recorded.
		if (!interrupted.aborted) throw error
	} finally {
		interrupted.removeEventListener('abort', stop)
	}
	return true
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

/** Bytes to records. Each line is with the operating system when {@link take} resolves for its last byte. */
class LineRecorder {
	readonly #loop: MeshLoop
	readonly #defaults: LogLine
	readonly #splitter = new LineSplitter(PART_BYTES_MAX)
	readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
	readonly #counts = { lines: 0, parts: 0, binary: 0, unterminated: 0 }

	constructor(loop: MeshLoop, defaults: LogLine) {
		this.#loop = loop
		this.#defaults = defaults
	}

	/** Something in the input that the user may want to know of. */
	get isOdd(): boolean {
		const { parts, binary, unterminated } = this.#counts
		return parts + binary + unterminated > 0
	}

	async take(bytes: Buffer, interrupted: AbortSignal): Promise<void> {
		let unflushed = 0
		for (const line of this.#splitter.push(bytes)) {
			this.#publish(line)
			if (++unflushed === LINES_PER_FLUSH) {
				await this.#flush(interrupted)
				unflushed = 0
			}
		}
		await this.#flush(interrupted)
	}

	/** @throws {MeshChainError} when something could not be written. */
	async close(): Promise<void> {
		for (const line of this.#splitter.end()) this.#publish(line)
		await this.#loop.close()
	}

	summary(): string {
		const { lines, parts, binary, unterminated } = this.#counts
		const odd = [
			parts === 0 ? '' : `${count(parts)} parts of lines above ${PART_BYTES_MAX / 1024} KiB`,
			binary === 0 ? '' : `${count(binary)} not UTF-8, kept as bytes`,
			unterminated === 0 ? '' : 'the last one without a newline',
		].filter(Boolean)
		return `${count(lines)} lines recorded${odd.length === 0 ? '' : `; ${odd.join('; ')}`}`
	}

	/** Waits for a disk that fails rather than read what it could not keep; the chain itself says on stderr what is wrong. */
	async #flush(interrupted: AbortSignal): Promise<void> {
		for (let waitMs = RETRY_MS_MIN; !interrupted.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
			try {
				this.#loop.flush()
				return
			} catch {
				await new Promise((resolve) => setTimeout(resolve, waitMs))
			}
		}
	}

	#publish(line: ByteLine): void {
		if (line.isLast) this.#counts.lines++
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
