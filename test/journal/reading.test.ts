/** What is skipped as reading is proved to be: whatever writes is replayed, however it is put. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { replayStatements, type StatementData } from '../../src/journal/index.ts'
import { isProvedRead, Suspects } from '../../src/journal/reading.ts'
import { ask, contentOf, opened, recorded, twoDatabases } from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

const statement = (text: string, commands = ['SELECT']): StatementData => ({
	...{ session: 's', tx: 's:1', seq: 1, text, params: [], commands, rows: 1, checksum: 'x' },
	...{ startedMs: 0, durationMs: 0, end: 'commit' },
})

const PLACES = [
	'select {} from t',
	'select 1 from t where a in (select {})',
	'with a as (select {}) select * from a',
	'with recursive a(n) as (values (1) union all select n + {} from a where n < 3) select n from a',
	'select case when true then {} else 2 end',
	'explain analyze select {}',
	'explain (analyze, costs off) select {}',
	'select distinct on (a) {} from t',
	'values (1), ({})',
	'select count(*) filter (where {} > 0) over (partition by a) from t',
	'select lower({}::text), t.a::numeric(10, 2) from t as t(a, b)',
	'declare c cursor with hold for select {}',
	'begin; select {}; commit',
	'select * from t order by {} limit 1',
	'table t; select {}',
	'select 1 union (select {})',
	'select array[{}]',
	'select -{} as "a name", U from t',
	"select 'it''s; --', e'\\'', $$ pay( $$, $_$ ' $_$, {}",
	'select /* in /* a */ comment */ {} -- to its end',
	'select * from t join lateral (select {}) as x (n) on true',
	'select * from (values ({})) x(n)',
	'select b from t group by (a) having max({}) > 0 for',
	'select pg_catalog.length({})',
	'select extract(year from now()), coalesce({}, 1), cast({} as varchar(3))',
]
const READS = [
	'1',
	'$1',
	'lower($1)',
	'now()',
	'a',
	't.a',
	'(select max(a) from t)',
	'round (1.5)',
	"'x'::text",
	'current_user',
]
const WRITES = [
	'pay(1)',
	'"pay"(1)',
	'"lower"(1)',
	'public.pay(1)',
	'public.lower(1)',
	'PAY (1)',
	'pay/**/(1)',
	'pay--\n(1)',
	'päy(1)',
	'lower\u00a0(1)',
	"nextval('s')",
	"pg_catalog.setval('s', 9)",
	'(select pay(1))',
	'lo_creat(1)',
	"query_to_xml('select pay(1)', true, true, '')",
	"pg_notify('a', 'b')",
	"set_config('a', 'b', true)",
	"dblink('', 'delete from t')",
	'pg_advisory_lock(1)',
	'trusted(1)',
	'a_view',
	'(t).suspect',
	'operator(public.+)(1)',
	"'it\\'s pay(1) -- '",
	"U&'\\0061'",
	'(with d as (delete from t returning a) select a from d)',
	'1 into x',
	'(select a from t for update)',
	'(select a from t for share)',
]

const cases = fc.array(fc.boolean(), { minLength: 1, maxLength: 9 })
const inCase = (text: string, upper: readonly boolean[]) =>
	[...text].map((c, index) => (upper[index % upper.length] ? c.toUpperCase() : c.toLowerCase())).join('')

const nested = (inner: readonly string[]) =>
	fc
		.tuple(fc.array(fc.constantFrom(...PLACES), { minLength: 1, maxLength: 3 }), fc.constantFrom(...inner))
		.map(([places, text]) => places.reduce((within, place) => place.replaceAll('{}', () => within), text))

function suspects() {
	const some = new Suspects()
	for (const name of ['a_view', 'suspect', 'trusted']) some.add(name)
	return some
}

