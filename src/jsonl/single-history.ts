/**
 * Tells lines that stand at a wrong place from a second history behind, or among, the first: a chain cannot
 * hold both as they were.
 */
import { isDeepStrictEqual } from 'node:util'
import { MeshChainError } from '../model/errors.ts'
import { isGap, type LogRecord } from '../model/record.ts'

export class SingleHistory {
	#last: LogRecord | undefined
	#odd: LogRecord | undefined

	took(record: LogRecord): void {
		this.#last = record
	}

	/**
	 * A record came whose seq, or epoch, steps back. A line that is there twice, or one at a wrong place, is
	 * passed over.
	 *
	 * @throws {MeshChainError} `IMPORT_FAILED` when it is the first one of a history, or goes on where an
	 * earlier one of these was.
	 */
	steppedBack(record: LogRecord): void {
		if (isDeepStrictEqual(record, this.#last)) return
		if (beginsAt(record) === 1 || (this.#odd !== undefined && isBehind(record, this.#odd)))
			throw this.#two(record)
		this.#odd = record
	}

	#two({ seq, epoch }: LogRecord): MeshChainError {
		const before = this.#last === undefined ? '' : `seq ${this.#last.seq} of epoch ${this.#last.epoch}`
		return new MeshChainError(
			'IMPORT_FAILED',
			`seq ${seq} of epoch ${epoch} comes behind ${before}: these are two histories, such as two exports in one file, and no chain was made; import each into a chain of its own, and make one of them with mesh-chain merge`,
		)
	}
}

function beginsAt(record: LogRecord): number {
	return isGap(record) ? (record.data?.fromSeq ?? record.seq) : record.seq
}

function isBehind(record: LogRecord, other: LogRecord): boolean {
	return record.epoch >= other.epoch && record.seq > other.seq
}
