/** A recorder repeats its newest checkpoint in each file, so that retention leaves stateAt a start. */
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { FileChainAppender, type LogRecord, MeshLoop, NoOpAppender, openChain } from '../../src/index.ts'
import { openSession, Recorder, stateAt } from '../../src/recorder/index.ts'
import { SEED } from '../support/counts.ts'
import { runModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'
import { heardWarnings } from '../support/warnings.ts'

const fold = (sum: number, { data }: LogRecord) => sum + (data as number)
const isEvent = ({ kind }: LogRecord) => !kind.startsWith('$')

/** Writes events and checkpoints, and returns the state after each seq. */
async function written(
	path: string,
	steps: readonly ('event' | 'checkpoint' | 'sync')[],
	bounds: { readonly rotateRecords: number; readonly records: number },
	pad = 0,
): Promise<Map<number, number>> {
	const { rotateRecords, records } = bounds
	const file = new FileChainAppender(path, { rotateRecords, retain: { records } })
	const loop = new MeshLoop(new TeeAppender(file, new NoOpAppender()))
	const recorder = new Recorder(loop)
	const states = new Map<number, number>()
	let state = 0
	loop.on('*', (record) => {
		if (isEvent(record)) state = fold(state, record)
		states.set(record.seq, state)
	})
	recorder.start('s')
	recorder.checkpoint(state, { id: 'first' })
	for (const [index, step] of steps.entries()) {
		if (step === 'checkpoint') recorder.checkpoint(state)
		else if (step === 'sync') await loop.sync()
		else loop.emit(`e${'x'.repeat(pad)}`, index)
		// Rotation and retention run in the background.
		if (index % 4 === 0) await turn()
	}
	await loop.close()
	return states
}

describe('after retention', () => {
	test(`the state at every remaining record is right (seed ${SEED})`, async () => {
		const folder = temporaryFolder()
		let runs = 0
		let removed = 0
		const step = fc.constantFrom('event' as const, 'event' as const, 'event' as const, 'sync' as const)
		const steps = fc.array(
			fc.oneof({ weight: 20, arbitrary: step }, { weight: 1, arbitrary: fc.constant('checkpoint' as const) }),
			{ minLength: 40, maxLength: 200 },
		)
		await fc.assert(
			fc.asyncProperty(steps, fc.integer({ min: 1, max: 20 }), async (taken, rotateRecords) => {
				const path = `${folder}/${++runs}.chain`
				const states = await written(path, taken, { rotateRecords, records: 2 * rotateRecords })
				await using chain = await openChain(path)
				const records = (await collect(chain.records())).filter(({ kind }) => kind !== '$gap')
				if (records[0] !== undefined && records[0].seq > 1) removed++
				for (const { seq } of records)
					expect([seq, await stateAt(chain, { seq }, { fold, initial: 0 })]).toEqual([seq, states.get(seq)])
			}),
			{ seed: SEED, numRuns: 25 },
		)
		expect(removed).toBeGreaterThan(0)
	})

	test.each(['loop.close()', 'process.exit(0)'])(
		'the state is right if %s follows a burst that fills several files',
		async (end) => {
			const path = join(temporaryFolder(), 'node.chain')
			const source = `
				import { FileChainAppender, MeshLoop } from './dist/index.js'
				import { Recorder } from './dist/recorder/index.js'
				const retain = { records: 100 }
				const loop = new MeshLoop(new FileChainAppender(process.argv[1], { rotateRecords: 25, retain }))
				const recorder = new Recorder(loop)
				recorder.start()
				recorder.checkpoint(0)
				for (let index = 0; index < 1000; index++) loop.emit('event', index)
				${end}
			`
			expect(await runModule(source, [path])).toMatchObject({ status: 0, stderr: '' })
			await using chain = await openChain(path)
			let count = 0
			for await (const { kind, data, seq } of chain.records()) {
				if (kind !== 'event') continue
				const index = data as number
				expect(await stateAt(chain, { seq }, { fold, initial: 0 })).toBe((index * (index + 1)) / 2)
				count++
			}
			expect(count).toBeGreaterThan(0)
			expect(count).toBeLessThan(1000)
		},
	)

	test('a repeated checkpoint is not listed, and the session is found', async () => {
		const path = `${temporaryFolder()}/node.chain`
		await written(
			path,
			Array.from({ length: 80 }, (_unused, index) => (index % 8 === 7 ? 'sync' : 'event')),
			{
				rotateRecords: 10,
				records: 20,
			},
		)
		await using chain = await openChain(path)
		const repeats = await collect(chain.records({ kind: '$checkpoint', gaps: 'skip' }))
		expect(repeats.length).toBeGreaterThan(0)
		expect(repeats.every(({ data }) => 'repeats' in (data as object))).toBe(true)
		const session = await openSession(chain, 's')
		expect(await session.checkpoints()).toEqual([])
		expect(await session.count()).toBe(70)
		const at = { checkpoint: 'first' }
		await expect(stateAt(chain, at, { fold, initial: 0 })).rejects.toMatchObject({
			code: 'CHECKPOINT_NOT_FOUND',
		})
	})

	test('files that a single checkpoint fills do not cause more files', async () => {
		const path = `${temporaryFolder()}/node.chain`
		const loop = new MeshLoop(new FileChainAppender(path, { rotateRecords: 1 }))
		const recorder = new Recorder(loop)
		recorder.start()
		recorder.checkpoint(0)
		loop.emit('event', 1)
		let lastSeq = 0
		await expect
			.poll(async () => {
				await loop.sync()
				const before = lastSeq
				lastSeq = loop.stats().lastSeq
				return lastSeq === before
			})
			.toBe(true)
		for (let turns = 0; turns < 20; turns++) {
			await loop.sync()
			await turn()
		}
		expect(loop.stats().lastSeq).toBe(lastSeq)
		await loop.close()
	})

	test('too many events since the checkpoint are said once, and stateAt reports the gap', async () => {
		const said = heardWarnings()
		const path = `${temporaryFolder()}/node.chain`
		const loop = new MeshLoop(new FileChainAppender(path, { rotateRecords: 10, retain: { records: 20 } }))
		const recorder = new Recorder(loop, { eventsMax: 5 })
		recorder.start()
		recorder.checkpoint(0)
		for (let index = 0; index < 100; index++) {
			loop.emit('event', index)
			if (index % 10 === 9) await loop.sync()
			await turn()
		}
		await loop.close()
		expect(said.map(({ code }) => code)).toEqual(['MESH_CHAIN_CHECKPOINT_NOT_REPEATED'])
		await using chain = await openChain(path)
		await expect(stateAt(chain, { seq: 101 }, { fold, initial: 0 })).rejects.toMatchObject({
			code: 'CHAIN_GAP',
		})
	})

	test('a recorder without a session or a checkpoint repeats nothing', async () => {
		const path = `${temporaryFolder()}/node.chain`
		const loop = new MeshLoop(new FileChainAppender(path, { rotateRecords: 5 }))
		const recorder = new Recorder(loop)
		const publish = async () => {
			for (let index = 0; index < 20; index++) {
				loop.emit('event', index)
				await loop.sync()
			}
		}
		await publish()
		recorder.start()
		await publish()
		recorder.checkpoint(0)
		recorder.stop()
		await publish()
		await loop.close()
		await using chain = await openChain(path)
		expect(await collect(chain.records({ kind: '$checkpoint' }))).toHaveLength(1)
	})
})

describe('onNewFile', () => {
	test('calls its listeners after each new file, until they are removed', async () => {
		const path = `${temporaryFolder()}/node.chain`
		const file = new FileChainAppender(path, { rotateRecords: 5 })
		const loop = new MeshLoop(new TeeAppender(file, new NoOpAppender()))
		let calls = 0
		file.onNewFile(() => {
			throw new Error('broken')
		})
		file.onNewFile(() => Promise.reject(new Error('broken')) as never)
		const end = file.onNewFile(() => {
			calls += 1
		})
		const publish = async () => {
			for (let index = 0; index < 25; index++) {
				loop.info('hello')
				await loop.sync()
				await turn()
			}
		}
		await publish()
		await expect.poll(() => file.stats().rotations).toBeGreaterThan(2)
		await expect.poll(() => calls).toBe(file.stats().rotations)
		end()
		const before = calls
		await publish()
		expect(file.stats().rotations).toBeGreaterThan(before)
		expect(calls).toBe(before)
		await loop.close()
	})
})
