/**
 * LevelDB: one chained batch per turn, values packed by msgpackr, no compression. These are the fastest of
 * the settings that were tried.
 */
import { ClassicLevel } from 'classic-level'
import { Packr } from 'msgpackr'
import { bytesUnder } from '../lib/files.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.level'
const packr = new Packr({ useRecords: false })

async function openDatabase(path) {
	const database = new ClassicLevel(path, {
		valueEncoding: 'view',
		compression: false,
		writeBufferSize: 64 * 2 ** 20,
	})
	await database.open()
	return database
}

/** Returns a key that sorts correctly as a string. */
function keyOf(seq) {
	return String(seq).padStart(10, '0')
}

export async function openAppender(path) {
	const database = await openDatabase(path)
	let batch = database.batch()
	return {
		append(index, message, level) {
			const row = [index + 1, Date.now(), level, daemonOf(index), NODE_ID, message]
			batch.put(keyOf(index + 1), packr.pack(row))
		},
		endTurn() {
			const full = batch
			batch = database.batch()
			return full.write()
		},
		async close() {
			await batch.close()
			await database.close()
		},
	}
}

export const bytesOf = bytesUnder

export const readers = {
	async iterate(path, sink) {
		const database = await openDatabase(path)
		const values = database.values()
		for (let found = await values.nextv(1000); found.length > 0; found = await values.nextv(1000)) {
			addAll(found, sink)
		}
		await database.close()
	},
}

function addAll(values, sink) {
	for (const bytes of values) {
		const [seq, tsMs, level, daemonId, nodeId, message] = packr.unpack(bytes)
		sink.add(seq, tsMs, level, daemonId, nodeId, message)
	}
}
