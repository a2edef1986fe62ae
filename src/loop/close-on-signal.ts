/** Opt-in: before a signal ends the process, lets the application shut down and then closes its loops. */
import { constants } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { settle } from '../guard/promises.ts'
import { attempt, propertyOf } from '../guard/values.ts'
import { checkFunction, checkOptionNames, checkTimerMs, ifGiven } from '../model/check.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { DRAIN_TIMEOUT_MS_DEFAULT } from '../model/limits.ts'
import { warn } from '../platform/diagnostics.ts'
import { processWide } from '../platform/process-wide.ts'
import type { MeshLoop } from './mesh-loop.ts'

/** Options for `closeOnSignal`. */
export interface CloseOnSignalOptions {
	/**
	 * Shuts down the application, for example by closing servers and waiting for open requests. The loops stay
	 * open until the returned promise settles, so that all lines published before then are recorded. If the
	 * function throws or rejects, mesh-chain emits a warning and closes the loops.
	 */
	readonly before?: ((signal: NodeJS.Signals) => unknown) | undefined
	/**
	 * Maximum wait for `before` to settle. Without `before`: maximum wait for other signal listeners to end
	 * the process. The loops stay open during the wait. Whole number from 1. Default: 10,000 ms.
	 */
	readonly drainTimeoutMs?: number | undefined
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const
/**
 * Marks the listeners of every copy of this package, so that they do not wait for each other to end the
 * process.
 */
const OURS = Symbol.for('mesh-chain:close-on-signal')

/**
 * Closes the loops on SIGTERM or SIGINT, and then lets the signal end the process unless the signal has other
 * listeners. A shell then reports the exit status as 128 plus the signal number.
 *
 * The loops stay open until `before` settles, so that lines published during the shutdown are recorded.
 * Without `before`, if the signal has other listeners, the loops stay open until those listeners end the
 * process or the event loop is empty. The other listeners are responsible for ending the process. Both waits
 * end after `drainTimeoutMs` with a warning, and then the loops are closed. A second signal ends the wait for
 * `before`. A signal that arrives while the loops are being closed ends the process immediately, unless the
 * signal has other listeners. If this function is called several times, each call closes its loops only after
 * the waits of all calls have ended.
 *
 * @param given one or more loops, optionally followed by options.
 * @returns a function that removes the signal listeners.
 * @throws {MeshChainError} `INVALID_OPTION` for an invalid option or if no loop is given.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { closeOnSignal, FileChainAppender, MeshLoop } from 'mesh-chain'
 *
 * const loop = new MeshLoop(new FileChainAppender('node.chain'))
 * const server = createServer((_request, response) => response.end(String(loop.info('request')?.seq)))
 * closeOnSignal(loop, { before: () => new Promise((resolve) => server.close(resolve)) })
 * ```
 */
export function closeOnSignal(...given: MeshLoop[] | [...MeshLoop[], CloseOnSignalOptions]): () => void {
	const ending = new Ending(resolveGiven(given))
	return () => ending.forget()
}

interface Resolved {
	readonly loops: readonly MeshLoop[]
	readonly before: ((signal: NodeJS.Signals) => unknown) | undefined
	readonly drainTimeoutMs: number
}

/** All calls whose signal listeners are still registered. */
const endings = processWide('signal-endings', () => new Set<Pick<Ending, 'drained'>>())

/** One call to {@link closeOnSignal}. */
class Ending {
	readonly #options: Resolved
	/** Resolves when the application no longer needs the loops; undefined before the first signal. */
	drained: Promise<void> | undefined
	#isClosing = false
	/** Ends the wait for `before`. */
	#hurry: () => void = () => {}

