/**
 * What is learnt of the shapes of data does not grow: neither with 1,000 shapes, which are more than have a
 * function, nor if each record has keys of its own. A service writes the records to a chain with retention,
 * and then reads what is left of it.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sizeOf, tellCounts } from '../support/counts.ts'
import { ROOT, run } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

const RECORDS = sizeOf('SHAPE_MEMORY_RECORDS')
const SAMPLES = 10
/** The difference of two samples of the same heap after a collection. */
const NOISE_MIB = 4

/** Prints the size of the heap after each tenth of the records, and after each reading of the chain. */
const PROGRAM = `
	const [library, path, kind, count] = process.argv.slice(1)
	const { FileChainAppender, MeshLoop, openChain } = await import(library)
	const dataWith = (id) => ({ ['key' + id]: id, user: { id, ['plan' + id]: 'pro' } })
	const dataOf = (index) => dataWith(kind === '1,000 shapes' ? index % 1000 : index)
	const heap = () => {
		globalThis.gc()
		return process.memoryUsage().heapUsed / 2 ** 20
	}
	const appender = new FileChainAppender(path, { rotateBytes: 8 << 20, retain: { bytes: 16 << 20 } })
	const loop = new MeshLoop(appender)
	const written = []
	for (let index = 1; index <= count; index++) {
		loop.info('published', dataOf(index))
		if (index % 500 === 0) await new Promise(setImmediate)
		if (index % Math.floor(count / ${SAMPLES}) === 0) written.push(heap())
	}
	await loop.close()
	const chain = await openChain(path)
	const read = []
	let records = 0
	for (let pass = 0; pass < 5; pass++) {
		records = 0
		for await (const batch of chain.batches({ gaps: 'skip' })) records += batch.length
		read.push(heap())
	}
	await chain.close()
	console.log(JSON.stringify({ written, read, records }))
`

test.each(['1,000 shapes', 'a new shape each'])(
	'the heap does not grow with the number of records: %s',
	async (kind) => {
		const path = join(temporaryFolder(), 'node.chain')
		const library = join(ROOT, 'dist', 'index.js')
		const args = [
			'--expose-gc',
			'--input-type=module',
			'--eval',
			PROGRAM,
			library,
			path,
			kind,
			String(RECORDS),
		]
		const { status, stdout, stderr } = await run(process.execPath, args)
		expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
		const { written, read, records } = JSON.parse(stdout)
		expect(records).toBeGreaterThan(0)
		const growth = (samples: number[]) => samples.at(-1)! - samples[Math.floor(samples.length / 4)]!
		tellCounts(0, `the heap, ${kind}`, {
			records: RECORDS,
			'MiB after all records': written.at(-1).toFixed(1),
			'MiB added since the first quarter': growth(written).toFixed(1),
			'MiB added by reading again': growth(read).toFixed(1),
		})
		expect(written).toHaveLength(SAMPLES)
		expect(growth(written)).toBeLessThan(NOISE_MIB)
		expect(growth(read)).toBeLessThan(NOISE_MIB)
	},
	3_600_000,
)
