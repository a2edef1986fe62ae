/** Finds the last seq of a chain. */
import { type Chain, readWatermark } from '../chain/index.ts'
import { nodeFileSystem } from '../platform/file-system.ts'

/**
 * Returns the last seq of a chain; 0 for an empty chain.
 *
 * @param options With `durableOnly`, the result does not exceed the watermark stored next to the chain, and
 * is 0 without a watermark.
 */
export async function lastSeqOf(
	chain: Chain,
	{ durableOnly = false }: { readonly durableOnly?: boolean | undefined } = {},
): Promise<number> {
	const durable = durableOnly
		? (readWatermark(nodeFileSystem, chain.path, Buffer.from(chain.chainId, 'hex'))?.seq ?? 0)
		: Number.POSITIVE_INFINITY
	for await (const { seq } of chain.records({ reverse: true, limit: 1 })) return Math.min(seq, durable)
	return 0
}
