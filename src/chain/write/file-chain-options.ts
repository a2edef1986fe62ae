/** Defines, checks and completes the options of a `FileChainAppender`. */
import type { SoundClock } from '../../guard/clock.ts'
import { toldClock } from '../../guard/clock.ts'
import { show } from '../../guard/show.ts'
import {
	checkFileSystem,
	checkFunction,
	checkMode,
	checkWholeNumber,
	invalidOption,
} from '../../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	withDefault,
} from '../../model/define-options.ts'
import { MeshChainError } from '../../model/errors.ts'
import { PENDING_BYTES_DEFAULT, ROTATE_BYTES_DEFAULT, SLOW_CLOSE_TIMEOUT_MS } from '../../model/limits.ts'
import { LOG_LEVELS, type LogLevel, levelIndex } from '../../model/record.ts'
import { type FileSystem, nodeFileSystem } from '../../platform/file-system.ts'
import type { Retention } from './retention.ts'
import type { RotationBounds } from './rotation.ts'

/**
 * Bounds on the data that is written but not yet on disk. A sync starts when any bound is reached. At least
 * one bound is required.
 */
export interface SyncPolicy {
	/** Number of records. 0 and 1 have the same effect as `'disk'`. */
	readonly everyRecords?: number
	/** Time since the oldest write that is not on disk, in milliseconds. */
	readonly everyMs?: number
	/** Number of bytes. */
	readonly everyBytes?: number
}

