/** From JSON Lines to a chain. */
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
import type { LineFormat } from './line-format.ts'
import type { SkippedCounts, SkippedLine } from './line-reader.ts'
import { type JsonlRecords, readJsonl } from './read-jsonl.ts'
import { SingleHistory } from './single-history.ts'

export interface ImportSummary {
	/** Whether a new chain was made, of records as they were; otherwise they were appended to one. */
	readonly restored: boolean
	readonly records: number
	/** Records that the lines say are absent, and those of which there was no line. */
	readonly absent: number
	/** Lines that were no records, by reason. */
	readonly skipped: SkippedCounts
	/** The first hundred of them. */
	readonly skippedLines: readonly SkippedLine[]
	/** Records of which something did not fit: a marker or a note stands for it. */
	readonly altered: number
	/** Records of a new chain that stood twice or at a wrong place among the lines, or that no chain can hold: they are not in it. */
	readonly outOfOrder: number
}

export interface ImportOptions {
	/** Default: mesh-chain's own form. */
	format?: LineFormat
	/** A longer line is skipped and counted. Default 16 MiB. */
	lineBytesMax?: number
	/** The chain that records which are appended were of, where they do not say. Default: the name of the file. */
	sourceId?: string
	/** Of a new chain. Default `0o600`. */
	mode?: number
	/** Called now and then. */
	onProgress?: (records: number) => void
	signal?: AbortSignal
	fs?: FileSystem
}

const PROGRESS_RECORDS = 10_000

/**
 * Puts the records of JSON Lines into a chain. A new chain gets them with the seq, epoch, time and origin that they have, what is
 * mesh-chain's own included, and appears once all of it is on disk. To a chain that is there they are appended, with new seqs, and an
 * `origin` that says which ones they were.
 *
 * Lines that are no records are skipped and counted. Where seqs are missing in a new chain, a `$gap` says so. Two histories in one file
 * (`cat a.jsonl b.jsonl`) have the same seqs: no new chain is made of them, since it would lose one of the two.
 *
 * @param source a file's path, or bytes as they come.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_PATH`; `FILE_UNREADABLE`; `IMPORT_FAILED` when the signal ended it, there are two histories, or a record could not be
 * appended: how many were is in the message, and none in a new chain; what opening a chain for writing throws.
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
	const { skipped, skippedLines, altered } = lines
	return { ...counts, skipped: { ...skipped }, skippedLines, altered }
}

type Counts = Omit<ImportSummary, 'skipped' | 'skippedLines' | 'altered'>

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
		// Whoever gave the signal may have taken the source away too.
		throw signal?.aborted ? stopped(builder.records, 'the chain was not made') : coded(error)
	} finally {
		builder.discard()
	}
	return { restored: true, records: builder.records, absent: absent + builder.missing, outOfOrder }
}

/** A file of something else is no empty chain. */
function refuseNothing({ skipped, skippedLines }: JsonlRecords, records: number): void {
	const { blank: _blank, comment: _comment, ...bad } = skipped
	const [worst] = Object.entries(bad).sort(([, a], [, b]) => b - a)
	if (records > 0 || worst === undefined || worst[1] === 0) return
	const first = skippedLines.find(({ reason }) => reason === worst[0])
	const where = first === undefined ? '' : `, the first of them line ${first.line}`
	const text = `none of the lines is a record (${worst[1]} ${worst[0]}${where}): no chain was made; is it JSON Lines, and of this form?`
	throw new MeshChainError('IMPORT_FAILED', text)
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
		if (ended === 'aborted') throw stopped(replayed, 'and are in the chain')
		if (firstError !== undefined) {
			const text = `${firstError.message}; ${replayed} records were appended before it`
			throw new MeshChainError('IMPORT_FAILED', text, { path })
		}
		await appender.close()
		return { restored: false, records: replayed - gaps.count, absent: gaps.records, outOfOrder: 0 }
	} catch (error) {
		// What ended the import says more than that the end could not be written either.
		await appender.close().catch(() => {})
		throw coded(error)
	}
}

/** What is wrong with the source itself is said as the source says it. */
function coded(error: unknown): MeshChainError {
	const isReplay = error instanceof MeshChainError && error.code === 'REPLAY_FAILED'
	return asCoded(
		isReplay && error.cause instanceof MeshChainError ? error.cause : error,
		'IMPORT_FAILED',
		'the import failed',
	)
}

function stopped(records: number, what: string): MeshChainError {
	return new MeshChainError('IMPORT_FAILED', `it was interrupted: ${records} records came so far, ${what}`)
}

function sourceIdOf(source: string | AsyncIterable<Uint8Array>): string {
	return typeof source === 'string' ? basename(source) : 'stdin'
}
