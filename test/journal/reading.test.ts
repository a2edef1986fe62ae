/**
 * Statements are skipped as reads only if proved: every statement that writes is replayed, however it is
 * written.
 */
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
	test('a query that calls only functions known to read is proved', () => {
		fc.assert(
			fc.property(fc.constantFrom(...PLACES), fc.constantFrom(...READS), (place, read) => {
				const text = place.replaceAll('{}', () => read)
				expect(isProvedRead(statement(text), suspects()), text).toBe(true)
			}),
			{ numRuns: 1000 },
		)
	})

	test('a query that calls, writes, locks or hides something is not proved', () => {
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
	])('is not proved to read: %s', (text, commands) => {
		expect(isProvedRead(statement(text, commands), suspects())).toBe(false)
	})

	test('names in a recorded definition are suspect from then on', () => {
		const some = new Suspects()
		const read = () => isProvedRead(statement('select * from v'), some)
		some.learn(statement('create table v (n int)', ['CREATE TABLE']))
		expect(read()).toBe(true)
		some.learn(statement('create view "V" as select pay(1)', ['CREATE VIEW']))
		expect(read()).toBe(false)
		expect(isProvedRead(statement("select '{}'::_v"), some)).toBe(false)
		some.learn(statement('create operator + (function = pay)', ['CREATE OPERATOR']))
		expect(isProvedRead(statement('select 1'), some)).toBe(false)
	})

	const isProvedAfter = (text: string, commands: readonly string[], functionsMayDefine: boolean) => {
		const some = suspects()
		some.functionsMayDefine = functionsMayDefine
		some.learn(statement(text, [...commands]))
		return isProvedRead(statement('select x from w'), some)
	}

	test.each([
		['do $$ begin perform 1; end $$', ['DO']],
		['begin; do $$ begin perform 1; end $$; commit', ['BEGIN', 'DO', 'COMMIT']],
		['create extension dblink', ['CREATE EXTENSION']],
		['alter extension dblink update', ['ALTER EXTENSION']],
		['import foreign schema a from server b into c', ['IMPORT FOREIGN SCHEMA']],
		[
			'create operator class c for type int using btree as function 1 pay(int, int)',
			['CREATE OPERATOR CLASS'],
		],
		['create type r as range (subtype = trusted)', ['CREATE TYPE']],
		['alter domain d add check (pay(value))', ['ALTER DOMAIN']],
		['create table w as execute p', ['SELECT']],
		['', ['SELECT']],
		['new words of a later Postgres', ['NEW WORDS']],
		['create table w (x trusted)', ['CREATE TABLE']],
		['create table w (x _trusted)', ['CREATE TABLE']],
		['create table w as select * from trusted', ['SELECT']],
		['select * into w from trusted', ['SELECT']],
		["select 'a\\b' as x into w from t", ['SELECT']],
		['create type w as (x int)', ['CREATE TYPE']],
	])(
		'after a statement that may have defined anything, no possible use of it is proved: %s',
		(text, commands) => {
			expect(isProvedAfter(text, commands, false)).toBe(false)
		},
	)

	const HARMLESS: readonly [string, readonly string[]][] = [
		['select pay(1)', ['SELECT']],
		['insert into t values (1)', ['INSERT']],
		["insert into t values ('a\\b')", ['INSERT']],
		['with a as (delete from t returning 1) select * from a', ['SELECT']],
		['call p()', ['CALL']],
		['execute p', ['SELECT']],
		['', ['UPDATE']],
		['create table t (a int)', ['CREATE TABLE']],
		['drop view v', ['DROP VIEW']],
		['truncate t', ['TRUNCATE TABLE']],
		['grant execute on function pay to a', ['GRANT']],
		['discard all', ['DISCARD ALL']],
	]
	test.each(HARMLESS)(
		'a statement that defines nothing itself is harmless unless functions define: %s',
		(text, commands) => {
			expect(isProvedAfter(text, commands, false)).toBe(true)
			expect(isProvedAfter(text, commands, true)).toBe(false)
		},
	)

	test('transaction control calls no function; a new function may define something', () => {
		for (const commands of [['BEGIN'], ['COMMIT'], ['SAVEPOINT'], ['SET'], []])
			expect(isProvedAfter('set a = b', commands, true)).toBe(true)
		const some = suspects()
		some.learn(statement('create function mk() returns int as $$ … $$', ['CREATE FUNCTION']))
		expect(isProvedRead(statement('select x from w'), some)).toBe(true)
		some.learn(statement('select mk()'))
		expect(isProvedRead(statement('select x from w'), some)).toBe(false)
	})

	test('a parameter of a user-defined type proves nothing', () => {
		const data = { ...statement('select $1'), params: ['5'] }
		expect(isProvedRead({ ...data, paramTypes: [23, 0] }, suspects())).toBe(true)
		expect(isProvedRead({ ...data, paramTypes: [23, 16_384] }, suspects())).toBe(false)
	})

	test('a long name is suspect by the part that the server keeps', () => {
		fc.assert(
			fc.property(fc.stringMatching(/^[a-zé_][a-z0-9é_]{0,80}$/), fc.nat(3), (name, underscores) => {
				const some = new Suspects()
				some.add(name)
				const kept = Buffer.from(name)
					.subarray(0, 63)
					.toString()
					.replace(/\ufffd$/, '')
				const array = `${'_'.repeat(underscores)}${kept}`.slice(0, 63)
				expect([some.has(name.toUpperCase()), some.has(kept), some.has(array)]).toEqual([true, true, true])
			}),
		)
	})
})

