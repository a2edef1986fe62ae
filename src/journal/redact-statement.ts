/** Redacts and cuts a statement, so that its record contains no secrets and is not too large. */
import { types } from 'node:util'
import { hush } from '../guard/hush.ts'
import { discard } from '../guard/promises.ts'
import { messageOf } from '../guard/values.ts'
import { warn } from '../platform/diagnostics.ts'
import type { ResolvedJournalOptions } from './journal-options.ts'
import type { StatementData, WireValue } from './statement.ts'

const REDACTED = 'redacted, because the message may quote redacted parameters'
/**
 * Maximum length of an error message, in UTF-16 code units. Without this limit, a message that quotes a large
 * parameter could make its record too large.
 */
const ERROR_LENGTH_MAX = 16 * 1024

/** Returns the statement data to record. */
export function redactStatement(data: StatementData, options: ResolvedJournalOptions): StatementData {
	return cut(redacted(withShortError(data), options), options.statementBytesMax)
}

function withShortError(data: StatementData): StatementData {
	const { error } = data
	if (error === undefined || error.message.length <= ERROR_LENGTH_MAX) return data
	return { ...data, error: { ...error, message: `${error.message.slice(0, ERROR_LENGTH_MAX)}…` } }
}

function redacted(data: StatementData, { redact }: ResolvedJournalOptions): StatementData {
	if (redact === undefined || data.params.length === 0) return data
	const params = redactedBy(redact, data)
	if (params === undefined) return data
	const isWhole = params.every((param) => param !== undefined)
	const kept = params.map((param) => (param === undefined ? null : param))
	if (isWhole) return { ...data, params: kept }
	const { error } = data
	// Error messages from the server can quote parameters.
	const left = error === undefined ? {} : { error: { ...error, message: REDACTED } }
	return { ...data, params: kept, ...left, unreplayable: 'redacted' }
}

/**
 * Returns the parameters to record, or undefined to record all of them unchanged. If `redact` fails, all
 * parameters are redacted.
 */
function redactedBy(
	redact: NonNullable<ResolvedJournalOptions['redact']>,
	{ text, params }: StatementData,
): readonly (WireValue | undefined)[] | undefined {
	try {
		const given: unknown = redact(text, params)
		if (given === undefined) return undefined
		discard(given)
		if (!Array.isArray(given)) throw new TypeError('it must return a list of parameters or undefined')
		return params.map((_, index) => wireValueOf(given[index]))
	} catch (error) {
		const text = `redact failed, so all parameters of the statement were redacted: ${messageOf(error)}`
		warn('REDACTION_FAILED', text)
		return params.map(() => undefined)
	}
}

function wireValueOf(value: unknown): WireValue | undefined {
	hush(value)
	return isWireValue(value) ? value : undefined
}

function isWireValue(value: unknown): value is WireValue {
	return value === null || typeof value === 'string' || types.isUint8Array(value)
}

function cut(data: StatementData, bytesMax: number): StatementData {
	if (sizeOf(data.text) + data.params.reduce((sum, param) => sum + sizeOf(param), 0) <= bytesMax) return data
	const text = data.text.slice(0, Math.floor(bytesMax / 4))
	return { ...data, text, params: [], unreplayable: 'cut' }
}

function sizeOf(value: WireValue): number {
	return typeof value === 'string' ? Buffer.byteLength(value) : (value?.length ?? 0)
}
