/** The options of a consumer, checked and complete. */
import {
	checkBoolean,
	checkFileOption,
	checkFileSystem,
	checkOptionNames,
	checkTimerMs,
	checkWholeNumber,
	checkWord,
	ifGiven,
} from '../model/check.ts'
import { FILTER_NAMES, type LogFilter, type ResolvedFilter, resolveFilter } from '../model/filter.ts'
import { DRAIN_TIMEOUT_MS_DEFAULT } from '../model/limits.ts'
import { type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { checkLockName } from './name-lock.ts'

/** Options of {@link consume}: which records it handles, and how. */
export interface ConsumeOptions extends Omit<LogFilter, 'afterSeq' | 'fromSeq' | 'toSeq'> {
	/**
	 * Where a consumer without a cursor starts: at the first record, or after the last one. Default: `'start'`.
	 */
	readonly from?: 'start' | 'end'
	/**
	 * Retries of a record that the handler failed on, after 50 ms, 100 ms and so on up to 5 s. Then the
	 * consumer ends with `CONSUMER_FAILED`; it never skips a record. Default: no limit.
	 */
	readonly retries?: number
	/**
	 * Number of records after which the cursor is saved. About as many are handled again after a crash.
	 * Default: 100.
	 */
	readonly saveIntervalRecords?: number
	/** Longest time before the cursor is saved. Default: 1,000 ms. */
	readonly saveIntervalMs?: number
	/** Handle only records that are known to be on disk, and not those that only the OS has. Default: false. */
	readonly durableOnly?: boolean
	/** Interval of looking for new records when the system reports no change. Default: 200 ms. */
	readonly pollIntervalMs?: number
	/**
	 * How long `close` waits for the record that the handler is working on. Then the consumer ends with
	 * `CLOSE_FAILED`, and that record is handled again by the next one. Default: 10,000 ms.
	 */
	readonly closeTimeoutMs?: number
	/** Path of the cursor. Default: `CHAIN.NAME.cursor`, beside the chain. */
	readonly cursorPath?: string
	/** The file system. Default: that of Node. */
	readonly fs?: FileSystem
}

/** The options of a consumer, with every default in place. */
export interface ResolvedConsumeOptions {
	readonly filter: ResolvedFilter
	readonly from: 'start' | 'end'
	readonly retries: number
	readonly saveIntervalRecords: number
	readonly saveIntervalMs: number
	readonly durableOnly: boolean
	readonly pollIntervalMs: number | undefined
	readonly closeTimeoutMs: number
	readonly cursorPath: string
	readonly system: FileSystem
}

const NAMES = [
	'from',
	'retries',
	'saveIntervalRecords',
	'saveIntervalMs',
	'durableOnly',
	'pollIntervalMs',
	'closeTimeoutMs',
	'cursorPath',
	'fs',
]
const FILTERS = FILTER_NAMES.filter((name) => !['afterSeq', 'fromSeq', 'toSeq'].includes(name))

/** @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL` */
export function resolveConsumeOptions(
	chainPath: string,
	name: string,
	options: ConsumeOptions,
): ResolvedConsumeOptions {
	checkOptionNames(options, [...NAMES, ...FILTERS])
	checkLockName('consumer', name)
	const { from = 'start', retries = Number.POSITIVE_INFINITY, durableOnly = false } = options
	const { cursorPath = `${chainPath}.${name}.cursor`, fs = nodeFileSystem } = options
	const given = FILTERS.filter((filter) => options[filter as keyof ConsumeOptions] !== undefined)
	return {
		filter: resolveFilter(
			Object.fromEntries(given.map((key) => [key, options[key as keyof ConsumeOptions]])),
		),
		from: checkWord('from', from, ['start', 'end']),
		retries: retries === Number.POSITIVE_INFINITY ? retries : checkWholeNumber('retries', retries, 0),
		saveIntervalRecords: checkWholeNumber('saveIntervalRecords', options.saveIntervalRecords ?? 100, 1),
		saveIntervalMs: checkTimerMs('saveIntervalMs', options.saveIntervalMs ?? 1000),
		durableOnly: checkBoolean('durableOnly', durableOnly),
		pollIntervalMs: ifGiven('pollIntervalMs', options.pollIntervalMs, checkTimerMs),
		closeTimeoutMs: checkTimerMs('closeTimeoutMs', options.closeTimeoutMs ?? DRAIN_TIMEOUT_MS_DEFAULT),
		cursorPath: checkFileOption('cursorPath', cursorPath),
		system: checkFileSystem('fs', fs),
	}
}
