/**
 * Which statements are known to have read only.
 *
 * Invariant: whatever is taken for reading is proved to be, by its tags and by its text: the server was asked for nothing but `SELECT`,
 * `VALUES`, `TABLE`, `SHOW` and what stands around them, with no word that writes or locks, no function but those built in that leave
 * nothing behind, and no name that may stand for more than it says (`Suspects`). What is not proved is no reading, and is taken to have defined
 * whatever it can: only what is proved to define nothing leaves the suspects as they are.
 *
 * It reads tokens, and knows no grammar: what it does not know, it does not prove.
 */
import { isSetting } from './session-settings.ts'
import type { StatementData } from './statement.ts'

/**
 * What a text can do by a name although it does not say so: views that call functions, functions that have the name of a built-in one, types whose
 * domain has a check that calls one. Told of every statement that is not proved to read, it knows at each place of the recording what may have been
 * defined before it; where that cannot be known by name, everything is suspect from then on.
 */
export class Suspects {
	readonly #names = new Set<string>()
	/** Nothing with an expression or a name is known to read only. */
	areEverywhere = false
	/** Functions of the target's own may define something: whatever is not proved to read may call one, triggers too. */
	functionsMayDefine = false

	add(name: string): void {
		this.#names.add(comparable(name))
	}

	has(name: string): boolean {
		return this.#names.has(comparable(name))
	}

	/** Takes a statement that is not proved to read, with whatever it may have defined. */
	learn({ commands, text }: StatementData): void {
		if (this.areEverywhere || commands.every((command) => AROUND.has(command))) return
		this.areEverywhere =
			this.functionsMayDefine ||
			!commands.every((command) => isDefinition(command) || DEFINES_NOTHING.test(command))
		this.functionsMayDefine ||= commands.some((command) => ROUTINES.test(command))
		const isNamed = commands.some((command) => isDefinition(command) && !PLAIN_DEFINITIONS.has(command))
		// `CREATE TABLE … AS` and `SELECT … INTO` say that they are a `SELECT`.
		const mayMakeTable =
			commands.some((command) => PLAIN_DEFINITIONS.has(command) || QUERY_TAGS.has(command)) &&
			(text === '' || /create|into/i.test(text))
		if (isNamed || mayMakeTable) this.#addNames(text, isNamed)
	}

	/** A table has the types of its columns within its own: it is suspect where one of them is. */
	#addNames(text: string, areAll: boolean): void {
		const tokens = text === '' ? undefined : tokensOf(text)
		const names = (tokens ?? [])
			.filter(({ is, text: name }) => is !== 'other' && !QUERIES.has(name) && !NO_FUNCTIONS.has(name))
			.map(({ text: name }) => name)
		// Ranges have multiranges, of another name; what is executed is in another text.
		const hidesNames = names.includes(areAll ? 'range' : 'execute')
		if (tokens === undefined || hidesNames) this.areEverywhere = true
		if (areAll || names.some((name) => this.has(name))) for (const name of names) this.add(name)
	}
}

/** The longest names that Postgres keeps have 63 bytes, with the `_` that it puts before those of arrays, maybe more than once. */
const NAME_BYTES = 60

function comparable(name: string): string {
	return Buffer.from(name.toLowerCase().replace(/^_+/, '')).toString('latin1', 0, NAME_BYTES)
}

/** Tables and their indexes call nothing when they are read; a view may be renamed by ALTER TABLE. */
const PLAIN_DEFINITIONS = new Set(['CREATE TABLE', 'CREATE TABLE AS', 'CREATE INDEX', 'ALTER INDEX'])
const QUERY_TAGS = new Set(['SELECT', 'EXPLAIN'])
const ROUTINES = /^(?:CREATE|ALTER) (?:FUNCTION|PROCEDURE|ROUTINE)$/
/** Of these the text does not name all that calls what was defined. */
const UNNAMED = /^(?:CREATE|ALTER) (?:OPERATOR|CAST|EXTENSION|DOMAIN|LANGUAGE)\b/
/** By themselves: the functions that they call are another matter. */
const DEFINES_NOTHING =
	/^(?:INSERT|UPDATE|DELETE|MERGE|COPY|CALL|SELECT|EXPLAIN|FETCH|MOVE|(?:DECLARE|CLOSE) CURSOR.*|(?:COMMIT|ROLLBACK|PREPARE|START) (?:PREPARED|TRANSACTION)|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|SET|SET CONSTRAINTS|SHOW|RESET|DISCARD.*|LOCK TABLE|TRUNCATE TABLE|NOTIFY|LISTEN|UNLISTEN|PREPARE|DEALLOCATE.*|VACUUM|ANALYZE|REINDEX|CLUSTER|CHECKPOINT|REFRESH MATERIALIZED VIEW|COMMENT|GRANT.*|REVOKE.*|DROP .*)$/

