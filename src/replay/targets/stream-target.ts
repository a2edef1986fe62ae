/** Writes a replay as JSON Lines to a stream, such as standard output, a socket or the input of a process. */
import type { Writable } from 'node:stream'
import { recordToJson } from '../../codec/json-dialect.ts'
import { checkFunction, checkName, checkOptionNames, invalidOption } from '../../model/check.ts'
import { MeshChainError, messageOf } from '../../model/errors.ts'
import type { LogRecord } from '../../model/record.ts'
import type { ReplayTarget } from '../target.ts'

/** Writes the records of a replay to a stream. */
export class StreamTarget implements ReplayTarget {
	/** Name of the target in messages. */
	readonly name: string
	/** Always true: a stream may keep history. */
	readonly keepsGaps = true
	readonly #stream: Writable
	readonly #format: (record: LogRecord) => string
	#gone: MeshChainError | undefined

	/**
	 * @param options `name`: name of the stream in messages. Default: `'the stream'`. `format`: function that
	 * converts a record to a string, including the line break. Default: one line of JSON per record.
	 * @throws {MeshChainError} `INVALID_OPTION`
	 */
	constructor(
		stream: Writable,
		options: { readonly name?: string; readonly format?: (record: LogRecord) => string } = {},
	) {
		if (typeof stream?.write !== 'function' || typeof stream.once !== 'function') {
			throw invalidOption('the stream of a StreamTarget', stream, 'a Writable, such as process.stdout')
		}
		checkOptionNames(options, ['name', 'format'])
		const { name = 'the stream', format = (record: LogRecord) => `${recordToJson(record)}\n` } = options
		this.#stream = stream
		this.name = checkName('name', name)
		this.#format = checkFunction('format', format)
		stream.once('error', (error) => this.#lose(messageOf(error)))
		stream.once('close', () => this.#lose('it was closed'))
	}

	/** Writes the record. Resolves when the stream has written the record. */
	write(record: LogRecord): Promise<void> {
		return new Promise((resolve, reject) => {
			if (this.#gone !== undefined) reject(this.#gone)
			else
				this.#stream.write(this.#format(record), (error) => {
					if (error) reject(this.#lose(messageOf(error)))
					else resolve()
				})
		})
	}

	#lose(why: string): MeshChainError {
		this.#gone ??= new MeshChainError('TARGET_GONE', `${this.name} accepts no more records: ${why}`)
		return this.#gone
	}
}
