/**
 * Writes the records of a loop to stdout, stderr or a stream, for people or for programs. Nothing here
 * waits for the reader of the stream: lines wait in a bounded queue, with one write in flight.
 */
import type { Durability, LogChainAppender } from '../appender.ts'
import { recordToJson } from '../codec/json-dialect.ts'
import { pinoLine } from '../codec/pino-line.ts'
import { follow, within } from '../guard/promises.ts'
import { attempt, codeOf } from '../guard/values.ts'
import { type ErrorCode, LogAppendError, messageOf } from '../model/errors.ts'
import { rankOf, rankOfRecord } from '../model/level.ts'
import { RETRY_MS_MAX, RETRY_MS_MIN } from '../model/limits.ts'
import { type GapCause, type GapData, gapRecord, isGap, type LogRecord } from '../model/record.ts'
import { report, warn } from '../platform/diagnostics.ts'
import { isExiting, onExit } from '../platform/exit-hook.ts'
import { isMomentary } from '../platform/file-system.ts'
import { type Output, openOutput } from '../platform/output-descriptor.ts'
import { RetrySchedule } from '../platform/retry-schedule.ts'
import { painter, wantsColor } from '../pretty/paint.ts'
import { prettyRecord } from '../pretty/pretty-record.ts'
import { counted } from '../text/numbers.ts'
import { type ConsoleOptions, type ResolvedConsoleOptions, resolveConsoleOptions } from './console-options.ts'
import { LineQueue, widened } from './line-queue.ts'
import { StreamOutput } from './stream-output.ts'

/** Number of waiting bytes at which lines are written before the end of the turn. */
const WRITE_BYTES_TARGET = 64 * 1024
/** Delays before a full pipe is tried again. */
const FULL_MS_MIN = 1
const FULL_MS_MAX = 50
/** Time that the exit of the process waits for a reader that accepts nothing, and in total. */
const EXIT_STALL_MS = 500
const EXIT_MS_MAX = 2_000
/** Time allowed for `close` to settle after its own time limit. */
const CLOSE_MARGIN_MS = 500
const RANK_ALWAYS_WRITTEN = rankOf('error')
/** Errors after which the stream never accepts anything again. */
const GONE: readonly string[] = [
	...['EPIPE', 'ECONNRESET', 'ENOTCONN', 'ESHUTDOWN', 'EBADF', 'EIO', 'ENXIO', 'EINVAL'],
	...['ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END', 'ERR_STREAM_PREMATURE_CLOSE'],
]

/** Records that a `ConsoleAppender` did not write, by cause. */
export interface ConsoleLosses {
	/** Dropped because the queue was full: the reader of the stream was too slow. */
	readonly overflow: number
	/** Not written because the reader had closed the stream, or the stream had failed for good. */
	readonly closed: number
	/** Still waiting when `close` ended its wait for the reader. */
	readonly atClose: number
}

/** Counters of a {@link ConsoleAppender}, and its current state. */
export interface ConsoleStats {
	/** Number of records whose lines the operating system or the stream has accepted completely. */
	readonly written: number
	/** Number of records below `level`. */
	readonly belowLevel: number
	/** Number of records whose lines are waiting. */
	readonly queued: number
	/** Number of bytes that are waiting, at most `queueBytesMax`. */
	readonly queuedBytes: number
	readonly lost: ConsoleLosses
	/** Whether the stream was closed by its reader or has failed for good. */
	readonly isClosed: boolean
	/** Number of failed writes, not counting writes to a full pipe. */
	readonly failures: number
	/** Message of the latest error of a write; undefined if there was none. */
	readonly lastError: string | undefined
}

