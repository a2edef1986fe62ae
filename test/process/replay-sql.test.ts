/** Runs `mesh-chain replay-sql` as a process: its output, its exit status, and its handling of secrets. */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, contentOf, type PgConfig, recorded, twoDatabases } from '../support/databases.ts'
import { startPgBouncer } from '../support/pgbouncer.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { meshChain, ROOT, run } from '../support/process.ts'
import { temporaryFolder } from '../support/temporary.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const TABLE = 'create table t (id int primary key, name text)'

/** Records three inserts, an update with a result, and a read. */
async function workOf(): Promise<{ path: string; source: PgConfig; target: PgConfig }> {
	const databases = await twoDatabases(postgres, TABLE)
	const path = await recorded(databases.source, async (pool) => {
		for (const id of [1, 2, 3]) await pool.query('insert into t values ($1, $2)', [id, `name ${id}`])
		await pool.query("update t set name = name || '!' where id = $1 returning name", [2])
		await pool.query('select * from t')
	})
	return { path, ...databases }
}

const urlOf = ({ user, host, port, database }: PgConfig) => `postgres://${user}@${host}:${port}/${database}`
const password = { PGPASSWORD: 'a password' }

test('replays into the database given by --target, and reports it', async () => {
	const { path, source, target } = await workOf()
	const ended = await meshChain(['replay-sql', path, '--target', urlOf(target)], { env: password })
	expect(ended).toMatchObject({ status: 0, stderr: '' })
	expect(ended.stdout).toMatch(
		/^ok: 4 statements of 4 transactions replayed in [\d.]+ s, 1 skipped \(read-only\)\n$/,
	)
	expect(await contentOf(target)).toEqual(await contentOf(source))
})

test('--compare lists differences as text or JSON, and ends with status 3 if there are any', async () => {
	const { path, target } = await workOf()
	await ask(target, "insert into t values (2, 'in the way')")
	const args = ['replay-sql', path, '--target', urlOf(target), '--compare']
	const text = await meshChain(args, { env: password })
	expect(text.status).toBe(3)
	expect(text.stdout).toContain('failed: duplicate key value violates unique constraint "t_pkey"\n')
	expect(text.stdout).toMatch(
		/differed in checksum: recorded [0-9a-f]{32}, replayed [0-9a-f]{32}\n {2}tx \S+ seq 1, record 4: update/,
	)
	const counted = String.raw`4 statements of 5 transactions replayed in \S+ s, 1 failed, 2 differed`
	const first = String.raw`first error: tx \S+ seq 1: duplicate`
	expect(text.stdout).toMatch(new RegExp(`NOT THE SAME: ${counted}\n {2}${first}`))
	await ask(target, "truncate t; insert into t values (2, 'in the way')")
	const json = await meshChain([...args, '-o', 'json'], { env: password })
	expect(json.status).toBe(3)
	expect(JSON.parse(json.stdout)).toMatchObject({
		replayed: 4,
		failures: 1,
		differences: 2,
		differed: [
			{ what: 'checksum', recordSeq: 4 },
			{ what: 'checksum', recordSeq: 5 },
		],
		firstError: expect.stringMatching(/^tx \S+ seq 1: duplicate key/),
		from: null,
		to: null,
	})
	const asRecorded = await workOf()
	const same = [
		'replay-sql',
		asRecorded.path,
		'--target',
		urlOf(asRecorded.target),
		'--compare',
		'--mode',
		'as-recorded',
	]
	expect(await meshChain(same, { env: password })).toMatchObject({
		status: 0,
		stdout: expect.stringContaining('ok: 5 statements'),
	})
})

