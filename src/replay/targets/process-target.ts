/** Replay into the standard input of a program, as JSON Lines. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { show } from '../../guard/show.ts'
import { invalidOption } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'
import { StreamTarget } from './stream-target.ts'

export class ProcessTarget implements ReplayTarget {
	readonly name: string
	readonly keepsGaps = true
	readonly #child: ChildProcess
	readonly #stdin: StreamTarget
	readonly #ended: Promise<void>
	#failure: string | undefined
	#given = 0

	/**
	 * @param command run by the shell at once; its output goes where this process's does.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(command: string) {
		if (typeof command !== 'string' || command.trim() === '' || command.includes('\0')) {
			throw invalidOption(
				'the command of a ProcessTarget',
				command,
				"a line for the shell, such as 'jq .message'",
			)
		}
		this.name = show(command)
		this.#child = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] })
		this.#stdin = new StreamTarget(this.#child.stdin!, { name: this.name })
		this.#ended = this.#watch()
	}

	async write(record: LogRecord): Promise<void> {
		await this.#stdin.write(record)
		this.#given++
	}

	/**
	 * Ends the program's input, and resolves once it has ended.
	 *
	 * @throws {MeshChainError} `TARGET_FAILED` when it did not end with status 0.
	 */
	async close(): Promise<void> {
		this.#child.stdin!.end()
		await this.#ended
		if (this.#failure !== undefined) {
			throw new MeshChainError('TARGET_FAILED', `${this.name} ${this.#failure}${this.#afterHowMany()}`)
		}
	}

	/** What it has read of them, only the program knows. */
	#afterHowMany(): string {
		return `; it had been given ${this.#given} ${this.#given === 1 ? 'record' : 'records'}`
	}

	async #watch(): Promise<void> {
		try {
			const [status, signal] = await once(this.#child, 'close')
			if (signal !== null) this.#failure = `was ended by ${signal}`
			else if (status !== 0) this.#failure = `ended with status ${status}`
		} catch (error) {
			this.#failure = `could not be started: ${messageOf(error)}`
		}
	}
}
