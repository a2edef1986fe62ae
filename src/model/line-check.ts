/**
 * Refuses lines that are misuse. Only checks, and throws at once: nothing is stamped, copied or counted here.
 */
import { isTime } from '../guard/clock.ts'
import { hushAll } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { isInstance, isList } from '../guard/values.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { MeshChainError } from './errors.ts'
import { NAME_LENGTH_MAX } from './limits.ts'
import {
	isEpoch,
	isSeq,
	LOG_LEVELS,
	type LogLine,
	levelIndex,
	type PublisherId,
	type RecordOrigin,
} from './record.ts'

const BIGINT_MIN = -(2n ** 63n)
const BIGINT_MAX = 2n ** 64n - 1n

/** @throws {MeshChainError} as {@link checkFieldsOfLine}. */
export function checkLine({ kind, message, daemonId, nodeId, tsMs, origin }: LogLine, own: boolean): void {
	checkFieldsOfLine(kind, message, daemonId, nodeId, tsMs, origin, own)
}

/**
 * Checks all fields of a line but its level and its data. `own` lines are mesh-chain's and may have a kind
 * that starts with `$`. The fields are separate parameters, because the caller must not read them again: a
 * getter may change.
 *
 * @returns the origin, each of its fields read once.
 * @throws {MeshChainError} `INVALID_KIND`, `INVALID_LINE`, `INVALID_ID`, `INVALID_TIME`
 */
export function checkFieldsOfLine(
	kind: LogLine['kind'],
	message: LogLine['message'],
	daemonId: LogLine['daemonId'],
	nodeId: LogLine['nodeId'],
	tsMs: LogLine['tsMs'],
	origin: LogLine['origin'],
	own: boolean,
): RecordOrigin | undefined {
	try {
		if (kind !== undefined) checkKind(kind, own || origin !== undefined)
		if (message !== undefined && typeof message !== 'string') throw invalidMessage(message)
		checkId('daemonId', daemonId)
		checkId('nodeId', nodeId)
		if (tsMs !== undefined && !isTime(tsMs)) throw invalidTime(tsMs)
		return origin === undefined ? undefined : checkOrigin(origin)
	} catch (thrown) {
		// The error names one of the fields; promises in the others must not be left unhandled.
		hushAll(kind, message, daemonId, nodeId, tsMs, origin)
		throw thrown
	}
}

/** @throws {MeshChainError} `INVALID_LINE` for anything but an object. */
export function checkIsLine(line: unknown): void {
	if (typeof line === 'object' && line !== null && !isList(line)) return
	throw new MeshChainError('INVALID_LINE', `a line must be an object, not ${show(line)}`)
}

/** @throws {MeshChainError} `INVALID_LEVEL` */
export function checkLevel(level: unknown): number {
	const index = levelIndex(level)
	if (index < 0) throw invalidLevel(level)
	return index
}

export function invalidLevel(level: unknown): MeshChainError {
	return new MeshChainError(
		'INVALID_LEVEL',
		`no such level: ${show(level)} (one of ${LOG_LEVELS.join(', ')})`,
	)
}

/** @throws {MeshChainError} `INVALID_ID`, naming the field. */
export function checkId(name: string, id: unknown): void {
	if (id === undefined || id === null || isId(id)) return
	throw new MeshChainError(
		'INVALID_ID',
		`${name} must be a string of at most ${NAME_LENGTH_MAX} characters, a finite number, a bigint of 64 bits or null, not ${show(id)}`,
	)
}

export function invalidTime(tsMs: unknown): MeshChainError {
	return new MeshChainError(
		'INVALID_TIME',
		`tsMs must be milliseconds since 1970, at most ${TIME_MAX_MS}, not ${show(tsMs)}`,
	)
}

/** Whether a value can be a daemon's or a node's id. */
export function isId(id: unknown): id is PublisherId {
	if (typeof id === 'string') return id.length <= NAME_LENGTH_MAX
	if (typeof id === 'number') return Number.isFinite(id)
	return typeof id === 'bigint' && id >= BIGINT_MIN && id <= BIGINT_MAX
}

/** Whether a publisher may use this kind. */
export function isKind(kind: unknown): kind is string {
	return (
		typeof kind === 'string' && kind !== '' && kind.length <= NAME_LENGTH_MAX && !/^(?:\*$|\$)/.test(kind)
	)
}

function checkKind(kind: unknown, dollarAllowed: boolean): void {
	if (typeof kind !== 'string' || kind === '' || kind.length > NAME_LENGTH_MAX) {
		throw invalidKind(kind, `must be a string of 1 to ${NAME_LENGTH_MAX} characters`)
	}
	if (kind === '*') throw invalidKind(kind, "cannot be '*', which stands for all kinds")
	if (kind.startsWith('$') && !dollarAllowed) {
		throw invalidKind(kind, "cannot start with '$', which marks the kinds of mesh-chain itself")
	}
}

function invalidKind(kind: unknown, why: string): MeshChainError {
	return new MeshChainError('INVALID_KIND', `a kind ${why}; this one is ${show(kind)}`)
}

function invalidMessage(message: unknown): MeshChainError {
	const hint = isInstance(message, Error) ? '; pass an Error as data: error("what failed", error)' : ''
	return new MeshChainError('INVALID_LINE', `a message must be a string, not ${show(message)}${hint}`)
}

function checkOrigin(origin: RecordOrigin): RecordOrigin {
	const { chainId, epoch, seq } = (origin ?? {}) as Partial<RecordOrigin>
	const named = typeof chainId === 'string' && chainId !== '' && chainId.length <= NAME_LENGTH_MAX
	if (named && isEpoch(epoch) && isSeq(seq)) return { chainId, epoch, seq }
	hushAll(chainId, epoch, seq)
	throw new MeshChainError('INVALID_LINE', `origin must be { chainId, epoch, seq }, not ${show(origin)}`)
}
