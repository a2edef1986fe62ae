/**
 * Replays whose connections are lost at any moment: the target then holds exactly the whole transactions that
 * the report lists as replayed.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayStatements, type StatementReport } from '../../src/journal/index.ts'
import { ask, opened, type PgConfig, recorded, statementsIn, twoDatabases } from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'
import { type Disturbance, unreliableNetwork } from '../support/unreliable-network.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const TABLE = 'create table done (label text, step int)'
const insert = (label: string, step: number) => `insert into done values ('${label}', ${step})`

/** Kinds of transactions: the statements of each, and the number of rows that it leaves. */
const SHAPES: Record<string, (label: string) => { texts: string[]; rows: number }> = {
	'outside of a transaction': (label) => ({ texts: [insert(label, 1)], rows: 1 }),
	'several statements': (label) => ({
		texts: ['begin', insert(label, 1), insert(label, 2), insert(label, 3), 'commit'],
		rows: 3,
	}),
	'one text': (label) => ({
		texts: [`begin; ${insert(label, 1)}; ${insert(label, 2)}; commit`],
		rows: 2,
	}),
	'one text without BEGIN': (label) => ({ texts: [`${insert(label, 1)}; ${insert(label, 2)}`], rows: 2 }),
	'begun in one text, then continued': (label) => ({
		texts: [`begin; ${insert(label, 1)}`, insert(label, 2), `${insert(label, 3)}; commit`],
		rows: 3,
	}),
	savepoints: (label) => ({
		texts: [
			'begin',
			insert(label, 1),
			'savepoint s',
			insert(label, 2),
			'rollback to s',
			insert(label, 3),
			'release s',
			'commit',
		],
		rows: 2,
	}),
	'one in another': (label) => ({
		texts: ['begin', insert(label, 1), 'savepoint s', 'select 1/0', 'rollback to s', insert(label, 2), 'end'],
		rows: 2,
	}),
}

/** Two transactions, the first of which begins the second. */
const CHAINED = (first: string, second: string, how: string) => [
	'begin',
	insert(first, 1),
	insert(first, 2),
	how,
	insert(second, 1),
	insert(second, 2),
	'commit',
]

interface Plan {
	/** Transactions by session. */
	readonly sessions: readonly (readonly string[])[]
	/** Session of each next statement. */
	readonly turns: readonly number[]
	readonly rows: ReadonlyMap<string, number>
}

function planOf(seed: readonly (readonly string[])[], turns: readonly number[]): Plan {
	const rows = new Map<string, number>()
	const newLabel = (count: number) => {
		const label = `L${rows.size}.`
		rows.set(label, count)
		return label
	}
	const sessions = seed.map((shapes) =>
		shapes.flatMap((shape) => {
			const make = SHAPES[shape]
			if (make === undefined) return CHAINED(newLabel(2), newLabel(2), shape)
			return make(newLabel(make('').rows)).texts
		}),
	)
	return { sessions, turns, rows }
}

const shape = fc.constantFrom(...Object.keys(SHAPES), 'commit and chain', 'commit; begin')
const plan = fc
	.tuple(
		fc.array(fc.array(shape, { minLength: 2, maxLength: 4 }), { minLength: 2, maxLength: 3 }),
		fc.array(fc.nat(2), { minLength: 60, maxLength: 60 }),
	)
	.map(([seed, turns]) => planOf(seed, turns))

/** Runs the statements one at a time, interleaved as planned. */
const work = (config: PgConfig, { sessions, turns }: Plan) =>
	recorded(config, async (pool) => {
		const clients = await Promise.all(sessions.map(() => pool.connect()))
		const left = sessions.map((texts) => [...texts])
		for (let turn = 0; left.some((texts) => texts.length > 0); turn++) {
			const waiting = left.flatMap((texts, index) => (texts.length > 0 ? [index] : []))
			const at = waiting[(turns[turn % turns.length] ?? 0) % waiting.length]!
			await clients[at]!.query(left[at]!.shift()!).catch(() => {})
		}
		for (const client of clients) client.release()
	})

/** Checks which rows of which labels exist, and that they match the report. */
async function expectWhole(path: string, { rows }: Plan, target: PgConfig, report: StatementReport) {
	const statements = await statementsIn(path)
	const { rows: found } = await ask(
		target,
		'select label, step, count(*)::int as times from done group by 1, 2',
	)
	expect(found.filter(({ times }) => times !== 1)).toEqual([])
	const failed = new Map(report.failed.map(({ tx, isUnknown }) => [tx, isUnknown]))
	for (const [label, count] of rows) {
		const { tx } = statements.find(({ text }) => text.includes(`'${label}'`))!
		const there = found.filter((row) => row.label === label).length
		const isUnknown = failed.get(tx)
		const allowed = isUnknown === undefined ? [count] : isUnknown ? [0, count] : [0]
		expect(allowed, `${label} of ${tx}`).toContain(there)
	}
	const skipped = Object.values(report.skipped).reduce((sum, count) => sum + count, 0)
	expect(report.replayed + report.failures + skipped).toBe(statements.length)
	expect(report.failures).toBe(failed.size)
}

