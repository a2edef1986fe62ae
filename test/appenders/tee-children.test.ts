/** Children of a TeeAppender with a level and a filter, and chains that such children write. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import {
	FileChainAppender,
	type LogRecord,
	MeshLoop,
	mergeChains,
	openChain,
	type TeeChild,
	verifyChain,
} from '../../src/index.ts'
import { gapRecord, LOG_LEVELS } from '../../src/model/record.ts'
import { SEED } from '../support/counts.ts'
import { collect, record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { heardWarnings } from '../support/warnings.ts'
import { labels, ManualAppender, ScriptedAppender } from './scripted-appender.ts'

const messagesOf = (appender: BufferingAppender) => appender.captured().map(({ message }) => message)

async function recordsOf(path: string): Promise<LogRecord[]> {
	await using chain = await openChain(path)
	return await collect(chain.records())
}

describe('a level and a filter', () => {
	test('select the records of one child; the others receive all', () => {
		const [all, warnings, orders, both] = [0, 1, 2, 3].map(() => new BufferingAppender()) as [
			BufferingAppender,
			BufferingAppender,
			BufferingAppender,
			BufferingAppender,
		]
		const tee = new TeeAppender(
			all,
			{ appender: warnings, level: 'warn' },
			{ appender: orders, filter: { kind: 'order' } },
			{ appender: both, level: 'warn', filter: ({ message }) => message.startsWith('m') },
		)
		const loop = new MeshLoop(tee)
		loop.info('m1')
		loop.warn('m2')
		loop.error('n3')
		loop.emit('order', {}, { message: 'm4' })
		loop.publishBatch([{ message: 'm5' }, { message: 'm6', level: 'error' }])
		expect(messagesOf(all)).toEqual(['m1', 'm2', 'n3', 'm4', 'm5', 'm6'])
		expect(messagesOf(warnings)).toEqual(['m2', 'n3', 'm6'])
		expect(messagesOf(orders)).toEqual(['m4'])
		expect(messagesOf(both)).toEqual(['m2', 'm6'])
		expect(warnings.captured()[0]).toBe(all.captured()[1])
		expect(tee.stats().children.map(({ filtered }) => filtered)).toEqual([0, 3, 5, 4])
		expect(tee.committedSeq).toBe(6)
	})

	test('are checked, and no child is taken if one of them is invalid', () => {
		const appender = new BufferingAppender()
		const invalid: readonly [unknown, string][] = [
			[{ appender, level: 'loud' }, 'INVALID_LEVEL'],
			[{ appender, filter: 5 }, 'INVALID_OPTION'],
			[{ appender, filter: { kinds: 'order' } }, 'INVALID_FILTER'],
			[{ appender, levels: 'warn' }, 'INVALID_OPTION'],
			[{ appender: 5 }, 'INVALID_OPTION'],
			[{ level: 'warn' }, 'INVALID_OPTION'],
		]
		for (const [child, code] of invalid)
			expect(() => new TeeAppender(appender, child as TeeChild)).toThrow(expect.objectContaining({ code }))
		expect(() => new TeeAppender(appender, { appender: undefined as never })).toThrow()
		expect(new TeeAppender({ appender }, { closeTimeoutMs: 5 })).toBeInstanceOf(TeeAppender)
	})

	test('that fail pass the record on, are counted, and said once', async () => {
		const said = heardWarnings()
		const child = new BufferingAppender()
		const answers: (() => unknown)[] = [
			() => {
				throw new Error('no answer')
			},
			() => Promise.reject(new Error('late')),
			() => false,
			() => ({
				// biome-ignore lint/suspicious/noThenProperty: a thenable from foreign code
				get then() {
					throw new Error('unreadable')
				},
			}),
		]
		const filter = ({ seq }: LogRecord) => answers[seq - 1]?.() as boolean
		const tee = new TeeAppender(new BufferingAppender(), { appender: child, filter })
		const loop = new MeshLoop(tee)
		for (let seq = 1; seq <= 4; seq++) loop.info(`m${seq}`)
		expect(messagesOf(child)).toEqual(['m1', 'm2', 'm4'])
		expect(tee.stats().children[1]).toMatchObject({ filtered: 1, filterErrors: 3 })
		await expect.poll(() => said.map(({ code }) => code)).toEqual(['MESH_CHAIN_FILTER_FAILED'])
		expect(said[0]?.message).toContain('the filter of BufferingAppender failed (no answer)')
	})

	test('never hide a gap', () => {
		const child = new ScriptedAppender()
		const tee = new TeeAppender(new BufferingAppender(), { appender: child, filter: () => false })
		tee.append(record(1))
		tee.append(gapRecord({ fromSeq: 2, toSeq: 5, count: 4, cause: 'evicted' }, { epoch: 1, tsMs: 0 }))
		expect(labels(child.taken)).toEqual(['gap 2-5 evicted'])
	})
})

describe('the commits', () => {
	test('wait only for children that receive the record', async () => {
		const slow = new ManualAppender()
		const tee = new TeeAppender(new ScriptedAppender(), { appender: slow, level: 'error' })
		for (const seq of [1, 2]) tee.append(record(seq))
		expect(tee.committedSeq).toBe(2)
		tee.append(record(3, { level: 'error' }))
		for (const seq of [4, 5]) tee.append(record(seq))
		tee.append(record(6, { level: 'error' }))
		expect([tee.committedSeq, tee.stats().queued]).toEqual([2, 2])
		await slow.resolve()
		expect(tee.committedSeq).toBe(5)
		await slow.resolve()
		expect([tee.committedSeq, tee.stats().queued]).toEqual([6, 0])
	})

	test('of a child that never answers do not use memory without a bound', () => {
		const tee = new TeeAppender(new ScriptedAppender(), { appender: new ManualAppender(), level: 'error' })
		for (let seq = 1; seq <= 40_000; seq++) tee.append(record(seq, { level: 'error' }))
		expect([tee.committedSeq, tee.stats().queued]).toEqual([0, 16_384])
		expect(tee.stats().children[1]?.lost.overflow).toBe(40_000 - 16_384 - 1)
	})
})

describe('a chain of selected records', () => {
	test('has its own seqs without holes, verifies, and names the records that it copied', async () => {
		const folder = temporaryFolder()
		const [allPath, errorsPath] = [`${folder}/all.chain`, `${folder}/errors.chain`]
		for (let life = 1; life <= 2; life++) {
			const all = new FileChainAppender(allPath)
			const errors = new FileChainAppender(errorsPath)
			const loop = new MeshLoop(new TeeAppender(all, { appender: errors, level: 'error' }))
			for (let index = 0; index < 10; index++) loop.publish({ level: index % 5 === 4 ? 'error' : 'info' })
			await loop.close()
		}
		await using all = await openChain(allPath)
		const errors = await recordsOf(errorsPath)
		expect(errors.map(({ seq, epoch, origin }) => [seq, epoch, origin?.epoch, origin?.seq])).toEqual([
			[1, 1, 1, 5],
			[2, 1, 1, 10],
			[3, 2, 2, 15],
			[4, 2, 2, 20],
		])
		expect(errors.every(({ origin }) => origin?.chainId === all.chainId)).toBe(true)
		for (const path of [allPath, errorsPath])
			expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
	})

	test('has its own seqs without holes if no chain contains every record', async () => {
		const folder = temporaryFolder()
		const [restPath, errorsPath] = [`${folder}/rest.chain`, `${folder}/errors.chain`]
		const rest = new FileChainAppender(restPath)
		const errors = new FileChainAppender(errorsPath)
		const isError = ({ level }: LogRecord) => level === 'error'
		const loop = new MeshLoop(
			new TeeAppender(
				{ appender: rest, filter: (each) => !isError(each) },
				{ appender: errors, filter: isError },
			),
		)
		for (let index = 0; index < 10; index++) loop.publish({ level: index % 5 === 4 ? 'error' : 'info' })
		await loop.close()
		expect((await recordsOf(restPath)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
		expect((await recordsOf(errorsPath)).map(({ seq, origin }) => [seq, origin])).toEqual([
			[1, undefined],
			[2, undefined],
		])
		for (const path of [restPath, errorsPath])
			expect(await verifyChain(path)).toMatchObject({ ok: true, findings: [] })
	})

	test('counts a gap of the loop as records that it may have received', async () => {
		const path = `${temporaryFolder()}/errors.chain`
		const tee = new TeeAppender(new BufferingAppender(), {
			appender: new FileChainAppender(path),
			level: 'error',
		})
		tee.append(record(1, { level: 'error' }))
		tee.append(gapRecord({ fromSeq: 2, toSeq: 5, count: 4, cause: 'evicted' }, { epoch: 1, tsMs: 0 }))
		tee.append(record(6))
		tee.append(record(7, { level: 'error' }))
		await tee.close()
		expect(labels(await recordsOf(path))).toEqual(['1', 'gap 2-5 evicted', '6'])
	})

	test(`merges with the chain of all records without repeats (seed ${SEED})`, async () => {
		const levels = fc.array(fc.constantFrom(...LOG_LEVELS), { minLength: 1, maxLength: 60 })
		const child = fc.record({
			level: fc.constantFrom(...LOG_LEVELS),
			odd: fc.boolean(),
		})
		const folder = temporaryFolder()
		let runs = 0
		await fc.assert(
			fc.asyncProperty(levels, child, async (published, { level, odd }) => {
				const paths = [`${folder}/all-${++runs}.chain`, `${folder}/some-${runs}.chain`] as const
				const [all, some] = paths.map((path) => new FileChainAppender(path)) as [
					FileChainAppender,
					FileChainAppender,
				]
				const filter = ({ seq }: LogRecord) => !odd || seq % 2 === 1
				const loop = new MeshLoop(new TeeAppender(all, { appender: some, level, filter }))
				for (const [index, each] of published.entries()) loop.publish({ level: each, message: `m${index}` })
				await loop.close()
				await using merged = mergeChains(await Promise.all(paths.map((path) => openChain(path))))
				const messages = (await collect(merged.records())).map(({ message }) => message)
				expect(messages.sort()).toEqual(published.map((_level, index) => `m${index}`).sort())
				const isSelected = (each: string, index: number) =>
					LOG_LEVELS.indexOf(each as never) >= LOG_LEVELS.indexOf(level) && (!odd || index % 2 === 0)
				const wanted = published.flatMap((each, index) => (isSelected(each, index) ? [`m${index}`] : []))
				const selected = await recordsOf(paths[1])
				expect(selected.map(({ message }) => message)).toEqual(wanted)
				expect(selected.map(({ seq }) => seq)).toEqual(wanted.map((_message, index) => index + 1))
				expect((await verifyChain(paths[1])).ok).toBe(true)
			}),
			{ seed: SEED, numRuns: 15 },
		)
	})
})
