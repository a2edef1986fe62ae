import { expect, test } from 'vitest'
import { interleave } from '../../src/merge/interleave.ts'

/** A source that always has another item, and records which items were taken. */
function endless(name: string) {
	const state = { given: 0, isClosed: false }
	async function* items() {
		try {
			for (;;) yield `${name}${++state.given}`
		} finally {
			state.isClosed = true
		}
	}
	return { state, items: items() }
}

/** A source that has no items until it is stopped. */
function silent() {
	const state = { isClosed: false }
	let stop = () => {}
	const stopped = new Promise<void>((resolve) => {
		stop = resolve
	})
	const next = async () => {
		await stopped
		state.isClosed = true
		return { value: undefined, done: true } as const
	}
	return { state, stop, items: { [Symbol.asyncIterator]: () => ({ next }) } as AsyncIterable<string> }
}

test('items keep the order of each source, and no source is starved or runs ahead', async () => {
	const [a, b] = [endless('a'), endless('b')]
	const found: string[] = []
	for await (const item of interleave([a.items, b.items], () => {})) {
		found.push(item)
		expect(a.state.given + b.state.given - found.length).toBeLessThanOrEqual(2)
		if (found.length === 100) break
	}
	for (const name of ['a', 'b']) {
		const ours = found.filter((item) => item.startsWith(name))
		expect(ours).toEqual(ours.map((_item, index) => `${name}${index + 1}`))
		expect(ours.length).toBeGreaterThan(40)
	}
})

test('it ends when all sources have ended', async () => {
	async function* few(name: string) {
		yield `${name}1`
		yield `${name}2`
	}
	const found: string[] = []
	for await (const item of interleave([few('a'), few('b'), few('c')], () => {})) found.push(item)
	expect(found.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2'])
})

test('the failure of one source ends it, even if the others always have items', async () => {
	const others = [endless('a'), endless('b'), silent()] as const
	async function* failing() {
		yield 'f1'
		throw new Error('no more')
	}
	const found: string[] = []
	const all = interleave([...others.map(({ items }) => items), failing()], others[2].stop)
	const read = async () => {
		for await (const item of all) {
			if (found.push(item) === 200) break
			// Meanwhile the other sources have their next items ready.
			await new Promise((resolve) => setImmediate(resolve))
		}
	}
	await expect(read()).rejects.toThrow('no more')
	expect(found).toContain('f1')
	expect(found.length).toBeLessThan(20)
	expect(others.map(({ state }) => state.isClosed)).toEqual([true, true, true])
})

test('when the consumer stops, every source is closed, including waiting ones', async () => {
	for (const taken of [1, 2, 7]) {
		const [a, b, c] = [endless('a'), endless('b'), silent()]
		let count = 0
		for await (const _item of interleave([a.items, b.items, c.items], c.stop)) if (++count === taken) break
		expect([a, b, c].map(({ state }) => state.isClosed)).toEqual([true, true, true])
	}
})
