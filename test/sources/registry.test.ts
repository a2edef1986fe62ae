import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { newEntry, type SourceEntry } from '../../src/sources/entry.ts'
import { readRegistry } from '../../src/sources/index.ts'
import { Registry } from '../../src/sources/registry.ts'
import { countingFileSystem } from '../support/counting-file-system.ts'
import { temporaryFolder } from '../support/temporary.ts'

const entryOf = (name: string): SourceEntry => ({
	...newEntry(name, 1),
	mode: 'monitor',
	policy: undefined,
	fields: [],
	details: undefined,
})
const registryPath = () => join(temporaryFolder(), 'registry.chain')

test('10,000 sources are read in few reads, each in its newest state', async () => {
	const path = registryPath()
	const registry = new Registry(path, undefined)
	for (const round of [1, 2]) {
		for (let index = 0; index < 10_000; index++) {
			registry.save({ ...entryOf(`s${index}`), rate: round })
			if (index % 500 === 0) registry.flush()
		}
	}
	for (let index = 0; index < 10; index++) registry.forget(`s${index}`)
	await registry.close()
	const { system, counts } = countingFileSystem()
	const { entries, seqs, missing } = await readRegistry(path, system)
	expect([entries.size, seqs.size, missing]).toEqual([9_990, 9_990, 0])
	expect([...entries.values()].every(({ rate }) => rate === 2)).toBe(true)
	expect(counts.reads).toBeLessThan(200)
})

test('invalid records are skipped, and valid fields in them are kept', async () => {
	const path = registryPath()
	const loop = new MeshLoop(new FileChainAppender(path))
	const garbage = [null, 5, 'text', [], {}, { mode: 'push' }, { mode: { scanIntervalMs: -1 } }]
	for (const [index, data] of garbage.entries()) loop.publish({ kind: 'source', daemonId: `g${index}`, data })
	loop.publish({ kind: 'source', daemonId: 7, data: { mode: 'monitor' } })
	loop.publish({ kind: 'source', data: { mode: 'monitor' } })
	loop.publish({ kind: 'forgotten' })
	const odd = {
		mode: 'monitor',
		state: 'x',
		aliases: [1, 'b'],
		fields: 5,
		counts: { received: 'x', stored: 3 },
		memory: 9,
	}
	loop.publish({ kind: 'source', daemonId: 'odd', data: odd })
	await loop.close()
	const { entries } = await readRegistry(path)
	expect([...entries.keys()]).toEqual(['odd'])
	expect(entries.get('odd')).toMatchObject({
		state: 'inactive',
		aliases: ['b'],
		fields: [],
		counts: { received: 0, stored: 3, lastError: undefined },
		memory: { lastMs: undefined, type: undefined },
	})
})

test('a source not written within 10,000 records is ageing, oldest first, until rewritten', async () => {
	const registry = new Registry(registryPath(), undefined)
	for (const name of ['quiet', 'still', 'busy']) registry.save(entryOf(name))
	for (let count = 0; count < 9_997; count++) {
		registry.forget('nobody')
		if (count % 1000 === 0) registry.flush()
	}
	expect(registry.ageing()).toEqual([])
	registry.save(entryOf('busy'))
	registry.forget('nobody')
	expect(registry.ageing()).toEqual(['quiet', 'still'])
	registry.save(entryOf('quiet'))
	expect(registry.ageing()).toEqual(['still'])
	await registry.close()
})

test('a start reads only the newest records of each source, however long the history is', async () => {
	const path = registryPath()
	const registry = new Registry(path, undefined)
	registry.save(entryOf('idle'))
	for (let round = 0; round < 300; round++) {
		for (let index = 0; index < 100; index++) registry.save({ ...entryOf(`s${index}`), rate: round })
		for (const name of registry.ageing()) registry.save(entryOf(name))
		registry.flush()
	}
	await registry.close()
	const { system, counts } = countingFileSystem()
	const { entries } = await readRegistry(path, system)
	expect(entries.size).toBe(101)
	expect([...entries.values()].filter(({ rate }) => rate === 299)).toHaveLength(100)
	expect(counts.bytes).toBeLessThan(statSync(path).size / 2)
	const again = new Registry(path, undefined)
	expect([...(await again.load()).seqs.keys()]).toHaveLength(101)
	await again.close()
})

test('if damage took the newest record of a source, an older one applies', async () => {
	const path = registryPath()
	const registry = new Registry(path, undefined)
	for (const details of ['the older one', 'the newest one']) {
		registry.save({ ...entryOf('hurt'), details })
		registry.flush()
		for (const name of ['a', 'b']) registry.save(entryOf(name))
		registry.flush()
	}
	await registry.close()
	const bytes = readFileSync(path)
	bytes[bytes.indexOf('the newest one')]! ^= 1
	writeFileSync(path, bytes)
	const { entries, missing } = await readRegistry(path)
	expect(missing).toBeGreaterThan(0)
	expect(entries.get('hurt')?.details).toBe('the older one')
})