test('a replay of nothing is not ok: it reports the reason, and ends with status 1', async () => {
	const { source, target } = await twoDatabases(postgres, TABLE)
	const path = await recorded(source, (pool) => pool.query('select count(*) from t'))
	const args = ['replay-sql', path, '--target', urlOf(target)]
	const ended = await meshChain(args, { env: password })
	expect(ended.status).toBe(1)
	expect(ended.stdout).toMatch(
		/^NOTHING REPLAYED: 0 statements of 0 transactions replayed in \S+ s, 1 skipped \(read-only\)\n$/,
	)
	expect(await meshChain([...args, '--dry-run'])).toMatchObject({ status: 1 })
	expect(await meshChain([...args, '-o', 'json'], { env: password })).toMatchObject({ status: 1 })
	expect(await meshChain([...args, '--compare'], { env: password })).toMatchObject({ status: 0 })
	const window = ['-S', '2001-01-01', '-U', '2001-01-02']
	const empty = await meshChain([...args, ...window], { env: password })
	expect([empty.status, empty.stdout]).toEqual([1, expect.stringContaining('NOTHING REPLAYED')])
})

test('a target with fewer connections than transactions ends it with TARGET_FULL and status 2', async () => {
	const { source, target } = await twoDatabases(postgres, TABLE)
	const path = await recorded(source, async (pool) => {
		const clients = await Promise.all([1, 2].map(() => pool.connect()))
		for (const text of ['begin', "insert into t values (pg_backend_pid(), 'x')", 'commit'])
			for (const client of clients) await client.query(text)
		for (const client of clients) client.release()
	})
	const pooled = await startPgBouncer(target, 1)
	const args = [
		'replay-sql',
		path,
		'--target',
		urlOf(pooled),
		'--mode',
		'as-recorded',
		'--connect-timeout',
		'1s',
	]
	const { status, stdout } = await meshChain(args, { env: password })
	expect([status, stdout]).toEqual([
		2,
		expect.stringContaining('TARGET_FULL: the target allows no more than 1'),
	])
	expect(stdout).toContain('the target has too few connections: later statements were not replayed\n')
})

test('separate options override the URL, and the password can come from a file', async () => {
	const { path, source, target } = await workOf()
	const file = join(temporaryFolder(), 'password')
	writeFileSync(file, `${target.password}\n`)
	chmodSync(file, 0o600)
	const ended = await meshChain([
		'replay-sql',
		path,
		'--target',
		'postgres://nobody@nowhere.invalid:1/nothing',
		'--host',
		target.host,
		'--port',
		String(target.port),
		'--user',
		target.user,
		'--database',
		target.database,
		'--password-file',
		file,
	])
	expect(ended).toMatchObject({ status: 0, stderr: '' })
	expect(await contentOf(target)).toEqual(await contentOf(source))
})

test('a password on the command line is refused with advice, and is never printed', async () => {
	const secrets = [
		'postgres://me:s3cret@127.0.0.1/db',
		'postgres://127.0.0.1/db?password=s3cret',
		'postgres://me:s3c/r3cret@host',
	]
	for (const secret of secrets) {
		for (const args of [
			['--target', secret],
			[secret],
			[`--target=${secret}`],
			['--host', 'x', '--target', secret, '--nonsense'],
		]) {
			const { status, stdout, stderr } = await meshChain(['replay-sql', 'node.chain', ...args])
			expect([status, stdout]).toEqual([2, ''])
			expect(stderr).not.toContain('cret')
		}
	}
	const { stderr } = await meshChain(['replay-sql', 'node.chain', '--target', secrets[0]!])
	expect(stderr).toContain('use PGPASSWORD, ~/.pgpass or --password-file')
	const { path, target } = await workOf()
	const wrong = await meshChain(['replay-sql', path, '--target', urlOf(target)], {
		env: { PGPASSWORD: 's3cret' },
	})
	expect(wrong.status).toBe(2)
	expect(wrong.stderr).toMatch(
		/^mesh-chain: TARGET_UNREACHABLE: connect to target: password authentication failed/,
	)
	expect(wrong.stderr).not.toContain('s3cret')
})

