/**
 * SQLite with a write-ahead log: one prepared insert, and one transaction per turn. Committed data survives a
 * killed process. Data is stored in a column of JSON.
 */
import { statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { plainData } from '../lib/lines.mjs'
import { daemonOf, NODE_ID } from '../lib/workload.mjs'

export const fileName = 'records.sqlite'
/** Levels as numbers that sort by severity. */
const NUMBERS = { info: 2, warn: 3, error: 4 }
const NAMES = ['', '', 'info', 'warn', 'error']

function create(path, synchronous) {
	const database = new Database(path)
	database.pragma('journal_mode = WAL')
	database.pragma(`synchronous = ${synchronous}`)
	database.exec(
		'CREATE TABLE records (seq INTEGER PRIMARY KEY, tsMs INTEGER, level INTEGER, ' +
			'daemonId TEXT, nodeId TEXT, message TEXT, data TEXT)',
	)
	const statement = database.prepare('INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)')
	return {
		database,
		insert: (index, message, level, json) =>
			statement.run(index + 1, Date.now(), NUMBERS[level], daemonOf(index), NODE_ID, message, json),
	}
}

export function openAppender(path, { turn, record }) {
	const { database, insert } = create(path, 'NORMAL')
	const begin = database.prepare('BEGIN')
	const commit = database.prepare('COMMIT')
	return {
		append(index, message, level, data) {
			const json = data === undefined ? null : JSON.stringify(plainData(record, data))
			// A single insert is its own transaction, and is faster than an insert between BEGIN and COMMIT.
			if (turn > 1 && !database.inTransaction) begin.run()
			insert(index, message, level, json)
		},
		endTurn() {
			if (database.inTransaction) commit.run()
		},
		close() {
			database.close()
		},
	}
}

/** Commits one transaction per record. The record is on disk when the statement's `run` method returns. */
export function openAcknowledged(path) {
	const { database, insert } = create(path, 'FULL')
	return {
		run(lines, levelOf) {
			for (const [index, message] of lines.entries()) insert(index, message, levelOf(index), null)
		},
		close: () => database.close(),
	}
}

export function bytesOf(path) {
	return statSync(path).size
}

function iterate(path, sink, where) {
	const database = new Database(path, { readonly: true })
	for (const row of database.prepare(`SELECT * FROM records ${where} ORDER BY seq`).iterate()) {
		const data = row.data === null ? undefined : JSON.parse(row.data)
		sink.add(row.seq, row.tsMs, NAMES[row.level], row.daemonId, row.nodeId, row.message, data)
	}
	database.close()
}

export const readers = { iterate: (path, sink) => iterate(path, sink, '') }
export const finders = { iterate: (path, sink) => iterate(path, sink, `WHERE level >= ${NUMBERS.error}`) }
