/**
 * A small order service that records what it does: every event goes through a MeshLoop into a chain file, and no request is
 * answered before its record is with the operating system.
 *
 *   node examples/demo/service.mjs node.chain
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer } from 'node:http'
import { closeOnSignal, FileChainAppender, MeshLoop, recordCrashes } from 'mesh-chain'

const requests = new AsyncLocalStorage()
const loop = new MeshLoop(new FileChainAppender(process.argv[2] ?? 'node.chain'), {
	nodeId: 'demo-1',
	level: 'debug',
	context: () => requests.getStore(),
})
recordCrashes(loop)

const server = createServer((request, response) => {
	const id = request.headers['x-request-id'] ?? 'none'
	requests.run({ data: { requestId: id } }, () => {
		const status = handle(new URL(request.url ?? '/', 'http://localhost'))
		loop.flush() // from here on a kill -9 does not lose it, so the client may be told
		response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ id }))
	})
})

function handle(url) {
	const amount = Number(url.searchParams.get('amount'))
	loop.debug('pricing', { amount })
	if (amount > 950) {
		loop.emit('order.failed', { amount, error: new RangeError('credit limit exceeded') }, { level: 'error' })
		return 402
	}
	if (amount > 800) loop.warn('order needs review', { amount })
	loop.emit('order.accepted', { amount, total: Math.round(amount * 119) / 100 })
	return 201
}

server.listen(0, '127.0.0.1', () => {
	const { port } = server.address()
	loop.info('listening', { port, pid: process.pid })
	process.send?.({ port })
})
process.on('disconnect', () => process.exit(1)) // the driver is gone
closeOnSignal(loop)
