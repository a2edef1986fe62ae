/** event-storage: one commit per turn, then a flush, without which a killed process loses the turn. */
import EventStore from 'event-storage'
import { bytesUnder } from '../lib/files.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.store'
const STREAM = 'records'

async function openStore(path, options = {}) {
	const store = new EventStore('store', { storageDirectory: path, ...options })
	await new Promise((resolve, reject) => store.once('ready', resolve).once('error', reject))
	return store
}

export async function openAppender(path) {
	const store = await openStore(path)
	let events = []
	return {
		append(index, message, level) {
			events.push({
				seq: index + 1,
				tsMs: Date.now(),
				level,
				daemonId: daemonOf(index),
				nodeId: NODE_ID,
				message,
			})
		},
		endTurn() {
			store.commit(STREAM, events)
			store.storage.flush()
			events = []
		},
		close: () => store.close(),
	}
}

export const bytesOf = bytesUnder

export const readers = {
	async iterate(path, sink) {
		const store = await openStore(path, { readOnly: true })
		addAll(store.getAllEvents(), sink)
		store.close()
	},
}

function addAll(events, sink) {
	for (const { seq, tsMs, level, daemonId, nodeId, message } of events) {
		sink.add(seq, tsMs, level, daemonId, nodeId, message)
	}
}
