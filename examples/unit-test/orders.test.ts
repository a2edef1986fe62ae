/**
 * Shows a unit test that asserts on what a module published, without files or waiting.
 *
 *   node --import ./examples/typescript.mjs --test examples/unit-test/orders.test.ts
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferingAppender, MeshLoop } from 'mesh-chain'
import { acceptOrder } from './orders.ts'

test('an order without an amount is refused, with the reason', () => {
	const appender = new BufferingAppender()
	acceptOrder(new MeshLoop(appender), { id: 7 })
	const [refused] = appender.captured({ kind: 'order.refused' })
	assert.deepEqual(refused?.data, { id: 7, reason: 'no amount' })
	assert.equal(refused?.level, 'warn')
})

test('a record that is published later can be waited for', async () => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	setTimeout(() => acceptOrder(loop, { id: 8, amount: 5 }), 10)
	const accepted = await appender.waitFor({ kind: 'order.accepted' })
	assert.deepEqual(accepted.data, { id: 8, amount: 5 })
})
