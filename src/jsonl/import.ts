/** Imports JSON Lines into a chain. */
import { basename } from 'node:path'
import { ChainBuilder, FileChainAppender } from '../chain/index.ts'
import { discard } from '../guard/promises.ts'
import {
	checkFunction,
	checkMode,
	checkName,
	checkOptionNames,
	checkPath,
	checkSignal,
	ifGiven,
} from '../model/check.ts'
import { defined } from '../model/define-options.ts'
import { asCoded, LogAppendError, MeshChainError } from '../model/errors.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import { exists, type FileSystem, nodeFileSystem } from '../platform/file-system.ts'
import { replay } from '../replay/replay.ts'
import { AppenderTarget } from '../replay/targets/appender-target.ts'
import { counted } from '../text/numbers.ts'
import type { LineFormat } from './line-format.ts'
import type { SkippedCounts, SkippedLine } from './line-reader.ts'
import { type JsonlRecords, readJsonl } from './read-jsonl.ts'
import { SingleHistory } from './single-history.ts'

/** The result of an import. */
export interface ImportSummary {
	/**
	 * Whether a new chain was created, with the seqs and epochs from the lines. If false, the records were
	 * appended to an existing chain.
	 */
	readonly restored: boolean
	/** Number of records imported. */
	readonly records: number
	/** Number of absent records: those that gaps in the file represent, and those whose seqs are missing. */
	readonly absent: number
	/** Number of lines that are not records, by reason. */
	readonly skipped: SkippedCounts
	/** First 100 skipped lines. */
	readonly skippedLines: readonly SkippedLine[]
	/**
	 * Number of records that could not be stored unchanged. Data that is too large or too deep is replaced by a
	 * marker, a message that is too long is truncated and ends with a note, and lone surrogates are replaced by
	 * U+FFFD.
	 */
	readonly altered: number
	/**
	 * Number of records whose lines have no time. Such a record has the time of the import, and `noTime: true`
	 * in its data.
	 */
	readonly noTime: number
	/** Number of joined lines that were ended because they reached 2,000 lines or 256 KiB. */
	readonly cut: number
	/**
	 * Number of records left out of a new chain: duplicates, records in the wrong order, and records that no
	 * chain can store.
	 */
	readonly outOfOrder: number
}

/** Options of {@link importJsonl}. */
export interface ImportOptions {
	/** Format of the lines. Default: `recordFormat`. */
	readonly format?: LineFormat | undefined
	/** Maximum line length in bytes. Longer lines are skipped and counted. Default: 16 MiB. */
	readonly lineBytesMax?: number | undefined
	/**
	 * Chain id for the origin of appended records that do not have an origin. Default: the file name, or
	 * `stdin`.
	 */
	readonly sourceId?: string | undefined
	/** Permissions of a new chain. Default: `0o600`. */
	readonly mode?: number | undefined
	/** Called repeatedly with the number of records imported so far. */
	readonly onProgress?: ((records: number) => void) | undefined
	/**
	 * Signal that ends the import. If it is aborted, no new chain is created, but records that were already
	 * appended to an existing chain remain.
	 */
	readonly signal?: AbortSignal | undefined
	/** File system. Default: Node's file system. */
	readonly fs?: FileSystem | undefined
}

const PROGRESS_RECORDS = 10_000

/**
 * Imports JSON Lines into a new or existing chain. In a new chain, all records keep their seq, epoch, time
 * and origin, including records of mesh-chain's own kinds. The new chain appears only after it is entirely
 * on disk. Records for an existing chain are appended with new seqs, and their `origin` contains the old
 * seqs.
 *
 * Lines that are not records are skipped and counted. In a new chain, a `$gap` represents missing seqs. No
 * new chain is created from a file that contains two histories (`cat a.jsonl b.jsonl`). Both histories use
 * the same seqs, so one of them would be lost.
 *
 * @param source Path of a file, or a stream of bytes.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`, `FILE_UNREADABLE`, any error from opening a
 * chain for writing, or `IMPORT_FAILED` if the signal ends the import, if the file contains two histories or
 * no records, or if a record cannot be appended. After an error, no new chain is left behind, unless the
 * message says so. The message also states how many records were appended to an existing chain.
 *
 * @example
 * ```ts
 * import { importJsonl } from 'mesh-chain'
 *
 * const { records, skipped } = await importJsonl('node.jsonl', 'copy.chain')
 * console.log(records, skipped.notJson)
 * ```
 */
