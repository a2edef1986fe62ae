/** The options of a `FileChainAppender`, checked and in full. */
import type { SoundClock } from '../../guard/clock.ts'
import { toldClock } from '../../guard/clock.ts'
import { show } from '../../guard/show.ts'
import {
	checkFileSystem,
	checkFunction,
	checkMode,
	checkOptionNames,
	checkTimerMs,
	checkWholeNumber,
	checkWord,
	invalidOption,
} from '../../model/check.ts'
import { MeshChainError } from '../../model/errors.ts'
import { PENDING_BYTES_DEFAULT, ROTATE_BYTES_DEFAULT, SLOW_CLOSE_TIMEOUT_MS } from '../../model/limits.ts'
import { LOG_LEVELS, type LogLevel, levelIndex } from '../../model/record.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import type { Retention } from './retention.ts'
import type { RotationBounds } from './rotation.ts'

/**
 * How much may be written and not yet on disk. A sync begins when any of these bounds is reached; at least
 * one must be given.
 */
export interface SyncPolicy {
	/** Number of records; 0 and 1 mean the same as `'disk'`. */
	readonly everyRecords?: number
	/** Time since the first write that is not on disk, in milliseconds. */
	readonly everyMs?: number
	/** Number of bytes. */
	readonly everyBytes?: number
}

/** Options of a `FileChainAppender`. */
export interface FileChainOptions {
	/**
	 * What a committed record survives. `'os'` (default): a killed process; a record is with the operating
	 * system before any immediate runs that was queued after it. `'disk'`: a power loss; each write is followed
	 * by an fdatasync, one in flight. A {@link SyncPolicy}: as `'os'`, with a bound on what a power loss can
	 * take.
	 */
	readonly durability?: 'os' | 'disk' | SyncPolicy
	/** A record at this level or above is written before `append` returns. Default: `'error'`. */
	readonly writeThrough?: LogLevel
	/**
	 * Size at which the live file is sealed and a new one begun, in bytes, at least 4,096. Default: no bound;
	 * with `retain`, 64 MiB and at most a quarter of `retain.bytes`.
	 */
	readonly rotateBytes?: number
	/** The same as a number of records. Default: a quarter of `retain.records`, or no bound. */
	readonly rotateRecords?: number
	/**
	 * The same as an age of the file, in milliseconds; checked when something is written. Default: a quarter of
	 * `retain.ageMs`, or no bound.
	 */
	readonly rotateAgeMs?: number
	/**
	 * Upper bounds of what is kept. The oldest sealed files are removed, whole, until all bounds hold or only
	 * the live file is left. A file that was sealed longer ago than `ageMs` is removed. Default: everything is
	 * kept.
	 */
	readonly retain?: { readonly bytes?: number; readonly records?: number; readonly ageMs?: number }
	/**
	 * What to do when the end of the chain is damaged: leave the file as it is and continue in a new one
	 * (`'rotate'`, default), or throw `CHAIN_DAMAGED` (`'refuse'`).
	 */
	readonly onDamage?: 'rotate' | 'refuse'
	/**
	 * How long the constructor waits for another writer to close the chain, in milliseconds; it blocks its
	 * thread. For a service that replaces its predecessor. Default: 0.
	 */
	readonly lockWaitMs?: number
	/** Permissions of new files. Default: `0o600`. */
	readonly mode?: number
	/**
	 * Bytes that may wait in memory while the disk fails; further appends fail as retryable. Default: 16 MiB.
	 */
	readonly pendingBytesMax?: number
	/**
	 * How long `close()` waits for the disk, in milliseconds. Then it releases the file and rejects with
	 * `CLOSE_FAILED`. Default: 30,000.
	 */
	readonly closeTimeoutMs?: number
	/**
	 * Clock for openings, closings and retention. Default: `Date.now`, which also replaces, counted as
	 * `clockFailures`, a reading that fails.
	 */
	readonly clock?: () => number
	/** File system, for tests. Default: the real one. */
	readonly fs?: FileSystem
}

/** When a sync begins; Infinity for no bound. */
export type ResolvedPolicy = Required<SyncPolicy>

export interface ResolvedFileChainOptions {
	readonly durability: 'os' | 'disk'
	readonly policy: ResolvedPolicy | undefined
	readonly writeThroughIndex: number
	readonly rotate: RotationBounds
	readonly retain: Retention
	readonly onDamage: 'rotate' | 'refuse'
	readonly lockWaitMs: number
	readonly mode: number
	readonly pendingBytesMax: number
	readonly closeTimeoutMs: number
	readonly clock: SoundClock
	readonly fs: FileSystem
}

