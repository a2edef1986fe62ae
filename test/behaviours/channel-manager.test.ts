/**
 * The behaviour of the channel manager of an EPICS archiver, row by row: the behaviour that mesh-chain
 * matches, and the faults that it avoids. Here a channel is a source, `destroy` is `forget`, and stored data
 * is a record of a chain.
 */
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { BufferingAppender } from '../../src/index.ts'
import {
	fromFunction,
	readRegistry,
	type SampleMode,
	type Source,
	type SourceManagerOptions,
	type SourcePolicy,
} from '../../src/sources/index.ts'
import { resolveManagerOptions } from '../../src/sources/manager-options.ts'
import { FullAppender, managerOf, ScriptedSource } from '../support/scripted-source.ts'
import { temporaryFolder } from '../support/temporary.ts'

const START_MS = Date.UTC(2026, 0, 1)
const MONTH_MS = 30 * 24 * 3_600_000

beforeEach(() => {
	vi.useRealTimers()
	vi.useFakeTimers({ now: START_MS })
})

const pass = (ms = 1) => vi.advanceTimersByTimeAsync(ms)

/** Returns a manager with one source that follows the test's script. */
async function archived<A extends BufferingAppender = BufferingAppender>(
	options: SourceManagerOptions = {},
	appender?: A,
) {
	const managed = managerOf(options, appender)
	const source = new ScriptedSource()
	await managed.manager.archive('a', source)
	return { ...managed, source, status: () => managed.manager.status('a') }
}

/** Registries are real files and take real time; only their clock is the test's. */
function registryOf() {
	vi.useRealTimers()
	const path = join(temporaryFolder(), 'registry.chain')
	return { path, open: (clock = () => START_MS) => managerOf({ registry: path, clock }) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))
const failing = (text: string): Source => ({ monitor: () => Promise.reject(new Error(text)) })

