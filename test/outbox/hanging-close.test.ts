/**
 * Closing ends, whichever calls an appender leaves unanswered: its append, its sync, its close, or several.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { LogChainAppender } from '../../src/appender.ts'
import { BufferingAppender } from '../../src/appenders/buffering.ts'
import { TeeAppender } from '../../src/appenders/tee.ts'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { ManualAppender, settled } from '../appenders/scripted-appender.ts'
import { reports, warnings } from '../loop/observed.ts'
import { temporaryFolder } from '../support/temporary.ts'

const TIMEOUT_MS = 200
const never = () => new Promise<void>(() => {})
const PARTS = ['append', 'sync', 'close'] as const

/** Every combination of hanging parts; the others answer. */
const COMBINATIONS = Array.from({ length: 2 ** PARTS.length - 1 }, (_, index) =>
	PARTS.filter((_part, bit) => ((index + 1) & (1 << bit)) !== 0),
)

class Hanging implements LogChainAppender {
	readonly calls: string[] = []
	readonly hanging: readonly string[]

	constructor(hanging: readonly string[]) {
		this.hanging = hanging
	}

	append(): void | Promise<void> {
		return this.#answer('append')
	}

	flush(): void {
		void this.#answer('flush')
	}

	async sync(): Promise<void> {
		await this.#answer('sync')
	}

	async close(): Promise<void> {
		await this.#answer('close')
	}

	#answer(part: string): void | Promise<void> {
		this.calls.push(part)
		if (this.hanging.includes(part)) return never()
	}
}

const rejection = async (promise: Promise<unknown>) =>
	promise.then(
		() => undefined,
		(error: { code: string; message: string }) => error,
	)

describe.each(COMBINATIONS)('an appender that leaves unanswered its %s %s %s', (...hanging) => {
	test('is closed within its time, and the records that it had not taken are counted', async () => {
		warnings()
		const gaps = reports<{ gap: { count: number } }>('gap')
		const appender = new Hanging(hanging)
		const loop = new MeshLoop(appender, { closeTimeoutMs: TIMEOUT_MS })
		for (let count = 0; count < 5; count++) loop.info('hello')
		const error = await rejection(loop.close())
		expect(error?.code).toMatch(/^(CLOSE|SYNC)_FAILED$/)
		expect(Number(/ (\d+) ms/.exec(error?.message ?? '')?.[1])).toBeLessThanOrEqual(TIMEOUT_MS)
		expect(appender.calls).toContain('sync')
		expect(appender.calls.at(-1)).toBe('close')
		const lost = hanging.includes('append') ? 5 : 0
		expect(loop.stats().appender).toMatchObject({ pending: 0, appended: 5 - lost, lost: { atClose: lost } })
		expect(gaps.reduce((sum, { gap }) => sum + gap.count, 0)).toBe(lost)
		expect(loop.snapshot().filter(({ chainPending }) => chainPending)).toHaveLength(lost)
	})

	test('as a child delays neither its siblings nor the tee in closing, and is named', async () => {
		warnings()
		const path = join(temporaryFolder(), 'node.chain')
		const sibling = new BufferingAppender()
		const children = [new FileChainAppender(path), new Hanging(hanging), { append() {} }, sibling]
		const tee = new TeeAppender(...children, { closeTimeoutMs: TIMEOUT_MS })
		const loop = new MeshLoop(tee, { closeTimeoutMs: TIMEOUT_MS })
		for (let count = 0; count < 3; count++) loop.info('hello')
		const error = await rejection(loop.close())
		expect(error).toMatchObject({
			code: 'CLOSE_FAILED',
			message: expect.stringMatching(/1 of 4 .*Hanging: /),
		})
		expect(() => sibling.append(loop.snapshot()[0]!)).toThrow(
			expect.objectContaining({ code: 'APPENDER_CLOSED' }),
		)
		await using chain = await openChain(path)
		expect(await chain.info()).toMatchObject({ state: 'closed', lastSeq: 3 })
		expect(tee.stats().children.map(({ lost }) => lost.atClose)).toEqual([
			0,
			hanging.includes('append') ? 3 : 0,
			0,
			0,
		])
	})
})

