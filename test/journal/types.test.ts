/**
 * Every type that node-postgres can bind or read is recorded, and replays into a second database with the
 * same rows and the same answers.
 */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { replayStatements } from '../../src/journal/index.ts'
import { ask, contentOf, opened, recorded, statementsIn, twoDatabases } from '../support/databases.ts'
import { type Postgres, startPostgres } from '../support/postgres.ts'

let postgres: Postgres
beforeAll(async () => {
	postgres = await startPostgres()
})
afterAll(() => postgres?.remove())

const TYPES = `
	create type mood as enum ('glad', 'so, so', 'süß');
	create domain positive as int check (value > 0);
	create type pair as (a int, b text);
	create type span as range (subtype = float8);
`
const EXTENSION = 'create extension if not exists hstore;'
const ASTRAL = '\u{1f600} 日本 žluťoučký \u0001\u007f\uffff \ue000'

const VALUES: Record<string, unknown[]> = {
	int2: [0, -32768, '32767'],
	int4: [1, -2147483648, '2147483647', -0],
	int8: [9_223_372_036_854_775_807n, '-9223372036854775808', Number.MAX_SAFE_INTEGER],
	numeric: ['NaN', Number.NaN, 'Infinity', '-Infinity', `1${'0'.repeat(500)}.${'9'.repeat(500)}`, 1e21, -0.1],
	float4: [Number.NaN, Number.POSITIVE_INFINITY, 0.1, '3.4028235e38', 1e-45, -0],
	float8: [Number.NaN, Number.NEGATIVE_INFINITY, Number.MAX_VALUE, Number.MIN_VALUE, 0.1 + 0.2, '-0'],
	bool: [true, false, 't', 'no'],
	text: ['', ' ', ASTRAL, `'"\\$1\r\n\t`, 'NULL', 'x'.repeat(10_000), 12, Symbol('s'), ['a'], { a: 1 }],
	'varchar(20)': ['', 'č', '\u{1f600}'.repeat(20)],
	'char(5)': ['', 'a', 'ab   '],
	'"char"': ['a', ''],
	name: ['a name'],
	bytea: [
		Buffer.of(),
		Buffer.of(0, 1, 127, 128, 255),
		Uint8Array.of(9),
		new DataView(new ArrayBuffer(3)),
		'\\x00',
	],
	json: [{ a: [1, null, ASTRAL] }, '[1]', 'null', '"\\u00e9"', { at: new Date(0), toJSON: () => 'this' }],
	jsonb: [{ b: 1, a: { c: null } }, '[]', JSON.stringify(ASTRAL), 12, true],
	uuid: ['7d444840-9dc0-11d1-b245-5ffdce74fad2'],
	date: ['2026-02-28', 'infinity', '0044-03-15 BC', new Date(1_700_000_000_123)],
	time: ['24:00', '00:00:00.000001'],
	timetz: ['23:59:59.999999+15:59', '12:00-08'],
	timestamp: [new Date(0), '1999-12-31 23:59:59.999999', '-infinity'],
	timestamptz: [new Date(1_700_000_000_123), new Date(-62_200_000_000_000), '294276-12-31 23:59:59+00'],
	interval: ['1 year -2 days 03:04:05.000006', '-1 microsecond', 'P1Y2M'],
	'int4[]': [
		[],
		[1, null, -3],
		[
			[1, 2],
			[3, null],
		],
		'[2:3]={1,2}',
	],
	'text[]': [['a,b', '"', null, 'NULL', '', '\\', '{}', ASTRAL], [['a'], ['b']], [undefined]],
	'bytea[]': [[Buffer.of(0, 255), Uint8Array.of(), null]],
	'jsonb[]': [[{ a: 'ü"' }, 'null', null]],
	'timestamptz[]': [[new Date(0), null]],
	'numeric[]': [[1n, 0.5, '1e3']],
	'bool[]': [[true, false, null]],
	int4range: ['[1,5)', 'empty', '(,)', '[1,]'],
	tstzrange: ['["2026-01-01 00:00+00",)'],
	nummultirange: ['{[1,2), (3,4]}', '{}'],
	span: ['[0.1,0.2]'],
	hstore: ['a=>1, "b,"=>NULL, "ü"=>"\\""', ''],
	mood: ['glad', 'so, so', 'süß'],
	'mood[]': [['so, so', null]],
	positive: [1],
	pair: ['(1,"a ""b"", c")', '(,)'],
	'pair[]': [['(1,x)', null]],
	'bit(4)': ['0101'],
	varbit: ['', '10101'],
	inet: ['10.0.0.1/8', '::1'],
	cidr: ['10.0.0.0/8', '2001:db8::/32'],
	macaddr: ['08:00:2b:01:02:03'],
	macaddr8: ['08:00:2b:01:02:03:04:05'],
	point: ['(1,2)', { toPostgres: () => '(0.1,-3)' }],
	line: ['{1,2,3}'],
	lseg: ['[(0,0),(1,1)]'],
	box: ['(1,1),(0,0)'],
	'box[]': ['{(1,1),(0,0);(2,2),(0,0)}'],
	path: ['[(0,0),(1,1)]'],
	polygon: ['((0,0),(1,1),(1,0))'],
	circle: ['<(0,0),1>'],
	xml: ['<a b="ü">&lt;</a>'],
	money: ['12.34', '-$1,000.00'],
	tsvector: ["'a':1A 'b c':2"],
	tsquery: ["'a' & !'b'"],
	jsonpath: ['$.a[*] ? (@ > 1)'],
	pg_lsn: ['16/B374D848'],
	oid: [4_294_967_295],
	regclass: ['pg_class'],
	int2vector: ['1 2'],
}

