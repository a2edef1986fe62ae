/** Every record of a chain is there or is in a `$gap`, and every loss was counted by the appender. */
import { expect } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { isGap } from '../../src/model/record.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { collect } from './records.ts'

/**
 * Fails unless the chain is `ok`, without damage, and speaks for each seq from 1 to `lastSeq` once.
 *
 * @param lost as `stats().appender.lost` counted them: the gaps of the chain must not stand for more.
 * @returns how many records are there, are gone by retention, and were lost.
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
