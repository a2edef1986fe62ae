/**
 * Defines everything that a command can access outside its own code: stdin, stdout, stderr, the environment
 * and the time. Output respects back-pressure, and stops silently if its reader closes it. Text must be a
 * {@link Printable}; the compiler rejects anything else.
 */
import type { Readable, Writable } from 'node:stream'
import { MeshChainError, messageOf } from '../model/errors.ts'
import type { LogRecord } from '../model/record.ts'
import { systemCode } from '../platform/file-system.ts'
import { type Paint, painter, wantsColor } from '../pretty/paint.ts'
import type { ReplayTarget } from '../replay/target.ts'
import { StreamTarget } from '../replay/targets/stream-target.ts'
import type { Printable } from './printable.ts'

/** The environment of the program as Node provides it. Commands receive it as a {@link Terminal}. */
export interface Surroundings {
	readonly stdin: Readable
	readonly stdinIsTerminal: boolean
	readonly stdout: Writable
	readonly stderr: Writable
	readonly stdoutIsTerminal: boolean
	readonly stderrIsTerminal: boolean
	readonly env: Readonly<Record<string, string | undefined>>
	readonly now: () => number
	/**
	 * Starts handling interruptions. The first SIGINT, SIGTERM or SIGHUP aborts the returned signal, and the
	 * next one ends the process. The reason for the abort is an `Interruption`.
	 */
	readonly interrupted: () => AbortSignal
	/**
	 * Calls `receive` for each of these signals that the process receives, instead of their default effect.
	 * Returns a function that restores the default effect.
	 */
	readonly onSignals: (
		signals: readonly NodeJS.Signals[],
		receive: (signal: NodeJS.Signals) => void,
	) => () => void
}

/** The environment of a command. */
export interface Terminal extends Omit<Surroundings, 'stdout' | 'stderr'> {
	readonly stdout: Output
	readonly stderr: Messages
	/** Stderr as an output for bytes of another program. */
	readonly stderrOutput: Output
}

/** Creates the terminal for a command from the environment of the program. */
export function terminalOf(surroundings: Surroundings): Terminal {
	const { stdout, stderr, stdoutIsTerminal, stderrIsTerminal, env, now, interrupted, onSignals } =
		surroundings
	return {
		// This is a getter, because the first access opens stdin. A command that does not read stdin must not
		// wait for it.
		get stdin() {
			return surroundings.stdin
		},
		get stdinIsTerminal() {
			return surroundings.stdinIsTerminal
		},
		stdout: new Output('stdout', stdout),
		stderr: new Messages(stderr),
		stderrOutput: new Output('stderr', stderr),
		stdoutIsTerminal,
		stderrIsTerminal,
		env,
		now,
		interrupted,
		onSignals,
	}
}

/** Messages for people, on stderr. */
export class Messages {
	readonly #stream: Writable

	constructor(stream: Writable) {
		this.#stream = stream
	}

	write(text: Printable): void {
		this.#stream.write(String(text))
	}

	/** Replaces the text on the current line. */
	rewriteLine(text: Printable): void {
		this.#stream.write(`\r\x1b[K${text}`)
	}

	clearLine(): void {
		this.#stream.write('\r\x1b[K')
	}
}

/** Data for stdout, or data of another program for stderr. */
export class Output {
	readonly name: 'stdout' | 'stderr'
	readonly #stream: Writable
	#failure: Error | undefined

	constructor(name: 'stdout' | 'stderr', stream: Writable) {
		this.name = name
		this.#stream = stream
		stream.on('error', (error) => this.#fail(error))
	}

	/** Whether the reader has closed the output. If so, writes have no effect. */
	get isClosed(): boolean {
		return systemCode(this.#failure) === 'EPIPE'
	}

	/**
	 * Resolves when the text has been written or the reader has closed the output.
	 *
	 * @throws {MeshChainError} `OUTPUT_FAILED`, for example on a full disk.
	 */
	write(text: Printable): Promise<void> {
		return this.#write(String(text))
	}

	/** Writes bytes unchanged, such as the output of a recorded program or records for another program. */
	pass(bytes: Uint8Array): Promise<void> {
		return this.#write(bytes)
	}

	/** Returns a replay target that writes records as text. */
	replayTarget(format: (record: LogRecord) => Printable): ReplayTarget {
		return new StreamTarget(this.#stream, { name: this.name, format: (record) => String(format(record)) })
	}

	async #write(data: string | Uint8Array): Promise<void> {
		if (this.isClosed || data.length === 0) return
		await new Promise<void>((resolve) => {
			this.#stream.write(data, (error) => {
				if (error) this.#fail(error)
				resolve()
			})
		})
		if (this.#failure === undefined || this.isClosed) return
		const text = `cannot write to ${this.name}: ${messageOf(this.#failure)}`
		throw new MeshChainError('OUTPUT_FAILED', text, { cause: this.#failure })
	}

	/** Stores the first error, because it contains the cause. */
	#fail(error: Error): void {
		this.#failure ??= error
	}
}

/**
 * Returns a function that paints in colour if colour is on. The option takes precedence over `NO_COLOR` and
 * `FORCE_COLOR`. If none of them is set, colour is on when stdout is a terminal and `TERM` is not `dumb`.
 */
export function paintFor(color: 'auto' | 'always' | 'never', { env, stdoutIsTerminal }: Terminal): Paint {
	return painter(color === 'auto' ? wantsColor(env, stdoutIsTerminal) : color === 'always')
}
