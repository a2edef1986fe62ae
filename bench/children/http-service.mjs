/**
 * A node:http service that answers with a small JSON document, and publishes a record when a request arrives
 * and another one before the answer. `http.mjs` starts it and sends it messages.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'

const { way, flushes, folder } = JSON.parse(process.argv[2])
const ITEMS = Array.from({ length: 8 }, (_unused, index) => ({
	sku: `sku-${index}`,
	count: index,
	price: 9.5,
}))

const log = await { nothing, meshChain, pinoFlush: () => pino(4096), pinoSync: () => pino(0) }[way]()
let answers = 0

const server = createServer((request, response) => {
	const requestId = `r-${answers}`
	const { method, url: path } = request
	const start = performance.now()
	log.publish('request received', { requestId, method, path })
	const body = JSON.stringify({ orderId: 17, items: ITEMS })
	const ms = performance.now() - start
	log.publish('request answered', { requestId, method, path, status: 200, ms, user: { id: 7, plan: 'pro' } })
	if (flushes) log.flush()
	answers++
	response.setHeader('content-type', 'application/json')
	response.end(body)
})
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

process.on('message', async (message) => {
	const { user, system } = process.cpuUsage()
	if (message === 'used') {
		process.send({ cpuUs: user + system, answers })
		return
	}
	server.close()
	server.closeAllConnections()
	const records = await log.end()
	process.send({ answers, records }, () => process.disconnect())
})

function nothing() {
	return { publish() {}, flush() {}, end: async () => 0 }
}

async function meshChain() {
	const { FileChainAppender, MeshLoop, openChain } = await import('../../dist/index.js')
	const path = join(folder, 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: 'node-1' })
	return {
		publish: (message, data) => loop.info(message, data),
		flush: () => loop.flush(),
		async end() {
			await loop.close()
			const chain = await openChain(path)
			const { records } = await chain.info()
			await chain.close()
			return records
		},
	}
}

/** Writes each line at once, or collects lines and writes them at the end of the turn. */
async function pino(minLength) {
	const { default: create } = await import('pino')
	const path = join(folder, 'pino.ndjson')
	const stream = create.destination({ dest: path, sync: true, minLength })
	const logger = create({ base: { nodeId: 'node-1' } }, stream)
	let isScheduled = false
	const flush = () => {
		isScheduled = false
		stream.flush()
	}
	return {
		publish(message, data) {
			logger.info({ data }, message)
			if (minLength === 0 || isScheduled) return
			isScheduled = true
			setImmediate(flush)
		},
		flush: () => stream.flushSync(),
		async end() {
			stream.flushSync()
			return readFileSync(path, 'utf8').split('\n').length - 1
		},
	}
}
