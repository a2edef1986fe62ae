/**
 * A small shop with a bug in it: its carts are in memory, and every change of them is published. A session records them, with a
 * checkpoint of all carts now and then.
 *
 *   node examples/time-travel/service.mjs shop.chain
 */
import { createServer } from 'node:http'
import { FileChainAppender, MeshLoop } from 'mesh-chain'
import { BlackBox, Recorder } from 'mesh-chain/recorder'
import apply, { initial } from './carts.mjs'

const EVENTS_PER_CHECKPOINT = 20

const loop = new MeshLoop(new FileChainAppender(process.argv[2] ?? 'shop.chain'), {
	nodeId: 'shop-1',
	level: 'info',
})
const recorder = new Recorder(loop)
new BlackBox(loop, { level: 'warn' }) // what a level of info holds back is in the chain where something is odd
recorder.start('sale')

let carts = initial
let changes = 0

/** What changes a cart is published first, and then folded in: the chain can do the same later. */
function change(kind, data) {
	if (changes++ % EVENTS_PER_CHECKPOINT === 0) recorder.checkpoint(carts, { id: `after-${changes - 1}` })
	carts = apply(carts, loop.emit(kind, data))
}

const ROUTES = {
	'/add': ({ cart, price }) => change('item.added', { cart, price: Number(price) }),
	'/coupon': ({ cart, percent }) => change('coupon.applied', { cart, percent: Number(percent) }),
	'/total': ({ cart }) => {
		const { items, coupons } = carts[cart]
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
server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }))
process.on('disconnect', () => process.exit(1)) // the driver is gone
process.on('SIGTERM', async () => {
	recorder.stop()
	await loop.close()
	process.exit(0)
})
