/**
 * Line heads of plain text lines: what precedes the message in the layouts of common programs. A head gives
 * the time and the level of a line. The line itself is not changed. Each reader takes a bounded number of
 * steps.
 */
import { timeOfDecimal } from '../model/calendar.ts'
import { levelOfName, levelOfSyslog, type NamedLevel } from '../model/level-names.ts'
import { levelAfterTime, levelAtStart, levelOfLetter } from './level-scan.ts'
import { type FoundTime, timeAt, wholeTime } from './time-notations.ts'
import type { WrittenTime } from './written-time.ts'

/** The time and the level of a line. */
export interface Head {
	readonly time?: WrittenTime | undefined
	readonly level?: NamedLevel | undefined
}

/** A reader for one layout. Returns undefined for a line in another layout. */
type HeadReader = (text: string) => Head | undefined

/** Part of a line in which a head is sought. */
const HEAD_LENGTH = 1024
/** Number of key-value pairs of a logfmt line in which the time and the level are sought. */
const PAIRS_MAX = 24
/** Sequences that set colours. They can surround a time or a level. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with this character.
const COLORS = /\u001b\[[\d;]{0,16}m/g

const PRIORITY = /^<(\d{1,3})>(?:1 )?/
const COMPOSE = /^[\w.-]{1,64} {1,32}\| /
const CRI = /^ (?:stdout|stderr) [FP] /
const GLOG = new RegExp(
	String.raw`^([IWEF])(?:(\d{4})(?=\d{4}))?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{1,6})` +
		String.raw` {1,7}\d{1,10} [^\s\]]{1,256}\]`,
)
const ANDROID_LETTER = /^(?: {1,5}\w{1,16}){1,3} ([VDIWEFA]) |^ ([VDIWEFA])\/[^:]{0,128}:/
const ANDROID_BRIEF = /^([VDIWEFA])\/[\w.$-]{2,64} {0,32}(?:\( {0,8}\d{1,8}\))?:(?: |$)/
const ANDROID_PROCESS = /^([VDIWEFA])\( {0,8}\d{1,8}\) /
const RUBY = /^([DIWEFA]), \[/
const TORNADO = /^\[([DIWEC]) /
const NEST = /^\[[\w-]{1,64}\] \d{1,10} {1,4}- /
const NEST_LEVEL = /^ {1,16}(LOG|ERROR|WARN|DEBUG|VERBOSE|FATAL) /
const REDIS = /^\d{1,10}:[MSCX] /
const REDIS_LEVELS: Readonly<Record<string, NamedLevel>> = {
	'.': { level: 'debug' },
	'-': { level: 'debug' },
	'*': { level: 'info' },
	'#': { level: 'warn' },
}
const NPM = /^npm (ERR!|error|WARN|warn|notice|info|verb|sill|http)(?= |$)/
const NPM_LEVELS: Readonly<Record<string, NamedLevel>> = {
	'ERR!': { level: 'error' },
	error: { level: 'error' },
	WARN: { level: 'warn' },
	warn: { level: 'warn' },
	notice: { level: 'info' },
	info: { level: 'info' },
	verb: { level: 'debug' },
	http: { level: 'debug' },
	sill: { level: 'trace' },
}
const AUDIT = /^(?:node=\S{1,255} )?type=\w{1,64} msg=audit\((\d{9,10})\.(\d{3}):\d{1,10}\)/
const RELATIVE = /^(?:\d{1,12} {1,12}|\[\d{1,10}\.\d{1,9}s\])\[/
const CLUSTER =
	/^[-A-Z0-9_]{1,32} (\d{9,10}) \d{4}\.\d\d\.\d\d \S{1,128} |^\d{1,9}(?: \S{1,64}){3} (\d{9,10}) -?\d /
const CLUSTER_LEVEL = / (?:RAS|NULL) [A-Z_]{1,32} (INFO|WARNING|ERROR|SEVERE|FATAL|FAILURE) /
/** The name of a file that precedes each line, as `grep` prints it. */
const FILE_NAME = /^[\w./-]{1,128}\.log[\w.:-]{0,64}?[: ] {0,2}(?=\[?\d{4}[-/]\d\d[-/]\d\d[ T])/
const ACCESS_TIME = / \[(?=\d\d\/[A-Z][a-z][a-z]\/\d{4}:)/
const GO_PANIC = /^(?:(panic): |fatal error: )/
const JUL_LEVEL = /^(?:SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): /
const JUL_TIME = /^\w{3} \d?\d, \d{4} \d?\d:\d\d:\d\d[ \u202f][AP]M [\w.$]/
const PAIR = /([\w.@/-]{1,64})=(?:"((?:[^"\\]|\\.)*)"?|([^\s"]*)) ?/y
const PAIR_TIME = /^(?:time|ts|t|timestamp|@timestamp|datetime)$/
const PAIR_LEVEL = /^(?:level|lvl|severity|loglevel|log\.level)$/

