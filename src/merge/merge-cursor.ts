/** The next record of each of several chains, and which of them comes first. */
import type { LogRecord, PublisherId } from '../model/record.ts'

/** One chain that is read, at the record that is its next. */
export class MergeCursor {
	readonly chainId: string
	readonly #batches: AsyncIterator<LogRecord[]>
	#batch: readonly LogRecord[] = []
	#index = 0

	constructor(chainId: string, batches: AsyncIterable<LogRecord[]>) {
		this.chainId = chainId
		this.#batches = batches[Symbol.asyncIterator]()
	}

	/** Undefined at the end of the chain, and before the first {@link fill}. */
	get record(): LogRecord | undefined {
		return this.#batch[this.#index]
	}

	/** The one after it may be in memory no longer: {@link fill} then. */
	next(): void {
		this.#index++
	}

	/** Reads on, where there is more. */
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

/** Below 0 when the record of `a` comes first: by time, then by node, then by chain. */
export function compareMergeCursors(a: MergeCursor, b: MergeCursor): number {
	const [first, second] = [a.record!, b.record!]
	return (
		first.tsMs - second.tsMs ||
		compareIds(first.nodeId, second.nodeId) ||
		(a.chainId < b.chainId ? -1 : a.chainId > b.chainId ? 1 : 0)
	)
}

/** Puts the first of heads that are in order but for it where it belongs: most often it stays. */
export function sortIn(heads: MergeCursor[], compare: (a: MergeCursor, b: MergeCursor) => number): void {
	const head = heads[0]!
	let at = 0
	for (; at + 1 < heads.length && compare(head, heads[at + 1]!) > 0; at++) heads[at] = heads[at + 1]!
	heads[at] = head
}

/** None before numbers, numbers before texts. */
function compareIds(a: PublisherId | null, b: PublisherId | null): number {
	const byRank = rankOf(a) - rankOf(b)
	if (byRank !== 0 || a === null || b === null) return byRank
	return a < b ? -1 : a > b ? 1 : 0
}

function rankOf(id: PublisherId | null): number {
	return id === null ? 0 : typeof id === 'string' ? 2 : 1
}
