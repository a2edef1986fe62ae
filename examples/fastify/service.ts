/**
 * Shows mesh-chain in a web service with Fastify. Every record of a request contains the request id. The
 * service answers an order only after the record of the order can survive a SIGKILL. SIGTERM drains the
 * server before the chain is closed.
 *
 *   npm install && npm start
 *   curl -X POST 'localhost:3000/orders?amount=12'                   in another terminal
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import Fastify from 'fastify'
import { closeOnSignal, FileChainAppender, MeshLoop, recordCrashes } from 'mesh-chain'

const requests = new AsyncLocalStorage<{ data: { requestId: string } }>()
const loop = new MeshLoop(new FileChainAppender('orders.chain', { retain: { bytes: 1024 ** 3 } }), {
	nodeId: 'orders-1',
	level: 'info',
	context: () => requests.getStore(),
})
const app = Fastify()

app.addHook('onRequest', (request, _reply, done) => {
	requests.run({ data: { requestId: request.id } }, done)
})
app.addHook('onResponse', async (request, reply) => {
	loop.info('request', { url: request.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) })
})
app.addHook('onError', async (request, _reply, error) => {
	loop.error('request failed', { url: request.url, error })
})

app.post<{ Querystring: { amount?: string } }>('/orders', async (request, reply) => {
	const amount = Number(request.query.amount)
	if (!(amount > 0)) {
		loop.emit('order.refused', { amount: request.query.amount ?? '' }, { level: 'warn' })
		return reply.code(400).send({ error: 'amount must be a positive number' })
	}
	loop.emit('order.accepted', { amount })
	loop.flush()
	return reply.code(201).send({ accepted: amount })
})

recordCrashes(loop)
closeOnSignal(loop, { before: () => app.close() })

await app.listen({ port: Number(process.env['PORT'] ?? 3000) })
loop.info('listening', { port: app.addresses()[0]?.port })
