/** What a `FileChainAppender` can be told, checked and in full. */

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

/** How much may be written and not yet on disk: a sync is begun when any of these is reached. */
export interface SyncPolicy {
	/** 0 and 1 mean every append: the same as `'disk'`. */
	readonly everyRecords?: number
	readonly everyMs?: number
	readonly everyBytes?: number
}

export interface FileChainOptions {
	/**
	 * What a committed record survives. `'os'` (default): a killed process; records are with the operating system before any
	 * immediate queued after them runs. `'disk'`: a power loss; each write is followed by an fdatasync, one in flight. A
	 * {@link SyncPolicy}: as `'os'`, and what a power loss can take is bounded.
	 */
	readonly durability?: 'os' | 'disk' | SyncPolicy
	/** A record at this level or above is written before `append` returns. Default `'error'`. */
	readonly writeThrough?: LogLevel
	/**
	 * The live file is sealed, and a new one begun, when it holds about so many bytes, at least 4,096. Default: never, or where
	 * `retain` is given 64 MiB and at most a quarter of `retain.bytes`.
	 */
	readonly rotateBytes?: number
	/** The same by records. Default: a quarter of `retain.records`, or never. */
	readonly rotateRecords?: number
	/** The same by the time since the file was begun; looked at when something is written. Default: a quarter of `retain.ageMs`, or never. */
	readonly rotateAgeMs?: number
	/**
	 * Upper bounds of what is kept: whole sealed files go from the head until all of them hold, or only the live file is left.
	 * By age a file goes when it was sealed longer ago than `ageMs`. Default: everything is kept.
	 */
	readonly retain?: { readonly bytes?: number; readonly records?: number; readonly ageMs?: number }
	/**
	 * What to do when the end of the chain was damaged: leave the file as it is and go on in a new one (`'rotate'`, default), or throw
	 * `CHAIN_DAMAGED` (`'refuse'`).
	 */
	readonly onDamage?: 'rotate' | 'refuse'
	/**
	 * How long the constructor waits, blocking its thread, for another writer to let the chain go: for a service that is replaced by its
	 * successor. Default 0 ms.
	 */
	readonly lockWaitMs?: number
	/** Permissions of files that are created. Default `0o600`. */
	readonly mode?: number
	/** Bytes that wait in memory while the disk fails; beyond it appends are refused as retryable. Default 16 MiB. */
	readonly pendingBytesMax?: number
	/**
	 * How long `close()` waits for the disk, in milliseconds. After it the file is let go of, and the promise rejects with `CLOSE_FAILED`.
	 * Default 30,000.
	 */
	readonly closeTimeoutMs?: number
	/** Times of opening and closing. Default `Date.now`, which also stands in, counted as `clockFailures`, when this throws or gives no time. */
	readonly clock?: () => number
	readonly fs?: FileSystem
}

/** When a sync is begun; Infinity for never. */
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
