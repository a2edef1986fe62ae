/** A Fastify service whose logger is a loop. Secrets of requests are not recorded. */
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { BufferingAppender, MeshLoop } from 'mesh-chain'

const loop = new MeshLoop(new BufferingAppender())
const logger: FastifyBaseLogger = loop
const app = Fastify({ loggerInstance: logger })
app.get('/orders/:id', async (request) => {
	request.log.info({ orderId: 7 }, 'found')
	return { ok: true }
})
app.get('/fail', async () => {
	throw new Error('no card')
})
const address = await app.listen({ port: 0, host: '127.0.0.1' })
const headers = { authorization: 'Bearer secret', cookie: 'session=secret' }
await fetch(`${address}/orders/7?token=secret`, { headers })
await fetch(`${address}/fail`, { headers })
await app.close()
for (const { level, message, data } of loop.snapshot().slice(1)) {
	const { reqId, req, res } = data as { reqId: string; req?: { url: string }; res?: { statusCode: number } }
	console.log([level, message, reqId, req?.url, res?.statusCode].filter(Boolean).join(' '))
}
console.log(JSON.stringify(loop.snapshot()).includes('secret'), loop.stats().invalidLines)
