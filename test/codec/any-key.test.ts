/**
 * Data with keys that some library reads. It is the same in the ring, the chain, an export, an import and a
 * replay.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { canonicalise } from '../../src/codec/canonical.ts'
import { packDataBorrow } from '../../src/codec/data-packer.ts'
import { DataReader } from '../../src/codec/data-reader.ts'
import { exportJsonl } from '../../src/jsonl/export.ts'
import { importJsonl } from '../../src/jsonl/import.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { replay } from '../../src/replay/replay.ts'
import { LoopTarget } from '../../src/replay/targets/loop-target.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

/**
 * Keys that msgpackr, JSON, promises, inspectors, mongo, lodash, the language itself and mesh-chain read from
 * a value.
 */
const ASKED_FOR = [
	...Object.getOwnPropertyNames(Object.prototype),
	...Object.getOwnPropertyNames(Array.prototype),
	...Object.getOwnPropertyNames(Uint8Array.prototype),
	...Object.getOwnPropertyNames(Date.prototype).slice(0, 8),
	...[
		'toJSON',
		'then',
		'catch',
		'prototype',
		'name',
		'message',
		'stack',
		'cause',
		'errors',
		'type',
		'usage',
		'write',
	],
	...[
		'_bsontype',
		'__keys__',
		'buffer',
		'byteLength',
		'byteOffset',
		'size',
		'entries',
		'pack',
		'read',
		'$map',
		'',
	],
	...['Symbol.iterator', 'Symbol(Symbol.toStringTag)', 'nodejs.util.inspect.custom', '@@iterator', '_events'],
	...[
		'$unserializable',
		'$bigint',
		'$bytes',
		'$date',
		'$number',
		'$$date',
		'0',
		'-1',
		'1e3',
		'__proto_',
		'seq',
	],
]
const key = fc.oneof(
	{ weight: 8, arbitrary: fc.constantFrom(...ASKED_FOR) },
	fc.string({ unit: 'binary', maxLength: 40 }),
)
const scalar = fc.oneof(
	fc.constantFrom<unknown>(0, 1, '', 'x', null, true, false, -1, 1.5, 5n, 2n ** 70n, Number.NaN, new Date(5)),
	fc.uint8Array({ maxLength: 4 }),
	fc.string({ unit: 'binary', maxLength: 20 }),
)
const { value: anyData } = fc.letrec<{ value: unknown }>((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		scalar,
		fc.array(tie('value'), { maxLength: 4 }),
		fc
			.array(fc.tuple(key, tie('value')), { maxLength: 6 })
			// Objects as JSON.parse creates them: every key is an own property.
			.map((entries) => Object.fromEntries(entries)),
	),
}))

test('data with any key at any depth is the same in ring, chain, export, import and replay', async () => {
	const folder = temporaryFolder()
	let run = 0
	await fc.assert(
		fc.asyncProperty(fc.array(anyData, { minLength: 1, maxLength: 20 }), async (values) => {
			const path = join(folder, `${run++}.chain`)
			const loop = new MeshLoop(new FileChainAppender(path))
			const published = values.map((data, index) => loop.info(`number ${index}`, { data })?.data)
			await loop.close()
			expect(await dataOf(path)).toEqual(published)

			const chain = await openChain(path)
			await exportJsonl(chain, `${path}.jsonl`)
			expect(await importJsonl(`${path}.jsonl`, `${path}.copy`)).toMatchObject({
				records: values.length,
				altered: 0,
			})
			expect(await dataOf(`${path}.copy`)).toEqual(published)

			const again = new MeshLoop(new FileChainAppender(`${path}.again`))
			expect(await replay(chain, new LoopTarget(again))).toMatchObject({ replayed: values.length, failed: 0 })
			await chain.close()
			await again.close()
			expect(await dataOf(`${path}.again`)).toEqual(published)
		}),
		{ numRuns: 40 },
	)
})

async function dataOf(path: string): Promise<unknown[]> {
	const chain = await openChain(path)
	const records = await collect(chain.records())
	await chain.close()
	return records.map(({ data }) => data)
}

test('a value is packed by its structure alone, and its packed form is read as the same value', () => {
	const reader = new DataReader()
	const unpack = (packed: Buffer) => {
		reader.open(packed, packed.toString('latin1'), 0)
		return reader.read(0, packed.length)
	}
	fc.assert(
		fc.property(anyData, (given) => {
			const { value, bytes } = canonicalise(given)
			const packed = Buffer.from(packDataBorrow(value))
			expect(packed.length).toBeLessThanOrEqual(bytes)
			expect(unpack(packed)).toEqual(value)
			expect(
				Object.isFrozen(value) ||
					typeof value !== 'object' ||
					value instanceof Date ||
					value instanceof Uint8Array,
			).toBe(true)
		}),
		{ numRuns: 3_000 },
	)
	// More keys than fit a map with a 16-bit count, but still within the bound of a record's data.
	const letter = (index: number) => String.fromCharCode(0x41 + (index % 50))
	const keyOf = (index: number) => letter(index) + letter(index / 50) + letter(index / 2500)
	const wide = Object.fromEntries(Array.from({ length: 66_000 }, (_unused, index) => [keyOf(index), null]))
	const { value, markers } = canonicalise(wide)
	expect(markers).toBe(0)
	expect(unpack(Buffer.from(packDataBorrow(value)))).toEqual(value)
})

test('one record with such keys in a batch does not affect the others', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	const odd = JSON.parse('{"constructor":"x","toJSON":"y","hasOwnProperty":1,"then":0}')
	loop.publishBatch([{ message: 'good 1' }, { message: 'odd', data: odd }, { message: 'good 2' }])
	await loop.close()
	const chain = await openChain(path)
	expect((await collect(chain.records())).map(({ message }) => message)).toEqual(['good 1', 'odd', 'good 2'])
	await chain.close()
	// External JSON.
	const line =
		'{"seq":1,"epoch":1,"tsMs":1,"level":"info","kind":"log","message":"m","data":{"__proto__":{"x":1}}'
	writeFileSync(`${path}.jsonl`, `${line},"daemonId":null,"nodeId":null}\n`)
	await importJsonl(`${path}.jsonl`, `${path}.copy`)
	expect(await dataOf(`${path}.copy`)).toEqual([{ __proto_: { x: 1 } }])
	expect(({} as { x?: unknown }).x).toBeUndefined()
})
