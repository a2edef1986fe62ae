/**
 * Formats records for people: one line per record, followed by errors and long data. Records can come from
 * untrusted sources, so their fields can have any type here. All text is escaped, and every line after the
 * first is indented, so that a record cannot imitate another one.
 */
import { FATAL, isFatal } from '../model/level.ts'
import { BLACK_BOX_KIND, type BlackBoxLine } from '../model/own-events.ts'
import {
	isGap,
	LOG_LEVELS,
	type LogLevel,
	type LogRecord,
	levelIndex,
	type PublisherId,
} from '../model/record.ts'
import { formatTime } from './format-time.ts'
import type { Paint, Style } from './paint.ts'
import { joined, linesOf, type Printable, printable, printed, together } from './printable.ts'

/** Maximum length of the data that is printed after the message; longer data is printed below it. */
const INLINE_LENGTH_MAX = 100
const BYTES_SHOWN_MAX = 16
const DEPTH_SHOWN_MAX = 32
const SPACE = printed` `
/** Names under which loggers store the error of a record. */
const ERROR_NAMES = ['error', 'err']
/** Placeholder seq for a line that was never published. */
const NO_SEQ = 0

const LEVEL_STYLES: Readonly<Record<LogLevel, Style>> = {
	trace: 'dim',
	debug: 'dim',
	info: 'green',
	warn: 'yellow',
	error: 'red',
}

/** Formats one record, including its line break. */
export function prettyRecord(record: LogRecord, paint: Paint): Printable {
	const time = paint('dim', formatTime(record.tsMs))
	if (isGap(record)) return printed`${time} ${paint('yellow', printed`----- ${record.message} -----`)}\n`
	const lines = heldLines(record)
	if (lines !== undefined) return prettyBlackBox(record, lines, paint)
	const name = isFatal(record) ? FATAL : record.level
	const level = paint(LEVEL_STYLES[record.level], name.toUpperCase().padEnd(5))
	const { inline, below } = prettyData(record, paint)
	const line = joined([time, level, headline(record, paint), inline, trailer(record, paint)], SPACE)
	return printed`${line}\n${below.indented()}`
}

/**
 * Formats the lines of a black box between two rules. Each line is formatted like the record that it would
 * have become.
 */
function prettyBlackBox(record: LogRecord, lines: readonly BlackBoxLine[], paint: Paint): Printable {
	const { dropped } = record.data as { readonly dropped?: unknown }
	const before =
		Number.isSafeInteger(dropped) && dropped !== 0 ? printed`, ${dropped} earlier ones dropped` : ''
	const head = paint('cyan', printed`----- black box #${record.seq}: ${record.message}${before} -----`)
	const { data: _data, ...rest } = record
	const shown = lines.map((line) => prettyRecord({ ...rest, ...line, seq: NO_SEQ }, paint).indented())
	return printed`${head}\n${together(shown)}${paint('cyan', '----- end of black box -----')}\n`
}

/**
 * Returns the lines in a black box record. Returns undefined for any other record, and for a record with a
 * malformed line.
 */
function heldLines({ kind, data }: LogRecord): readonly BlackBoxLine[] | undefined {
	if (kind !== BLACK_BOX_KIND) return undefined
	const { lines } = (data ?? {}) as { readonly lines?: unknown }
	if (!Array.isArray(lines)) return undefined
	const held = lines.map(heldLine)
	return held.every((line) => line !== undefined) ? held : undefined
}

function heldLine(raw: unknown): BlackBoxLine | undefined {
	const line = (raw ?? {}) as { readonly [Name in keyof BlackBoxLine]?: unknown }
	const { tsMs, kind, message, data, daemonId = null, nodeId = null } = line
	const level = LOG_LEVELS[levelIndex(line.level)]
	if (typeof tsMs !== 'number' || level === undefined) return undefined
	if (typeof kind !== 'string' || typeof message !== 'string') return undefined
	if (!isShownId(daemonId) || !isShownId(nodeId)) return undefined
	return { tsMs, level, kind, message, ...(data === undefined ? {} : { data }), daemonId, nodeId }
}

function isShownId(id: unknown): id is PublisherId | null {
	return id === null || ['string', 'number', 'bigint'].includes(typeof id)
}

/** Formats a canonical value on one line in JavaScript notation. */
export function inspectInline(value: unknown, depth = 0): string {
	if (typeof value === 'string') return JSON.stringify(value)
	if (typeof value === 'bigint') return `${value}n`
	if (typeof value !== 'object' || value === null) return String(value)
	if (value instanceof Date) return formatDate(value)
	if (value instanceof Uint8Array) return inspectBytes(value)
	if (depth >= DEPTH_SHOWN_MAX) return '…'
	if (Array.isArray(value)) return `[${value.map((item) => inspectInline(item, depth + 1)).join(', ')}]`
	if (isError(value)) return errorTitle(value)
	const fields = Object.entries(value).map(
		([key, field]) => `${inspectKey(key)}: ${inspectInline(field, depth + 1)}`,
	)
	return `{${fields.join(', ')}}`
}

