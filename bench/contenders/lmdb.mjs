/**
 * LMDB: one synchronous transaction per turn, values in MessagePack. Uses `noSync`, because the promise
 * covers the kernel, not the disk. These are the fastest of the settings that were tried: put with and
 * without append, batching by event turn, and a writable map.
 */
import { open } from 'lmdb'
import { bytesUnder } from '../lib/files.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.lmdb'

function openDatabase(path, options) {
	return open({ path, keyEncoding: 'uint32', encoding: 'msgpack', ...options })
}

export function openAppender(path, { turn }) {
	const database = openDatabase(path, { noSync: true })
	let rows = []
	function put(row) {
		database.put(row[0], row)
	}
	return {
		append(index, message, level) {
			const row = [index + 1, Date.now(), level, daemonOf(index), NODE_ID, message]
			if (turn === 1) database.putSync(row[0], row)
			else rows.push(row)
		},
		endTurn() {
			if (rows.length === 0) return
			database.transactionSync(() => rows.forEach(put))
			rows = []
		},
		close: () => database.close(),
	}
}

export const bytesOf = bytesUnder

export const readers = {
	async range(path, sink) {
		const database = openDatabase(path, { readOnly: true })
		addAll(database.getRange({ snapshot: true }), sink)
		await database.close()
	},
}

/** This loop is a separate function because V8 runs loops in `async` functions much more slowly. */
function addAll(range, sink) {
	for (const { value } of range) {
		const [seq, tsMs, level, daemonId, nodeId, message] = value
		sink.add(seq, tsMs, level, daemonId, nodeId, message)
	}
}