/** Types whose binary format node-postgres can read. */
const BINARY = new Set(['int4', 'float8', 'bool', 'text', 'bytea', 'timestamptz'])

/** Any value may be an object that converts itself, even in several steps. */
const deep = {
	toPostgres: (prepare: (value: unknown) => unknown) => ({ toPostgres: () => prepare([1, 'ü']) }),
}

test('values of every type are recorded as bound, and replay to equal rows and answers', async () => {
	const { rows } = await ask(
		postgres.config,
		"select count(*)::int as n from pg_available_extensions where name = 'hstore'",
	)
	const hasStore = rows[0].n > 0
	const types = Object.entries(VALUES).filter(([type]) => type !== 'hstore' || hasStore)
	const { source, target } = await twoDatabases(postgres, `${hasStore ? EXTENSION : ''}${TYPES}`)
	const failures: unknown[] = []
	const path = await recorded(source, (pool) => write(pool, types, failures), { max: 1 })
	expect(failures).toEqual([])
	const statements = await statementsIn(path)
	expect(statements.filter(({ unreplayable, error }) => unreplayable ?? error)).toEqual([])
	const report = await replayStatements(await opened(path), target, { compare: true })
	expect(report).toMatchObject({ replayed: statements.length, failures: 0, differences: 0, skipped: {} })
	const content = await contentOf(source)
	expect(Object.keys(content)).toHaveLength(types.length)
	expect(await contentOf(target)).toEqual(content)
})

async function write(pool: pg.Pool, types: [string, unknown[]][], failures: unknown[]): Promise<void> {
	for (const [index, [type, values]] of types.entries()) {
		await pool.query(`create table t${index} (n int, v ${type})`)
		for (const [n, value] of [...values, null, undefined].entries()) {
			const text = `insert into t${index} values ($1, $2) returning *`
			await pool.query(text, [n, value]).catch(({ message }) => failures.push([type, value, message]))
		}
		const all = `select * from t${index}`
		await pool.query(all)
		if (BINARY.has(type))
			await pool.query({ text: `${all} where n < $1`, values: [5], binary: true } as pg.QueryConfig)
		await pool.query({ name: type, text: `${all} where n < $1`, values: [5], rowMode: 'array' })
	}
	await pool.query('select $1::text[]', [deep])
}
