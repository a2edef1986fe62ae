import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type EventLoopDelay, eventLoopDelay } from '../../src/sources/index.ts'

const BLOCKED_MS = 60

const block = () => {
	const endMs = performance.now() + BLOCKED_MS
	while (performance.now() < endMs) JSON.parse('1')
}

function delays() {
	const source = eventLoopDelay({ resolutionMs: 10 })
	const read = () => source.read?.(new AbortController().signal) as EventLoopDelay
	read() // measuring starts with the first read
	return { read, end: () => source.end?.() }
}

test('a block is reported once, also when it starts right after a read', async () => {
	const { read, end } = delays()
	for (let round = 0; round < 10; round++) {
		await sleep(25)
		read()
		block()
		// A busy machine may stop this process during and between the two reads, which is a delay too.
		const sinceMs = performance.now()
		const first = read()
		const second = read()
		const askedMs = performance.now() - sinceMs
		expect(first.maxMs).toBeGreaterThanOrEqual(BLOCKED_MS - 15)
		expect(second.maxMs).toBeLessThan(Math.max(BLOCKED_MS - 15, askedMs + 1))
	}
	end()
})

test('a block is reported if the read follows some time later', async () => {
	const { read, end } = delays()
	for (let round = 0; round < 5; round++) {
		await sleep(round)
		read()
		block()
		await sleep(25)
		const { maxMs, p50Ms, meanMs } = read()
		expect(maxMs).toBeGreaterThanOrEqual(BLOCKED_MS - 15)
		expect(p50Ms).toBeLessThanOrEqual(maxMs)
		expect(meanMs).toBeGreaterThan(0)
	}
	end()
})

test('nothing from before end() remains', async () => {
	const { read, end } = delays()
	block()
	end()
	expect(read()).toEqual({ meanMs: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 })
	end()
})
