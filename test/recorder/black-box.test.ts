/** The black box: the lines that a level holds back, and when they are written. */
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import type { MeshLoopOptions } from '../../src/loop/options.ts'
import type { BlackBoxData } from '../../src/model/own-events.ts'
import { BlackBox, type BlackBoxOptions } from '../../src/recorder/black-box.ts'
import { runModule } from '../support/process.ts'
import { collect } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

function boxed(options: BlackBoxOptions = {}, loopOptions: MeshLoopOptions = {}) {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender, { level: 'info', ...loopOptions })
	const blackBox = new BlackBox(loop, options)
	const boxes = () => appender.captured({ kind: '$blackbox' }).map(({ data }) => data as BlackBoxData)
	return { appender, loop, blackBox, boxes }
}

test('lines below the level take no seq and are not published until a trigger', () => {
	const { appender, loop, boxes, blackBox } = boxed()
	loop.info('one')
	loop.debug('two', { n: 2 })
	loop.trace('three')
	loop.emit('four', { n: 4 }, { level: 'debug' })
	loop.publish({ level: 'debug', kind: 'five', daemonId: 7n })
	loop.publishBatch([{ level: 'trace', message: 'six' }, { message: 'seven' }])
	expect(appender.captured().map(({ seq, message }) => [seq, message])).toEqual([
		[1, 'one'],
		[2, 'seven'],
	])
	expect(blackBox.stats()).toMatchObject({ held: 5, kept: 5, written: 0 })
	loop.error('eight')
	expect(appender.captured().map(({ seq, kind }) => [seq, kind])).toEqual([
		[1, 'log'],
		[2, 'log'],
		[3, 'log'],
		[4, '$blackbox'],
	])
	expect(boxes()[0]).toMatchObject({ reason: 'eight', bySeq: 3, dropped: 0 })
	expect(
		boxes()[0]?.lines.map(({ level, kind, message, data, daemonId }) => [
			level,
			kind,
			message,
			data,
			daemonId,
		]),
	).toEqual([
		['debug', 'log', 'two', { n: 2 }, null],
		['trace', 'log', 'three', undefined, null],
		['debug', 'four', 'four', { n: 4 }, null],
		['debug', 'five', 'five', undefined, 7n],
		['trace', 'log', 'six', undefined, null],
	])
	expect(blackBox.stats()).toMatchObject({ held: 0, bytes: 0, written: 5, triggers: 1 })
	loop.error('nine')
	expect(boxes()).toHaveLength(1)
	expect(loop.stats().belowLevel).toBe(5)
})

test('held lines are built like published ones: copied, with context, child fields and transform', () => {
	const { loop, boxes } = boxed(
		{},
		{
			nodeId: 'n1',
			context: () => ({ data: { requestId: 'r1' } }),
			transform: (line) =>
				line.message === 'drop me' ? null : { ...line, data: { ...(line.data as object), secret: '…' } },
		},
	)
	const data = { secret: 's', list: [1] }
	const child = loop.child({ daemonId: 'd1' })
	child.debug('detail', data)
	data.list.push(2)
	loop.debug('drop me')
	child.level = 'error'
	child.warn('held back by the child alone')
	loop.error('now')
	expect(boxes()[0]?.lines).toMatchObject([
		{ message: 'detail', daemonId: 'd1', nodeId: 'n1', data: { requestId: 'r1', secret: '…', list: [1] } },
		{ message: 'held back by the child alone', level: 'warn' },
	])
})

describe('the held lines are bounded', () => {
	test('by count', () => {
		const { loop, boxes, blackBox } = boxed({ linesMax: 3 })
		for (let n = 0; n < 5000; n++) loop.debug(`${n}`)
		loop.error('now')
		expect(boxes()[0]?.lines.map(({ message }) => message)).toEqual(['4997', '4998', '4999'])
		expect(boxes()[0]?.dropped).toBe(4997)
		expect(blackBox.stats().dropped).toEqual({ lines: 4997, bytes: 0, age: 0, closed: 0 })
		loop.debug('more')
		loop.error('again')
		expect(boxes()[1]?.dropped).toBe(0)
	})

	test('by bytes, so that one record can always hold all lines', () => {
		for (const text of ['x'.repeat(2000), '€'.repeat(2000), '\u0000'.repeat(2000)]) {
			const { loop, boxes, blackBox } = boxed()
			for (let n = 0; n < 1000; n++) loop.debug(text, { n, text, nested: [[[text]]] })
			loop.error('now')
			const { lines, dropped } = boxes()[0]!
			expect(lines.length + dropped).toBe(1000)
			expect(lines.length).toBeGreaterThan(20)
			expect(JSON.stringify(boxes())).not.toContain('$unserializable')
			expect(blackBox.stats().dropped.bytes).toBe(dropped)
		}
	})

	test('by age', () => {
		let nowMs = 1000
		const { loop, boxes } = boxed({ ageMsMax: 500 }, { clock: () => nowMs })
		loop.debug('old')
		nowMs = 1400
		loop.debug('less old')
		nowMs = 1600
		loop.debug('new')
		loop.error('now')
		expect(boxes()[0]).toMatchObject({ dropped: 1, lines: [{ message: 'less old' }, { message: 'new' }] })
	})

	test('by age since the line was held, whatever time a line has', () => {
		let nowMs = 1_000_000
		const { loop, boxes, blackBox } = boxed({ ageMsMax: 500 }, { clock: () => nowMs })
		loop.debug('long ago', undefined, { tsMs: 5 })
		loop.debug('before')
		loop.debug('from the future', undefined, { tsMs: nowMs + 60_000 })
		loop.debug('behind')
		loop.error('from the future too', undefined, { tsMs: nowMs + 60_000 })
		expect(boxes()[0]?.lines.map(({ message }) => message)).toEqual([
			'long ago',
			'before',
			'from the future',
			'behind',
		])
		loop.debug('from the future', undefined, { tsMs: nowMs + 60_000 })
		nowMs += 501
		blackBox.trigger()
		expect(boxes()[1]).toMatchObject({ dropped: 1, lines: [] })
		expect(blackBox.stats()).toMatchObject({ held: 0, bytes: 0, dropped: { age: 1 } })
	})
})

