/**
 * A record that a chain refuses leaves nothing behind: no row, no count and no gap. The next records are
 * written as if it had never been appended.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openChain } from '../../../src/chain/read/open-chain.ts'
import { verifyChain } from '../../../src/chain/verify/verify.ts'
import { ChainBuilder } from '../../../src/chain/write/chain-builder.ts'
import { FileChainAppender } from '../../../src/chain/write/file-chain-appender.ts'
import type { LogRecord } from '../../../src/model/record.ts'
import { MemoryFileSystem } from '../../support/memory-file-system.ts'
import { collect, record } from '../../support/records.ts'

const PATH = '/disk/node.chain'
/** Does not fit in a frame of 16 MiB. */
const HUGE = 'x'.repeat(2 ** 24)

/** Records that no chain accepts. */
const REFUSED: Readonly<Record<string, (seq: number) => LogRecord>> = {
	huge: (seq) => record(seq, { message: HUGE }),
	'huge, not ASCII': (seq) => record(seq, { message: `é${HUGE}` }),
	'no level': (seq) => record(seq, { level: 'loud' as 'info' }),
	'no time': (seq) => record(seq, { tsMs: Number.NaN }),
	'not data': (seq) => record(seq, { data: cyclic }),
	'an old seq': () => record(0),
}
const cyclic: Record<string, unknown> = {}
cyclic['self'] = cyclic

const refused = fc.constantFrom(...Object.keys(REFUSED))
const accepted = fc.record({
	message: fc.constantFrom('a', 'é', 'x'.repeat(200)),
	data: fc.constantFrom(undefined, { a: 1 }),
})
/** Mostly accepted records, one refused one after another, and batches with a refused record. */
const appends = fc.array(
	fc.oneof(
		{ weight: 6, arbitrary: accepted },
		{ weight: 2, arbitrary: refused },
		{ weight: 1, arbitrary: fc.tuple(accepted, accepted, refused) },
	),
	{ maxLength: 12 },
)

async function recordsIn(fs: MemoryFileSystem): Promise<LogRecord[]> {
	expect(await verifyChain(PATH, { fs })).toMatchObject({ ok: true, findings: [] })
	const chain = await openChain(PATH, { fs })
	const records = await collect(chain.records())
	await chain.close()
	return records
}

const essence = ({ seq, message, data }: LogRecord) => ({ seq, message, data })

test('a file chain contains exactly the records that it accepted', async () => {
	let refusals = 0
	const property = fc.asyncProperty(appends, async (list) => {
		const fs = new MemoryFileSystem()
		const appender = new FileChainAppender(PATH, { fs })
		const expected: LogRecord[] = []
		for (const each of list) {
			const seq = appender.nextSeq
			if (typeof each === 'string') {
				expect(() => appender.append(REFUSED[each]!(seq))).toThrow()
				refusals++
			} else if (Array.isArray(each)) {
				const [first, second, bad] = each
				const batch = [record(seq, first), record(seq + 1, second), REFUSED[bad]!(seq + 2)]
				expect(() => appender.appendBatch(batch)).toThrow()
				refusals++
			} else {
				expected.push(record(seq, each))
				appender.append(expected.at(-1)!)
			}
		}
		await appender.close()
		expect((await recordsIn(fs)).map(essence)).toEqual(expected.map(essence))
	})
	await fc.assert(property, { numRuns: 60 })
	expect(refusals).toBeGreaterThan(60)
}, 240_000)

test.each(Object.keys(REFUSED).slice(0, -1))(
	'a new chain of an import is whole without a record: %s',
	async (bad) => {
		const fs = new MemoryFileSystem()
		const builder = new ChainBuilder(PATH, { fs })
		builder.push(record(1))
		expect(() => builder.push(REFUSED[bad]!(2))).toThrow()
		builder.push(record(2))
		builder.finish()
		expect((await recordsIn(fs)).map(({ seq }) => seq)).toEqual([1, 2])
	},
)

test('a plain row that exceeds the size of a frame is not in the batch', async () => {
	const fs = new MemoryFileSystem()
	const appender = new FileChainAppender(PATH, { fs })
	const many = Array.from({ length: 60_000 }, (_unused, index) =>
		record(index + 1, { tsMs: 1, message: 'x'.repeat(120), nodeId: 'y'.repeat(120) }),
	)
	expect(() => appender.appendBatch(many)).toThrow(expect.objectContaining({ code: 'BATCH_TOO_LARGE' }))
	appender.appendBatch(many.slice(0, 2))
	await appender.close()
	expect(await recordsIn(fs)).toHaveLength(2)
})