test.each(['asRecorded', 'commit'] as const)(
	'in the order %s, lost connections leave only whole transactions, as reported',
	async (mode) => {
		const fates = fc.dictionary(
			// If the first connection breaks while it is opened, the error is thrown.
			fc.integer({ min: 4, max: 60 }).map(String),
			fc.constantFrom<Disturbance | 'terminated'>('lost', 'unanswered', 'answered', 'terminated'),
			{ minKeys: 2, maxKeys: 5 },
		)
		let losses = 0
		const { source, target } = await twoDatabases(postgres, TABLE)
		await fc.assert(
			fc.asyncProperty(plan, fates, async (planned, fate) => {
				await ask(target, 'truncate done')
				const path = await work(source, planned)
				const network = await unreliableNetwork(postgres.config)
				network.disturb((piece) => {
					const is = fate[piece]
					if (is !== 'terminated') return is
					const all = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1'
					return ask(postgres.config, all, [target.database]).then(() => undefined)
				})
				const report = await replayStatements(
					await opened(path),
					{ ...target, port: network.port },
					{ mode, compare: true },
				)
				losses += report.reconnects
				expect(report.ended).toBe('end')
				// Statements that were sent and not answered may still be running.
				await expect.poll(() => busy(target)).toBe(0)
				await expectWhole(path, planned, target, report)
			}),
			{ numRuns: 12 },
		)
		expect(losses).toBeGreaterThan(0)
	},
	300_000,
)

async function busy(target: PgConfig): Promise<number> {
	const { rows } = await ask(
		postgres.config,
		'select count(*)::int as n from pg_stat_activity where datname = $1',
		[target.database],
	)
	return rows[0].n
}

/**
 * Replays with a connection that breaks at the first statement containing `next` after one containing `text`.
 */
async function cutBetween(path: string, target: PgConfig, text: string, next: string) {
	const network = await unreliableNetwork(postgres.config)
	let seen = 0
	network.disturb((_piece, sent) => {
		if (sent.includes(text)) seen = 1
		else if (seen === 1 && sent.includes(next)) {
			seen = 2
			return 'lost'
		}
		return undefined
	})
	return replayStatements(
		await opened(path),
		{ ...target, port: network.port },
		{ mode: 'asRecorded', compare: true },
	)
}

test('as recorded, statements for a lost temporary table never reach a table of the same name', async () => {
	const { source, target } = await twoDatabases(postgres, TABLE)
	const path = await recorded(
		source,
		async (pool) => {
			for (const text of [
				'create temp table done (label text, step int)',
				insert('hidden', 1),
				'begin',
				insert('hidden', 2),
				'commit',
			])
				await pool.query(text)
		},
		{ max: 1 },
	)
	const report = await cutBetween(path, target, 'create temp table', 'insert')
	expect(report).toMatchObject({ replayed: 1, skipped: { afterError: 2 } })
	// The insert that found the connection lost, and the next transaction.
	expect(report.failed).toMatchObject([
		{ seq: 1, recordSeq: 2 },
		{ seq: 1, recordSeq: 3, error: expect.stringContaining('and with it temporary tables') },
	])
	expect((await ask(target, 'select * from done')).rows).toEqual([])
})

test.each(['commit', 'asRecorded'] as const)(
	'in the order %s, a transaction begun in the text that ended another is left out and listed',
	async (mode) => {
		const { source, target } = await twoDatabases(postgres, TABLE)
		const path = await recorded(
			source,
			async (pool) => {
				for (const text of [
					'begin',
					`rollback; begin; ${insert('a', 1)}`,
					`${insert('a', 2)}`,
					`commit and chain; ${insert('b', 1)}`,
					insert('b', 2),
					'commit and chain',
					insert('c', 1),
					'commit',
				])
					await pool.query(text)
			},
			{ max: 1 },
		)
		const report = await replayStatements(await opened(path), target, { mode })
		expect(report).toMatchObject({
			failures: 0,
			unreplayables: 2,
			unreplayable: [{ why: 'begunBefore' }, { why: 'begunBefore' }],
			skipped: { rolledBack: 2, unreplayable: 4 },
		})
		expect((await ask(target, 'select label from done')).rows).toEqual([{ label: 'c' }])
	},
)