const READING = new Set(['SELECT', 'SHOW', 'EXPLAIN', 'FETCH', 'DECLARE CURSOR', 'CLOSE CURSOR', 'MOVE'])
const AROUND = new Set(['BEGIN', 'START TRANSACTION', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'SET'])

/** Whether what it defines has its name in the text. */
function isDefinition(command: string): boolean {
	return /^(?:CREATE|ALTER) /.test(command) && !UNNAMED.test(command)
}

/** What is not Postgres' own has no lower oid. */
export const OWN_OID_MIN = 16_384

export function isProvedRead(data: StatementData, suspects: Suspects): boolean {
	const { commands, text } = data
	if (isSetting(data)) return false
	// A parameter of a domain is checked.
	if (data.paramTypes?.some((oid) => oid >= OWN_OID_MIN)) return false
	if (!commands.every((command) => READING.has(command) || AROUND.has(command))) return false
	// Of a statement that was prepared before it was journaled, the text is not known.
	if (text === '' && commands.length > 0) return false
	const tokens = tokensOf(text)
	return tokens !== undefined && statementsOf(tokens).every((statement) => reads(statement, suspects))
}

const words = (text: string) => new Set(text.split(/\s+/))

/** What a statement that reads, or one around it, begins with. */
const QUERIES = words('select values table with explain declare (')
const PLAIN = words('show begin start commit end rollback abort savepoint release fetch move close set')
/** Words that write, lock, call or hide what they do. */
const FORBIDDEN = words(
	'insert update delete merge into execute prepare call do copy share truncate refresh create drop alter lock nextval setval uescape operator',
)
/** What may stand in front of a parenthesis, and can be the name of no function. */
const NO_FUNCTIONS = words(
	`select from where in and or not exists any all some as on using when then else case values union except intersect join having limit
	offset fetch with lateral distinct array group between like ilike for only order window interval numeric decimal varchar char bit
	time timestamp timestamptz float dec`,
)
/** Built in, and leave nothing behind but what is counted in statistics. */
const FUNCTIONS = words(
	`count sum avg min max string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and bool_or every bit_and bit_or
	stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop covar_samp percentile_cont percentile_disc mode grouping
	row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
	coalesce nullif greatest least cast extract overlay position substring trim treat normalize
	lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim substr strpos starts_with
	replace translate concat concat_ws left right lpad rpad reverse repeat split_part md5 sha224 sha256 sha384 sha512 ascii chr format
	quote_ident quote_literal quote_nullable encode decode to_hex regexp_replace regexp_match regexp_matches regexp_like regexp_count
	regexp_substr regexp_split_to_array regexp_split_to_table string_to_array string_to_table array_to_string to_char to_date to_timestamp
	to_number abs ceil ceiling floor round trunc sign sqrt cbrt power exp ln log mod div gcd lcm width_bucket pi degrees radians sin cos tan
	asin acos atan atan2 random gen_random_uuid num_nulls num_nonnulls
	now age date_trunc date_part date_bin make_date make_time make_timestamp make_timestamptz make_interval justify_days justify_hours
	justify_interval clock_timestamp statement_timestamp transaction_timestamp timeofday isfinite
	current_timestamp current_time localtime localtimestamp
	unnest array_length array_lower array_upper array_ndims array_dims cardinality array_append array_prepend array_cat array_position
	array_positions array_remove array_replace array_fill generate_series generate_subscripts
	to_json to_jsonb row_to_json array_to_json json_build_object jsonb_build_object json_build_array jsonb_build_array json_array_length
	jsonb_array_length json_array_elements jsonb_array_elements json_array_elements_text jsonb_array_elements_text json_each jsonb_each
	json_each_text jsonb_each_text json_object_keys jsonb_object_keys json_extract_path jsonb_extract_path json_extract_path_text
	jsonb_extract_path_text json_typeof jsonb_typeof json_strip_nulls jsonb_strip_nulls jsonb_set jsonb_insert jsonb_pretty
	jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
	to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd ts_headline
	version current_database current_schema current_schemas current_setting pg_typeof pg_backend_pid currval lastval pg_sleep row
	inet_client_addr inet_server_addr has_table_privilege has_schema_privilege obj_description col_description format_type
	pg_get_expr pg_get_constraintdef pg_get_indexdef pg_table_is_visible pg_relation_size pg_total_relation_size pg_table_size pg_size_pretty`,
)

