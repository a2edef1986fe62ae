/** The options of a consumer, checked and in full. */

import { checkBoolean, checkFileOption, checkFileSystem } from '../model/check.ts'
import {
	defineOptions,
	type OptionRules,
	oneOf,
	optional,
	type ResolvedOptions,
	timerMs,
	wholeNumber,
	wholeNumberOrInfinity,
	withDefault,
} from '../model/define-options.ts'
import {
	FILTER_NAMES,
	filterIn,
	type LogFilter,
	type ResolvedFilter,
	resolveFilter,
} from '../model/filter.ts'
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

const FILTERS = FILTER_NAMES.filter((name) => !['afterSeq', 'fromSeq', 'toSeq'].includes(name))

const CONSUME_RULES = {
	from: withDefault('start', oneOf('start', 'end')),
	retries: withDefault(Number.POSITIVE_INFINITY, wholeNumberOrInfinity(0)),
	saveRecords: withDefault(100, wholeNumber(1)),
	saveMs: withDefault(1000, timerMs()),
	durableOnly: withDefault(false, checkBoolean),
	pollMs: optional(timerMs()),
	closeTimeoutMs: withDefault(DRAIN_TIMEOUT_MS_DEFAULT, timerMs()),
	cursorPath: optional(checkFileOption),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<Omit<ConsumeOptions, keyof LogFilter>>

const CONSUME_OPTIONS = defineOptions(CONSUME_RULES, FILTERS)

/** The options in full. */
export interface ResolvedConsumeOptions
	extends Omit<ResolvedOptions<typeof CONSUME_RULES>, 'cursorPath' | 'fs'> {
	readonly filter: ResolvedFilter
	readonly cursorPath: string
	readonly system: FileSystem
}

/** Checks and completes the options. @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL` */
export function resolveConsumeOptions(
	chainPath: string,
	name: string,
	options: ConsumeOptions,
): ResolvedConsumeOptions {
	const { fs: system, cursorPath, ...resolved } = CONSUME_OPTIONS.resolve(options)
	checkLockName('consumer', name)
	return {
		...resolved,
		filter: resolveFilter(filterIn(options)),
		cursorPath: cursorPath ?? `${chainPath}.${name}.cursor`,
		system,
	}
}
