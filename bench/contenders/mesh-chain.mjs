/** Ours: a loop with its ring, and a chain file at durability `os`. */
import { statSync } from 'node:fs'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { daemonOf, levelOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'node.chain'

/** The turn's end needs no call: the chain is with the kernel before the immediate that ends it. */
export function openAppender(path) {
	const loop = new MeshLoop(new FileChainAppender(path), { nodeId: NODE_ID })
	return {
		append(index, message) {
			const fields = { daemonId: daemonOf(index) }
			if (levelOf(index) === 'info') loop.info(message, undefined, fields)
			else loop.warn(message, undefined, fields)
		},
		endTurn() {},
		close: () => loop.close(),
	}
}

export function bytesOf(path) {
	return statSync(path).size
}

export const readers = {
	async batches(path, sink) {
		const chain = await openChain(path)
		for await (const batch of chain.batches()) {
			for (const record of batch) {
				sink.add(record.seq, record.tsMs, record.level, record.daemonId, record.nodeId, record.message)
			}
		}
		await chain.close()
	},
	async records(path, sink) {
		const chain = await openChain(path)
		for await (const record of chain.records()) {
			sink.add(record.seq, record.tsMs, record.level, record.daemonId, record.nodeId, record.message)
		}
		await chain.close()
	},
}