function reads(statement: readonly Token[], suspects: Suspects): boolean {
	const [first] = statement
	if (first === undefined) return true
	if (first.is === 'name' && PLAIN.has(first.text)) return true
	if (suspects.areEverywhere || !QUERIES.has(first.text) || first.is === 'quoted') return false
	return statement.every((token, index) => {
		if (token.is === 'other') return true
		if (suspects.has(token.text) || (token.is === 'name' && FORBIDDEN.has(token.text))) return false
		return statement[index + 1]?.text !== '(' || mayStandBefore(statement, index)
	})
}

/** Whether what a parenthesis follows is no function, or a known one. */
function mayStandBefore(statement: readonly Token[], index: number): boolean {
	const [token, before, qualifier] = [statement[index]!, statement[index - 1], statement[index - 2]]
	if (index === 0) return true
	// The names of columns: `… ) t (a, b)`, `… as t (a, b)`, `with t (a, b) as …`. Here too stand `over` and `filter`.
	if (before?.text === ')' && !isDistinctOn(statement)) return true
	if (before?.is === 'name' && /^(?:as|with|recursive)$/.test(before.text)) return true
	if (token.is === 'quoted') return false
	if (token.text === 'by') return before?.is === 'name' && /^(?:group|order|partition)$/.test(before.text)
	if (before?.text === '.') return qualifier?.text === 'pg_catalog' && FUNCTIONS.has(token.text)
	return FUNCTIONS.has(token.text) || NO_FUNCTIONS.has(token.text)
}

/** `select distinct on (a) f(b)`: what follows a parenthesis there can be a function. */
function isDistinctOn(statement: readonly Token[]): boolean {
	return statement.some(({ text }, index) => text === 'distinct' && statement[index + 1]?.text === 'on')
}

interface Token {
	/** `other`: strings, numbers, parameters, operators. */
	readonly is: 'name' | 'quoted' | 'other'
	/** Of names in lower case; of strings nothing. */
	readonly text: string
}

function statementsOf(tokens: readonly Token[]): Token[][] {
	const statements: Token[][] = [[]]
	for (const token of tokens)
		if (token.text === ';') statements.push([])
		else statements.at(-1)!.push(token)
	return statements
}

const NAME = /[a-z_\x80-\uffff][\w$\x80-\uffff]*/iy
/** No other blanks: to the server, those of Unicode are parts of names. */
const SPACE = /(?:[ \t\n\r\f\v]+|--[^\n\r]*)+/y
const QUOTED = /"((?:[^"\\]|"")*)"/y
/** One with a backslash means another thing to a server that is set in another way. */
const STRING = /'(?:[^'\\]|'')*'/y
const ESCAPES = /e'(?:[^'\\]|''|\\[\s\S])*'/iy
const DOLLARS = /\$(?:[a-z_\x80-\uffff][\w\x80-\uffff]*)?\$/iy
const REST = /\$\d+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|[^\s"'\w]/iy

/** Undefined for what is not read to its end. */
function tokensOf(text: string): Token[] | undefined {
	const tokens: Token[] = []
	let at = 0
	const take = (pattern: RegExp): RegExpExecArray | undefined => {
		pattern.lastIndex = at
		const found = pattern.exec(text) ?? undefined
		if (found !== undefined) at = pattern.lastIndex
		return found
	}
	while (at < text.length) {
		if (take(SPACE) !== undefined) continue
		if (text.startsWith('/*', at)) {
			at = endOfComment(text, at)
			if (at === -1) return undefined
			continue
		}
		if (take(ESCAPES) ?? take(STRING)) tokens.push({ is: 'other', text: '' })
		else {
			const opening = take(DOLLARS)?.[0]
			const name = opening === undefined ? take(NAME)?.[0] : undefined
			const quoted = opening === undefined && name === undefined ? take(QUOTED)?.[1] : undefined
			if (opening !== undefined) {
				const end = text.indexOf(opening, at)
				if (end === -1) return undefined
				at = end + opening.length
				tokens.push({ is: 'other', text: '' })
			} else if (name !== undefined) tokens.push({ is: 'name', text: name.toLowerCase() })
			else if (quoted !== undefined)
				tokens.push({ is: 'quoted', text: quoted.replaceAll('""', '"').toLowerCase() })
			else {
				const rest = take(REST)?.[0]
				if (rest === undefined) return undefined
				tokens.push({ is: 'other', text: rest })
			}
		}
	}
	return tokens
}

/** Comments lie in one another. -1 where it has no end. */
function endOfComment(text: string, begin: number): number {
	const marks = /\/\*|\*\//g
	marks.lastIndex = begin
	let depth = 0
	for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
		depth += mark[0] === '/*' ? 1 : -1
		if (depth === 0) return marks.lastIndex
	}
	return -1
}
