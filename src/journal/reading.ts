/**
 * Decides which statements are provably read-only.
 *
 * Invariant: a statement counts as a read only if its command tags and its text prove that it is one. A read
 * consists only of queries (`SELECT`, `VALUES`, `TABLE` and others), `SHOW`, cursor commands and transaction
 * control. It does not contain a keyword for writing or locking, a function other than built-in functions
 * without side effects, or the name of an object that may have hidden effects (`Suspects`). Any other
 * statement is assumed to define everything that statements of its kind can define. Only a statement that
 * provably defines nothing leaves the suspects unchanged.
 *
 * The proof examines tokens without a grammar, and rejects every construct that it does not recognise.
 */
import { isSetting } from './session-settings.ts'
import type { StatementData } from './statement.ts'

/**
 * Names of objects that may have hidden effects, such as views that call functions, functions with the same
 * name as a built-in function, and types that contain a domain whose check calls a function. The set grows
 * with every statement that is not provably a read. At each position in the recording, it therefore covers
 * everything that earlier statements may have defined. If the names that a statement defines cannot be
 * determined, everything after that statement is suspect.
 */
export class Suspects {
	readonly #names = new Set<string>()
	/** Whether all names and all expressions are suspect. */
	areEverywhere = false
	/**
	 * Whether functions on the target may define objects. Any statement that is not provably a read may call
	 * such a function, for example through a trigger.
	 */
	functionsMayDefine = false

	/** Adds a name. */
	add(name: string): void {
		this.#names.add(comparable(name))
	}

	/** Returns whether a name is suspect. */
	has(name: string): boolean {
		return this.#names.has(comparable(name))
	}

	/**
	 * Adds the names that a statement may have defined. Called for statements that are not provably reads.
	 */
	learn({ commands, text }: StatementData): void {
		if (this.areEverywhere || commands.every((command) => AROUND.has(command))) return
		this.areEverywhere =
			this.functionsMayDefine ||
			!commands.every((command) => isDefinition(command) || DEFINES_NOTHING.test(command))
		this.functionsMayDefine ||= commands.some((command) => ROUTINES.test(command))
		const isNamed = commands.some((command) => isDefinition(command) && !PLAIN_DEFINITIONS.has(command))
		// `CREATE TABLE … AS` and `SELECT … INTO` have the command tag `SELECT`.
		const mayMakeTable =
			commands.some((command) => PLAIN_DEFINITIONS.has(command) || QUERY_TAGS.has(command)) &&
			(text === '' || /create|into/i.test(text))
		if (isNamed || mayMakeTable) this.#addNames(text, isNamed)
	}

	/**
	 * Adds the names in a definition. Unless `areAll` is set, adds them only if one of them is already suspect,
	 * such as the type of a column.
	 */
	#addNames(text: string, areAll: boolean): void {
		const tokens = text === '' ? undefined : tokensOf(text)
		const names = (tokens ?? [])
			.filter(({ is, text: name }) => is !== 'other' && !QUERIES.has(name) && !NO_FUNCTIONS.has(name))
			.map(({ text: name }) => name)
		// Defining a range type also creates a multirange type with a different name. The query that EXECUTE runs
		// is in a different text.
		const hidesNames = names.includes(areAll ? 'range' : 'execute')
		if (tokens === undefined || hidesNames) this.areEverywhere = true
		if (areAll || names.some((name) => this.has(name))) for (const name of names) this.add(name)
	}
}

/**
 * Number of bytes by which names are compared. Postgres truncates names to 63 bytes, and prefixes the names
 * of array types with one or more `_`.
 */
const NAME_BYTES = 60

function comparable(name: string): string {
	return Buffer.from(name.toLowerCase().replace(/^_+/, '')).toString('latin1', 0, NAME_BYTES)
}

/**
 * Definitions of tables and indexes. Reading a table or an index does not call functions. ALTER TABLE is
 * excluded because it can rename a view.
 */
