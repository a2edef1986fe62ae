/**
 * Checks a chain after a failure: nothing acknowledged is lost, nothing is invented, and the chain can
 * continue.
 */
import { expect } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../src/chain/verify/verify.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import type { FileChainOptions } from '../../src/chain/write/file-chain-options.ts'
import { type GapData, isGap, type LogRecord } from '../../src/model/record.ts'
import type { FileSystem } from '../../src/platform/file-system.ts'
import { collect, record } from './records.ts'

export interface Expectation {
	/** Last seq that was acknowledged. */
	readonly acknowledged: number
	/** Last seq that was published. */
	readonly published: number
	readonly fs: FileSystem
	/** Returns the message of a published record. */
	readonly messageOf: (seq: number) => string
	/** Whether the test is about damage. */
	readonly allowsDamage?: boolean
	/** Whether to only read, recover once, and read again. */
	readonly isBrief?: boolean
}

export interface Recovered {
	readonly records: number
	readonly gaps: number
	/** Number of records that gaps cover. */
	readonly absent: number
}

export async function readAll(path: string, fs: FileSystem): Promise<LogRecord[]> {
	const chain = await openChain(path, { fs })
	try {
		return await collect(chain.records())
	} finally {
		await chain.close()
	}
}

/** Checks that acknowledged ⊆ recovered ⊆ published, in order, and contiguous or with gaps. */
export function checkRecords(found: readonly LogRecord[], expected: Expectation): Recovered {
	const seen = new Set<number>()
	let next = 1
	let gaps = 0
	let absent = 0
	for (const each of found) {
		if (isGap(each)) {
			const { fromSeq, toSeq, count } = each.data as GapData
			expect([fromSeq, count]).toEqual([next, toSeq - fromSeq + 1])
			next = toSeq + 1
			gaps++
			absent += count
			continue
		}
		expect(each.seq).toBe(next)
		expect(each.message).toBe(expected.messageOf(each.seq))
		seen.add(each.seq)
		next++
	}
	for (let seq = 1; seq <= expected.acknowledged; seq++) {
		if (!seen.has(seq)) expect.fail(`acknowledged and lost: seq ${seq} of ${expected.acknowledged}`)
	}
	expect(next - 1).toBeLessThanOrEqual(expected.published)
	return { records: seen.size, gaps, absent }
}

/** Checks that a crash explains all findings of a verification. */
async function checkFindings(path: string, { fs, allowsDamage = false }: Expectation): Promise<void> {
	const { findings, ok } = await verifyChain(path, { fs })
	if (allowsDamage) return
	expect(findings.filter(({ severity }) => severity === 'damage')).toEqual([])
	expect(ok).toBe(true)
}

/** Reads, recovers, recovers again, appends, and reads once more. */
export async function checkRecovery(
	path: string,
	expected: Expectation,
	options: FileChainOptions = {},
): Promise<Recovered> {
	const { fs } = expected
	checkRecords(await readAll(path, fs), expected)
	await checkFindings(path, expected)

	const first = new FileChainAppender(path, { ...options, fs })
	await first.close()
	const recovered = checkRecords(await readAll(path, fs), expected)
	if (expected.isBrief) return recovered
	const second = new FileChainAppender(path, { ...options, fs })
	const { nextSeq } = second
	expect(second.stats().recovery, 'a second recovery finds nothing').toBeUndefined()
	second.append(record(nextSeq, { message: expected.messageOf(nextSeq), epoch: second.epoch }))
	await second.close()

	const third = new FileChainAppender(path, { ...options, fs })
	expect(third.nextSeq).toBe(nextSeq + 1)
	await third.close()
	const published = Math.max(expected.published, nextSeq)
	const again = checkRecords(await readAll(path, fs), { ...expected, published })
	expect(again.records).toBe(recovered.records + 1)
	expect(again.absent).toBe(recovered.absent)
	await checkFindings(path, expected)
	return recovered
}
