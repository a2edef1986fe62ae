/** The options of a consumer, checked and in full. */

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

export interface ConsumeOptions extends Omit<LogFilter, 'afterSeq' | 'fromSeq' | 'toSeq'> {
	/** Where a consumer begins that has no cursor yet: with the first record of the chain (default), or behind its last one. */
	from?: 'start' | 'end'
	/**
	 * How often a record is tried again that the handler did not take, after 50 ms, 100 ms and so on, at most 5 s. Then the consumer
	 * ends with `CONSUMER_FAILED`; it never passes over a record. Default: for ever.
	 */
	retries?: number
	/** The cursor is saved after so many records, default 100: about so many come again after a crash. */
	saveRecords?: number
	/** The cursor is saved at the latest after so many milliseconds. Default 1,000. */
	saveMs?: number
	/** Only what is known to be on disk. Default false: what is with the operating system. */
	durableOnly?: boolean
	/** How often to look for more when the system gives no hint. Default 200 ms. */
	pollMs?: number
	/**
	 * How long `close` waits for the record that the handler has at that moment. Then the consumer ends with `CLOSE_FAILED`, and that record comes again.
	 * Default 10,000 ms.
	 */
	closeTimeoutMs?: number
	/** Where the cursor lies. Default: beside the chain, `CHAIN.NAME.cursor`. */
	cursorPath?: string
	fs?: FileSystem
}

export interface ResolvedConsumeOptions {
	readonly filter: ResolvedFilter
	readonly from: 'start' | 'end'
	readonly retries: number
	readonly saveRecords: number
	readonly saveMs: number
	readonly durableOnly: boolean
	readonly pollMs: number | undefined
	readonly closeTimeoutMs: number
	readonly cursorPath: string
	readonly system: FileSystem
}

const NAMES = [
	'from',
	'retries',
	'saveRecords',
	'saveMs',
	'durableOnly',
	'pollMs',
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
		saveRecords: checkWholeNumber('saveRecords', options.saveRecords ?? 100, 1),
		saveMs: checkTimerMs('saveMs', options.saveMs ?? 1000),
		durableOnly: checkBoolean('durableOnly', durableOnly),
		pollMs: ifGiven('pollMs', options.pollMs, checkTimerMs),
		closeTimeoutMs: checkTimerMs('closeTimeoutMs', options.closeTimeoutMs ?? DRAIN_TIMEOUT_MS_DEFAULT),
		cursorPath: checkFileOption('cursorPath', cursorPath),
		system: checkFileSystem('fs', fs),
	}
}
