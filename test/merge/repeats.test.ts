/**
 * Chains with common records, merged: each record is returned once, and none is left out. MESH_CHAIN_SEED
 * repeats a run.
 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Chain, ChainQuery } from '../../src/chain/chain.ts'
import { ChainBuilder } from '../../src/chain/write/chain-builder.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { SeqRanges } from '../../src/merge/seq-ranges.ts'
import { GAP_KIND, type LogRecord } from '../../src/model/record.ts'
import { randomFrom, SEED } from '../support/counts.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { chainIn, many, opened, START_MS } from './written-chain.ts'

/** Writes the result of a query over merged chains to a file. */
async function file(path: string, chains: readonly Chain[], query: ChainQuery = {}): Promise<Chain> {
	const builder = new ChainBuilder(path)
	for await (const each of mergeChains(chains).records(query)) builder.push(each)
	builder.finish()
	return opened(path)
}

const identity = ({ origin }: LogRecord) => `${origin?.chainId} ${origin?.epoch} ${origin?.seq}`
const identities = (records: readonly LogRecord[]) => records.map(identity)

async function merged(chains: readonly Chain[], query: ChainQuery = {}) {
	const all = mergeChains(chains)
	return { found: await collect(all.records(query)), repeats: all.repeats, all }
}

async function twoChains() {
	const folder = temporaryFolder()
	const a = await chainIn(folder, 'a', many(700, 2, { nodeId: 'a' }))
	const b = await chainIn(folder, 'b', many(700, 3, { nodeId: 'b' }))
	return { folder, a, b, both: await file(join(folder, 'both.chain'), [a, b]) }
}

test('a merged chain and one of its inputs return each record once, and count the duplicates', async () => {
	const { a, b, both } = await twoChains()
	const expected = await merged([a, b])
	expect(expected.repeats).toBe(0)
	for (const [chains, repeats] of [
		[[both, a], 700],
		[[b, both], 700],
		[[a, both, b], 1400],
	] as const) {
		const { found, repeats: counted } = await merged(chains)
		expect(found).toEqual(expected.found)
		expect(counted).toBe(repeats)
	}
})

test('repeats are left out with a limit, in reverse, with a filter, and in each iteration', async () => {
	const { a, b, both } = await twoChains()
	for (const query of [{ limit: 300 }, { reverse: true }, { reverse: true, limit: 9 }, { nodeId: 'b' }]) {
		const expected = await merged([a, b], query)
		const { found, all, repeats } = await merged([both, a, b], query)
		expect(found).toEqual(expected.found)
		await collect(all.records(query))
		expect(all.repeats).toBe(repeats)
	}
})

test('repeats are left out of a tail, in history and among new records', async () => {
	const { a, b, both } = await twoChains()
	const over = new AbortController()
	onTestFinished(() => over.abort())
	const all = mergeChains([both, a, b])
	const found: LogRecord[] = []
	for await (const each of all.tail({ signal: over.signal })) {
		found.push(each)
		if (found.length === 1400) break
	}
	expect(new Set(identities(found)).size).toBe(1400)
})

test('a record held twice by one chain, or identified only by a name, is not left out', async () => {
	const folder = temporaryFolder()
	const chainId = 'a'.repeat(32)
	const replayed = (id: string, seqs: readonly number[]) =>
		seqs.map((seq) => ({ origin: { chainId: id, epoch: 1, seq } }))
	const twice = await chainIn(folder, 'twice', replayed(chainId, [5, 6, 1, 2, 5, 6]))
	const other = await chainIn(folder, 'other', many(2, 1))
	expect((await merged([twice, other])).found).toHaveLength(8)
	const [here, there] = [
		await chainIn(folder, 'here', replayed('app.jsonl', [1, 2])),
		await chainIn(folder, 'there', replayed('app.jsonl', [1, 2])),
	]
	expect(await merged([here, there])).toMatchObject({ found: { length: 4 }, repeats: 0 })
})

test('a gap in one chain does not replace records that another chain still has', async () => {
	const folder = temporaryFolder()
	const chainId = 'b'.repeat(32)
	const origin = { chainId, epoch: 1, seq: 3 }
	const gap = await chainIn(folder, 'gap', [{ kind: GAP_KIND, origin }])
	const whole = await chainIn(folder, 'whole', [{ origin }])
	const { found, repeats } = await merged([gap, whole])
	expect([found.length, repeats]).toEqual([2, 0])
	const again = await file(join(folder, 'again.chain'), [gap, whole])
	expect(await merged([again, gap, whole])).toMatchObject({ found: { length: 2 }, repeats: 2 })
})

test(`times that step back, and parts of merged chains, lose nothing (MESH_CHAIN_SEED=${SEED})`, async () => {
	const random = randomFrom(SEED)
	for (let round = 0; round < 6; round++) {
		const folder = temporaryFolder()
		const some = () => {
			let tsMs = START_MS
			return Array.from({ length: 300 }, () => {
				tsMs += random() < 0.05 ? -Math.floor(random() * 200) : Math.floor(random() * 5)
				return { tsMs, level: random() < 0.5 ? ('warn' as const) : ('info' as const) }
			})
		}
		const [a, b] = [await chainIn(folder, 'a', some()), await chainIn(folder, 'b', some())]
		const warnings = await file(join(folder, 'warnings.chain'), [a, b], { level: 'warn' })
		const early = await file(join(folder, 'early.chain'), [b, warnings], { limit: 200 })
		const expected = identities((await merged([a, b])).found)
		const { found, repeats } = await merged([warnings, a, early, b])
		expect(identities(found).sort()).toEqual(expected.sort())
		const sizes = await Promise.all([warnings, early].map(async (chain) => (await chain.info()).records))
		expect(repeats).toBe(sizes[0]! + sizes[1]!)
	}
})

test(`ranges contain seqs added in any order, and forget distant ones (MESH_CHAIN_SEED=${SEED})`, () => {
	const random = randomFrom(SEED)
	const spans = new SeqRanges()
	const added = new Set<string>()
	for (let count = 0; count < 3000; count++) {
		const [epoch, seq] = [1 + Math.floor(random() * 3), 1 + Math.floor(random() * 900)]
		expect(spans.has(epoch, seq)).toBe(added.has(`${epoch} ${seq}`))
		spans.add(epoch, seq)
		added.add(`${epoch} ${seq}`)
	}
	const many = new SeqRanges()
	for (let seq = 2; seq <= 100_000; seq += 2) many.add(1, seq)
	expect([many.has(1, 100_000), many.has(1, 99_999), many.has(1, 97_000), many.has(1, 2)]).toEqual([
		true,
		false,
		true,
		false,
	])
})
