/**
 * Bare msgpackr on row arrays, in memory. It writes nothing, so it keeps no promise. It is the baseline for
 * encoding and decoding. Packed data is not kept while the clock runs, which saves msgpackr the cost of
 * garbage collection.
 */
import { Packr } from 'msgpackr'
import { daemonOf, levels, messages, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'nothing'
const packr = new Packr({ useRecords: false })

function rowOf(index, message, level) {
	return [index + 1, Date.now(), level, daemonOf(index), NODE_ID, message]
}

let packedBytes = 0

export function openAppender() {
	packedBytes = 0
	return {
		append(index, message, level) {
			packedBytes += packr.pack(rowOf(index, message, level)).length
		},
		endTurn() {},
		close() {},
	}
}

export function bytesOf() {
	return packedBytes
}

let packed = []

/** Data for `unpack`. The child that reads the data packs it and keeps it in memory. */
export function prepareRead(count) {
	const levelOf = levels()
	packed = messages(count).map((message, index) =>
		Buffer.from(packr.pack(rowOf(index, message, levelOf(index)))),
	)
}

export const readers = {
	unpack(_path, sink) {
		for (const bytes of packed) {
			const [seq, tsMs, level, daemonId, nodeId, message] = packr.unpack(bytes)
			sink.add(seq, tsMs, level, daemonId, nodeId, message)
		}
	},
}