	constructor(options: Resolved) {
		this.#options = options
		endings.add(this)
		// Prepended, so that a listener added with `once` is still registered when this listener looks for
		// others.
		for (const signal of SIGNALS) process.prependListener(signal, this.#onSignal)
	}

	forget(): void {
		endings.delete(this)
		for (const signal of SIGNALS) process.off(signal, this.#onSignal)
	}

	readonly #onSignal = Object.assign(
		(signal: NodeJS.Signals): void => {
			if (this.#isClosing) this.#letGo(signal)
			else if (this.drained === undefined) void this.#end(signal)
			else this.#hurry()
		},
		{ [OURS]: true },
	)

	async #end(signal: NodeJS.Signals): Promise<void> {
		this.drained = this.#drain(signal)
		await this.drained
		// While another call waits, the application may still publish through these loops.
		await Promise.all([...endings].map((ending) => ending.drained))
		this.#isClosing = true
		await closeAll(this.#options.loops)
		// Node prints warnings in a later tick, which must run before the signal ends the process.
		await setImmediate()
		this.#letGo(signal)
	}

	/** Lets the signal end the process, unless the signal has other listeners. */
	#letGo(signal: NodeJS.Signals): void {
		this.forget()
		if (process.listenerCount(signal) > 0) return
		// The kernel ignores a signal that the first process of a container sends to itself.
		if (process.pid === 1) process.exit(128 + constants.signals[signal])
		process.kill(process.pid, signal)
	}

	async #drain(signal: NodeJS.Signals): Promise<void> {
		const { before, drainTimeoutMs } = this.#options
		const within = `within ${drainTimeoutMs} ms, so the loops are being closed and later lines are dropped`
		if (before !== undefined) {
			const hurried = new Promise<void>((resolve) => {
				this.#hurry = resolve
			})
			const isLate = await isLateFor(Promise.race([settledBefore(before, signal), hurried]), drainTimeoutMs)
			if (isLate) warn('DRAIN_TIMEOUT', `the before function did not finish ${within}`)
		} else if (othersListen(signal)) {
			const isLate = await isLateFor(new Promise(() => {}), drainTimeoutMs)
			if (isLate) warn('DRAIN_TIMEOUT', `the other listeners of ${signal} did not end the process ${within}`)
		}
	}
}

/** Calls `before` and waits until it settles. Never rejects: a failure only emits a warning. */
async function settledBefore(
	before: (signal: NodeJS.Signals) => unknown,
	signal: NodeJS.Signals,
): Promise<void> {
	try {
		await settle(before(signal))
	} catch (thrown) {
		warn('BEFORE_CLOSE_FAILED', `the before function failed, and the loops are closed: ${messageOf(thrown)}`)
	}
}

function othersListen(signal: NodeJS.Signals): boolean {
	return process.listeners(signal).some((listener) => !attempt(() => OURS in listener, false))
}

/**
 * Resolves with false when the promise resolves or the event loop becomes empty, and with true if neither
 * happens within `ms` milliseconds. Does not keep the process alive.
 */
function isLateFor(promise: Promise<void>, ms: number): Promise<boolean> {
	return new Promise((resolve) => {
		const end = (isLate: boolean) => {
			clearTimeout(timer)
			process.off('beforeExit', onIdle)
			resolve(isLate)
		}
		const onIdle = () => end(false)
		const timer = setTimeout(() => end(true), ms).unref()
		process.on('beforeExit', onIdle)
		void promise.then(() => end(false))
	})
}

async function closeAll(loops: readonly MeshLoop[]): Promise<void> {
	const results = await Promise.allSettled(loops.map(async (loop) => loop.close()))
	for (const result of results) {
		if (result.status === 'rejected') {
			warn('CLOSE_FAILED', `a loop did not close cleanly: ${messageOf(result.reason)}`)
		}
	}
}

/** @throws {MeshChainError} `INVALID_OPTION` */
function resolveGiven(given: readonly (MeshLoop | CloseOnSignalOptions)[]): Resolved {
	const last = given.at(-1)
	const hasOptions = typeof last === 'object' && last !== null && !isLoop(last)
	const options = (hasOptions ? last : {}) as CloseOnSignalOptions
	const loops = hasOptions ? given.slice(0, -1) : given
	if (loops.length === 0 || !loops.every(isLoop)) {
		throw new MeshChainError('INVALID_OPTION', 'closeOnSignal requires one or more loops')
	}
	checkOptionNames(options, ['before', 'drainTimeoutMs'])
	const { before, drainTimeoutMs = DRAIN_TIMEOUT_MS_DEFAULT } = options
	return {
		loops,
		before: ifGiven('before', before, checkFunction),
		drainTimeoutMs: checkTimerMs('drainTimeoutMs', drainTimeoutMs),
	}
}

function isLoop(given: unknown): given is MeshLoop {
	return typeof propertyOf(given, 'close') === 'function'
}
