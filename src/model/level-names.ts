/** Maps the names and numbers that other loggers give to levels. */
import { LOG_LEVELS, type LogLevel } from './record.ts'

/**
 * Names of each level in other loggers, in lower case: syslog, winston, npm, bunyan, tslog, log4j,
 * java.util.logging, Python, .NET, PostgreSQL, OpenTelemetry, and the short forms that consoles print. A name
 * between two levels, such as `notice`, means the lower one.
 */
const NAMES: Readonly<Record<LogLevel, string>> = {
	trace: 'trace trce trc silly sill finest finer all notset vrb',
	debug: 'debug dbug debu dbg verbose verb http fine config',
	info: 'info inf information informational notice note default log system success',
	warn: 'warn warning wrn',
	error: 'error err erro eror fail failure severe',
}

/** Names above `error`, in lower case. The level of such a record is `error`, and its data keeps the name. */
const ABOVE_ERROR = 'fatal fata ftl critical crit alert emerg emergency panic dpanic'

/** Spellings of `fatal`. Data contains `fatal` for each of them. */
const FATAL: ReadonlySet<string> = new Set(['fatal', 'fata', 'ftl'])
/** Names with a number: `DEBUG1` in PostgreSQL, `INFO2` in OpenTelemetry. */
const NUMBERED = /^(trace|debug|info|warn|error|fatal)[1-8]$/

const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
	...LOG_LEVELS.flatMap((level) => NAMES[level].split(' ').map((name) => [name, level] as const)),
	...ABOVE_ERROR.split(' ').map((name) => [name, 'error'] as const),
])
const NAMES_ABOVE_ERROR: ReadonlySet<string> = new Set(ABOVE_ERROR.split(' '))

/** Names of the severities of syslog (RFC 5424), from 0 to 7. */
const SYSLOG_NAMES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const
/** Longest name in the tables. A longer string is not looked up. */
const NAME_LENGTH_MAX = 16

/** A level as another logger gives it. */
export interface NamedLevel {
	readonly level: LogLevel
	/**
	 * Name of a level above `error`, for `data.level`: `fatal` for each spelling of it, and otherwise the name
	 * as it was given. Absent for the other levels.
	 */
	readonly name?: string
}

/** Returns the level that a name means in any case; undefined for any other string. */
export function levelOfName(name: string): NamedLevel | undefined {
	if (name.length > NAME_LENGTH_MAX) return undefined
	const lower = name.toLowerCase()
	const known = NUMBERED.exec(lower)?.[1] ?? lower
	const level = LEVELS.get(known)
	if (level === undefined) return undefined
	if (!NAMES_ABOVE_ERROR.has(known)) return { level }
	return { level, name: FATAL.has(known) ? 'fatal' : name }
}

/** Returns the level of a severity number of syslog; undefined for any number other than 0 to 7. */
export function levelOfSyslog(severity: number): NamedLevel | undefined {
	const name = SYSLOG_NAMES[severity]
	return name === undefined ? undefined : levelOfName(name)
}

/**
 * Returns the level of a severity number of OpenTelemetry: four numbers for each level, and 21 to 24 for
 * `fatal`. Returns undefined for any other number.
 */
export function levelOfOtel(severity: number): NamedLevel | undefined {
	if (!(severity >= 1 && severity < 25)) return undefined
	const level = LOG_LEVELS[Math.floor((severity - 1) / 4)]
	return level === undefined ? { level: 'error', name: 'fatal' } : { level }
}
