/** Calls of foreign code that never answer: closing waits a bounded time and reports what it gave up. */
import { channel } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import type { Chain } from '../../src/chain/chain.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { consume } from '../../src/consume/consume.ts'
import { project } from '../../src/consume/projection.ts'
import { isTime } from '../../src/guard/clock.ts'
import { discard } from '../../src/guard/promises.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { recordCrashes } from '../../src/loop/record-crashes.ts'
import { fromFunction, type Source, SourceManager } from '../../src/sources/index.ts'
import { ODDITIES } from '../support/oddities.ts'
import { record } from '../support/records.ts'
import { temporaryFolder } from '../support/temporary.ts'

const never = () => new Promise<never>(() => {})
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

beforeEach(() => {
	vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
	return () => void vi.restoreAllMocks()
})

async function chainOfThree(): Promise<Chain> {
	const path = join(temporaryFolder(), 'node.chain')
	const appender = new FileChainAppender(path)
	for (let seq = 1; seq <= 3; seq++) appender.append(record(seq))
	await appender.close()
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return chain
}

/** Calls that have begun and never end. */
function endless(): { readonly call: () => Promise<never>; readonly begun: Promise<void> } {
	let begin = () => {}
	const begun = new Promise<void>((resolve) => {
		begin = resolve
	})
	const call = () => {
		begin()
		return never()
	}
	return { call, begun }
}

test('close of a consumer with a hanging handler ends within closeTimeoutMs, and names the seq', async () => {
	const { call, begun } = endless()
	const consumer = consume(await chainOfThree(), 'mailer', call, { closeTimeoutMs: 30 })
	consumer.done.catch(() => {})
	await begun
	await expect(consumer.close()).rejects.toMatchObject({
		code: 'CLOSE_FAILED',
		seq: 1,
		message: expect.stringMatching(/mailer.*within 30 ms: seq 1 will be handled again/),
	})
	expect(consumer.stats().handled).toBe(0)
})

test('close of a projection with a hanging fold ends within closeTimeoutMs, and reports it', async () => {
	const { call, begun } = endless()
	const projection = project(await chainOfThree(), 'sum', {
		fold: call as never,
		initial: 0,
		closeTimeoutMs: 30,
	})
	projection.done.catch(() => {})
	await begun
	await expect(projection.close()).rejects.toMatchObject({
		code: 'CLOSE_FAILED',
		message: expect.stringMatching(/sum.*within 30 ms/),
	})
})

test('sources that never end are abandoned after closeTimeoutMs, and deliver no more samples', async () => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	const manager = new SourceManager(loop, { closeTimeoutMs: 30 })
	const sinks: { push(sample: object): void }[] = []
	const stubborn: Source = {
		monitor: (sink) => {
			sinks.push(sink)
			sink.push({ value: 1 })
			return never()
		},
		end: never,
	}
	for (const name of ['first', 'second', 'third']) await manager.archive(name, stubborn)
	await appender.waitFor({ daemonId: 'third' }, { timeoutMs: 30_000 })
	await manager.close()
	for (const sink of sinks) sink.push({ value: 2 })
	await turn()
	expect(appender.captured({ kind: 'sample' })).toHaveLength(3)
	await loop.close()
})

test('a create that takes too long starts no source, and the others are restored', async () => {
	const registry = join(temporaryFolder(), 'sources.chain')
	const loop = new MeshLoop(new BufferingAppender())
	const good = () => fromFunction(() => 1)
	const before = new SourceManager(loop, { registry })
	for (const name of ['slow', 'good']) await before.archive(name, good(), { mode: { scanIntervalMs: 1000 } })
	await before.close()
	const manager = new SourceManager(loop, { registry, connectTimeoutMs: 30 })
	const create = ({ name }: { readonly name: string }) => (name === 'slow' ? never() : good())
	expect(await manager.restore(create)).toBe(1)
	const { failure } = await manager.status('slow')
	expect(failure).toMatch(/create did not return the source "slow" within 30 ms/)
	await manager.close()
	await loop.close()
})

test.each(Object.keys(ODDITIES))(
	'a clock that gives %s is counted, and the chain uses its own times',
	async (name) => {
		const path = join(temporaryFolder(), 'node.chain')
		const odd = () => ODDITIES[name]!() as number
		const begun = Date.now()
		const appender = new FileChainAppender(path, { clock: odd })
		appender.append(record(1))
		await appender.close()
		const { clockFailures } = appender.stats()
		await using chain = await openChain(path)
		const { createdMs = -1 } = await chain.info()
		// A time before 1970 becomes 0.
		const reading: unknown = odd()
		discard(reading)
		if (isTime(reading)) expect([clockFailures, createdMs]).toEqual([0, 0])
		else expect([clockFailures > 0, createdMs >= begun]).toEqual([true, true])
	},
)

test.each(Object.keys(ODDITIES))('a process that dies of %s leaves a $crash record', async (name) => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	const undo = recordCrashes(loop)
	const died = ODDITIES[name]!()
	for (const listener of process.rawListeners('uncaughtExceptionMonitor')) listener(died, 'uncaughtException')
	undo()
	const [crash, ...others] = appender.captured()
	expect(others).toEqual([])
	expect(crash).toMatchObject({ kind: '$crash', level: 'error', message: expect.stringMatching(/^[^:]+: /) })
	expect((crash!.data as { origin: string }).origin).toBe('uncaughtException')
	await loop.close()
})

test('a subscriber that publishes on a report is not called for the reports that it causes', async () => {
	const appender = { append: () => {} }
	const loop = new MeshLoop(appender, {
		transform: (line) => ('boom' in (line.data as object) ? boom() : line),
	})
	const boom = () => {
		throw new Error('boom')
	}
	let heard = 0
	const hear = () => {
		heard++
		loop.info('a hook failed', { boom: true })
	}
	const hooks = channel('mesh-chain:hook-error')
	hooks.subscribe(hear)
	onTestFinished(() => hooks.unsubscribe(hear))
	for (let index = 1; index <= 3; index++) {
		loop.info('hello', { boom: true })
		expect([heard, loop.stats().transformErrors]).toEqual([index, 2 * index])
	}
	await loop.close()
})