/** All layouts, in the order in which they are tried. */
export const HEADS: readonly { readonly name: string; readonly read: HeadReader }[] = [
	{ name: 'syslog (RFC 3164, RFC 5424)', read: syslog },
	{ name: 'Docker Compose', read: compose },
	{ name: 'klog and glog', read: glog },
	{ name: 'Android', read: android },
	{ name: 'Ruby', read: lettered },
	{ name: 'NestJS', read: nest },
	{ name: 'Redis', read: redis },
	{ name: 'npm', read: npm },
	{ name: 'Go panic', read: goPanic },
	{ name: 'auditd', read: audit },
	{ name: 'supercomputers (BGL, Thunderbird, HPC)', read: cluster },
	{ name: 'logfmt', read: logfmt },
	{ name: 'a time first', read: timeFirst },
	{ name: 'the name of a log file first', read: named },
	{ name: 'web server access', read: access },
	{ name: 'a level first', read: levelFirst },
	{ name: 'log4j and Java with relative times', read: relative },
]

/** Returns the head of a line; a head without a time and a level if the line has none. */
export function headOf(line: string): Head {
	// A byte order mark may precede the first line of a file.
	const start = line.slice(line.startsWith('\ufeff') ? 1 : 0, HEAD_LENGTH)
	const text = start.includes('\u001b') ? start.replaceAll(COLORS, '') : start
	return readHead(text) ?? {}
}

/**
 * Returns whether a line is the second line that java.util.logging writes for one record, and the first line
 * precedes it.
 */
export function isSecondOfTwo(first: string, second: string): boolean {
	return JUL_LEVEL.test(second) && JUL_TIME.test(first.slice(0, HEAD_LENGTH))
}

function readHead(text: string): Head | undefined {
	for (const { read } of HEADS) {
		const head = read(text)
		if (head !== undefined) return head
	}
	return undefined
}

function syslog(text: string): Head | undefined {
	const [start, priority] = PRIORITY.exec(text) ?? []
	if (start === undefined || Number(priority) > 191) return undefined
	return { time: timeAt(text, start.length)?.time, level: levelOfSyslog(Number(priority) % 8) }
}

function compose(text: string): Head | undefined {
	const prefix = COMPOSE.exec(text)?.[0]
	return prefix === undefined ? undefined : (readHead(text.slice(prefix.length)) ?? {})
}

/** `Immdd hh:mm:ss.uuuuuu` of klog, and `Iyyyymmdd hh:mm:ss.uuuuuu` of newer versions of glog. */
function glog(text: string): Head | undefined {
	const [, letter, year, month, day, hours, minutes, seconds, fraction] = GLOG.exec(text) ?? []
	if (letter === undefined) return undefined
	const time: WrittenTime = {
		year: year === undefined ? undefined : Number(year),
		month: Number(month),
		day: Number(day),
		hours: Number(hours),
		minutes: Number(minutes),
		seconds: Number(seconds),
		milliseconds: Number(fraction!.slice(0, 3).padEnd(3, '0')),
		offsetMinutes: undefined,
	}
	return { time, level: levelOfLetter(letter) }
}

/** The layouts of logcat: threadtime, time, brief, tag and process. */
function android(text: string): Head | undefined {
	const [, letter] = ANDROID_BRIEF.exec(text) ?? ANDROID_PROCESS.exec(text) ?? []
	if (letter !== undefined) return { level: levelOfLetter(letter) }
	if (!/^(?:\d{4}-)?\d\d-\d\d /.test(text)) return undefined
	const found = timeAt(text, 0)
	const [, threaded, slashed] = ANDROID_LETTER.exec(text.slice(found?.end ?? 0, HEAD_LENGTH)) ?? []
	const level = threaded ?? slashed
	return found === undefined || level === undefined ? undefined : timed(found, levelOfLetter(level))
}

/** `I, [time #pid]` of Ruby, and `[I time module]` of Tornado and Jupyter. */
function lettered(text: string): Head | undefined {
	const [start, letter] = RUBY.exec(text) ?? TORNADO.exec(text) ?? []
	const found = start === undefined ? undefined : timeAt(text, start.length)
	return found === undefined ? undefined : timed(found, levelOfLetter(letter!))
}

function nest(text: string): Head | undefined {
	const start = NEST.exec(text)?.[0]
	const found = start === undefined ? undefined : timeAt(text, start.length)
	if (found === undefined) return undefined
	const [, name] = NEST_LEVEL.exec(text.slice(found.end)) ?? []
	return timed(found, name === undefined ? undefined : levelOfName(name))
}

