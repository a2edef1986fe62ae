/** Tracks the position of a merge in each chain, and orders these positions. */
import type { LogRecord, PublisherId } from '../model/record.ts'

/** The position of a merge in one chain: its next record. */
export class MergeCursor {
	readonly chainId: string
	readonly #batches: AsyncIterator<LogRecord[]>
	#batch: readonly LogRecord[] = []
	#index = 0

	constructor(chainId: string, batches: AsyncIterable<LogRecord[]>) {
		this.chainId = chainId
		this.#batches = batches[Symbol.asyncIterator]()
	}

	/** Next record; undefined at the end of the chain, or until {@link fill} has read it. */
	get record(): LogRecord | undefined {
		return this.#batch[this.#index]
	}

	/** Moves to the next record. If that record is not in memory, the caller must call {@link fill}. */
	next(): void {
		this.#index++
	}

	/** Reads the next batch if no record is in memory. */
	async fill(): Promise<void> {
		while (this.record === undefined) {
			const step = await this.#batches.next()
			if (step.done) return
			this.#batch = step.value
			this.#index = 0
		}
	}

	async close(): Promise<void> {
		await this.#batches.return?.()
	}
}

/**
 * Compares two cursors by time, then by node, then by chain. The result is negative if the record of `a`
 * comes first.
 */
export function compareMergeCursors(a: MergeCursor, b: MergeCursor): number {
	const [first, second] = [a.record!, b.record!]
	return (
		first.tsMs - second.tsMs ||
		compareIds(first.nodeId, second.nodeId) ||
		(a.chainId < b.chainId ? -1 : a.chainId > b.chainId ? 1 : 0)
	)
}

/**
 * Moves the first cursor to its position among the other cursors, which are already in order. Usually, the
 * cursor stays first.
 */
export function sortIn(cursors: MergeCursor[], compare: (a: MergeCursor, b: MergeCursor) => number): void {
	const first = cursors[0]!
	let at = 0
	for (; at + 1 < cursors.length && compare(first, cursors[at + 1]!) > 0; at++) cursors[at] = cursors[at + 1]!
	cursors[at] = first
}

/** Compares ids. Null comes first, followed by numbers and then strings. */
function compareIds(a: PublisherId | null, b: PublisherId | null): number {
	const byRank = rankOf(a) - rankOf(b)
	if (byRank !== 0 || a === null || b === null) return byRank
	return a < b ? -1 : a > b ? 1 : 0
}

function rankOf(id: PublisherId | null): number {
	return id === null ? 0 : typeof id === 'string' ? 2 : 1
}
