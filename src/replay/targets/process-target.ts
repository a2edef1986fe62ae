/** Writes a replay as JSON Lines to the standard input of a program. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { show } from '../../guard/show.ts'
import { invalidOption } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'
import { StreamTarget } from './stream-target.ts'

/** Writes the records of a replay to the standard input of a program. */
export class ProcessTarget implements ReplayTarget {
	/** Name of the target in messages: the command. */
	readonly name: string
	/** Always true: a program may keep history. */
	readonly keepsGaps = true
	readonly #child: ChildProcess
	readonly #stdin: StreamTarget
	readonly #ended: Promise<void>
	#failure: string | undefined
	#given = 0

	/**
	 * @param command Shell command, which is started immediately. Its output is written to the output of this
	 * process.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(command: string) {
		if (typeof command !== 'string' || command.trim() === '' || command.includes('\0')) {
			throw invalidOption('the command of a ProcessTarget', command, "a shell command, such as 'jq .message'")
		}
		this.name = show(command)
		this.#child = spawn(command, { shell: true, stdio: ['pipe', 'inherit', 'inherit'] })
		this.#stdin = new StreamTarget(this.#child.stdin!, { name: this.name })
		this.#ended = this.#watch()
	}

	/** Writes the record. Resolves when the pipe has accepted the record. */
	async write(record: LogRecord): Promise<void> {
		await this.#stdin.write(record)
		this.#given++
	}

	/**
	 * Closes the program's input and resolves when the program has exited.
	 *
	 * @throws {MeshChainError} `TARGET_FAILED` if the program does not exit with status 0
	 */
	async close(): Promise<void> {
		this.#child.stdin!.end()
		await this.#ended
		if (this.#failure !== undefined) {
			throw new MeshChainError('TARGET_FAILED', `${this.name} ${this.#failure}${this.#afterHowMany()}`)
		}
	}

	/** Formats the number of records sent. It is unknown how many of these records the program has read. */
	#afterHowMany(): string {
		return `; ${this.#given} ${this.#given === 1 ? 'record' : 'records'} had been sent`
	}

	async #watch(): Promise<void> {
		try {
			const [status, signal] = await once(this.#child, 'close')
			if (signal !== null) this.#failure = `was terminated by ${signal}`
			else if (status !== 0) this.#failure = `exited with status ${status}`
		} catch (error) {
			this.#failure = `could not be started: ${messageOf(error)}`
		}
	}
}