/**
 * Writes records to stdout, stderr or a stream: on a terminal in the form of `mesh-chain dump`, with
 * colours, and otherwise as JSON Lines. Use it alone, or beside a file as a child of a `TeeAppender`.
 *
 * Publishing never waits for the reader of the stream. Lines wait in a queue of at most `queueBytesMax`
 * bytes and are written at the end of the turn; errors are written immediately. If the queue is full, the
 * oldest lines are dropped, and a `$gap` with the cause `overflow` takes their place in the output. If the
 * reader closes the stream (`EPIPE`), nothing more is written. The service continues in both cases.
 * `stats().lost` counts every record that was not written, and the first loss with each cause emits a
 * process warning.
 *
 * A pipe or a terminal is opened a second time, so that the flags that other processes share do not change.
 * `process.stdout` is never opened. Lines that the application prints itself are not mixed into a line of
 * this appender, but their order relative to the records is not defined.
 *
 * The durability is `none`: a record is committed as soon as it is accepted. `flush` writes as much as the
 * reader accepts at once. It never waits and never throws, because a slow reader must not delay the commits
 * of another child. `close` waits at most `closeTimeoutMs` for the reader. The exit of the process waits
 * until the reader has accepted nothing for 500 ms, and at most 2 seconds in total.
 *
 * @example
 * ```ts
 * import { ConsoleAppender, FileChainAppender, MeshLoop, TeeAppender } from 'mesh-chain'
 *
 * const terminal = new ConsoleAppender({ level: 'info' })
 * const loop = new MeshLoop(new TeeAppender(new FileChainAppender('node.chain'), terminal))
 * loop.info('listening', { port: 8080 })
 * await loop.close()
 * terminal.stats().lost.overflow // 0
 * ```
 */
export class ConsoleAppender implements LogChainAppender {
	readonly durability: Durability = 'none'
	readonly closeSyncs = true
	/** Maximum duration of {@link close}, in milliseconds. */
	readonly closeTimeoutMs: number
	readonly #options: ResolvedConsoleOptions
	readonly #name: string
	readonly #output: Output
	readonly #format: (record: LogRecord) => string
	readonly #queue: LineQueue
	readonly #forgetExit: () => void
	readonly #whenNotFull = new RetrySchedule(() => this.#pump(), FULL_MS_MIN, FULL_MS_MAX)
	readonly #afterFailure = new RetrySchedule(() => this.#pump(), RETRY_MS_MIN, RETRY_MS_MAX)
	readonly #lost = { overflow: 0, closed: 0, atClose: 0 }
	readonly #counts = { written: 0, belowLevel: 0, failures: 0 }
	readonly #said = new Set<string>()
	#isWriting = false
	/** Whether the stream has refused the last write, so that the next attempt waits. */
	#isStalled = false
	#turnScheduled = false
	/** Whether nothing more is written. */
	#isGone = false
	#isClosedByReader = false
	#isExitHandled = false
	#lastError: string | undefined
	#onEmpty: (() => void) | undefined
	#closing: Promise<void> | undefined

	/** @throws {MeshChainError} `INVALID_OPTION` or `INVALID_LEVEL` */
	constructor(options: ConsoleOptions = {}) {
		this.#options = resolveConsoleOptions(options)
		const { stream, queueBytesMax, closeTimeoutMs, fs } = this.#options
		this.closeTimeoutMs = closeTimeoutMs + CLOSE_MARGIN_MS
		this.#name = typeof stream === 'string' ? stream : 'the stream'
		this.#output =
			typeof stream === 'string' ? openOutput(stream === 'stdout' ? 1 : 2, fs) : new StreamOutput(stream)
		this.#format = formatFor(this.#options, this.#output.isTerminal)
		this.#queue = new LineQueue(queueBytesMax, (gap, at) => this.#format(gapRecord(gap, at)))
		this.#forgetExit = onExit('chain', () => this.#writeOnExit())
	}

