/** Checks that the seqs of a chain increase, and creates the `$gap` for missing seqs. */
import { show } from '../../guard/show.ts'
import { LogAppendError } from '../../model/errors.ts'
import { type GapData, gapRecord, isGap, isWholeGap, type LogRecord } from '../../model/record.ts'

/**
 * Returns the `$gap` that must precede a record; undefined if no record is missing.
 *
 * @throws {LogAppendError} `SEQ_NOT_INCREASING` if the seq is too low, or `APPEND_FAILED` if a `$gap` does
 * not state which records it covers. Neither error is retryable.
 */
export function gapBefore(nextSeq: number, record: LogRecord, path: string): LogRecord | undefined {
	const { seq } = record
	if (seq < nextSeq) {
		const text = `seq ${seq} is not above ${nextSeq - 1}, the last seq in ${show(path)}`
		throw new LogAppendError(text, { code: 'SEQ_NOT_INCREASING', retryable: false, path, seq })
	}
	const firstCovered = firstSeqCovered(record, path)
	if (firstCovered <= nextSeq) return undefined
	const gap: GapData = {
		fromSeq: nextSeq,
		toSeq: firstCovered - 1,
		count: firstCovered - nextSeq,
		cause: 'appendFailed',
	}
	return gapRecord(gap, record)
}

/**
 * Checks that the seqs of a batch are consecutive, and that only its first record can be a `$gap`.
 *
 * @throws {LogAppendError} `SEQ_NOT_INCREASING` (not retryable) if either check fails.
 */
export function checkBatch(records: readonly LogRecord[], path: string): void {
	const first = records[0]!.seq
	for (const [index, record] of records.entries()) {
		const { seq } = record
		if (seq === first + index && (index === 0 || !isGap(record))) continue
		const before = first + index - 1
		const text = `a batch must have consecutive seqs: ${seq} does not follow ${before}`
		throw new LogAppendError(text, { code: 'SEQ_NOT_INCREASING', retryable: false, path, seq })
	}
}

/** Returns the first seq that a record covers. A `$gap` also covers the missing seqs before its own. */
export function firstSeqCovered(record: LogRecord, path: string): number {
	if (!isGap(record)) return record.seq
	if (isWholeGap(record)) return record.data!.fromSeq
	throw new LogAppendError('a $gap needs fromSeq, toSeq (its own seq), count and cause in its data', {
		retryable: false,
		path,
		seq: record.seq,
	})
}