describe('triggers', () => {
	test('a record at a level, or one that a predicate selects', () => {
		const { loop, boxes } = boxed({ level: 'none', when: ({ kind }) => kind === 'alarm' })
		loop.debug('a')
		loop.error('not this')
		expect(boxes()).toEqual([])
		loop.emit('alarm', {})
		expect(boxes()).toMatchObject([{ reason: 'alarm', lines: [{ message: 'a' }] }])
	})

	test('a call, even if no line is held', () => {
		const { blackBox, boxes, loop } = boxed()
		expect(blackBox.trigger('somebody asked')?.kind).toBe('$blackbox')
		expect(boxes()).toEqual([{ reason: 'somebody asked', bySeq: null, lines: [], dropped: 0 }])
		loop.debug('x')
		blackBox.trigger('y'.repeat(5000))
		expect(boxes()[1]?.reason).toHaveLength(200)
	})

	test('lines published by a listener during the write belong to the next record', () => {
		const { loop, boxes } = boxed()
		loop.on('$blackbox', () => void loop.debug('meanwhile'))
		loop.debug('first')
		loop.error('one')
		loop.error('two')
		expect(boxes().map(({ lines }) => lines.map(({ message }) => message))).toEqual([
			['first'],
			['meanwhile'],
		])
	})

	test('a crash: the last lines are in the file', async () => {
		const path = join(temporaryFolder(), 'node.chain')
		const { status } = await runModule(
			`import { FileChainAppender, MeshLoop, recordCrashes } from 'mesh-chain'
			import { BlackBox } from 'mesh-chain/recorder'
			const loop = new MeshLoop(new FileChainAppender(process.argv.at(-1)), { level: 'info' })
			recordCrashes(loop)
			new BlackBox(loop)
			loop.debug('the last thing I did')
			setTimeout(() => { throw new Error('boom') }, 1)`,
			[path],
		)
		expect(status).toBe(1)
		await using chain = await openChain(path)
		const [crash, box] = await collect(chain.records())
		expect(crash).toMatchObject({ kind: '$crash', message: 'Error: boom' })
		expect(box?.data).toMatchObject({ lines: [{ message: 'the last thing I did' }], bySeq: crash?.seq })
	})
})

test('an invalid line is counted, and has no other effect', () => {
	const { loop, blackBox } = boxed()
	expect(() => loop.publish({ level: 'debug', kind: '*' })).not.toThrow()
	expect(() => loop.publish({ level: 'debug', tsMs: Number.NaN })).not.toThrow()
	expect(blackBox.stats()).toMatchObject({ held: 0, refused: 2 })
})

test('a loop has at most one black box, and builds no lines for it after close', async () => {
	const { loop, blackBox, boxes } = boxed()
	expect(() => new BlackBox(loop)).toThrow(expect.objectContaining({ code: 'INVALID_USAGE' }))
	loop.debug('held')
	blackBox.close()
	let looked = false
	loop.debug('not held', {
		get x() {
			looked = true
			return 1
		},
	})
	loop.error('now')
	expect([boxes(), looked]).toEqual([[], false])
	const next = new BlackBox(loop)
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
	onTestFinished(() => void vi.restoreAllMocks())
	await loop.close()
	loop.debug('late')
	expect(next.trigger('late')).toBeUndefined()
	expect(blackBox.stats().dropped.closed).toBe(1)
})

test.each([{ linesMax: 0 }, { bytesMax: 10_000_000 }, { ageMsMax: 0 }, { level: 'loud' }, { size: 5 }])(
	'options such as %j are refused',
	(options) => {
		expect(() => boxed(options as never)).toThrow(expect.objectContaining({ name: 'MeshChainError' }))
	},
)

test('a chain stores it, and verifies', async () => {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { level: 'warn' })
	const blackBox = new BlackBox(loop)
	for (let n = 0; n < 3000; n++) loop.info('filler '.repeat(40), { n })
	loop.error('now')
	const { written } = blackBox.stats()
	await loop.close()
	await using chain = await openChain(path)
	const [box] = await collect(chain.records({ kind: '$blackbox' }))
	expect(box?.data).toMatchObject({ dropped: 3000 - written })
	expect(written).toBeGreaterThan(500)
})
