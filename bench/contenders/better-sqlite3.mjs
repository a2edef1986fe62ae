/** SQLite with a write-ahead log: one prepared insert, one transaction a turn, what it commits survives a killed process. */
import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { daemonOf, levelOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.sqlite'
const INFO = 2
const WARN = 3

export function openAppender(path, { turn }) {
	const database = new Database(path)
	database.pragma('journal_mode = WAL')
	database.pragma('synchronous = NORMAL')
	database.exec(
		'CREATE TABLE records (seq INTEGER PRIMARY KEY, tsMs INTEGER, level INTEGER, daemonId TEXT, nodeId TEXT, message TEXT)',
	)
	const insert = database.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)')
	const begin = database.prepare('BEGIN')
	const commit = database.prepare('COMMIT')
	return {
		append(index, message) {
			// A lone insert is its own transaction, and faster than one between BEGIN and COMMIT.
			if (turn > 1 && !database.inTransaction) begin.run()
			const level = levelOf(index) === 'info' ? INFO : WARN
			insert.run(index + 1, Date.now(), level, daemonOf(index), NODE_ID, message)
		},
		endTurn() {
			if (database.inTransaction) commit.run()
		},
		close() {
			database.close()
		},
	}
}

export function bytesOf(path) {
	return statSync(path).size
}

export const readers = {
	iterate(path, sink) {
		const database = new Database(path, { readonly: true })
		for (const row of database.prepare('SELECT * FROM records ORDER BY seq').iterate()) {
			const level = row.level === INFO ? 'info' : 'warn'
			sink.add(row.seq, row.tsMs, level, row.daemonId, row.nodeId, row.message)
		}
		database.close()
	},
}
