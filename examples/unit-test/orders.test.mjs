/** Asserting on what a module published: no file, no waiting. Run it with `node --test examples/unit-test`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferingAppender, MeshLoop } from 'mesh-chain'
import { acceptOrder } from './orders.mjs'

test('an order without an amount is refused, and says why', () => {
	const appender = new BufferingAppender()
	acceptOrder(new MeshLoop(appender), { id: 7 })
	const [refused] = appender.captured({ kind: 'order.refused' })
	assert.deepEqual(refused.data, { id: 7, reason: 'no amount' })
	assert.equal(refused.level, 'warn')
})

test('waits for what comes later', async () => {
	const appender = new BufferingAppender()
	const loop = new MeshLoop(appender)
	setTimeout(() => acceptOrder(loop, { id: 8, amount: 5 }), 10)
	const accepted = await appender.waitFor({ kind: 'order.accepted' })
	assert.equal(accepted.data.amount, 5)
})
