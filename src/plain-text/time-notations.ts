/**
 * Finds a time at a position in a line. Each notation is one anchored regular expression without nested
 * repetition, so its running time does not depend on the length of the line.
 */
import type { WrittenTime } from './written-time.ts'

/** A time in a line. */
export interface FoundTime {
	/** The time; undefined for a time of day without a date, which is not a point in time. */
	readonly time: WrittenTime | undefined
	/** Index of the first character after the time. */
	readonly end: number
}

type Groups = Readonly<Record<string, string | undefined>>
type Notation = readonly [pattern: RegExp, read: (groups: Groups) => WrittenTime | undefined]

const MONTHS = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec'
const MONTH_NAMES = MONTHS.toLowerCase().split('|')
const WEEKDAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const CLOCK = String.raw`(?<hours>\d\d):(?<minutes>\d\d):(?<seconds>\d\d)`
const CLOCK_1 = String.raw`(?<hours>\d?\d):(?<minutes>\d\d):(?<seconds>\d\d)`
const FRACTION = String.raw`(?:(?<point>[.,:])(?<fraction>\d{1,9}))?`
/** Abbreviations of zones with one meaning. CST, IST and BST each mean several zones. */
const ABBREVIATIONS: Readonly<Record<string, number>> = {
	...{ Z: 0, UTC: 0, GMT: 0, WET: 0, WEST: 1, CET: 1, CEST: 2, MEZ: 1, MESZ: 2, EET: 2, EEST: 3, MSK: 3 },
	...{ EST: -5, EDT: -4, CDT: -5, MST: -7, MDT: -6, PST: -8, PDT: -7, JST: 9, KST: 9, SAST: 2, HKT: 8 },
}
const ABBREVIATION = `(?:${Object.keys(ABBREVIATIONS).join('|')})`
/** An offset follows the time directly, or after a space if it has four digits. */
const ZONE =
	String.raw`(?:(?<zone> ?(?:Z|UTC|GMT)|[+-]\d\d(?::?\d\d)?| [+-]\d\d:?\d\d| ${ABBREVIATION})` +
	String.raw`(?![\w:]))?`

const anchored = (pattern: string) => new RegExp(pattern, 'iy')