export async function importJsonl(
	source: string | AsyncIterable<Uint8Array>,
	path: string,
	options: ImportOptions = {},
): Promise<ImportSummary> {
	checkOptionNames(options, ['format', 'lineBytesMax', 'sourceId', 'mode', 'onProgress', 'signal', 'fs'])
	const { format, lineBytesMax, mode, sourceId, onProgress, signal, fs = nodeFileSystem } = options
	ifGiven('mode', mode, checkMode)
	ifGiven('sourceId', sourceId, checkName)
	ifGiven('onProgress', onProgress, checkFunction)
	ifGiven('signal', signal, checkSignal)
	const lines = readJsonl(source, defined({ format, lineBytesMax, fs }))
	checkPath('a chain', path)
	const counts = exists(fs, path)
		? await append(lines, path, { ...options, sourceId: sourceId ?? sourceIdOf(source), fs })
		: await restore(lines, path, { ...options, fs })
	const { skipped, skippedLines, altered, noTime, cut } = lines
	return { ...counts, skipped: { ...skipped }, skippedLines, altered, noTime, cut }
}

type Counts = Omit<ImportSummary, 'skipped' | 'skippedLines' | 'altered' | 'noTime' | 'cut'>

async function restore(
	lines: JsonlRecords,
	path: string,
	{ mode, onProgress, signal, fs }: ImportOptions,
): Promise<Counts> {
	const builder = new ChainBuilder(path, defined({ mode, fs }))
	const history = new SingleHistory()
	let outOfOrder = 0
	let absent = 0
	try {
		for await (const record of lines) {
			signal?.throwIfAborted()
			if (!isPushed(builder, record, history)) outOfOrder++
			else if (isGap(record)) absent += record.data?.count ?? 0
			else if (builder.records % PROGRESS_RECORDS === 0) discard(onProgress?.(builder.records))
		}
		refuseNothing(lines, builder.records + absent)
		builder.finish()
	} catch (error) {
		// The code that aborted the signal may also have destroyed the source, which causes another error.
		throw signal?.aborted ? stopped(builder.records, 'the chain was not created', signal) : coded(error)
	} finally {
		builder.discard()
	}
	return { restored: true, records: builder.records, absent: absent + builder.missing, outOfOrder }
}

/** Refuses a file that has lines but no records, because such a file is not JSON Lines in this format. */
function refuseNothing({ skipped, skippedLines }: JsonlRecords, records: number): void {
	const { blank: _blank, comment: _comment, ...bad } = skipped
	const [worst] = Object.entries(bad).sort(([, a], [, b]) => b - a)
	if (records > 0 || worst === undefined || worst[1] === 0) return
	const first = skippedLines.find(({ reason }) => reason === worst[0])
	const where = first === undefined ? '' : `, the first on line ${first.line}`
	const what = `no line is a record (${worst[1]} ${worst[0]}${where}), and no chain was created`
	throw new MeshChainError('IMPORT_FAILED', `${what}: check that the file contains lines in this format`)
}

function isPushed(builder: ChainBuilder, record: LogRecord, history: SingleHistory): boolean {
	try {
		builder.push(record)
	} catch (error) {
		if (!(error instanceof LogAppendError) || error.retryable) throw error
		if (error.code === 'SEQ_NOT_INCREASING') history.steppedBack(record)
		return false
	}
	history.took(record)
	return true
}

async function append(
	lines: JsonlRecords,
	path: string,
	{ sourceId = 'import', onProgress, signal, fs }: ImportOptions,
): Promise<Counts> {
	const appender = new FileChainAppender(path, defined({ fs }))
	try {
		const summary = await replay(lines, new AppenderTarget(appender), {
			sourceId,
			stopOnError: true,
			...defined({ signal }),
			...(onProgress === undefined ? {} : { onProgress: ({ replayed }) => onProgress(replayed) }),
		})
		const { replayed, gaps, firstError, ended } = summary
		if (ended === 'aborted') throw stopped(replayed, 'these records are in the chain', signal)
		if (firstError !== undefined) {
			const before = `${counted(replayed, 'record was', 'records were')} appended before it`
			throw new MeshChainError('IMPORT_FAILED', `${firstError.message}; ${before}`, { path })
		}
		await appender.close()
		return { restored: false, records: replayed - gaps.count, absent: gaps.records, outOfOrder: 0 }
	} catch (error) {
		// The error that ended the import is more useful than a failure to close the chain.
		await appender.close().catch(() => {})
		throw coded(error)
	}
}

/** Returns an error with a code. An error from the source keeps its own code. */
function coded(error: unknown): MeshChainError {
	const isReplay = error instanceof MeshChainError && error.code === 'REPLAY_FAILED'
	return asCoded(
		isReplay && error.cause instanceof MeshChainError ? error.cause : error,
		'IMPORT_FAILED',
		'the import failed',
	)
}

function stopped(records: number, what: string, signal: AbortSignal | undefined): MeshChainError {
	const text = `the import was interrupted after ${counted(records, 'record')}: ${what}`
	return new MeshChainError('IMPORT_FAILED', text, { cause: signal?.reason })
}

function sourceIdOf(source: string | AsyncIterable<Uint8Array>): string {
	return typeof source === 'string' ? basename(source) : 'stdin'
}
