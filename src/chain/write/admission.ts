/** What a chain takes over: records whose seqs go up, with a `$gap` in the place of those that it was never given. */
import { LogAppendError } from '../../errors.ts'
import { GAP_KIND, type GapData, gapRecord, type LogRecord, show } from '../../record.ts'
import type { Span } from './span.ts'

/**
 * Puts a record into the span; returns how many it took, with the gap before it.
 *
 * @throws {LogAppendError} `SEQ_NOT_INCREASING`, `BATCH_TOO_LARGE`; nothing is left behind.
 */
export function admit(span: Span, record: LogRecord, path: string): number {
	const expected = span.nextSeq
	if (record.seq < expected) {
		const text = `seq ${record.seq} is not above ${expected - 1}, the last in ${show(path)}`
		throw new LogAppendError(text, { code: 'SEQ_NOT_INCREASING', retryable: false, path, seq: record.seq })
	}
	const firstCovered = firstSeqCovered(record)
	if (firstCovered <= expected) {
		span.push(record)
		return 1
	}
	span.push(missingGap(expected, firstCovered - 1, record))
	span.push(record)
	return 2
}

/** The first seq that a record speaks for: a `$gap` covers the absent ones before it. */
function firstSeqCovered(record: LogRecord): number {
	if (record.kind !== GAP_KIND || record.origin !== undefined) return record.seq
	const fromSeq = (record.data as GapData | undefined)?.fromSeq
	return typeof fromSeq === 'number' ? Math.min(fromSeq, record.seq) : record.seq
}

function missingGap(fromSeq: number, toSeq: number, next: LogRecord): LogRecord {
	const gap: GapData = { fromSeq, toSeq, count: toSeq - fromSeq + 1, cause: 'appendFailed' }
	return gapRecord(gap, next)
}