const ISO: Notation = [
	anchored(
		String.raw`(?<year>\d{4})([-/.])(?<month>\d\d)\2(?<day>\d\d)(?:[T_-]|,? {1,2})` +
			String.raw`(?<hours>\d?\d)([:.])(?<minutes>\d\d)(?:\6(?<seconds>\d\d)${FRACTION})?${ZONE}`,
	),
	clockTime,
]
const COMPACT: Notation = [
	anchored(
		String.raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)[T _-]` +
			String.raw`(?<hours>\d\d):?(?<minutes>\d\d):?(?<seconds>\d\d)(?!\d)${FRACTION}${ZONE}`,
	),
	clockTime,
]
/** Android's health applications write numbers of one digit. */
const UNPADDED: Notation = [
	anchored(
		String.raw`(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)-` +
			String.raw`(?<hours>\d?\d):(?<minutes>\d?\d):(?<seconds>\d?\d)${FRACTION}(?!\d)`,
	),
	clockTime,
]
/** `yyMMdd HHmmss` of HDFS is followed by the number and the level of a thread. */
const HDFS: Notation = [
	anchored(
		String.raw`(?<year>\d\d)(?<month>\d\d)(?<day>\d\d) (?<hours>\d\d)(?<minutes>\d\d)(?<seconds>\d\d)` +
			String.raw`(?= \d{1,9} [A-Z]{4,8} )`,
	),
	clockTime,
]
const SHORT_COMPACT: Notation = [
	anchored(String.raw`(?<year>\d\d)(?<month>\d\d)(?<day>\d\d) {1,2}${CLOCK_1}${FRACTION}`),
	clockTime,
]
/** `yy/MM/dd HH:mm:ss` of Spark is followed by a level, which distinguishes it from other orders. */
const SPARK: Notation = [
	new RegExp(String.raw`(?<year>\d\d)/(?<month>\d\d)/(?<day>\d\d) ${CLOCK}${FRACTION}(?= [A-Z]{4,8} )`, 'y'),
	clockTime,
]
/** A date with `AM` or `PM` has the order of the United States. */
const AMERICAN: Notation = [
	anchored(
		String.raw`(?<month>\d?\d)/(?<day>\d?\d)/(?<year>\d{4}),? ${CLOCK_1}${FRACTION}` +
			String.raw`[ \u202f](?<half>[AP])\.?M`,
	),
	clockTime,
]
const DAY_FIRST: Notation = [
	anchored(
		String.raw`(?<day>\d?\d)[ /-](?<name>${MONTHS})[ /-](?<year>\d{4})(?:::|[ :T]|, )` +
			`${CLOCK}${FRACTION}${ZONE}`,
	),
	clockTime,
]
const DOTTED: Notation = [
	anchored(String.raw`(?<day>\d?\d)\.(?<month>\d?\d)\.(?<year>\d{4}),? ${CLOCK}${FRACTION}${ZONE}`),
	clockTime,
]
const ANDROID: Notation = [
	anchored(String.raw`(?<month>\d\d)-(?<day>\d\d) ${CLOCK}(?<point>\.)(?<fraction>\d{3,9})${ZONE}`),
	clockTime,
]
const EPOCH: Notation = [
	anchored(String.raw`(?<epoch>\d{10})\.(?<fraction>\d{3,9})(?=[\s\]])`),
	({ epoch, fraction = '' }) => ({ tsMs: Number(epoch) * 1000 + Number(fraction.slice(0, 3)) }),
]
const MONTH_FIRST: Notation = [
	anchored(
		String.raw`(?<name>${MONTHS})[a-z]{0,6} {1,2}(?<day>\d?\d)(?:,? (?<year>\d{4}),?)? ` +
			String.raw`${CLOCK_1}${FRACTION}(?:[ \u202f](?<half>[AP])M)?${ZONE}`,
	),
	clockTime,
]
const CTIME: Notation = [
	anchored(
		String.raw`${WEEKDAY}[a-z]{0,6},? {1,2}(?<name>${MONTHS}) {1,2}(?<day>\d?\d) ` +
			String.raw`${CLOCK}${FRACTION}${ZONE} (?<year>\d{4})(?!\d)`,
	),
	clockTime,
]
const RFC_1123: Notation = [
	anchored(
		String.raw`${WEEKDAY}[a-z]{0,6},? (?<day>\d?\d)[ -](?<name>${MONTHS})[ -](?<year>\d{4}) ${CLOCK}${ZONE}`,
	),
	clockTime,
]
/** The order of `MM.dd` can be confused with `dd.MM` elsewhere, so it must be in brackets. */
const BRACKETED_DATE: Notation = [
	anchored(String.raw`(?<=\[)(?<month>\d\d)\.(?<day>\d\d) ${CLOCK}(?=\])`),
	clockTime,
]
const TIME_OF_DAY: Notation = [
	anchored(String.raw`\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?[AP]M)?(?!\w)`),
	() => undefined,
]

/** Notations of times that begin with a digit, by the number of digits before the first other character. */
const BY_DIGITS: Readonly<Record<number, readonly Notation[]>> = {
	1: [DAY_FIRST, DOTTED, AMERICAN],
	2: [DAY_FIRST, DOTTED, ANDROID, SPARK, AMERICAN, BRACKETED_DATE, TIME_OF_DAY],
	4: [ISO],
	6: [HDFS, SHORT_COMPACT],
	8: [COMPACT, UNPADDED],
	10: [EPOCH],
}
const BY_NAME = [RFC_1123, CTIME, MONTH_FIRST]
const DIGITS_MAX = 10

/** Returns the time that begins at a position; undefined if there is none. */
export function timeAt(text: string, at: number): FoundTime | undefined {
	const code = text.charCodeAt(at)
	const notations = isDigit(code) ? BY_DIGITS[digitsAt(text, at)] : isLetter(code) ? BY_NAME : undefined
	if (notations === undefined) return undefined
	for (const [pattern, read] of notations) {
		pattern.lastIndex = at
		const found = pattern.exec(text)
		if (found === null) continue
		const time = read(found.groups ?? {})
		if (time === undefined && notations !== BY_DIGITS[2]) continue
		return { time, end: pattern.lastIndex }
	}
	return undefined
}

/** Returns the time that a whole string is; undefined for any other string and for a time of day. */
export function wholeTime(text: string): WrittenTime | undefined {
	const found = timeAt(text, 0)
	return found?.end === text.length ? found.time : undefined
}

function digitsAt(text: string, at: number): number {
	let end = at
	while (end - at <= DIGITS_MAX && isDigit(text.charCodeAt(end))) end++
	return end - at
}

function isDigit(code: number): boolean {
	return code >= 48 && code <= 57
}

function isLetter(code: number): boolean {
	return (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

function clockTime(groups: Groups): WrittenTime | undefined {
	const { year, month, name, day, hours, minutes, seconds = '0', half } = groups
	const offsetMinutes = groups['zone'] === undefined ? undefined : offsetOf(groups['zone'].trim())
	if (Number.isNaN(offsetMinutes)) return undefined
	return {
		year: year === undefined ? undefined : yearOf(year),
		month: name === undefined ? Number(month) : MONTH_NAMES.indexOf(name.toLowerCase()) + 1,
		day: Number(day),
		hours: hoursOf(Number(hours), half),
		minutes: Number(minutes),
		seconds: Number(seconds),
		milliseconds: millisecondsOf(groups),
		offsetMinutes,
	}
}

/** Returns a year. A year of two digits is between 1970 and 2069. */
function yearOf(digits: string): number {
	const year = Number(digits)
	return digits.length > 2 ? year : year + (year < 70 ? 2000 : 1900)
}

/** Returns an hour from 0; NaN if the hour does not exist on a clock of twelve hours. */
function hoursOf(hours: number, half: string | undefined): number {
	if (half === undefined) return hours
	if (hours < 1 || hours > 12) return Number.NaN
	return (hours % 12) + (half.toUpperCase() === 'P' ? 12 : 0)
}

/** A colon precedes a number of milliseconds, not a fraction: `:16` means 16 ms. */
function millisecondsOf({ point, fraction = '' }: Groups): number {
	if (point === ':' && fraction.length < 3) return Number(fraction)
	return Number(fraction.slice(0, 3).padEnd(3, '0'))
}

/** Returns an offset in minutes; NaN if it does not exist. */
function offsetOf(zone: string): number {
	const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? []
	if (hours === undefined) return (ABBREVIATIONS[zone.toUpperCase()] ?? 0) * 60
	if (Number(hours) > 23 || Number(minutes) > 59) return Number.NaN
	return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes))
}