function redis(text: string): Head | undefined {
	const start = REDIS.exec(text)?.[0]
	const found = start === undefined ? undefined : timeAt(text, start.length)
	return found === undefined ? undefined : timed(found, REDIS_LEVELS[text[found.end + 1] ?? ''])
}

function npm(text: string): Head | undefined {
	const [, name] = NPM.exec(text) ?? []
	return name === undefined ? undefined : { level: NPM_LEVELS[name] }
}

function goPanic(text: string): Head | undefined {
	const [start, panic] = GO_PANIC.exec(text) ?? []
	return start === undefined ? undefined : { level: { level: 'error', name: panic ?? 'fatal' } }
}

function audit(text: string): Head | undefined {
	const [, seconds, milliseconds] = AUDIT.exec(text) ?? []
	return seconds === undefined ? undefined : { time: { tsMs: Number(seconds) * 1000 + Number(milliseconds) } }
}

function cluster(text: string): Head | undefined {
	const [, labelled, numbered] = CLUSTER.exec(text) ?? []
	const seconds = labelled ?? numbered
	if (seconds === undefined) return undefined
	const [, name] = CLUSTER_LEVEL.exec(text) ?? []
	return {
		time: { tsMs: Number(seconds) * 1000 },
		level: name === undefined ? undefined : levelOfName(name),
	}
}

function logfmt(text: string): Head | undefined {
	if (!/^[\w.@-]{1,64}=/.test(text)) return undefined
	let time: WrittenTime | undefined
	let level: NamedLevel | undefined
	PAIR.lastIndex = 0
	for (let pairs = 0; pairs < PAIRS_MAX; pairs++) {
		const [, key = '', quoted, bare = ''] = PAIR.exec(text) ?? []
		if (key === '') break
		const value = quoted ?? bare
		if (PAIR_TIME.test(key)) time ??= timeOfValue(value)
		else if (PAIR_LEVEL.test(key)) level ??= levelOfName(value)
	}
	return time === undefined && level === undefined ? undefined : { time, level }
}

/** Returns the time of a value: in any notation, or a number of seconds, milliseconds or smaller units. */
export function timeOfValue(value: string): WrittenTime | undefined {
	if (!/^\d{9,20}(?:\.\d{1,9})?$/.test(value)) return wholeTime(value)
	const tsMs = timeOfDecimal(value)
	return tsMs === undefined ? undefined : { tsMs }
}

/** A time at the start, perhaps in brackets. The level follows it, or a line of another layout does. */
function timeFirst(text: string): Head | undefined {
	const at = openingAt(text, 0)
	const found = timeAt(text, at)
	if (found === undefined) return undefined
	const rest = text.slice(found.end)
	const prefix = CRI.exec(rest)?.[0]
	const inner = rest.slice((prefix ?? ' ').length)
	const level = prefix === undefined ? levelAfterTime(text, found.end) : levelAtStart(inner, 0)?.level
	return timed(found, level ?? (glog(inner) ?? logfmt(inner))?.level)
}

function named(text: string): Head | undefined {
	const prefix = FILE_NAME.exec(text)?.[0]
	return prefix === undefined ? undefined : timeFirst(text.slice(prefix.length))
}

/** The access log of nginx, Apache and others. It has no level, and its text is from clients. */
function access(text: string): Head | undefined {
	const index = text.slice(0, 400).search(ACCESS_TIME)
	const fields = index < 0 ? 0 : text.slice(0, index).split(' ').length
	const found = fields < 2 || fields > 6 ? undefined : timeAt(text, index + 2)
	return found === undefined ? undefined : { time: found.time }
}

/** A level at the start, which a time can follow. */
function levelFirst(text: string): Head | undefined {
	const found = levelAtStart(text, 0)
	if (found === undefined) return undefined
	return { level: found.level, time: timeAt(text, openingAt(text, found.end))?.time }
}

/** Milliseconds since the start of the program, a thread and a level. */
function relative(text: string): Head | undefined {
	const start = RELATIVE.exec(text)?.[0]
	const level = start === undefined ? undefined : levelAfterTime(text, start.length - 1)
	return level === undefined ? undefined : { level }
}

function timed({ time }: FoundTime, level: NamedLevel | undefined): Head {
	return { time, level }
}

/** Returns the index after spaces, separators and at most one opening bracket. */
function openingAt(text: string, from: number): number {
	let at = from
	while (at < from + 16 && ' \t|:,-]'.includes(text[at] ?? 'x')) at++
	return '[(<'.includes(text[at] ?? 'x') ? at + 1 : at
}
