/**
 * Shows a service that records checkpoints and every change to its state. Its state at any moment can
 * therefore be computed later.
 *
 * The service is a small shop that contains a bug. It keeps its carts in memory.
 *
 *   node --import ./examples/typescript.mjs examples/time-travel/service.ts shop.chain
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FileChainAppender, MeshLoop } from 'mesh-chain'
import { BlackBox, Recorder } from 'mesh-chain/recorder'
import apply, { initial } from './carts.mjs'

const EVENTS_PER_CHECKPOINT = 20

const loop = new MeshLoop(new FileChainAppender(process.argv[2] ?? 'shop.chain'), {
	nodeId: 'shop-1',
	level: 'info',
})
const recorder = new Recorder(loop)
// The level suppresses debug lines. A warning or an error writes the latest suppressed lines to the chain.
new BlackBox(loop, { level: 'warn' })
recorder.start('sale')

let carts = initial
let changes = 0

/**
 * Publishes a change and then folds it into the carts. Later, the same fold computes the same carts from the
 * chain.
 */
function change(kind: string, data: Record<string, unknown>) {
	if (changes++ % EVENTS_PER_CHECKPOINT === 0) recorder.checkpoint(carts, { id: `after-${changes - 1}` })
	const record = loop.emit(kind, data)
	if (record !== undefined) carts = apply(carts, record)
}

const ROUTES: Record<string, (query: Record<string, string>) => unknown> = {
	'/add': ({ cart, price }) => change('item.added', { cart, price: Number(price) }),
	'/coupon': ({ cart, percent }) => change('coupon.applied', { cart, percent: Number(percent) }),
	'/total': ({ cart }) => {
		const { items, coupons } = carts[cart!]!
		loop.debug('pricing', { cart, items: items.length, coupons: coupons.length })
		const sum = items.reduce((total, price) => total + price, 0)
		const total = coupons.reduce((left, percent) => left * (1 - percent / 100), sum)
		loop.publish({
			kind: 'total.answered',
			level: total < sum * 0.9 - 0.005 ? 'warn' : 'info',
			data: { cart, total: Number(total.toFixed(2)) },
		})
		return Number(total.toFixed(2))
	},
}

const server = createServer((request, response) => {
	const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
	const answer = ROUTES[pathname]?.(Object.fromEntries(searchParams))
	loop.flush()
	response.end(JSON.stringify(answer ?? null))
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(1)) // The parent process has ended.
process.on('SIGTERM', async () => {
	recorder.stop()
	await loop.close()
	process.exit(0)
})
