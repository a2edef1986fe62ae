/** Finds how far a chain reaches now. */
import { type Chain, readWatermark } from '../chain/index.ts'
import { nodeFileSystem } from '../platform/file-system.ts'

/**
 * Returns the last seq of a chain; 0 for an empty one.
 *
 * @param options With `durableOnly`, the result is limited by the watermark next to the chain, and is 0
 * without one.
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