describe('Match', () => {
	test('many sources go through one queue of 500,000 samples into one loop', async () => {
		expect(resolveManagerOptions({}).queueSamplesMax).toBe(500_000)
		const { manager, appender, values } = managerOf({ queueSamplesMax: 500 }, new FullAppender())
		const sources = Array.from({ length: 10 }, () => new ScriptedSource())
		for (const [index, source] of sources.entries()) await manager.archive(`s${index}`, source)
		for (let count = 0; count < 60; count++) for (const source of sources) source.push(count)
		const all = await manager.statuses()
		const queued = all.reduce((sum, status) => sum + status.queued, 0)
		const dropped = all.reduce((sum, status) => sum + status.counts.dropped.overflow, 0)
		expect(queued).toBeLessThanOrEqual(500)
		expect(queued).toBeGreaterThan(490)
		expect(queued + dropped).toBe(600)
		appender.isFull = false
		await pass(10_000)
		expect(values()).toHaveLength(queued)
		expect(values('s3').slice(0, 3)).toEqual([0, 1, 2])
	})

	test('a source pushes, or is read once per period; samples are stamped when received', async () => {
		const { manager, samples } = managerOf()
		const pushing = new ScriptedSource()
		let asked = 0
		await manager.archive('pushing', pushing)
		const slow = async () => {
			await new Promise((resolve) => setTimeout(resolve, 10))
			return ++asked
		}
		await manager.archive('asked', fromFunction(slow), { mode: { scanIntervalMs: 100 } })
		pushing.push('own', START_MS - 5)
		pushing.push('none')
		await pass(250)
		expect(samples('pushing').map(({ tsMs, data }) => [tsMs - START_MS, data.value])).toEqual([
			[-5, 'own'],
			[0, 'none'],
		])
		// Timers are whole milliseconds, and late by a fraction of one.
		expect(samples('asked').map(({ data }) => data.value)).toEqual([1, 2, 3])
		for (const [index, { tsMs }] of samples('asked').entries()) {
			expect(tsMs - START_MS - 100 * index - 10).toBeOneOf([0, 1])
		}
	})

	test('operations on one name run one by one, operations on other names do not wait', async () => {
		const { manager } = managerOf()
		let letGo = () => {}
		const slow: Source = {
			monitor: () =>
				new Promise((resolve) => {
					letGo = resolve
				}),
		}
		const done: string[] = []
		const log = (what: string) => () => void done.push(what)
		await manager.archive('slow', slow)
		await manager.archive('other', new ScriptedSource())
		const all = [
			manager.pause('slow').then(log('slow paused')),
			manager.resume('slow', new ScriptedSource()).then(log('slow resumed')),
			manager.stop('slow').then(log('slow stopped')),
			manager.forget('slow').then(log('slow forgotten')),
			manager.pause('other').then(log('other paused')),
		]
		await pass()
		expect(done).toEqual(['other paused'])
		letGo()
		await Promise.all(all)
		expect(done.slice(1)).toEqual(['slow paused', 'slow resumed', 'slow stopped', 'slow forgotten'])
	})

	test('a known name is already being archived; during archive, the operation is in progress', async () => {
		const { manager } = await archived()
		await expect(manager.archive('a', new ScriptedSource())).rejects.toMatchObject({
			code: 'SOURCE_EXISTS',
			message: expect.stringContaining('already being archived'),
		})
		const first = manager.archive('b', new ScriptedSource())
		await expect(manager.archive('b', new ScriptedSource())).rejects.toMatchObject({
			code: 'SOURCE_BUSY',
			message: expect.stringContaining('archive operation already in progress'),
		})
		await first
		expect((await manager.statuses()).map(({ name }) => name)).toEqual(['a', 'b'])
	})

	test('a policy overrides the mode: by exact name, or else by the first matching glob', async () => {
		const policy = (name: string, match: string, scanIntervalMs: number): SourcePolicy => ({
			name,
			match,
			mode: { scanIntervalMs },
		})
		const { manager } = managerOf({
			policies: [
				policy('all of it', 'it*', 1000),
				policy('one letter', 'it?', 2000),
				policy('exact', 'its', 3000),
				{ name: 'pushed', match: '?*:push', mode: 'monitor' },
			],
		})
		const source = Object.assign(new ScriptedSource(), { read: () => 1 })
		const decided = async (name: string, mode: SampleMode) => {
			await manager.archive(name, source, { mode })
			const status = await manager.status(name)
			return [status.policy, status.mode]
		}
		expect(await decided('its', 'monitor')).toEqual(['exact', { scanIntervalMs: 3000 }])
		expect(await decided('itx', 'monitor')).toEqual(['all of it', { scanIntervalMs: 1000 }])
		expect(await decided('x:push', { scanIntervalMs: 5 })).toEqual(['pushed', 'monitor'])
		expect(await decided(':push', { scanIntervalMs: 5 })).toEqual([undefined, { scanIntervalMs: 5 }])
	})

	test('a glob never takes exponential time: thirty stars over a name that almost matches', async () => {
		const glob = `${'*a'.repeat(30)}b`
		const { manager } = managerOf({ policies: [{ name: 'stars', match: glob, mode: { scanIntervalMs: 1 } }] })
		await manager.archive('a'.repeat(256), new ScriptedSource())
		expect(await manager.status('a'.repeat(256))).toMatchObject({ policy: undefined, mode: 'monitor' })
	})

	test('a source that has not subscribed within 10 s has failed', async () => {
		const { source, status } = await archived()
		await pass(9_999)
		expect([source.sink.signal.aborted, (await status()).counts.transientErrors]).toEqual([false, 0])
		await pass(1)
		expect(source.sink.signal.aborted).toBe(true)
		expect((await status()).counts).toMatchObject({
			transientErrors: 1,
			lastError: expect.stringContaining('10000 ms'),
			disconnects: 0,
		})
		await pass(5_000)
		source.sink.opened()
		await pass(60_000)
		expect([source.attempts.length, source.sink.signal.aborted]).toEqual([2, false])
	})

	test('pause and stop end the task: the state is paused or inactive; harmless if not running', async () => {
		const { manager, source, status, values } = await archived()
		source.push(1)
		const { sink } = source
		await manager.pause('a')
		sink.push({ value: 'late' })
		expect(await status()).toMatchObject({ state: 'paused', connection: 'idle', connectedSinceMs: undefined })
		expect([sink.signal.aborted, source.ended]).toEqual([true, 1])
		await manager.pause('a')
		await manager.stop('a')
		expect(await status()).toMatchObject({ state: 'inactive', counts: { received: 1 } })
		await manager.stop('a')
		await pass(60_000)
		expect([source.attempts.length, values()]).toEqual([1, [1]])
	})

	test('resume: fails for an unknown name, ignores a running source, starts any other', async () => {
		const { manager, source, status } = await archived()
		await expect(manager.resume('b')).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
		await manager.resume('a')
		expect(source.attempts).toHaveLength(1)
		for (const end of ['pause', 'stop'] as const) {
			await manager[end]('a')
			await manager.resume('a')
			expect(await status()).toMatchObject({ state: 'active', connection: 'connecting' })
		}
		expect(source.attempts).toHaveLength(3)
	})

	test('resume: a source that cannot be started keeps its state', async () => {
		const { manager, status } = await archived()
		await manager.pause('a')
		await expect(
			manager.resume(
				'a',
				fromFunction(() => 1),
			),
		).rejects.toMatchObject({ code: 'INVALID_SOURCE' })
		expect(await status()).toMatchObject({ state: 'paused', connection: 'idle' })
	})

	test('forget: the source ends and leaves the registry; no data is deleted', async () => {
		const { path, open } = registryOf()
		const { manager, values } = open()
		const source = new ScriptedSource()
		await manager.archive('a', source)
		await manager.alias('nick', 'a')
		source.push(1)
		await manager.forget('nick')
		expect([...(await readRegistry(path)).entries.keys()]).toEqual(['a'])
		await manager.forget('a')
		expect(source.sink.signal.aborted).toBe(true)
		expect((await readRegistry(path)).entries.size).toBe(0)
		await expect(manager.status('a')).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
		await turn()
		expect(values('a')).toEqual([1])
		await manager.archive('a', new ScriptedSource())
		expect((await manager.status('a')).counts.received).toBe(0)
	})

	test('restore: starts and counts active sources without aliases; a failed one is marked', async () => {
		const { open } = registryOf()
		const before = open().manager
		for (const name of ['on', 'off', 'bad', 'none', 'paused', 'stopped'])
			await before.archive(name, new ScriptedSource(), { details: { name } })
		await before.alias('nick', 'on')
		await before.pause('paused')
		await before.stop('stopped')
		await before.close()
		const { manager } = open()
		const made: string[] = []
		const create = ({ name, details }: { name: string; details: unknown }): Source => {
			made.push(name)
			expect(details).toEqual({ name })
			if (name === 'bad') throw new Error('no such address')
			return name === 'none' ? fromFunction(() => 1) : new ScriptedSource()
		}
		expect(await manager.restore(create)).toBe(2)
		expect(made.sort()).toEqual(['bad', 'none', 'off', 'on'])
		const seen = (await manager.statuses()).map(({ name, state, connection }) => [name, state, connection])
		expect(seen).toEqual([
			['bad', 'active', 'idle'],
			['none', 'active', 'idle'],
			['off', 'active', 'connecting'],
			['on', 'active', 'connecting'],
			['paused', 'paused', 'idle'],
			['stopped', 'inactive', 'idle'],
		])
		expect((await manager.status('bad')).failure).toBe('no such address')
		expect((await manager.status('none')).failure).toMatch(/no monitor\(sink\)/)
		expect((await manager.status('nick')).name).toBe('on')
	})

	test('the connection is idle, connecting, connected at the first sample, or disconnected', async () => {
		const { source, status, manager } = await archived()
		const connection = async () => {
			const { connection, connectedSinceMs } = await status()
			return [connection, connectedSinceMs === undefined ? undefined : connectedSinceMs - START_MS]
		}
		source.sink.opened()
		expect(await connection()).toEqual(['connecting', undefined])
		await pass(7)
		source.push(1)
		await pass(7)
		source.push(2)
		expect(await connection()).toEqual(['connected', 7])
		source.sink.lost(new Error('gone'))
		expect(await connection()).toEqual(['disconnected', undefined])
		await pass(6)
		source.push(3)
		expect(await connection()).toEqual(['connected', 20])
		await manager.pause('a')
		expect(await connection()).toEqual(['idle', undefined])
	})

	test('a disconnect counts once per actual loss', async () => {
		const { source, status } = await archived()
		const disconnects = async () => (await status()).counts.disconnects
		source.fail()
		await pass(5_000)
		expect(await disconnects()).toBe(0)
		source.push(1)
		source.sink.lost(new Error('once'))
		source.sink.lost(new Error('again'))
		source.fail()
		await pass(5_000)
		source.fail()
		await pass(5_000)
		expect((await status()).counts).toMatchObject({
			disconnects: 1,
			lastDisconnectMs: START_MS + 5_000,
			transientErrors: 5,
		})
		source.push(2)
		source.attempts.at(-1)!.end()
		await pass()
		expect(await disconnects()).toBe(2)
	})

	test('a failed subscription is retried after 5 s', async () => {
		const { source } = await archived()
		for (const attempts of [1, 2, 3, 4, 5]) {
			source.fail()
			await pass(4_999)
			expect(source.attempts).toHaveLength(attempts)
			await pass(1)
			expect(source.attempts).toHaveLength(attempts + 1)
		}
	})

	test('extra fields back off 5 → 10 → 20 → 40 → 60 s, with one warning at the cap and a reset', async () => {
		const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
		const { manager } = managerOf()
		const source = new ScriptedSource()
		await manager.archive('a', source, { fields: ['unit'] })
		source.sink.opened()
		const failsAndWaits = async (seconds: number) => {
			const before = source.fieldAttempts.length
			source.field('unit').fail(new Error('away'))
			await pass(seconds * 1000 - 1)
			expect(source.fieldAttempts).toHaveLength(before)
			await pass(1)
			expect(source.fieldAttempts).toHaveLength(before + 1)
			source.field('unit').sink.opened()
		}
		for (const seconds of [5, 10, 20, 40]) await failsAndWaits(seconds)
		expect(warned).not.toHaveBeenCalled()
		for (const seconds of [60, 60, 60]) await failsAndWaits(seconds)
		expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/"unit".*"a".*60 s/), {
			type: 'MeshChainWarning',
			code: 'MESH_CHAIN_FIELD_FAILING',
		})
		source.field('unit').sink.push({ value: 'V' })
		for (const seconds of [5, 10]) await failsAndWaits(seconds)
		expect((await manager.status('a')).counts.transientErrors).toBe(9)
		warned.mockRestore()
	})

	test('a time before 1991 or more than 1,800 s off is dropped; a time at the bound is kept', async () => {
		const clock = () => START_MS
		const { source, status, values } = await archived({ clock })
		source.push('first', START_MS - 1_800_000)
		source.push('too early', START_MS - 1_800_001)
		source.push('at the edge', START_MS - 1_800_000)
		source.push('at the other', START_MS + 1_800_000)
		source.push('too late', START_MS + 1_800_001)
		await pass()
		expect(values()).toEqual(['first', 'at the edge', 'at the other'])
		expect((await status()).counts.dropped).toMatchObject({ timestamp: 2, order: 0 })
	})

	test('1991-01-01 is the first valid day, whatever the clock is', async () => {
		const { source, status, values } = await archived({ clock: () => 662_688_000_000 })
		source.push('first', 662_687_000_000)
		source.push('before', 662_687_999_999)
		source.push('at', 662_688_000_000)
		await pass()
		expect(values()).toEqual(['first', 'at'])
		expect((await status()).counts.dropped.timestamp).toBe(1)
	})

	test('the first sample after a (re)connect may be of any age, but not future or out of order', async () => {
		const { source, status, samples } = await archived()
		source.push('years old', START_MS - 12 * MONTH_MS)
		source.push('now', START_MS)
		source.sink.lost(new Error('gone'))
		source.push('ahead', START_MS + MONTH_MS)
		source.push('ahead again', START_MS + MONTH_MS)
		source.fail()
		await pass(5_000)
		source.push('older than what is stored', START_MS - 1)
		await pass()
		expect(samples().map(({ data, tsMs }) => [data.value, tsMs - START_MS])).toEqual([
			['years old', -12 * MONTH_MS],
			['now', 0],
		])
		expect((await status()).counts.dropped).toMatchObject({ timestamp: 2, order: 1 })
	})

	test('a sample older than the last stored one is dropped, an equal one is kept', async () => {
		const { source, status, values } = await archived()
		for (const [value, offsetMs] of [
			['a', 0],
			['b', 10],
			['older', 9],
			['equal', 10],
			['c', 11],
		] as const)
			source.push(value, START_MS + offsetMs)
		await pass()
		expect(values()).toEqual(['a', 'b', 'equal', 'c'])
		expect((await status()).counts.dropped).toMatchObject({ order: 1, timestamp: 0 })
	})

	test('the first type wins: values of other types are dropped, and counted', async () => {
		const { source, status, values } = await archived()
		for (const value of [null, 1, 'two', 3, null, true, [4], { five: 5 }, 6n]) source.push(value)
		await pass()
		expect(values()).toEqual([null, 1, 3, null])
		expect(await status()).toMatchObject({
			counts: { dropped: { type: 5 }, latestType: 'bigint', received: 9, stored: 4 },
			memory: { type: 'number' },
		})
	})

	test('each cause has its counter, and an unset field is undefined', async () => {
		const { manager, source, status } = await archived({ queueSamplesMax: 10 }, new FullAppender())
		expect((await status()).counts).toEqual({
			received: 0,
			stored: 0,
			dropped: { overflow: 0, timestamp: 0, order: 0, type: 0, refused: 0 },
			unserializable: 0,
			waits: 0,
			missedScans: 0,
			storedBytes: 0,
			firstEventMs: undefined,
			lastEventMs: undefined,
			disconnects: 0,
			lastDisconnectMs: undefined,
			transientErrors: 0,
			lastError: undefined,
			latestType: undefined,
		})
		expect(await status()).toMatchObject({
			connectedSinceMs: undefined,
			lostMs: undefined,
			policy: undefined,
			failure: undefined,
		})
		expect(await manager.liveValue('a')).toBeUndefined()
		await pass(5)
		source.push(0, START_MS)
		source.push(1, START_MS - MONTH_MS)
		source.push(2, START_MS - 1)
		source.push('three')
		for (let value = 0; value < 12; value++) source.push(value)
		source.sink.lost(new Error('gone'))
		expect(await status()).toMatchObject({
			queued: 9,
			lostMs: START_MS + 5,
			counts: {
				received: 16,
				dropped: { overflow: 4, timestamp: 1, order: 1, type: 1, refused: 0 },
				firstEventMs: START_MS + 5,
				lastEventMs: START_MS + 5,
				disconnects: 1,
				lastDisconnectMs: START_MS + 5,
				transientErrors: 1,
				lastError: 'gone',
				latestType: 'number',
			},
		})
	})

	test('the first sample after a reconnect has the times of the loss and the return', async () => {
		const { source, samples } = await archived()
		source.push(1)
		await pass(100)
		source.fail()
		await pass(5_000)
		source.push('no number')
		await pass(10)
		source.push(2)
		source.push(3)
		await pass()
		expect(samples().map(({ data }) => data)).toEqual([
			{ value: 1 },
			{ value: 2, connection: { lostMs: START_MS + 100, regainedMs: START_MS + 5_100 } },
			{ value: 3 },
		])
	})

	test('extra fields are attached, sorted by name; fields in both lists are followed on', async () => {
		const { manager, samples } = managerOf()
		const source = new ScriptedSource()
		await manager.archive('a', source, { fields: ['unit', 'high', 'low', 'high'] })
		expect(source.fieldAttempts.map(({ field }) => field)).toEqual(['high', 'low', 'unit'])
		source.push(1)
		source.field('unit').sink.push({ value: 'mm' })
		source.field('high').sink.push({ value: 9 })
		source.push(2)
		const { unit, high } = { unit: source.field('unit').sink, high: source.field('high').sink }
		await manager.updateFields('a', ['unit', 'desc'])
		expect([unit.signal.aborted, high.signal.aborted, source.fieldAttempts.length]).toEqual([false, true, 4])
		high.push({ value: 'late' })
		source.field('desc').sink.push({ value: 'a valve' })
		source.push(3)
		await pass()
		expect(samples().map(({ data }) => JSON.stringify(data.fields))).toEqual([
			'{}',
			'{"high":9,"unit":"mm"}',
			'{"desc":"a valve","unit":"mm"}',
		])
	})

	test('the queue is flushed once per period, and completely at shutdown', async () => {
		const { manager, source, values } = await archived({ flushIntervalMs: 1_000 })
		source.push(1)
		await pass(999)
		expect(values()).toEqual([])
		await pass(1)
		expect(values()).toEqual([1])
		for (let value = 2; value <= 5; value++) source.push(value)
		vi.useRealTimers()
		await manager.close()
		expect(values()).toEqual([1, 2, 3, 4, 5])
	})

	test('liveValue: the newest value that passed, whether or not it is in the chain', async () => {
		const { manager, source } = await archived({ flushIntervalMs: 60_000 })
		await manager.alias('nick', 'a')
		source.push(7, START_MS - 20)
		source.push('seven')
		const live = { value: 7, tsMs: START_MS - 20, receivedMs: START_MS }
		expect(await manager.liveValue('a')).toEqual(live)
		await manager.pause('a')
		expect(await manager.liveValue('nick')).toEqual(live)
		await expect(manager.liveValue('b')).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
	})

	test('reports: paused, never connected, disconnected, silent, rate, drops, lost connections', async () => {
		const { manager } = managerOf()
		const sources: Record<string, ScriptedSource> = {}
		for (const name of ['busy', 'lost', 'never', 'paused', 'quiet', 'stopped']) {
			sources[name] = new ScriptedSource()
			await manager.archive(name, sources[name])
			sources[name].sink.opened()
		}
		const { busy, lost, quiet } = sources as Record<string, ScriptedSource>
		quiet!.push(1)
		lost!.push(1)
		lost!.sink.lost(new Error('gone'))
		await manager.pause('paused')
		await manager.stop('stopped')
		await manager.report()
		await pass(3_599_999)
		expect((await manager.report()).silent).toEqual([])
		await pass(1)
		for (let value = 0; value < 20; value++) busy!.push(value)
		busy!.push('a text')
		busy!.push(1, START_MS)
		await pass(1_999)
		const lostMs = START_MS
		expect(await manager.report()).toEqual({
			sources: 6,
			active: 4,
			paused: ['paused'],
			inactive: ['stopped'],
			neverConnected: ['never'],
			disconnected: [{ name: 'lost', lostMs }],
			silent: [
				{ name: 'lost', lastEventMs: START_MS },
				{ name: 'quiet', lastEventMs: START_MS },
			],
			rate: 11,
			storedBytes: expect.any(Number),
			received: 24,
			stored: 22,
			dropped: { overflow: 0, timestamp: 1, order: 0, type: 1, refused: 0 },
			losses: [{ name: 'busy', total: 2, overflow: 0, timestamp: 1, order: 0, type: 1, refused: 0 }],
			lostConnections: [{ name: 'lost', disconnects: 1, lastDisconnectMs: lostMs }],
		})
	})
})

