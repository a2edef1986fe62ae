/**
 * Applies the last two parts of a query to batches of matching records: the rule for gaps, and the limit,
 * which does not count gaps.
 */
import { show } from '../../guard/show.ts'
import { MeshChainError } from '../../model/errors.ts'
import { type GapData, isGap, type LogRecord } from '../../model/record.ts'
import type { ResolvedQuery } from './query.ts'

/**
 * Applies the rule for gaps and the limit of a query to its batches.
 *
 * @throws {MeshChainError} `CHAIN_GAP` with `gaps: 'throw'`.
 */
export async function* limitBatches(
	batches: AsyncIterable<LogRecord[]>,
	query: Pick<ResolvedQuery, 'limit' | 'gaps'>,
	path: string,
): AsyncGenerator<LogRecord[]> {
	let left = query.limit
	if (left === 0) return
	for await (const batch of batches) {
		const wanted = applyGapRule(batch, query.gaps, path)
		const cut = left === Number.POSITIVE_INFINITY ? wanted : firstRecords(wanted, left)
		if (left !== Number.POSITIVE_INFINITY) left -= countRecords(cut)
		if (cut.length > 0) yield cut
		if (left === 0) return
	}
}

/**
 * Applies the query's rule for gaps to a batch.
 *
 * @throws {MeshChainError} `CHAIN_GAP` with `gaps: 'throw'`.
 */
export function applyGapRule(batch: LogRecord[], gaps: ResolvedQuery['gaps'], path: string): LogRecord[] {
	if (gaps === 'yield' || !batch.some(isGap)) return batch
	if (gaps === 'skip') return batch.filter((record) => !isGap(record))
	const gap = batch.find(isGap)!
	throw new MeshChainError('CHAIN_GAP', `${show(path)}: ${gap.message}`, {
		path,
		seq: (gap.data as GapData).fromSeq,
	})
}

/**
 * Returns the batch up to and including the `count`th record that is not a gap. The gaps before that record
 * are included.
 */
function firstRecords(batch: LogRecord[], count: number): LogRecord[] {
	let left = count
	const last = batch.findIndex((record) => !isGap(record) && --left === 0)
	return last < 0 ? batch : batch.slice(0, last + 1)
}

function countRecords(batch: LogRecord[]): number {
	return batch.reduce((count, record) => count + (isGap(record) ? 0 : 1), 0)
}
