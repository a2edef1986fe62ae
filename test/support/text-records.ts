/** Restores the bytes of a text log from its records. */
import type { LogRecord } from '../../src/model/record.ts'

/** Returns the bytes of the lines that are not JSON, as the documentation describes it. */
export function bytesOf(records: readonly Pick<LogRecord, 'message' | 'data'>[]): Buffer {
	return Buffer.concat(
		records.flatMap(({ message, data }) => {
			const notes = (data ?? {}) as {
				bytes?: Uint8Array
				part?: number
				last?: true
				eol?: string
				unterminated?: true
			}
			const isOpen = notes.unterminated === true || (notes.part !== undefined && notes.last !== true)
			return [Buffer.from(notes.bytes ?? message), Buffer.from(isOpen ? '' : (notes.eol ?? '\n'))]
		}),
	)
}

/** Yields bytes in pieces of a size. */
export async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
	for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
