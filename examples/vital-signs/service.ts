/**
 * Shows a service that archives its own health: event-loop delay, garbage collection and memory. The cause of
 * a stall can therefore be found later.
 *
 * One of its routes contains a bug and blocks the event loop.
 *
 *   node --import ./examples/typescript.mjs examples/vital-signs/service.ts vitals
 */
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { FileChainAppender, MeshLoop } from 'mesh-chain'
import {
	eventLoopDelay,
	garbageCollection,
	memoryUsage,
	type Source,
	SourceManager,
} from 'mesh-chain/sources'

const PERIOD_MS = 100
const REPORT_MS = 300

const folder = process.argv[2] ?? 'vitals'
mkdirSync(folder, { recursive: true })
const loop = new MeshLoop(new FileChainAppender(join(folder, 'samples.chain')), { nodeId: 'shop-1' })
const vitals = new SourceManager(loop, { registry: join(folder, 'sources.chain'), saveIntervalMs: 500 })

/**
 * Functions that create the sources, by name. They are called on the first start, and for each source that is
 * restored from the registry.
 */
const SOURCES: Record<string, () => Source> = {
	'event-loop': eventLoopDelay,
	gc: garbageCollection,
	memory: memoryUsage,
}
await vitals.restore(({ name }) => SOURCES[name]!())
const known = new Set((await vitals.statuses()).map(({ name }) => name))
for (const [name, create] of Object.entries(SOURCES))
	if (!known.has(name)) await vitals.archive(name, create(), { mode: { scanIntervalMs: PERIOD_MS } })

const ROUTES: Record<string, () => unknown> = {
	'/price': () => ({ price: 30 }),
	'/report': () => {
		// Synchronous work, such as a large JSON.parse or a careless regular expression.
		const endMs = performance.now() + REPORT_MS
		while (performance.now() < endMs) JSON.parse('{"total": 90}')
		return { total: 90 }
	},
}

const server = createServer((request, response) => {
	const answer = ROUTES[request.url ?? '']
	if (answer === undefined) response.writeHead(404)
	else loop.emit('request', { url: request.url })
	response.end(JSON.stringify(answer?.() ?? null))
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(1)) // The parent process has ended.
process.on('SIGTERM', async () => {
	await vitals.close()
	await loop.close()
	process.exit(0)
})
