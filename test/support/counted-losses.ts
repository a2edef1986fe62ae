/** Checks that every record of a chain is there or in a `$gap`, and that the appender counted every loss. */
import { expect } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { isGap } from '../../src/model/record.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { collect } from './records.ts'

/**
 * Fails unless the chain is `ok`, without damage, and covers each seq from 1 to `lastSeq` once.
 *
 * @param lost the count of `stats().appender.lost`, which the gaps of the chain must not exceed.
 * @returns the number of records present, removed by retention, and lost.
 */
export async function expectLossesCounted(
	path: string,
	lastSeq: number,
	lost: { readonly evicted: number; readonly overflow: number; readonly appendFailed: number },
	options: { readonly fs?: FileSystem } = {},
): Promise<{ there: number; retained: number; lost: number }> {
	expect((await verifyChain(path, options)).ok).toBe(true)
	const chain = await openChain(path, options)
	const found = await collect(chain.records())
	await chain.close()
	const absent = new Map<string, number>()
	let next = 1
	for (const each of found) {
		const { fromSeq, count, cause } = isGap(each) ? each.data! : { fromSeq: each.seq, count: 0, cause: '' }
		expect(fromSeq).toBe(next)
		absent.set(cause, (absent.get(cause) ?? 0) + count)
		next = each.seq + 1
	}
	expect(next).toBe(lastSeq + 1)
	const { retained = 0, damaged = 0, ...others } = Object.fromEntries(absent)
	expect(damaged).toBe(0)
	const told = Object.values(others).reduce((sum, count) => sum + count, 0)
	expect(told).toBeLessThanOrEqual(lost.evicted + lost.overflow + lost.appendFailed)
	const there = found.filter((each) => !isGap(each)).length
	expect(there + retained + told).toBe(lastSeq)
	return { there, retained, lost: told }
}
