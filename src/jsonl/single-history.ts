/**
 * Distinguishes lines in the wrong order from a second history in the same file, because one chain cannot
 * store two histories unchanged.
 */
import { isDeepStrictEqual } from 'node:util'
import { MeshChainError } from '../model/errors.ts'
import { isGap, type LogRecord } from '../model/record.ts'

/** Tracks the records of an import and refuses a second history. */
export class SingleHistory {
	#last: LogRecord | undefined
	#odd: LogRecord | undefined

	took(record: LogRecord): void {
		this.#last = record
	}

	/**
	 * Handles a record that the chain rejects because its seq does not increase or its epoch decreases. Ignores
	 * duplicate lines and lines in the wrong order.
	 *
	 * @throws {MeshChainError} `IMPORT_FAILED` if the record is the first of a history, or if it continues from
	 * the record that was handled here last.
	 */
	steppedBack(record: LogRecord): void {
		if (isDeepStrictEqual(record, this.#last)) return
		if (beginsAt(record) === 1 || (this.#odd !== undefined && continues(record, this.#odd)))
			throw this.#two(record)
		this.#odd = record
	}

	#two({ seq, epoch }: LogRecord): MeshChainError {
		const before = this.#last === undefined ? '' : `seq ${this.#last.seq} of epoch ${this.#last.epoch}`
		const two = 'the file contains two histories, such as two exports, and no chain was created'
		const what = `seq ${seq} of epoch ${epoch} follows ${before}: ${two}`
		return new MeshChainError(
			'IMPORT_FAILED',
			`${what}. Import each history into its own chain, then merge the chains with mesh-chain merge`,
		)
	}
}

function beginsAt(record: LogRecord): number {
	return isGap(record) ? (record.data?.fromSeq ?? record.seq) : record.seq
}

function continues(record: LogRecord, other: LogRecord): boolean {
	return record.epoch >= other.epoch && record.seq > other.seq
}