/** Options of a `FileChainAppender`. */
export interface FileChainOptions {
	/**
	 * Durability of committed records. With `'os'` (default), a record survives if the process is killed: it
	 * reaches the operating system before Node runs any immediate that was queued after the record's `append`.
	 * With `'disk'`, a record survives a power loss: an fdatasync follows each write, with at most one in
	 * flight. A {@link SyncPolicy} is like `'os'`, but limits how much data a power loss can destroy.
	 */
	readonly durability?: 'os' | 'disk' | SyncPolicy | undefined
	/** Lowest level at which a record is written before `append` returns. Default: `'error'`. */
	readonly writeThrough?: LogLevel | undefined
	/**
	 * Size in bytes at which the live file is sealed and a new one is created. Minimum: 4,096. Default: no
	 * bound; with `retain`, 64 MiB, but at most a quarter of `retain.bytes`.
	 */
	readonly rotateBytes?: number | undefined
	/**
	 * Number of records at which the live file is sealed and a new one is created. Default: a quarter of
	 * `retain.records`, or no bound.
	 */
	readonly rotateRecords?: number | undefined
	/**
	 * Age in milliseconds at which the live file is sealed and a new one is created. The age is checked at each
	 * write. Default: a quarter of `retain.ageMs`, or no bound.
	 */
	readonly rotateAgeMs?: number | undefined
	/**
	 * Upper bounds on the chain. Retention removes sealed files, oldest first, until all bounds are met or only
	 * the live file is left. `ageMs` is the time since a file was sealed. Default: everything is kept.
	 */
	readonly retain?:
		| {
				readonly bytes?: number | undefined
				readonly records?: number | undefined
				readonly ageMs?: number | undefined
		  }
		| undefined
	/**
	 * How a damaged end of the chain is treated: `'rotate'` (default) leaves the file unchanged and continues
	 * in a new file, and `'refuse'` throws `CHAIN_DAMAGED`.
	 */
	readonly onDamage?: 'rotate' | 'refuse' | undefined
	/**
	 * Maximum time that the constructor waits for another writer to close the chain, in milliseconds. The
	 * wait blocks the thread. Intended for a service that replaces a running instance of itself. Default: 0.
	 */
	readonly lockWaitMs?: number | undefined
	/** Permissions of new files. Default: `0o600`. */
	readonly mode?: number | undefined
	/**
	 * Maximum number of bytes that wait in memory while the disk is failing. When this number is reached,
	 * appends fail with a retryable error. Default: 16 MiB.
	 */
	readonly pendingBytesMax?: number | undefined
	/**
	 * Maximum time that `close()` waits for the disk, in milliseconds. After that time, `close()` releases
	 * the file and rejects with `CLOSE_FAILED`. Default: 30,000.
	 */
	readonly closeTimeoutMs?: number | undefined
	/**
	 * Clock for the times in headers and anchors, and for rotation and retention by age. Default: `Date.now`,
	 * which is also used whenever a reading of `clock` fails. `clockFailures` counts the failed readings.
	 */
	readonly clock?: (() => number) | undefined
	/** File system, for tests. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const NEVER = Number.POSITIVE_INFINITY

const SYNC_POLICY_RULES = {
	everyRecords: withDefault(NEVER, wholeNumber(0)),
	everyMs: withDefault(NEVER, timerMs()),
	everyBytes: withDefault(NEVER, wholeNumber(1)),
} satisfies OptionRules<SyncPolicy>

const SYNC_POLICY = defineOptions(SYNC_POLICY_RULES)

/** The bounds that start a sync; Infinity for no bound. */
export type ResolvedPolicy = ResolvedOptions<typeof SYNC_POLICY_RULES>

interface ResolvedDurability {
	readonly durability: 'os' | 'disk'
	readonly policy: ResolvedPolicy | undefined
}

interface RotateOptions {
	readonly rotateBytes: number | undefined
	readonly rotateRecords: number | undefined
	readonly rotateAgeMs: number | undefined
}

/** Rule for one bound of `retain`. */
const retained = optional((name, value) => checkWholeNumber(`retain.${name}`, value, 1))

const RETAIN = defineOptions({
	bytes: retained,
	records: retained,
	ageMs: retained,
} satisfies OptionRules<NonNullable<FileChainOptions['retain']>>)

const ROTATE_BYTES_MIN = 4096

const FILE_CHAIN_RULES = {
	durability: withDefault({ durability: 'os', policy: undefined }, resolveDurability),
	writeThrough: withDefault(levelIndex('error'), checkWriteThrough),
	rotateBytes: optional(wholeNumber(ROTATE_BYTES_MIN)),
	rotateRecords: optional(wholeNumber(1)),
	rotateAgeMs: optional(wholeNumber(1)),
	retain: withDefault(RETAIN.resolve({}), (_name, retain) => RETAIN.resolve(retain)),
	onDamage: withDefault('rotate', oneOf('rotate', 'refuse')),
	lockWaitMs: withDefault(0, timerMs(0)),
	mode: withDefault(0o600, checkMode),
	pendingBytesMax: withDefault(PENDING_BYTES_DEFAULT, wholeNumber(1)),
	closeTimeoutMs: withDefault(SLOW_CLOSE_TIMEOUT_MS, timerMs()),
	// `Date.now` is looked up for each appender, because a program may have replaced it, as fake timers do.
	clock: (name, clock) => checkFunction(name, (clock === undefined ? Date.now : clock) as () => number),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<FileChainOptions>

const FILE_CHAIN_OPTIONS = defineOptions(FILE_CHAIN_RULES)

type Derived = 'durability' | 'writeThrough' | 'rotateBytes' | 'rotateRecords' | 'rotateAgeMs' | 'clock'

/** The complete options of a `FileChainAppender`. */
export interface ResolvedFileChainOptions
	extends Omit<ResolvedOptions<typeof FILE_CHAIN_RULES>, Derived>,
		ResolvedDurability {
	readonly writeThroughIndex: number
	readonly rotate: RotationBounds
	readonly clock: SoundClock
}

/**
 * Checks and completes the options.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_LEVEL`
 */
export function resolveFileChainOptions(options: FileChainOptions): ResolvedFileChainOptions {
	const { durability, writeThrough, rotateBytes, rotateRecords, rotateAgeMs, clock, ...resolved } =
		FILE_CHAIN_OPTIONS.resolve(options)
	return {
		...resolved,
		...durability,
		writeThroughIndex: writeThrough,
		rotate: resolveRotate({ rotateBytes, rotateRecords, rotateAgeMs }, resolved.retain),
		clock: toldClock('the clock of a chain', clock),
	}
}

function resolveDurability(name: string, given: unknown): ResolvedDurability {
	if (given === 'os' || given === 'disk') return { durability: given, policy: undefined }
	if (typeof given !== 'object' || given === null) {
		throw invalidOption(name, given, "'os', 'disk' or { everyRecords, everyMs, everyBytes }")
	}
	const policy = SYNC_POLICY.resolve(given)
	if (Object.values(policy).every((bound) => bound === NEVER)) {
		throw invalidOption(name, '{}', 'an object with at least one of everyRecords, everyMs and everyBytes')
	}
	return policy.everyRecords <= 1 ? { durability: 'disk', policy: undefined } : { durability: 'os', policy }
}

function checkWriteThrough(name: string, level: unknown): number {
	const index = levelIndex(level)
	if (index >= 0) return index
	throw new MeshChainError(
		'INVALID_LEVEL',
		`${name}: no such level: ${show(level)}; valid levels: ${LOG_LEVELS.join(', ')}`,
	)
}

function resolveRotate(
	{ rotateBytes, rotateRecords, rotateAgeMs }: RotateOptions,
	retain: Retention,
): ResolvedFileChainOptions['rotate'] {
	const isRetaining = Object.values(retain).some((value) => value !== undefined)
	const bytesMax = isRetaining ? ROTATE_BYTES_DEFAULT : NEVER
	const bytes = rotateBytes ?? Math.max(ROTATE_BYTES_MIN, Math.min(bytesMax, quarter(retain.bytes)))
	if (bytes > (retain.bytes ?? NEVER)) {
		throw invalidOption(
			'rotateBytes',
			bytes,
			`at most retain.bytes (${retain.bytes}; the live file is never removed)`,
		)
	}
	return {
		bytes,
		records: rotateRecords ?? quarter(retain.records),
		ageMs: rotateAgeMs ?? quarter(retain.ageMs),
	}
}

function quarter(bound: number | undefined): number {
	return bound === undefined ? NEVER : Math.ceil(bound / 4)
}
