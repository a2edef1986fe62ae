/** Checks lines and refuses invalid ones. Does not stamp or count lines. */
import { isTime } from '../guard/clock.ts'
import { hushAll } from '../guard/hush.ts'
import { show } from '../guard/show.ts'
import { TIME_MAX_MS } from '../platform/time-limits.ts'
import { MeshChainError } from './errors.ts'
import { invalidLevel } from './level.ts'
import { NAME_LENGTH_MAX } from './limits.ts'
import { isEpoch, isSeq, type LogLine, levelIndex, type PublisherId, type RecordOrigin } from './record.ts'

const BIGINT_MIN = -(2n ** 63n)
const BIGINT_MAX = 2n ** 64n - 1n

/** Checks a line. @throws {MeshChainError} The same errors as {@link checkFieldsOfLine}. */
export function checkLine(line: Omit<LogLine, 'level'>, own: boolean): void {
	const { kind, message, daemonId, nodeId, tsMs, origin } = line
	checkFieldsOfLine(kind, message, daemonId, nodeId, tsMs, origin, own)
}

/**
 * Checks all fields of a line except level and data. An `own` line belongs to mesh-chain and may have a kind
 * that starts with `$`. The fields are separate parameters, because the caller must read each field only
 * once. A getter can return a different value each time.
 *
 * @returns A copy of the origin, made by reading each field once.
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
		// The error concerns one field. Promises in the other fields must not remain unhandled.
		hushAll(kind, message, daemonId, nodeId, tsMs, origin)
		throw thrown
	}
}

/** Checks a level and returns its index. @throws {MeshChainError} `INVALID_LEVEL` */
export function checkLevel(level: unknown): number {
	const index = levelIndex(level)
	if (index < 0) throw invalidLevel(level)
	return index
}

/** Checks an id. @throws {MeshChainError} `INVALID_ID`. The message contains the name of the field. */
export function checkId(name: string, id: unknown): void {
	if (id === undefined || id === null || isId(id)) return
	throw new MeshChainError(
		'INVALID_ID',
		`${name} must be a string of at most ${NAME_LENGTH_MAX} characters, ` +
			`a finite number, a 64-bit bigint or null, not ${show(id)}`,
	)
}

export function invalidTime(tsMs: unknown): MeshChainError {
	return new MeshChainError(
		'INVALID_TIME',
		`tsMs must be milliseconds since 1970, at most ${TIME_MAX_MS}, not ${show(tsMs)}`,
	)
}

/** Returns whether a value can be the id of a daemon or a node. */
export function isId(id: unknown): id is PublisherId {
	if (typeof id === 'string') return id.length <= NAME_LENGTH_MAX
	if (typeof id === 'number') return Number.isFinite(id)
	return typeof id === 'bigint' && id >= BIGINT_MIN && id <= BIGINT_MAX
}

/** Returns whether an application may publish with this kind. */
export function isKind(kind: unknown): kind is string {
	return isKindOfOrigin(kind) && !kind.startsWith('$')
}

/** Returns whether a line with an origin may have this kind. */
export function isKindOfOrigin(kind: unknown): kind is string {
	return typeof kind === 'string' && kind !== '' && kind.length <= NAME_LENGTH_MAX && kind !== '*'
}

function checkKind(kind: unknown, dollarAllowed: boolean): void {
	if (typeof kind !== 'string' || kind === '' || kind.length > NAME_LENGTH_MAX) {
		throw invalidKind(kind, `must be a string of 1 to ${NAME_LENGTH_MAX} characters`)
	}
	if (kind === '*') throw invalidKind(kind, "cannot be '*', which stands for all kinds")
	if (kind.startsWith('$') && !dollarAllowed) {
		throw invalidKind(kind, "cannot start with '$', which is reserved for mesh-chain's own kinds")
	}
}

function invalidKind(kind: unknown, why: string): MeshChainError {
	return new MeshChainError('INVALID_KIND', `a kind ${why}; got ${show(kind)}`)
}

function invalidMessage(message: unknown): MeshChainError {
	return new MeshChainError('INVALID_LINE', `a message must be a string, not ${show(message)}`)
}

/**
 * Checks an origin and returns a copy of it.
 *
 * @throws {MeshChainError} `INVALID_LINE`
 */
export function checkOrigin(origin: RecordOrigin): RecordOrigin {
	const { chainId, epoch, seq } = (origin ?? {}) as Partial<RecordOrigin>
	const named = typeof chainId === 'string' && chainId !== '' && chainId.length <= NAME_LENGTH_MAX
	if (named && isEpoch(epoch) && isSeq(seq)) return { chainId, epoch, seq }
	hushAll(chainId, epoch, seq)
	throw new MeshChainError('INVALID_LINE', `origin must be { chainId, epoch, seq }, not ${show(origin)}`)
}
