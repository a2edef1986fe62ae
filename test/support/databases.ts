/** Creates databases for a test in a real Postgres, records statements there, and reads the content. */
import { join } from 'node:path'
import type pg from 'pg'
import { onTestFinished } from 'vitest'
import { openChain } from '../../src/chain/read/open-chain.ts'
import { FileChainAppender } from '../../src/chain/write/file-chain-appender.ts'
import { type JournalOptions, journalPg, type StatementData } from '../../src/journal/index.ts'
import { MeshLoop } from '../../src/loop/mesh-loop.ts'
import { newClient, newPool, type Postgres } from './postgres.ts'
import { collect } from './records.ts'
import { temporaryFolder } from './temporary.ts'

let made = 0

export type PgConfig = Postgres['config']

/** Creates two databases, both prepared by the script: one to record in, one to replay into. */
export async function twoDatabases(postgres: Postgres, script: string) {
	const names = [`source_${++made}`, `target_${made}`]
	for (const name of names) await ask(postgres.config, `create database ${name}`)
	const [source, target] = names.map((database) => ({ ...postgres.config, database })) as [PgConfig, PgConfig]
	for (const config of [source, target]) await ask(config, script)
	return { source, target }
}

/** Runs a statement on a connection of its own. */
export async function ask(config: PgConfig, text: string, values: unknown[] = []): Promise<pg.QueryResult> {
	const client = newClient(config)
	await client.connect()
	return client.query(text, values).finally(() => client.end())
}

/** Records the use of a pool in a chain. */
export async function recorded(
	config: PgConfig,
	work: (pool: pg.Pool) => Promise<unknown>,
	{ max = 8, ...options }: JournalOptions & { readonly max?: number } = {},
): Promise<string> {
	const path = join(temporaryFolder(), 'node.chain')
	const loop = new MeshLoop(new FileChainAppender(path))
	const pool = journalPg(newPool({ ...config, max }), loop, options)
	await work(pool)
	await pool.end()
	await loop.close()
	return path
}

export async function opened(path: string) {
	const chain = await openChain(path)
	onTestFinished(() => chain.close())
	return chain
}

export async function statementsIn(path: string): Promise<StatementData[]> {
	const chain = await openChain(path)
	const records = await collect(chain.records({ kind: 'sql' }))
	await chain.close()
	return records.map(({ data }) => data as unknown as StatementData)
}

/** Returns the number of rows of each table, and a checksum of the rows in any order. */
export async function contentOf(config: PgConfig): Promise<Record<string, string>> {
	const { rows: tables } = await ask(
		config,
		"select quote_ident(tablename) as name from pg_tables where schemaname = 'public' order by 1",
	)
	const contents: Record<string, string> = {}
	for (const { name } of tables) {
		const { rows } = await ask(
			config,
			`select count(*) || ' ' ||
				coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint::numeric), 0) as sum
			from ${name} t`,
		)
		contents[name] = rows[0].sum
	}
	return contents
}
