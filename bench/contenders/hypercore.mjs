/** Hypercore, the signed append-only log: one batch per turn, blocks packed by msgpackr. */
import Hypercore from 'hypercore'
import { Packr } from 'msgpackr'
import { bytesUnder } from '../lib/files.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.hypercore'
const packr = new Packr({ useRecords: false })

export async function openAppender(path) {
	const core = new Hypercore(path)
	await core.ready()
	let blocks = []
	return {
		append(index, message, level) {
			blocks.push(packr.pack([index + 1, Date.now(), level, daemonOf(index), NODE_ID, message]))
		},
		endTurn() {
			const batch = blocks
			blocks = []
			return core.append(batch)
		},
		close: () => core.close(),
	}
}

export const bytesOf = bytesUnder

export const readers = {
	async get(path, sink) {
		const core = new Hypercore(path)
		await core.ready()
		for (let index = 0; index < core.length; index++) sink.add(...packr.unpack(await core.get(index)))
		await core.close()
	},
}
