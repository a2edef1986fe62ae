/** A reader in another language, written from docs/FORMAT.md, reads the same records. */

import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { recordToJson } from '../../src/codec/json-dialect.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { EPOCH_MAX, SEQ_MAX } from '../../src/model/limits.ts'
import { gapRecord, LOG_LEVELS, type LogLine } from '../../src/model/record.ts'
import { CANONICAL_ROWS } from '../support/canonical-rows.ts'
import { run, startModule } from '../support/process.ts'
import { collect, record } from '../support/records.ts'
import { PYTHON, requirePackage } from '../support/system-packages.ts'
import { temporaryFolder } from '../support/temporary.ts'

const READER = join(import.meta.dirname, 'read_chain.py')

beforeAll(() => requirePackage('python3-msgpack'))

function chainPath(): string {
	return join(temporaryFolder(), 'node.chain')
}

async function inPython(path: string) {
	const { status, stdout, stderr } = await run(PYTHON, [READER, path])
	return {
		status,
		stderr,
		records: stdout
			.split('\n')
			.filter(Boolean)
			.map((line) => JSON.parse(line)),
	}
}

/** Reads a file with both readers; returns the number of records on which they agreed. */
async function agree(path: string): Promise<number> {
	const chain = await openChain(path)
	const ours = (await collect(chain.records())).map((each) => JSON.parse(recordToJson(each)))
	await chain.close()
	const { status, stderr, records } = await inPython(path)
	expect([status, stderr]).toEqual([0, ''])
	expect(records.length).toBe(ours.length)
	for (const [index, each] of ours.entries()) expect(records[index]).toEqual(each)
	return ours.length
}

test('the reader has fewer than 60 lines', () => {
	expect(readFileSync(READER, 'utf8').split('\n').length).toBeLessThan(60)
})

test('they agree on every row of the type table', async () => {
	const path = chainPath()
	const loop = new MeshLoop(new FileChainAppender(path))
	for (const [name, given] of CANONICAL_ROWS) loop.info(name, { given })
	for (const [, given] of CANONICAL_ROWS) loop.emit('bare', given)
	for (const key of ['$bigint', '$$date', '$other']) loop.emit('tags', { [key]: 'x' })
	await loop.close()
	expect(await agree(path)).toBe(2 * CANONICAL_ROWS.length + 3)
})

test('they agree on 20,000 records of every shape', async () => {
	const id = fc.oneof(
		fc.constant(null),
		fc.string({ maxLength: 20 }),
		fc.integer(),
		fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
		fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
	)
	const text = fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 300 }))
	// Python dates end with the year 9999.
	const date = fc.date({ min: new Date(0), max: new Date(253_402_300_799_999), noInvalidDate: true })
	const data = fc.anything({
		withBigInt: true,
		withDate: false,
		withMap: true,
		withSet: true,
		withTypedArray: true,
		withUnicodeString: true,
	})
	const optional = { requiredKeys: [] as [] }
	const line: fc.Arbitrary<LogLine> = fc.record(
		{
			kind: fc.string({ minLength: 1, maxLength: 20 }).filter((kind) => !/^[$*]/.test(kind)),
			level: fc.constantFrom(...LOG_LEVELS),
			message: text,
			daemonId: id,
			nodeId: id,
			tsMs: fc.integer({ min: 0, max: 8.64e15 }),
			origin: fc.record({
				chainId: fc.string({ minLength: 1, maxLength: 40 }),
				epoch: fc.integer({ min: 1, max: EPOCH_MAX }),
				seq: fc.integer({ min: 1, max: SEQ_MAX }),
			}),
			data: fc.oneof(data, date, fc.array(fc.tuple(date, data), { maxLength: 3 })),
		},
		optional,
	) as fc.Arbitrary<LogLine>
	const seed = Number(process.env['MESH_CHAIN_SEED'] ?? Date.now() % 2 ** 31)
	const path = chainPath()
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'node-1' })
	for (const [index, each] of fc.sample(line, { numRuns: 20_000, seed }).entries()) {
		loop.publish(each)
		if (index % 97 === 0) loop.flush()
	}
	await loop.close()
	expect(
		await agree(path).catch((error) =>
			Promise.reject(new Error(`MESH_CHAIN_SEED=${seed}`, { cause: error })),
		),
	).toBe(20_000)
}, 120_000)

test('they agree on several openings, gaps and a torn tail', async () => {
	const path = chainPath()
	for (let epoch = 0; epoch < 3; epoch++) {
		const appender = new FileChainAppender(path)
		const from = appender.nextSeq
		for (let seq = from; seq < from + 2_000; seq++) appender.append(record(seq, { epoch: appender.epoch }))
		appender.append(
			gapRecord(
				{ fromSeq: from + 2_000, toSeq: from + 2_004, count: 5, cause: 'evicted' },
				{ epoch: appender.epoch, tsMs: 5 },
			),
		)
		appender.append(record(from + 2_005, { epoch: appender.epoch, level: 'error' }))
		await appender.close()
	}
	expect(await agree(path)).toBe(6_006)
	const whole = readFileSync(path)
	for (const cut of [1, 100, 230, 300]) {
		writeFileSync(path, whole.subarray(0, whole.length - cut))
		expect(await agree(path)).toBeGreaterThan(6_000)
	}
})

test('they agree on the file of a killed writer', async () => {
	const path = chainPath()
	const writer = startModule(
		`import { FileChainAppender, MeshLoop } from 'mesh-chain'
		const loop = new MeshLoop(new FileChainAppender(process.argv[1]))
		let index = 0
		setInterval(() => {
			for (let left = 50; left > 0; left--) loop.info('message ' + ++index, { index, at: new Date() })
		}, 1)
		console.log('writing')`,
		[path],
	)
	await once(writer.stdout!, 'data')
	await expect.poll(() => statSync(path).size).toBeGreaterThan(50_000)
	const closed = once(writer, 'close')
	writer.kill('SIGKILL')
	await closed
	expect(await agree(path)).toBeGreaterThan(100)
})

test('a flipped bit at any position stops the other reader too', async () => {
	const path = chainPath()
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= 100; seq++) appender.append(record(seq))
	await appender.close()
	const whole = readFileSync(path)
	for (let at = 15; at < whole.length; at += Math.ceil(whole.length / 25)) {
		const flipped = Buffer.from(whole)
		flipped[at]! ^= 4
		writeFileSync(path, flipped)
		// In a length, the flipped bit makes the rest look like a torn tail, which a reader may skip but not
		// accept.
		const { status, records } = await inPython(path)
		expect(status !== 0 || records.length < 100, `bit of byte ${at}`).toBe(true)
	}
})