describe('closing', () => {
	beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
	afterEach(() => void vi.useRealTimers())

	test('continues to wait for a slow appender as long as it answers', async () => {
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { closeTimeoutMs: 1000 })
		for (let count = 0; count < 20; count++) loop.info('hello')
		const closing = loop.close()
		for (let count = 0; count < 20; count++) {
			await settled()
			vi.advanceTimersByTime(450)
			await appender.resolve()
		}
		await closing
		expect(loop.stats().appender).toMatchObject({ appended: 20, lost: { atClose: 0 } })
		expect(vi.getTimerCount()).toBe(0)
	})

	test('waits as long as the appender’s own closeTimeoutMs', async () => {
		let end = () => {}
		const close = () =>
			new Promise<void>((resolve) => {
				end = resolve
			})
		const loop = new MeshLoop({ append() {}, close, closeTimeoutMs: 60_000 }, { closeTimeoutMs: 10 })
		const closed = vi.fn()
		const closing = loop.close().then(closed)
		await settled()
		vi.advanceTimersByTime(59_000)
		await settled()
		expect(closed).not.toHaveBeenCalled()
		end()
		await closing
	})

	test('waits for sync and close together no longer than closeTimeoutMs', async () => {
		vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
		const slowSync = () => new Promise<void>((resolve) => void setTimeout(resolve, 400))
		const close = () => new Promise<void>(() => {})
		const loop = new MeshLoop({ append() {}, sync: slowSync, close }, { closeTimeoutMs: 1000 })
		const closing = rejection(loop.close())
		await settled()
		vi.advanceTimersByTime(400)
		await settled()
		vi.advanceTimersByTime(600)
		expect(await closing).toMatchObject({ code: 'CLOSE_FAILED', message: expect.stringContaining(' 600 ms') })
		expect(vi.getTimerCount()).toBe(0)
	})

	test('also ends the wait for a sync', async () => {
		warnings()
		const loop = new MeshLoop(new Hanging(['append']), { closeTimeoutMs: 100 })
		loop.info('hello')
		const synced = rejection(loop.sync())
		const closing = rejection(loop.close())
		await settled()
		vi.advanceTimersByTime(100)
		expect(await synced).toMatchObject({ code: 'SYNC_FAILED', seq: 1 })
		expect(await closing).toMatchObject({ code: 'CLOSE_FAILED', seq: 1 })
	})

	test('ignores an append that settles after it was given up', async () => {
		warnings()
		const appender = new ManualAppender()
		const loop = new MeshLoop(appender, { closeTimeoutMs: 100 })
		loop.info('hello')
		const closing = rejection(loop.close())
		await settled()
		vi.advanceTimersByTime(100)
		expect(await closing).toMatchObject({ code: 'CLOSE_FAILED' })
		await appender.resolve()
		expect(loop.stats().appender).toMatchObject({ appended: 0, lost: { atClose: 1 } })
	})

	test('of a child ends too', async () => {
		const loop = new MeshLoop(new Hanging(['sync']), { closeTimeoutMs: 100 })
		const closing = rejection(loop.child({}).close())
		await settled()
		vi.advanceTimersByTime(100)
		expect(await closing).toMatchObject({ code: 'SYNC_FAILED' })
	})
})

test('a tee accepts options after its appenders, and nothing else', () => {
	const refused = expect.objectContaining({ code: 'INVALID_OPTION' })
	for (const given of [
		[{ closeTimeoutMs: 5 }],
		[{ append() {} }, { closeTimeoutMs: 0 }],
		[{ append() {} }, { closeTimeoutMs: 5, other: 1 }],
		[{ append() {} }, undefined],
	]) {
		expect(() => new TeeAppender(...(given as never[]))).toThrow(refused)
	}
})