describe('Beat', () => {
	test('a wait for room and a drop without room have one counter each', async () => {
		const { appender, source, status, values } = await archived({ queueSamplesMax: 10 }, new FullAppender())
		for (let value = 0; value < 12; value++) source.push(value)
		const waiting = source.sink.put({ value: 12 })
		expect(waiting).toBeInstanceOf(Promise)
		expect(await status()).toMatchObject({
			queued: 10,
			counts: { received: 13, waits: 1, dropped: { overflow: 3 } },
		})
		appender.isFull = false
		await pass(10_000)
		await waiting
		expect(await status()).toMatchObject({
			queued: 0,
			counts: { stored: 10, waits: 1, dropped: { overflow: 3 } },
		})
		expect(values().at(-1)).toBe(12)
	})

	test('the order is remembered across flushes and pauses', async () => {
		const { manager, source, status, values } = await archived()
		source.push('new', START_MS)
		await pass()
		source.push('older', START_MS - 1)
		await manager.pause('a')
		await manager.resume('a')
		source.push('older again', START_MS - 1)
		source.push('equal', START_MS)
		await pass()
		expect(values()).toEqual(['new', 'equal'])
		expect((await status()).counts.dropped.order).toBe(2)
	})

	test('order, type, counters and a lost connection are remembered across restarts', async () => {
		const { open } = registryOf()
		const before = open()
		const first = new ScriptedSource()
		await before.manager.archive('a', first)
		first.push(1, START_MS)
		first.push('no number')
		first.sink.lost(new Error('gone'))
		await before.manager.close()
		const { manager, samples } = open(() => START_MS + 500)
		const second = new ScriptedSource()
		expect(await manager.restore(() => second)).toBe(1)
		second.push('no number', START_MS + 1)
		second.push(2, START_MS - 1)
		second.push(3, START_MS + 1)
		await turn()
		const connection = { lostMs: START_MS, regainedMs: START_MS + 500 }
		expect(samples().map(({ data }) => data)).toEqual([{ value: 3, connection }])
		expect((await manager.status('a')).counts).toMatchObject({
			received: 5,
			stored: 2,
			dropped: { type: 2, order: 1 },
			disconnects: 1,
			firstEventMs: START_MS,
			lastEventMs: START_MS + 500,
		})
	})

	test('a sample of a quiet source does not wait for its next one', async () => {
		const { source, values, status } = await archived()
		source.push('alone')
		await pass()
		expect(values()).toEqual(['alone'])
		expect(await status()).toMatchObject({ queued: 0, counts: { stored: 1 } })
	})

	test('a failed write loses nothing uncounted: the loop counts failures, the source its drops', async () => {
		const { loop, appender, source, status, values } = await archived(
			{ queueSamplesMax: 90 },
			new FullAppender(),
		)
		for (let value = 0; value < 200; value++) {
			source.push(value)
			if (value % 10 === 0) await pass()
		}
		expect(loop.stats().appender.failing).toBe(true)
		const { queued, counts } = await status()
		expect(counts.stored + counts.dropped.overflow + queued).toBe(200)
		expect(counts.dropped.overflow).toBeGreaterThan(0)
		appender.isFull = false
		await pass(10_000)
		const after = (await status()).counts
		expect(values()).toHaveLength(after.stored)
		expect([after.stored + after.dropped.overflow, after.dropped.refused]).toEqual([200, 0])
	})

	test('samples that the loop does not take are counted', async () => {
		const { loop, source, status } = await archived()
		source.push(1)
		await pass()
		vi.useRealTimers()
		await loop.close()
		source.push(2)
		await turn()
		expect(await status()).toMatchObject({
			queued: 0,
			counts: { received: 2, stored: 1, dropped: { refused: 1 } },
		})
	})

	test('shutdown applies the same checks as normal operation', async () => {
		const { manager, source, values } = await archived({ flushIntervalMs: 60_000 })
		source.push(1, START_MS)
		source.push(2, START_MS - 1)
		source.push('three')
		source.push(4, START_MS + MONTH_MS)
		source.push(5, START_MS)
		vi.useRealTimers()
		await manager.close()
		expect(values()).toEqual([1, 5])
	})

	test('counters continue through a pause', async () => {
		const { manager, source, status } = await archived()
		source.push(1)
		source.push('two')
		source.sink.lost(new Error('gone'))
		await manager.pause('a')
		await manager.resume('a')
		source.push(3)
		await pass()
		expect((await status()).counts).toMatchObject({
			received: 3,
			stored: 2,
			dropped: { type: 1 },
			disconnects: 1,
			firstEventMs: START_MS,
		})
	})

	test('the type check detects every pair of types, and non-values', async () => {
		const values = [1, 'text', true, 1n, [1], { a: 1 }, new Date(START_MS), Uint8Array.of(1)]
		for (const first of values) {
			const { source, status } = await archived()
			source.push(first)
			for (const value of values) source.push(value)
			for (const none of [undefined, () => {}, Symbol('none')]) source.push(none)
			expect((await status()).counts.dropped.type).toBe(values.length - 1 + 3)
		}
	})

	test('the state is connecting during the first attempt and the following ones', async () => {
		const { manager } = managerOf()
		await manager.archive('a', failing('away'))
		expect((await manager.status('a')).connection).toBe('connecting')
		await pass(12_000)
		expect((await manager.status('a')).connection).toBe('connecting')
		await manager.archive(
			'scanned',
			fromFunction(() => new Promise(() => {})),
			{ mode: { scanIntervalMs: 1000 } },
		)
		expect((await manager.status('scanned')).connection).toBe('connecting')
	})
})
