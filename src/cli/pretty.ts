/**
 * Records for people: one line each, what was wrong below it. Every text is escaped, so only our own line breaks break
 * lines.
 */
import { type Id, isGap, type LogLevel, type LogRecord } from '../record.ts'
import { BLACK_BOX_KIND, type BlackBoxData, type BlackBoxLine } from '../recorder/black-box.ts'
import { escapeControls } from './escape.ts'
import type { Paint, Style } from './terminal.ts'
import { formatTime } from './times.ts'

/** Data that fits behind its message; longer data goes below it. */
const INLINE_LENGTH_MAX = 100
const BYTES_SHOWN_MAX = 16
const DEPTH_SHOWN_MAX = 32
const INDENT = '    '
/** Of a line that was never published. */
const NO_SEQ = 0

const LEVEL_STYLES: Readonly<Record<LogLevel, Style>> = {
	trace: 'dim',
	debug: 'dim',
	info: 'green',
	warn: 'yellow',
	error: 'red',
}

/** One record and its line break. */
export function prettyRecord(record: LogRecord, paint: Paint): string {
	const time = paint('dim', formatTime(record.tsMs))
	if (isGap(record)) return `${time} ${paint('yellow', `----- ${escapeControls(record.message)} -----`)}\n`
	const lines = heldLines(record)
	if (lines !== undefined) return prettyBlackBox(record, lines, paint)
	const level = paint(LEVEL_STYLES[record.level], record.level.toUpperCase().padEnd(5))
	const { inline, below } = prettyData(record, paint)
	return `${[time, level, headline(record, paint), inline, trailer(record, paint)].filter(Boolean).join(' ')}\n${below}`
}

/** The lines of a black box, each as the record that it would have been, between two rules. */
function prettyBlackBox(record: LogRecord, lines: readonly BlackBoxLine[], paint: Paint): string {
	const { dropped } = record.data as BlackBoxData
	const before = dropped === 0 ? '' : `, ${dropped} before them dropped`
	const head = paint(
		'cyan',
		`----- black box #${record.seq}: ${escapeControls(record.message)}${before} -----`,
	)
	const { data: _data, ...rest } = record
	const shown = lines.map((line) => prettyRecord({ ...rest, ...line, seq: NO_SEQ }, paint))
	return `${head}\n${shown.map((text) => `${INDENT}${text}`).join('')}${paint('cyan', '----- end of black box -----')}\n`
}

/** What is held in a record of a black box; undefined for any other record. */
function heldLines({ kind, data }: LogRecord): readonly BlackBoxLine[] | undefined {
	if (kind !== BLACK_BOX_KIND) return undefined
	const { lines } = (data ?? {}) as Partial<BlackBoxData>
	const isHeld =
		Array.isArray(lines) &&
		lines.every((line) => typeof line?.message === 'string' && line.level in LEVEL_STYLES)
	return isHeld ? lines : undefined
}

/** A canonical value on one line, in the notation of JavaScript. */
export function inspectInline(value: unknown, depth = 0): string {
	if (typeof value === 'string') return escapeControls(JSON.stringify(value))
	if (typeof value === 'bigint') return `${value}n`
	if (typeof value !== 'object' || value === null) return String(value)
	if (value instanceof Date) return value.toISOString()
	if (value instanceof Uint8Array) return inspectBytes(value)
	if (depth >= DEPTH_SHOWN_MAX) return '…'
	if (Array.isArray(value)) return `[${value.map((item) => inspectInline(item, depth + 1)).join(', ')}]`
	if (isError(value)) return escapeControls(errorTitle(value))
	const fields = Object.entries(value).map(
		([key, field]) => `${inspectKey(key)}: ${inspectInline(field, depth + 1)}`,
	)
	return `{${fields.join(', ')}}`
}

function headline(record: LogRecord, paint: Paint): string {
	const message = escapeControls(record.message)
	if (record.kind === 'log') return message
	const kind = paint('cyan', escapeControls(record.kind))
	return record.message === record.kind ? kind : `${kind} ${message}`
}

function trailer(record: LogRecord, paint: Paint): string {
	const { daemonId, nodeId, origin, seq } = record
	const parts = [
		daemonId === null ? '' : `daemon=${showId(daemonId)}`,
		nodeId === null ? '' : `node=${showId(nodeId)}`,
		origin === undefined
			? ''
			: `from=${escapeControls(origin.chainId).slice(0, 8)}/${origin.epoch}/${origin.seq}`,
		seq === NO_SEQ ? '' : `#${seq}`,
	]
	return paint('dim', parts.filter(Boolean).join(' '))
}

function showId(id: Id): string {
	return escapeControls(String(id))
}

function prettyData({ data }: LogRecord, paint: Paint): { inline: string; below: string } {
	if (data === undefined) return { inline: '', below: '' }
	const errors = errorsIn(data).map((error) => prettyError(error, paint))
	const text = inspectInline(data)
	if (text.length <= INLINE_LENGTH_MAX)
		return { inline: isError(data) ? '' : paint('dim', text), below: errors.join('') }
	if (isError(data)) return { inline: '', below: errors.join('') }
	return { inline: '', below: `${fieldLines(data, paint)}${errors.join('')}` }
}

/** The top fields of large data, one a line. */
function fieldLines(data: unknown, paint: Paint): string {
	if (typeof data !== 'object' || data === null || Array.isArray(data) || data instanceof Uint8Array) {
		return `${INDENT}${paint('dim', inspectInline(data))}\n`
	}
	return Object.entries(data)
		.map(([key, value]) => `${INDENT}${inspectKey(key)}: ${paint('dim', inspectInline(value))}\n`)
		.join('')
}

interface ErrorData {
	readonly name?: unknown
	readonly message: string
	readonly stack: string
	readonly cause?: unknown
}

/** Canonical data that was an error. */
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

/** An error with its stack, its own fields and what caused it, indented. */
function prettyError(error: ErrorData, paint: Paint, depth = 0): string {
	const lines = error.stack.split('\n').map((line, index) => (index === 0 ? line : line.trim()))
	if (!lines[0]?.includes(error.message.split('\n')[0] ?? '')) lines.unshift(errorTitle(error))
	const own = Object.entries(error).filter(([key]) => !['name', 'message', 'stack', 'cause'].includes(key))
	const shown = lines.map((line, index) => {
		const text = escapeControls(line)
		return `${INDENT}${index === 0 ? paint('red', depth === 0 ? text : `caused by ${text}`) : paint('dim', `  ${text}`)}\n`
	})
	for (const [key, value] of own) shown.push(`${INDENT}  ${inspectKey(key)}: ${inspectInline(value)}\n`)
	if (isError(error.cause) && depth < DEPTH_SHOWN_MAX) shown.push(prettyError(error.cause, paint, depth + 1))
	else if (error.cause !== undefined) shown.push(`${INDENT}caused by ${inspectInline(error.cause)}\n`)
	return shown.join('')
}

function inspectKey(key: string): string {
	return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? key : escapeControls(JSON.stringify(key))
}

function inspectBytes(bytes: Uint8Array): string {
	const shown = Buffer.from(bytes.subarray(0, BYTES_SHOWN_MAX)).toString('hex')
	return `<${bytes.length} bytes${bytes.length === 0 ? '' : ` ${shown}`}${bytes.length > BYTES_SHOWN_MAX ? '…' : ''}>`
}
