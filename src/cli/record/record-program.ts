/** Runs a program, and records both of its streams and how it ended. */
import { dirname } from 'node:path'
import { coreOf } from '../../loop/core-of.ts'
import type { MeshLoop } from '../../loop/mesh-loop.ts'
import type { LogLine } from '../../model/record.ts'
import { Interruption, STATUS } from '../exit-status.ts'
import { failureText } from '../failure.ts'
import { joined, printed } from '../printable.ts'
import type { LineRecorder } from '../record.ts'
import type { Terminal } from '../terminal.ts'
import { endText, exitLine } from './exit-record.ts'
import { Passing } from './passing.ts'
import { type Program, type ProgramEnd, startProgram } from './program.ts'
import { SignalRelay } from './signal-relay.ts'
import { DRAIN_MS, StreamRecording } from './stream-recording.ts'

/** Signals that are passed on to the program. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const
const STREAMS = ['stdout', 'stderr'] as const
type StreamName = (typeof STREAMS)[number]

/** What is run and recorded, and where. */
export interface ProgramJob {
	readonly file: string
	readonly program: readonly [string, ...string[]]
	readonly loop: MeshLoop
	readonly recorders: Readonly<Record<StreamName, LineRecorder>>
	/** Ids for the record about the end of the program. */
	readonly ids: Pick<LogLine, 'daemonId' | 'nodeId'>
	readonly isQuiet: boolean
}

/**
 * Runs and records the program, and resolves to its status. If the recording fails and the program does not,
 * resolves to the status of a failure.
 */
export async function recordProgram(job: ProgramJob, terminal: Terminal): Promise<number> {
	const run = new ProgramRun(job, terminal)
	const status = await run.record()
	await run.close()
	run.report()
	return status === STATUS.ok && run.hasFailed ? STATUS.failed : status
}

/** One run of a program. */
class ProgramRun {
	readonly #job: ProgramJob
	readonly #terminal: Terminal
	readonly #passings: Readonly<Record<StreamName, Passing>>
	readonly #started: Promise<Program>
	readonly #relay = new SignalRelay((signal) => void this.#send(signal))
	readonly #received = new Set<NodeJS.Signals>()
	readonly #restoreSignals: () => void
	readonly #stop = new AbortController()
	readonly #failures: unknown[] = []
	#end: ProgramEnd | undefined
	/** Streams that another process kept open. */
	#open: readonly StreamName[] = []

	constructor(job: ProgramJob, terminal: Terminal) {
		const { file, program, isQuiet } = job
		this.#job = job
		this.#terminal = terminal
		this.#passings = {
			stdout: new Passing(isQuiet ? undefined : terminal.stdout),
			stderr: new Passing(isQuiet ? undefined : terminal.stderrOutput),
		}
		this.#restoreSignals = terminal.onSignals(SIGNALS, (signal) => this.#receive(signal))
		this.#started = startProgram(program, dirname(file))
	}

	/** Whether the chain or an output failed. */
	get hasFailed(): boolean {
		return this.#failures.length > 0
	}

	/** Records both streams until the program has ended. Resolves to the status of the program. */
	async record(): Promise<number> {
		const { streams, ended, kill } = await this.#started
		try {
			const ending = ended.then((end) => {
				this.#end = end
				for (const recording of recordings) recording.drain()
				return end.status
			})
			const recordings = streams === undefined ? [] : STREAMS.map((name) => this.#recording(name, streams))
			const ends = await Promise.all(recordings.map((recording) => recording.run()))
			this.#open = STREAMS.filter((_name, index) => (ends[index] ?? 'ended') !== 'ended')
			return await ending
		} catch (error) {
			this.#failures.push(error)
			this.#stop.abort(error)
			// A program whose output cannot be recorded must not continue without supervision.
			kill('SIGTERM')
			return STATUS.failed
		}
	}

	/** Records the end of the program, closes the chain, and passes on the last bytes. */
	async close(): Promise<void> {
		const { recorders } = this.#job
		for (const name of STREAMS) recorders[name].end()
		await this.#publishEnd()
		try {
			for (const name of STREAMS) await recorders[name].close()
			for (const name of STREAMS) this.#passings[name].pass(recorders[name].takeRecorded())
		} catch (error) {
			this.#failures.push(error)
		}
		for (const passing of Object.values(this.#passings)) {
			await passing.finish(this.#stop.signal)
			if (passing.failure !== undefined) this.#failures.push(passing.failure)
		}
		this.#relay.close()
		this.#restoreSignals()
	}

	/** Prints what a person should know about the run. */
	report(): void {
		const { program, recorders } = this.#job
		if (this.#end?.error !== undefined) this.#tell(printed`${program[0]} ${endText(this.#end)}`)
		for (const name of STREAMS) {
			const texts = [
				recorders[name].summary(),
				this.#passings[name].unpassedText(),
				this.#open.includes(name)
					? `another process had it open ${DRAIN_MS / 1000} s after the end of the program, ` +
						'and its later output is not recorded'
					: '',
			].filter(Boolean)
			if (recorders[name].isOdd || texts.length > 1)
				this.#tell(printed`${name}: ${joined(texts, printed`; `)}`)
		}
		for (const failure of this.#failures) this.#terminal.stderr.write(failureText(failure))
	}

	#recording(name: StreamName, streams: NonNullable<Program['streams']>): StreamRecording {
		const { recorders } = this.#job
		return new StreamRecording(streams[name], recorders[name], this.#passings[name], this.#stop.signal)
	}

	async #publishEnd(): Promise<void> {
		if (this.#end === undefined) return
		const { loop, program, ids } = this.#job
		const { pid } = await this.#started
		const facts = { command: program, pid, received: this.#received, open: this.#open }
		coreOf(loop).publishOwn({ ...ids, ...exitLine(this.#end, facts) })
	}

	/** While the program is running, signals concern only the program. Later, a signal ends the recording. */
	#receive(signal: NodeJS.Signals): void {
		if (this.#end === undefined) {
			this.#received.add(signal)
			void this.#relay.receive(signal)
			return
		}
		this.#restoreSignals()
		this.#stop.abort(new Interruption(signal))
	}

	async #send(signal: NodeJS.Signals): Promise<void> {
		const { kill } = await this.#started
		if (!kill(signal) && this.#end === undefined) this.#tell(printed`${signal} cannot be sent to the program`)
	}

	#tell(text: unknown): void {
		this.#terminal.stderr.write(printed`mesh-chain: ${this.#job.file}: ${text}\n`)
	}
}
