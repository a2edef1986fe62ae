/** Checks the options of a consumer and applies the defaults. */
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

/** Options for {@link consume}. */
export interface ConsumeOptions extends Omit<LogFilter, 'afterSeq' | 'fromSeq' | 'toSeq'> {
	/**
	 * Starting position of a consumer without a saved cursor: before the first record (`'start'`) or after the
	 * last record (`'end'`). Default: `'start'`.
	 */
	readonly from?: 'start' | 'end' | undefined
	/**
	 * Maximum number of retries after the handler fails on a record. The delay before a retry starts at 50 ms
	 * and doubles up to 5 s. After the last retry, the consumer ends with `CONSUMER_FAILED`. It never skips a
	 * record. Default: no limit.
	 */
	readonly retries?: number | undefined
	/**
	 * Number of records after which the cursor is saved. After a crash, about this many records may be handled
	 * again. Default: 100.
	 */
	readonly saveIntervalRecords?: number | undefined
	/** Maximum time before the cursor is saved. Default: 1,000 ms. */
	readonly saveIntervalMs?: number | undefined
	/** Whether to handle a record only after the watermark shows that it is on disk. Default: false. */
	readonly durableOnly?: boolean | undefined
	/**
	 * Interval between checks for new records when the operating system does not report changes. Default: 200
	 * ms.
	 */
	readonly pollIntervalMs?: number | undefined
	/**
	 * Maximum time that `close` waits for the record that is being handled. If the wait times out, the consumer
	 * ends with `CLOSE_FAILED`, and the next consumer handles the record again. Default: 10,000 ms.
	 */
	readonly closeTimeoutMs?: number | undefined
	/** Path of the cursor file. Default: `CHAIN.NAME.cursor`, next to the chain. */
	readonly cursorPath?: string | undefined
	/** File system for the cursor file. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const FILTERS = FILTER_NAMES.filter((name) => !['afterSeq', 'fromSeq', 'toSeq'].includes(name))

const CONSUME_RULES = {
	from: withDefault('start', oneOf('start', 'end')),
	retries: withDefault(Number.POSITIVE_INFINITY, wholeNumberOrInfinity(0)),
	saveIntervalRecords: withDefault(100, wholeNumber(1)),
	saveIntervalMs: withDefault(1000, timerMs()),
	durableOnly: withDefault(false, checkBoolean),
	pollIntervalMs: optional(timerMs()),
	closeTimeoutMs: withDefault(DRAIN_TIMEOUT_MS_DEFAULT, timerMs()),
	cursorPath: optional(checkFileOption),
	fs: withDefault(nodeFileSystem, checkFileSystem),
} satisfies OptionRules<Omit<ConsumeOptions, keyof LogFilter>>

const CONSUME_OPTIONS = defineOptions(CONSUME_RULES, FILTERS)

/** Consumer options with all defaults applied. */
export interface ResolvedConsumeOptions
	extends Omit<ResolvedOptions<typeof CONSUME_RULES>, 'cursorPath' | 'fs'> {
	readonly filter: ResolvedFilter
	readonly cursorPath: string
	readonly system: FileSystem
}

/**
 * Validates the options and applies the defaults.
 *
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL`
 */
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