describe('against Postgres', () => {
	let postgres: Postgres
	beforeAll(async () => {
		postgres = await startPostgres()
	})
	afterAll(() => postgres?.remove())

	const SCHEMA = `
		create table acc (id int primary key, b int); insert into acc values (1, 100), (2, 100);
		create sequence s;
		create table seen (what text);
		create function pay(f int) returns int language plpgsql as $$ begin
			update acc set b = b - f where id = 1; update acc set b = b + f where id = 2; return f; end $$;
		create function note(t text) returns boolean language plpgsql as $$ begin
			insert into seen values (t); return true; end $$;
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

	test.each(TEXTS)('is replayed although its text only reads: %s', async (text) => {
		const { source, target } = await twoDatabases(postgres, SCHEMA)
		const path = await recorded(source, (pool) => pool.query(text), { max: 1 })
		const report = await replayStatements(await opened(path), target)
		expect(report).toMatchObject({ failures: 0, skipped: {}, replayed: 1 })
		expect(await state(target)).toEqual(await state(source))
	})

	const CHECKED = `create domain dom as int check (note(value::text));
		create domain over as dom; create domain free as int;
		create type comp as (a int, d over); create type comps as (c comp[]);
		create table tt (c comps); create table plain (f free);
		create table part (like tt); create type span as range (subtype = dom);`
	/** A value of each type, as text. */
	const VALUES: Readonly<Record<string, string>> = {
		dom: '5',
		over: '5',
		_dom: '{5}',
		'dom[]': '{5}',
		comp: '(1,5)',
		_comp: '{"(1,5)"}',
		comps: '("{""(1,5)""}")',
		tt: '("(""{""""(1,5)""""}"")")',
		part: '("(""{""""(1,5)""""}"")")',
		span: '[5,6]',
		_span: '{"[5,6]"}',
		span_multirange: '{[5,6]}',
	}
	const USES = ['$$V$$::T', 'cast($$V$$ as T)', 'T $$V$$', 'array[$$V$$]::"T"[]'].flatMap((use) =>
		Object.entries(VALUES)
			.filter(([type]) =>
				type.endsWith('[]') ? use.startsWith('$$V') : !(type.startsWith('_') && use.startsWith('array')),
			)
			.map(([type, value]) => `select ${use.replace('T', () => type).replace('V', () => value)}`),
	)

	test('a type with a checked domain is replayed; a domain without a check is only read', async () => {
		const { source, target } = await twoDatabases(postgres, SCHEMA + CHECKED)
		const path = await recorded(
			source,
			async (pool) => {
				for (const text of USES) await pool.query(text)
				await pool.query("select '5'::free")
				await pool.query('select * from plain')
			},
			{ max: 1 },
		)
		const report = await replayStatements(await opened(path), target)
		expect(report).toMatchObject({ failures: 0, replayed: USES.length, skipped: { readOnly: 2 } })
		const checks = await ask(source, 'select from seen')
		expect(checks.rowCount).toBeGreaterThanOrEqual(USES.length)
		expect(await state(target)).toEqual(await state(source))
	})

	const BY_FUNCTION = `create function mk() returns void language plpgsql as $f$ begin
		create view made as select pay(1) as x; end $f$;`
	const BY_TRIGGER = `${BY_FUNCTION} create function fired() returns trigger language plpgsql as $f$ begin
		perform mk(); return new; end $f$;
		create trigger fired after insert on seen for each row execute function fired();`
	test.each([
		['', 'do $$ begin create view made as select pay(1) as x; end $$', 'select * from made'],
		['', "do $$ begin execute 'cre' || 'ate view made as select pay(1) as x'; end $$", 'table made'],
		[
			'',
			`do $$ begin create function lower(x int) returns int language plpgsql
				as 'begin return pay(x); end'; end $$`,
			'select lower(10)',
		],
		[BY_FUNCTION, 'select mk()', 'select x from made'],
		[
			BY_FUNCTION.replace('create view', "execute 'CREATE view").replace('as x;', "as x';"),
			'select mk()',
			'table made',
		],
		[BY_TRIGGER, "insert into seen values ('a')", 'select x from made'],
		['', BY_FUNCTION, 'select mk()', 'select x from made'],
	])('is replayed if its definition was not visible in a text: %s %s', async (schema, ...texts) => {
		for (const mode of ['commit', 'asRecorded'] as const) {
			const { source, target } = await twoDatabases(postgres, SCHEMA + schema)
			const path = await recorded(
				source,
				async (pool) => {
					await pool.query('select b from acc')
					for (const text of texts) await pool.query(text)
				},
				{ max: 1 },
			)
			const report = await replayStatements(await opened(path), target, { mode })
			expect(report).toMatchObject({ failures: 0, replayed: texts.length, skipped: { readOnly: 1 } })
			expect(await state(target)).toEqual(await state(source))
		}
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