test('an unreachable target gives status 2, even with an empty window, unless it is a dry run', async () => {
	const { path } = await workOf()
	const { port, close } = await closedPort()
	await close()
	const window = ['--since', '2001-01-01', '--until', '2001-01-02']
	const args = ['replay-sql', path, ...window, '--target', `postgres://me@127.0.0.1:${port}/db`]
	const { status, stderr } = await meshChain(args, { env: password })
	expect(status).toBe(2)
	expect(stderr).toMatch(/TARGET_UNREACHABLE: connect to target: .*ECONNREFUSED/)
	const dry = await meshChain(['replay-sql', path, '--dry-run'])
	expect(dry).toMatchObject({
		status: 0,
		stdout: 'ok: 4 statements of 4 transactions would be replayed, 1 skipped (read-only)\n',
	})
})

test('the URL can contain session settings from before the window', async () => {
	const shop = 'create schema shop; create table shop.t (id int)'
	const { source, target } = await twoDatabases(postgres, shop)
	const path = await recorded(
		source,
		async (pool) => {
			await pool.query('set search_path = shop')
			for (const id of [1, 2]) await pool.query('insert into t values ($1)', [id])
		},
		{ max: 1 },
	)
	const args = ['replay-sql', path, '--from-seq', '2', '--target']
	const without = await meshChain([...args, urlOf(target)], { env: password })
	expect(without.status).toBe(3)
	expect(without.stdout).toMatch(/first error: tx \S+ seq 1: relation "t" does not exist\n$/)
	const url = `${urlOf(target)}?options=-c%20search_path%3Dshop`
	expect(await meshChain([...args, url], { env: password })).toMatchObject({ status: 0 })
	expect((await ask(target, 'select id from shop.t order by id')).rows).toEqual([{ id: 1 }, { id: 2 }])
})

test.each([
	[['node.chain'], '--target is missing'],
	[['node.chain', '--target', 'mysql://host/db'], '--target must be a URL such as postgres://'],
	[['node.chain', '--host', 'h', '--port', '70000'], '--port must be an integer from 1 to 65535'],
	[['node.chain', '--host', 'h', '--password-file', '/nonexistent/file'], '--password-file cannot be read'],
	[['node.chain', '--host', 'h', '--mode', 'sideways'], '--mode must be one of commit, as-recorded'],
	[['node.chain', '--host', 'h', '-S', '2002-01-01', '-U', '2001-01-01'], 'no time can match'],
] as const)('refuses %j', async (args, message) => {
	const { status, stdout, stderr } = await meshChain(['replay-sql', ...args])
	expect([status, stdout]).toEqual([2, ''])
	expect(stderr).toContain(message)
})

test('without node-postgres, everything else works, and replay-sql names what to install', async () => {
	const { path } = await workOf()
	const folder = temporaryFolder()
	const home = join(folder, 'node_modules', 'mesh-chain')
	mkdirSync(home, { recursive: true })
	cpSync(join(ROOT, 'dist'), join(home, 'dist'), { recursive: true })
	cpSync(join(ROOT, 'package.json'), join(home, 'package.json'))
	const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
	for (const name of Object.keys(dependencies)) link(name, join(folder, 'node_modules', name))
	const main = join(home, 'dist', 'cli', 'main.js')
	const dumped = await run(process.execPath, [main, 'dump', path])
	expect(dumped.status).toBe(0)
	expect(dumped.stdout).toContain('insert into t')
	const { status, stderr } = await run(process.execPath, [main, 'replay-sql', path, '--host', 'h'])
	expect(status).toBe(2)
	expect(stderr).toContain('replay-sql needs node-postgres, which is not installed: npm install pg\n')
	expect(readdirSync(join(folder, 'node_modules'))).not.toContain('pg')
})

function link(name: string, path: string): void {
	mkdirSync(dirname(path), { recursive: true })
	symlinkSync(join(ROOT, 'node_modules', name), path)
}

/** Returns a port without a listener. */
async function closedPort() {
	const server = createServer()
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	const { port } = server.address() as AddressInfo
	return { port, close: () => new Promise((resolve) => server.close(resolve)) }
}