describe('by its text', () => {
	test('a query that calls what is known to read is proved, wherever it calls it', () => {
		fc.assert(
			fc.property(fc.constantFrom(...PLACES), fc.constantFrom(...READS), (place, read) => {
				const text = place.replaceAll('{}', () => read)
				expect(isProvedRead(statement(text), suspects()), text).toBe(true)
			}),
			{ numRuns: 1000 },
		)
	})

	test('what calls, writes, locks or hides something is not, wherever it does', () => {
		fc.assert(
			fc.property(nested(WRITES), cases, (text, upper) => {
				expect(isProvedRead(statement(inCase(text, upper)), suspects()), text).toBe(false)
			}),
			{ numRuns: 5000 },
		)
	})

	test.each([
		['insert into t values (1)', ['INSERT']],
		['select 1; insert into t values (1)', ['SELECT', 'INSERT']],
		['execute p', ['SELECT']],
		['fetch 1 from c; select pay(1)', ['FETCH', 'SELECT']],
		['call p()', ['CALL']],
		['do $$ begin end $$', ['DO']],
		["commit prepared 'x'", ['COMMIT PREPARED']],
		['notify a', ['NOTIFY']],
		['lock t', ['LOCK TABLE']],
		['', ['SELECT']],
		['select "a', []],
		["select 'a", []],
		['select $a$ x', []],
		['select /* x', []],
		['set search_path = a', ['SET']],
	])('no reading is proved of: %s', (text, commands) => {
		expect(isProvedRead(statement(text, commands), suspects())).toBe(false)
	})

	test('what a definition in the recording names is suspect from then on', () => {
		const some = suspects()
		const read = () => isProvedRead(statement('select * from v'), some)
		some.addDefined(statement('create table v (n int)', ['CREATE TABLE']))
		expect(read()).toBe(true)
		some.addDefined(statement('create view "V" as select pay(1)', ['CREATE VIEW']))
		expect(read()).toBe(false)
		some.addDefined(statement('create operator + (function = pay)', ['CREATE OPERATOR']))
		expect(isProvedRead(statement('select 1'), some)).toBe(false)
	})
})

describe('against Postgres', () => {
	let postgres: Postgres
	beforeAll(async () => {
		postgres = await startPostgres()
	}, 60_000)
	afterAll(() => postgres?.remove())

	const SCHEMA = `
		create table acc (id int primary key, b int); insert into acc values (1, 100), (2, 100);
		create sequence s;
		create table seen (what text);
		create function pay(f int) returns int language plpgsql as $$ begin
			update acc set b = b - f where id = 1; update acc set b = b + f where id = 2; return f; end $$;
		create function note(t text) returns boolean language plpgsql as $$ begin insert into seen values (t); return true; end $$;
		create function "count"(acc) returns int language sql as 'select pay(1)';
		create function spent(acc) returns int language sql as 'select pay(1)';
		create view v as select pay(3) as n;
		create view over_v as select n from v;
		create domain noted as text check (note(value));
		create type pair as (a int, b int);
		create function plus(pair, pair) returns int language sql as 'select pay(5)';
		create function lower(pair) returns text language sql as 'select pay(7)::text';`

	const TEXTS = [
		'select pay(10)',
		'select pay(1), id from acc',
		'select * from v',
		'select n from over_v where n > 0',
		'select acc.spent from acc',
		"select 'x'::noted",
		'select lower(row(1, 2)::pair)',
		'select distinct on (id) pay(2) from acc',
		'explain analyze select pay(4)',
		'with x as (select pay(6) as n) select n from x',
		'do $$ begin perform pay(1); end $$',
		"select nextval('s')",
		"select setval('s', 42)",
		"select query_to_xml('select pay(1)', true, true, '')",
		'select "pay"(8)',
		'begin; declare c cursor for select pay(9); fetch all from c; commit',
		'prepare p as select pay(3); execute p',
	]

	const state = async (config: Parameters<typeof ask>[0]) => [
		await contentOf(config),
		(await ask(config, 'select last_value, is_called from s')).rows,
	]

	test.each(TEXTS)('is replayed without being told so: %s', async (text) => {
		const { source, target } = await twoDatabases(postgres, SCHEMA)
		const path = await recorded(source, (pool) => pool.query(text), { max: 1 })
		const report = await replayStatements(await opened(path), target)
		expect(report).toMatchObject({ failures: 0, skipped: {}, replayed: 1 })
		expect(await state(target)).toEqual(await state(source))
	})

	test('operators and casts that call functions make every expression suspect', async () => {
		const own = `create operator + (leftarg = pair, rightarg = pair, function = plus);`
		const { source, target } = await twoDatabases(postgres, SCHEMA + own)
		const path = await recorded(
			source,
			async (pool) => {
				await pool.query('show work_mem')
				await pool.query('select row(1, 2)::pair + row(3, 4)::pair')
			},
			{ max: 1 },
		)
		const report = await replayStatements(await opened(path), target)
		expect(report).toMatchObject({ failures: 0, replayed: 1, skipped: { readOnly: 1 } })
		expect(await state(target)).toEqual(await state(source))
	})
})
