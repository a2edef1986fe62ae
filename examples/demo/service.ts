/**
 * Shows a service that answers a request only after the records of the request have reached the operating
 * system. A later SIGKILL does not lose these records.
 *
 *   node --import ./examples/typescript.mjs examples/demo/service.ts node.chain
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeOnSignal, FileChainAppender, MeshLoop, recordCrashes } from 'mesh-chain'

const requests = new AsyncLocalStorage<{ data: { requestId: string } }>()
const loop = new MeshLoop(new FileChainAppender(process.argv[2] ?? 'node.chain'), {
	nodeId: 'demo-1',
	level: 'debug',
	context: () => requests.getStore(),
})
recordCrashes(loop)

const server = createServer((request, response) => {
	const id = String(request.headers['x-request-id'] ?? 'none')
	requests.run({ data: { requestId: id } }, () => {
		const status = handle(new URL(request.url ?? '/', 'http://localhost'))
		loop.flush()
		response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ id }))
	})
})

function handle(url: URL): number {
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
	const { port } = server.address() as AddressInfo
	loop.info('listening', { port, pid: process.pid })
	process.send?.({ port })
})
process.on('disconnect', () => process.exit(1)) // The parent process has ended.
closeOnSignal(loop)
