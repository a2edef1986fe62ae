/**
 * Passes signals on to a program that did not receive them. Ctrl-C, `kill -- -GROUP` and systemd send a
 * signal to every process of a group, so the program already has it. A second one could end a program that
 * is still draining. A process does not know to whom a signal was sent. Therefore, the relay keeps a
 * sentinel: a process in the same group that any signal ends. If the sentinel received the signal, so did
 * the program.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { wait } from '../../platform/wait.ts'

/** Time within which every process of a group receives a signal. */
const GROUP_MS = 50
/** Time for which an ended sentinel explains a signal. Both events may wait while this process is busy. */
const ENDED_MS = 500

interface EndedSentinel {
	readonly signal: NodeJS.Signals
	readonly atMs: number
}

/** Passes on the signals that only this process received. */
export class SignalRelay {
	readonly #send: (signal: NodeJS.Signals) => void
	#sentinel: ChildProcess | undefined
	#ended: EndedSentinel | undefined
	#isClosed = false

	/** @param send Sends a signal to the program. */
	constructor(send: (signal: NodeJS.Signals) => void) {
		this.#send = send
		this.#start()
	}

	/** Passes the signal on within 50 ms, unless the program has received it too. */
	async receive(signal: NodeJS.Signals): Promise<void> {
		if (!(await this.#reachedSentinel(signal))) this.#send(signal)
	}

	/** Ends the sentinel. */
	close(): void {
		this.#isClosed = true
		this.#sentinel?.kill('SIGKILL')
	}

	async #reachedSentinel(signal: NodeJS.Signals): Promise<boolean> {
		if (this.#takeEnded(signal)) return true
		const sentinel = this.#sentinel
		if (sentinel?.pid === undefined) return false
		await wait(GROUP_MS)
		return this.#takeEnded(signal) || isPending(sentinel.pid, signal)
	}

	/** Returns whether the signal has ended a sentinel. Each end explains one signal. */
	#takeEnded(signal: NodeJS.Signals): boolean {
		const ended = this.#ended
		if (ended?.signal !== signal || performance.now() - ended.atMs > ENDED_MS) return false
		this.#ended = undefined
		return true
	}

	/** The sentinel reads a pipe that this process never writes to, so it also ends with this process. */
	#start(): void {
		const sentinel = spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] })
		this.#sentinel = sentinel
		// Without a sentinel, every signal is passed on.
		sentinel.once('error', () => {
			this.#sentinel = undefined
		})
		sentinel.stdin?.on('error', () => {})
		sentinel.once('exit', (_status, signal) => {
			this.#sentinel = undefined
			if (signal === null || this.#isClosed) return
			this.#ended = { signal, atMs: performance.now() }
			this.#start()
		})
	}
}

/** Returns whether a process has not reacted to a signal yet, as far as the system tells. */
function isPending(pid: number, signal: NodeJS.Signals): boolean {
	try {
		const [, mask = '0'] = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
		return ((BigInt(`0x${mask}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n
	} catch {
		return false
	}
}