const OPTION_NAMES = [
	'durability',
	'writeThrough',
	'rotateBytes',
	'rotateRecords',
	'rotateAgeMs',
	'retain',
	'onDamage',
	'lockWaitMs',
	'mode',
	'pendingBytesMax',
	'closeTimeoutMs',
	'clock',
	'fs',
] as const

const ROTATE_BYTES_MIN = 4096
const NEVER = Number.POSITIVE_INFINITY

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL` */
export function resolveFileChainOptions(options: FileChainOptions): ResolvedFileChainOptions {
	checkOptionNames(options, OPTION_NAMES)
	const { onDamage = 'rotate', clock = Date.now, mode = 0o600, fs = nodeFileSystem } = options
	const retain = resolveRetain(options.retain)
	return {
		...resolveDurability(options.durability ?? 'os'),
		writeThroughIndex: resolveWriteThrough(options.writeThrough ?? 'error'),
		rotate: resolveRotate(options, retain),
		retain,
		onDamage: checkWord('onDamage', onDamage, ['rotate', 'refuse']),
		lockWaitMs: checkTimerMs('lockWaitMs', options.lockWaitMs ?? 0, 0),
		mode: checkMode('mode', mode),
		pendingBytesMax: checkWholeNumber('pendingBytesMax', options.pendingBytesMax ?? PENDING_BYTES_DEFAULT, 1),
		closeTimeoutMs: checkTimerMs('closeTimeoutMs', options.closeTimeoutMs ?? SLOW_CLOSE_TIMEOUT_MS),
		clock: toldClock('the clock of a chain', checkFunction('clock', clock)),
		fs: checkFileSystem('fs', fs),
	}
}

function resolveDurability(
	given: NonNullable<FileChainOptions['durability']>,
): Pick<ResolvedFileChainOptions, 'durability' | 'policy'> {
	if (given === 'os' || given === 'disk') return { durability: given, policy: undefined }
	if (typeof given !== 'object' || given === null) {
		throw invalidOption('durability', given, "'os', 'disk' or { everyRecords, everyMs, everyBytes }")
	}
	checkOptionNames(given, ['everyRecords', 'everyMs', 'everyBytes'])
	const { everyRecords, everyMs, everyBytes } = given
	if (everyRecords === undefined && everyMs === undefined && everyBytes === undefined) {
		throw invalidOption('durability', '{}', 'one of everyRecords, everyMs and everyBytes at the least')
	}
	const policy = {
		everyRecords: limit('everyRecords', everyRecords, 0),
		everyMs: everyMs === undefined ? NEVER : checkTimerMs('everyMs', everyMs),
		everyBytes: limit('everyBytes', everyBytes, 1),
	}
	return policy.everyRecords <= 1 ? { durability: 'disk', policy: undefined } : { durability: 'os', policy }
}

function resolveWriteThrough(level: LogLevel): number {
	const index = levelIndex(level)
	if (index >= 0) return index
	throw new MeshChainError(
		'INVALID_LEVEL',
		`writeThrough: no such level: ${show(level)} (one of ${LOG_LEVELS.join(', ')})`,
	)
}

function resolveRetain(given: FileChainOptions['retain'] = {}): Retention {
	checkOptionNames(given, ['bytes', 'records', 'ageMs'])
	for (const [name, value] of Object.entries(given)) {
		if (value !== undefined) checkWholeNumber(`retain.${name}`, value, 1)
	}
	return { bytes: given.bytes, records: given.records, ageMs: given.ageMs }
}

function resolveRotate(
	{ rotateBytes, rotateRecords, rotateAgeMs }: FileChainOptions,
	retain: Retention,
): ResolvedFileChainOptions['rotate'] {
	const isRetaining = Object.values(retain).some((value) => value !== undefined)
	const bytesMax = isRetaining ? ROTATE_BYTES_DEFAULT : NEVER
	const bytes = rotateBytes ?? Math.max(ROTATE_BYTES_MIN, Math.min(bytesMax, quarter(retain.bytes)))
	if (bytes > (retain.bytes ?? NEVER)) {
		throw invalidOption(
			'rotateBytes',
			bytes,
			`at most retain.bytes (${retain.bytes}): the live file always stays`,
		)
	}
	return {
		bytes: limit('rotateBytes', rotateBytes, ROTATE_BYTES_MIN, bytes),
		records: limit('rotateRecords', rotateRecords, 1, quarter(retain.records)),
		ageMs: limit('rotateAgeMs', rotateAgeMs, 1, quarter(retain.ageMs)),
	}
}

function quarter(bound: number | undefined): number {
	return bound === undefined ? NEVER : Math.ceil(bound / 4)
}

function limit(name: string, value: number | undefined, min: number, otherwise = NEVER): number {
	return value === undefined ? otherwise : checkWholeNumber(name, value, min)
}