function formatDate(date: Date): string {
	return Number.isNaN(date.getTime()) ? 'Invalid Date' : date.toISOString()
}

function headline({ kind, message }: LogRecord, paint: Paint): Printable {
	if (kind === 'log') return printable(message)
	return message === kind ? paint('cyan', kind) : joined([paint('cyan', kind), message], SPACE)
}

function trailer({ daemonId, nodeId, origin, seq }: LogRecord, paint: Paint): Printable {
	const parts = [
		daemonId === null ? '' : printed`daemon=${daemonId}`,
		nodeId === null ? '' : printed`node=${nodeId}`,
		origin === undefined ? '' : printed`from=${origin.chainId.slice(0, 8)}/${origin.epoch}/${origin.seq}`,
		seq === NO_SEQ ? '' : printed`#${seq}`,
	]
	return paint('dim', joined(parts, SPACE))
}

function prettyData(record: LogRecord, paint: Paint): { inline: Printable; below: Printable } {
	const nothing = printable('')
	const errors = errorsIn(record.data).map((error) => prettyError(error, paint))
	const data = withoutShown(record)
	if (data === undefined) return { inline: nothing, below: together(errors) }
	const text = printable(inspectInline(data))
	const isShort = text.width <= INLINE_LENGTH_MAX
	if (isError(data)) return { inline: nothing, below: together(errors) }
	if (isShort) return { inline: paint('dim', text), below: together(errors) }
	return { inline: nothing, below: together([fieldLines(data, paint), ...errors]) }
}

/** Returns the data without what other parts of the text show: the level `fatal`, and the error. */
function withoutShown(record: LogRecord): unknown {
	const { data } = record
	if (typeof data !== 'object' || data === null || Array.isArray(data) || isError(data)) return data
	if (data instanceof Uint8Array || data instanceof Date) return data
	const fields = Object.entries(data)
	const isShown = ([name, value]: readonly [string, unknown]) =>
		(name === 'level' && isFatal(record)) || (ERROR_NAMES.includes(name) && isError(value))
	const left = fields.filter((field) => !isShown(field))
	if (left.length === fields.length) return data
	return left.length === 0 ? undefined : Object.fromEntries(left)
}

/** Formats long data with one field per line. */
function fieldLines(data: unknown, paint: Paint): Printable {
	const isMap = typeof data === 'object' && data !== null && !Array.isArray(data)
	if (!isMap || data instanceof Uint8Array || data instanceof Date)
		return linesOf([paint('dim', inspectInline(data))])
	const fields = Object.entries(data)
	return linesOf(
		fields.map(([key, value]) => printed`${inspectKey(key)}: ${paint('dim', inspectInline(value))}`),
	)
}

interface ErrorData {
	readonly name?: unknown
	readonly message: string
	readonly stack: string
	readonly cause?: unknown
}

/** Returns whether a value is the canonical form of an error. */
function isError(value: unknown): value is ErrorData {
	const error = value as Partial<ErrorData> | null
	return typeof error === 'object' && typeof error?.message === 'string' && typeof error.stack === 'string'
}

function errorTitle(error: ErrorData): string {
	return `${typeof error.name === 'string' ? error.name : 'Error'}: ${error.message}`
}

function errorsIn(data: unknown): ErrorData[] {
	if (isError(data)) return [data]
	if (typeof data !== 'object' || data === null || Array.isArray(data)) return []
	return Object.values(data).filter(isError)
}

/** Formats an error with its stack, its additional fields and its cause. */
function prettyError(error: ErrorData, paint: Paint, depth = 0): Printable {
	const [first = '', ...frames] = error.stack.split('\n')
	const isTitled = first.includes(error.message.split('\n')[0] ?? '')
	const title = isTitled ? first : errorTitle(error)
	const stack = isTitled ? frames : [first, ...frames]
	const own = Object.entries(error).filter(([key]) => !['name', 'message', 'stack', 'cause'].includes(key))
	const lines = linesOf([
		paint('red', depth === 0 ? title : printed`caused by ${title}`),
		...stack.map((line) => printed`  ${paint('dim', line.trim())}`),
		...own.map(([key, value]) => printed`  ${inspectKey(key)}: ${inspectInline(value)}`),
	])
	if (isError(error.cause) && depth < DEPTH_SHOWN_MAX)
		return together([lines, prettyError(error.cause, paint, depth + 1)])
	return error.cause === undefined ? lines : printed`${lines}caused by ${inspectInline(error.cause)}\n`
}

function inspectKey(key: string): string {
	return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? key : JSON.stringify(key)
}

function inspectBytes(bytes: Uint8Array): string {
	const shown = Buffer.from(bytes.subarray(0, BYTES_SHOWN_MAX)).toString('hex')
	const more = bytes.length > BYTES_SHOWN_MAX ? '…' : ''
	return `<${bytes.length} bytes${bytes.length === 0 ? '' : ` ${shown}`}${more}>`
}
