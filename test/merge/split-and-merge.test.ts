/**
 * A history of eight nodes, split into a chain for each and merged again: nothing is lost, nothing is
 * invented, and each node's records keep their order. MESH_CHAIN_MERGE_RECORDS makes it longer,
 * MESH_CHAIN_SEED repeats a run.
 */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { ChainBuilder } from '../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { mergeChains } from '../../src/merge/merge-chains.ts'
import { LOG_LEVELS, type LogRecord, type PublisherId } from '../../src/model/record.ts'
import { randomFrom, SEED, sizeOf, tellCounts } from '../support/counts.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const RECORDS = sizeOf('MERGE_RECORDS')
const NODES: readonly PublisherId[] = ['north', 'south', 1, 2, 3n, 4n, 'east', 'west']
const START_MS = 1_700_000_000_000

/** Returns the record of a seq: always the same one. */
function recordOf(seq: number): LogRecord {
	const random = randomFrom(SEED + seq)
	return record(seq, {
		// Some records share a time, and some step back.
		tsMs: START_MS + (seq >> 2) - (random() < 0.01 ? Math.floor(random() * 1_000) : 0),
		nodeId: NODES[Math.floor(random() * NODES.length)]!,
		level: LOG_LEVELS[Math.floor(random() * LOG_LEVELS.length)]!,
		kind: random() < 0.1 ? 'order' : 'log',
		message: `message ${seq} ${'x'.repeat(Math.floor(random() * 40))}`,
		...(random() < 0.1 ? { data: { order: seq, id: BigInt(seq) } } : {}),
	})
}

function make(path: string): void {
	const builder = new ChainBuilder(path)
	for (let seq = 1; seq <= RECORDS; seq++) builder.push(recordOf(seq))
	builder.finish()
}

/** Writes a chain for each node, as its service would have done. */
async function split(path: string, folder: string): Promise<string[]> {
	const appenders = new Map(
		NODES.map((node, index) => [node, new FileChainAppender(join(folder, `${index}.chain`))]),
	)
	await using chain = await openChain(path)
	for await (const batch of chain.batches()) {
		for (const each of batch) {
			const appender = appenders.get(each.nodeId!)!
			const origin = { chainId: chain.chainId, epoch: each.epoch, seq: each.seq }
			appender.append({ ...each, seq: appender.nextSeq, epoch: appender.epoch, origin })
		}
	}
	for (const appender of appenders.values()) await appender.close()
	return [...appenders.values()].map((appender) => appender.path)
}

test(`${RECORDS} records split by node and merged are unchanged (MESH_CHAIN_SEED=${SEED})`, async () => {
	const folder = temporaryFolder()
	const whole = join(folder, 'whole.chain')
	make(whole)
	const paths = await split(whole, folder)
	const begun = performance.now()
	await using merged = mergeChains(await Promise.all(paths.map((path) => openChain(path))))
	const seen = new Uint8Array(RECORDS + 1)
	const lastSeqs = new Map<PublisherId | null, number>()
	let count = 0
	for await (const batch of merged.batches()) {
		for (const { seq, origin, ...fields } of batch) {
			if (seq !== ++count) expect.fail(`seq ${seq} appears instead of ${count}`)
			const { seq: was } = origin!
			const before = lastSeqs.get(fields.nodeId) ?? 0
			if (was <= before) expect.fail(`seq ${was} of ${fields.nodeId} is returned after its seq ${before}`)
			lastSeqs.set(fields.nodeId, was)
			if (seen[was] !== 0) expect.fail(`seq ${was} appears twice, or is not in the history`)
			seen[was] = 1
			const { seq: _seq, ...expected } = recordOf(was)
			if (!isDeepStrictEqual(fields, expected)) expect(fields).toEqual(expected)
		}
	}
	const seconds = (performance.now() - begun) / 1_000
	expect([count, lastSeqs.size]).toEqual([RECORDS, NODES.length])
	expect(seen.subarray(1).every((times) => times === 1)).toBe(true)
	tellCounts(0, 'split by node and merged', {
		records: RECORDS,
		chains: NODES.length,
		lost: 0,
		'not in the input': 0,
		'merge time, s': Math.round(seconds * 10) / 10,
	})
}, 600_000)