const PLAIN_DEFINITIONS = new Set(['CREATE TABLE', 'CREATE TABLE AS', 'CREATE INDEX', 'ALTER INDEX'])
const QUERY_TAGS = new Set(['SELECT', 'EXPLAIN'])
const ROUTINES = /^(?:CREATE|ALTER) (?:FUNCTION|PROCEDURE|ROUTINE)$/
/** Definitions of objects that can be called through names that do not appear in the definition. */
const UNNAMED = /^(?:CREATE|ALTER) (?:OPERATOR|CAST|EXTENSION|DOMAIN|LANGUAGE)\b/
/** Commands that define nothing themselves, although the functions that they call may define objects. */
const DEFINES_NOTHING = new RegExp(
	`^(?:${[
		'INSERT|UPDATE|DELETE|MERGE|COPY|CALL|SELECT|EXPLAIN|FETCH|MOVE|(?:DECLARE|CLOSE) CURSOR.*',
		'(?:COMMIT|ROLLBACK|PREPARE|START) (?:PREPARED|TRANSACTION)|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE',
		'SET|SET CONSTRAINTS|SHOW|RESET|DISCARD.*|LOCK TABLE|TRUNCATE TABLE|NOTIFY|LISTEN|UNLISTEN|PREPARE',
		'DEALLOCATE.*|VACUUM|ANALYZE|REINDEX|CLUSTER|CHECKPOINT|REFRESH MATERIALIZED VIEW|COMMENT|GRANT.*',
		'REVOKE.*|DROP .*',
	].join('|')})$`,
)

const READING = new Set(['SELECT', 'SHOW', 'EXPLAIN', 'FETCH', 'DECLARE CURSOR', 'CLOSE CURSOR', 'MOVE'])
const AROUND = new Set(['BEGIN', 'START TRANSACTION', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'SET'])

/** Returns whether a command defines only objects that are named in its text. */
function isDefinition(command: string): boolean {
	return /^(?:CREATE|ALTER) /.test(command) && !UNNAMED.test(command)
}

/** Lowest OID of an object that is not built into Postgres. */
export const OWN_OID_MIN = 16_384

/** Returns whether a statement is provably a read. */
export function isProvedRead(data: StatementData, suspects: Suspects): boolean {
	const { commands, text } = data
	if (isSetting(data)) return false
	// If the type of a parameter is a domain, the server evaluates the domain's check constraint.
	if (data.paramTypes?.some((oid) => oid >= OWN_OID_MIN)) return false
	if (!commands.every((command) => READING.has(command) || AROUND.has(command))) return false
	// The text of a statement that was prepared before the journal started is unknown.
	if (text === '' && commands.length > 0) return false
	const tokens = tokensOf(text)
	return tokens !== undefined && statementsOf(tokens).every((statement) => reads(statement, suspects))
}

const words = (text: string) => new Set(text.split(/\s+/))