	/**
	 * Adds a record to the queue, or counts it as lost. Never waits.
	 *
	 * @throws {LogAppendError} `APPENDER_CLOSED` after {@link close}, or `APPEND_FAILED` for a record that
	 * cannot be formatted. Neither error is retryable.
	 */
	append(record: LogRecord): void {
		if (this.#closing !== undefined) throw this.#refusal('the appender is closed', record, 'APPENDER_CLOSED')
		const rank = rankOfRecord(record)
		if (rank < this.#options.level && !isGap(record)) {
			this.#counts.belowLevel += 1
			return
		}
		if (this.#isGone) {
			this.#lose('closed', [record])
			return
		}
		this.#lose('overflow', this.#queue.push(record, this.#lineOf(record)))
		if (isExiting()) this.#writeLate()
		else if (this.#isStalled || this.#isWriting) return
		else if (this.#output.isImmediate && (rank >= RANK_ALWAYS_WRITTEN || this.#isWriteDue)) this.#pump()
		else this.#pumpAtTurnEnd()
	}

	/** Writes as many waiting lines as the reader accepts at once. Never waits and never throws. */
	flush(): void {
		this.#pump()
	}

	/** Does the same as {@link flush}. Does not wait for the reader. */
	async sync(): Promise<void> {
		this.#pump()
	}

	/**
	 * Writes the waiting lines, and waits at most `closeTimeoutMs` for the reader. Lines that are still
	 * waiting are then counted as lost, and a process warning states their number. Resolves in all cases. The
	 * stream itself is not closed. Idempotent.
	 */
	close(): Promise<void> {
		this.#closing ??= this.#close()
		return this.#closing
	}

	/** Returns the counters and the current state. */
	stats(): ConsoleStats {
		return Object.freeze({
			...this.#counts,
			queued: this.#queue.count,
			queuedBytes: this.#queue.bytes,
			lost: Object.freeze({ ...this.#lost }),
			isClosed: this.#isClosedByReader,
			lastError: this.#lastError,
		})
	}

	get #isWriteDue(): boolean {
		return this.#queue.bytes >= WRITE_BYTES_TARGET
	}

	#pumpAtTurnEnd(): void {
		if (this.#turnScheduled) return
		this.#turnScheduled = true
		setImmediate(() => {
			this.#turnScheduled = false
			this.#pump()
		})
	}

	/** Writes waiting lines until the queue is empty, the stream refuses them or a write is in flight. */
	#pump(): void {
		// The result of an asynchronous write would never arrive.
		if (isExiting() && !this.#output.isImmediate) return
		while (!this.#isWriting && !this.#isGone) {
			const chunk = this.#queue.next()
			if (chunk === undefined) break
			let result: unknown
			try {
				result = this.#output.write(chunk.bytes, chunk.offset)
			} catch (error) {
				this.#failed(error)
				return
			}
			if (typeof result === 'number') this.#wrote(result)
			else this.#await(result)
			if (this.#isStalled) return
		}
		if (this.#queue.isEmpty) this.#onEmpty?.()
	}

	#await(result: unknown): void {
		this.#isWriting = true
		const ended = () => {
			this.#isWriting = false
			if (this.#isGone) this.#forgetExit()
		}
		follow(
			result,
			(count) => {
				ended()
				this.#wrote(count as number)
				this.#pump()
			},
			(error) => {
				ended()
				this.#failed(error)
			},
		)
	}

	#wrote(count: number): void {
		this.#isStalled = count === 0
		this.#counts.written += this.#queue.wrote(count)
		if (this.#isStalled) {
			this.#whenNotFull.start()
			return
		}
		this.#whenNotFull.reset()
		this.#afterFailure.reset()
	}

	#failed(error: unknown): void {
		if (this.#isGone) return
		this.#isStalled = true
		if (attempt(() => isMomentary(error), false)) {
			this.#whenNotFull.start()
			return
		}
		this.#counts.failures += 1
		this.#lastError = messageOf(error)
		if (GONE.includes(codeOf(error) ?? '')) this.#end()
		else {
			this.#sayOnce('failing', 'APPENDER_FAILING', `cannot be written: ${this.#lastError}; lines wait`)
			this.#afterFailure.start()
		}
	}

	/** Stops writing, because the stream never accepts anything again. */
	#end(): void {
		this.#isGone = true
		this.#isClosedByReader = true
		this.#release()
		this.#lose('closed', this.#queue.clear())
		const text = `was closed by its reader (${this.#lastError}); no further records are written to it`
		this.#sayOnce('closed', 'CONSOLE_CLOSED', `${text}, and the service continues`)
		this.#onEmpty?.()
	}

	async #close(): Promise<void> {
		const empty = new Promise<void>((resolve) => {
			this.#onEmpty = resolve
		})
		this.#pump()
		await within(empty, this.#options.closeTimeoutMs)
		this.#isGone = true
		this.#lose('atClose', this.#queue.clear())
		this.#release()
	}

	#release(): void {
		this.#whenNotFull.reset()
		this.#afterFailure.reset()
		// A write that is still in flight must not prevent the exit of the process.
		if (!this.#isWriting) this.#forgetExit()
		this.#output.close()
	}

	/** Writes a record that was published after the exit handler ran. */
	#writeLate(): void {
		if (this.#isExitHandled) this.#writeOnExit()
	}

	/** Writes the waiting lines while the process exits. The wait for the reader is bounded. */
	#writeOnExit(): void {
		this.#isExitHandled = true
		const limits = { stallMs: EXIT_STALL_MS, untilMs: performance.now() + EXIT_MS_MAX }
		if (this.#isWriting) {
			this.#queue.wrote(Number.POSITIVE_INFINITY)
			this.#output.writeOnExit(new Uint8Array(), limits)
		}
		if (this.#isGone) return
		for (let chunk = this.#queue.next(); ; chunk = this.#queue.next()) {
			if (chunk === undefined) return
			const rest = chunk.bytes.subarray(chunk.offset)
			const count = this.#output.writeOnExit(rest, limits)
			this.#counts.written += this.#queue.wrote(count)
			if (count < rest.length) break
		}
		this.#lose('atClose', this.#queue.clear())
	}

	/** Counts records as lost. The first loss with each cause emits a warning. */
	#lose(cause: keyof ConsoleLosses, records: readonly LogRecord[]): void {
		let gap: GapData | undefined
		let count = 0
		for (const record of records) {
			gap = widened(gap, record)
			if (!isGap(record)) count += 1
		}
		if (gap === undefined) return
		this.#lost[cause] += count
		report('gap', { source: this, gap: { ...gap, cause: GAP_CAUSES[cause] } })
		if (cause === 'closed' || count === 0) return
		const text =
			cause === 'overflow'
				? `is read too slowly: records starting at seq ${gap.fromSeq} are dropped; losses are only counted`
				: `did not accept ${counted(count, 'record')} within ${this.#options.closeTimeoutMs} ms at close`
		this.#sayOnce(cause, 'RECORDS_LOST', text)
	}

	#sayOnce(what: string, code: string, text: string): void {
		if (this.#said.has(what)) return
		this.#said.add(what)
		warn(code, `ConsoleAppender: ${this.#name} ${text}`)
	}

	#lineOf(record: LogRecord): string {
		try {
			return this.#format(record)
		} catch (error) {
			throw this.#refusal(
				`the record cannot be formatted: ${messageOf(error)}`,
				record,
				'APPEND_FAILED',
				error,
			)
		}
	}

	#refusal(text: string, { seq }: LogRecord, code: ErrorCode, cause?: unknown): LogAppendError {
		return new LogAppendError(text, { code, retryable: false, seq, cause })
	}
}

const GAP_CAUSES: Readonly<Record<keyof ConsoleLosses, GapCause>> = {
	overflow: 'overflow',
	closed: 'appendFailed',
	atClose: 'appendFailed',
}

/** Returns the function that formats a record as one or more lines. */
function formatFor(options: ResolvedConsoleOptions, isTerminal: boolean): (record: LogRecord) => string {
	const { pretty = isTerminal, format, color = wantsColor(process.env, isTerminal) } = options
	if (pretty) {
		const paint = painter(color)
		return (record) => String(prettyRecord(record, paint))
	}
	return format === 'pino' ? (record) => `${pinoLine(record)}\n` : (record) => `${recordToJson(record)}\n`
}