/** First words of queries, which are checked word by word, and of other reads, which are not. */
const QUERIES = words('select values table with explain declare (')
const PLAIN = words('show begin start commit end rollback abort savepoint release fetch move close set')
/** Words of constructs that may write, lock, call a function, or disguise a name. */
const FORBIDDEN = words(
	`insert update delete merge into execute prepare call do copy share truncate refresh create drop alter lock
	nextval setval uescape operator`,
)
/** Words that can precede a parenthesis but are not function names. */
const NO_FUNCTIONS = words(
	`select from where in and or not exists any all some as on using when then else case values union except
	intersect join having limit offset fetch with lateral distinct array group between like ilike for only order
	window interval numeric decimal varchar char bit time timestamp timestamptz float dec`,
)
/** Built-in functions without side effects, except on statistics. */
const FUNCTIONS = words(
	`count sum avg min max string_agg array_agg json_agg jsonb_agg json_object_agg jsonb_object_agg bool_and
	bool_or every bit_and bit_or stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop
	covar_samp percentile_cont percentile_disc mode grouping
	row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
	coalesce nullif greatest least cast extract overlay position substring trim treat normalize
	lower upper initcap length char_length character_length octet_length bit_length btrim ltrim rtrim substr
	strpos starts_with replace translate concat concat_ws left right lpad rpad reverse repeat split_part md5
	sha224 sha256 sha384 sha512 ascii chr format quote_ident quote_literal quote_nullable encode decode to_hex
	regexp_replace regexp_match regexp_matches regexp_like regexp_count regexp_substr regexp_split_to_array
	regexp_split_to_table string_to_array string_to_table array_to_string to_char to_date to_timestamp to_number
	abs ceil ceiling floor round trunc sign sqrt cbrt power exp ln log mod div gcd lcm width_bucket pi degrees
	radians sin cos tan asin acos atan atan2 random gen_random_uuid num_nulls num_nonnulls
	now age date_trunc date_part date_bin make_date make_time make_timestamp make_timestamptz make_interval
	justify_days justify_hours justify_interval clock_timestamp statement_timestamp transaction_timestamp
	timeofday isfinite
	current_timestamp current_time localtime localtimestamp
	unnest array_length array_lower array_upper array_ndims array_dims cardinality array_append array_prepend
	array_cat array_position array_positions array_remove array_replace array_fill generate_series
	generate_subscripts
	to_json to_jsonb row_to_json array_to_json json_build_object jsonb_build_object json_build_array
	jsonb_build_array json_array_length jsonb_array_length json_array_elements jsonb_array_elements
	json_array_elements_text jsonb_array_elements_text json_each jsonb_each json_each_text jsonb_each_text
	json_object_keys jsonb_object_keys json_extract_path jsonb_extract_path json_extract_path_text
	jsonb_extract_path_text json_typeof jsonb_typeof json_strip_nulls jsonb_strip_nulls jsonb_set jsonb_insert
	jsonb_pretty
	jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
	to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery ts_rank ts_rank_cd ts_headline
	version current_database current_schema current_schemas current_setting pg_typeof pg_backend_pid currval
	lastval pg_sleep row inet_client_addr inet_server_addr has_table_privilege has_schema_privilege
	obj_description col_description format_type pg_get_expr pg_get_constraintdef pg_get_indexdef
	pg_table_is_visible pg_relation_size pg_total_relation_size pg_table_size pg_size_pretty`,
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

/**
 * Returns whether the token before a parenthesis is the name of a known function, or is not a function name.
 */
function mayStandBefore(statement: readonly Token[], index: number): boolean {
	const [token, before, qualifier] = [statement[index]!, statement[index - 1], statement[index - 2]]
	if (index === 0) return true
	// Either column names follow, as in `… ) t (a, b)`, `… as t (a, b)` and `with t (a, b) as …`, or the token
	// is `over` or `filter`.
	if (before?.text === ')' && !isDistinctOn(statement)) return true
	if (before?.is === 'name' && /^(?:as|with|recursive)$/.test(before.text)) return true
	if (token.is === 'quoted') return false
	if (token.text === 'by') return before?.is === 'name' && /^(?:group|order|partition)$/.test(before.text)
	if (before?.text === '.') return qualifier?.text === 'pg_catalog' && FUNCTIONS.has(token.text)
	return FUNCTIONS.has(token.text) || NO_FUNCTIONS.has(token.text)
}

/**
 * Returns whether a statement contains `distinct on`. In `distinct on (a) f(b)`, a function call follows a
 * closing parenthesis.
 */
function isDistinctOn(statement: readonly Token[]): boolean {
	return statement.some(({ text }, index) => text === 'distinct' && statement[index + 1]?.text === 'on')
}

interface Token {
	/** Kind of the token; `other` is a string, a number, a parameter or an operator. */
	readonly is: 'name' | 'quoted' | 'other'
	/** Text of the token: in lower case for a name, and empty for a string literal. */
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
/**
 * Matches only ASCII whitespace and comments, because the server treats Unicode whitespace as part of a name.
 */
const SPACE = /(?:[ \t\n\r\f\v]+|--[^\n\r]*)+/y
const QUOTED = /"((?:[^"\\]|"")*)"/y
/** Does not match backslashes, because their meaning depends on a server setting. */
const STRING = /'(?:[^'\\]|'')*'/y
const ESCAPES = /e'(?:[^'\\]|''|\\[\s\S])*'/iy
const DOLLARS = /\$(?:[a-z_\x80-\uffff][\w\x80-\uffff]*)?\$/iy
const REST = /\$\d+|\d+(?:\.\d*)?(?:e[+-]?\d+)?|[^\s"'\w]/iy

/** Splits a text into tokens. Returns undefined if the text contains anything that is not a known token. */
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

/**
 * Returns the end of a comment, which can contain nested comments. Returns -1 if the comment is not
 * terminated.
 */
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
