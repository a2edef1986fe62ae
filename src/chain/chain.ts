/**
 * Defines the interfaces for reading a chain: the chain itself, its properties, and the results of a
 * verification or a repair.
 */
import type { ChainRecord, EventMap, KindFilter, KindOf } from '../model/events.ts'
import type { LogFilter } from '../model/filter.ts'
import type { LogLevel } from '../model/record.ts'
import type { ChainAnswer, Severity } from './answer.ts'

/** Selects records from a chain. Default: all records. */
export interface ChainQuery extends LogFilter {
	/** Maximum number of records, not counting gaps. Default: no limit. */
	readonly limit?: number | undefined
	/** Whether to return the newest records first. Default: false. */
	readonly reverse?: boolean | undefined
	/**
	 * How missing records are treated: `'yield'` (default) returns a `$gap` record, `'throw'` rejects with
	 * `CHAIN_GAP`, and `'skip'` omits the gap.
	 */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
}

/** Selects records for `Chain.tail`. Default: all existing records, then all new ones. */
export interface TailQuery extends LogFilter {
	/** How missing records are treated, as in {@link ChainQuery}. */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
	/**
	 * Polling interval in milliseconds. If the system reports a change to the file, the next poll happens
	 * sooner. Default: 200.
	 */
	readonly pollIntervalMs?: number | undefined
	/**
	 * Whether to return a record only after the watermark beside the chain shows that the record is on disk.
	 * Default: false.
	 */
	readonly durableOnly?: boolean | undefined
	/** Signal that ends the iteration when aborted. */
	readonly signal?: AbortSignal | undefined
}

/**
 * A chain opened for reading. Any number of readers can read while one writer writes.
 *
 * `E` is the event map of the loop that wrote the chain. A query with a filter by `kind` returns records of
 * that kind and gaps.
 */
export interface Chain<E extends object = EventMap> extends AsyncDisposable {
	/** Path of the live file, or a description of a chain that has no file of its own. */
	readonly path: string
	/** Id of the chain, in hexadecimal. */
	readonly chainId: string
	/**
	 * Chains that make up a merged chain; undefined for any other chain. A merged chain has no file of its own,
	 * and its seqs can differ from one read to the next.
	 */
	readonly chains?: readonly Chain[]
	/**
	 * Iterates over the existing matching records in chain order. May include records that are written during
	 * the iteration. Memory use does not grow with the file size. Finding a seq or a time takes a number of
	 * reads that is logarithmic in the file size, even if times are out of order. Parts that cannot match are
	 * not read, so damage in them is not reported. `verifyChain` checks the complete chain.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER` immediately. During the iteration, `CHAIN_CLOSED`, `CHAIN_GAP`,
	 * or, if the file was shortened, `CHAIN_TRUNCATED`.
	 */
	records<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	records(query?: ChainQuery): AsyncIterable<ChainRecord<E>>
	/**
	 * Iterates like {@link records}, but over arrays of records, each from several frames or from a part of a
	 * frame. No array is empty. This is faster than iterating over individual records.
	 */
	batches<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>[]>
	batches(query?: ChainQuery): AsyncIterable<ChainRecord<E>[]>
	/**
	 * Iterates over the matching records: first the existing ones, then new ones as they are written. The
	 * iteration continues across restarts of the writer, and neither skips nor repeats a record. It ends when
	 * `signal` aborts or after `toSeq`.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER` or `INVALID_OPTION` immediately. During the iteration,
	 * `CHAIN_CLOSED`, `CHAIN_GAP`, `CHAIN_TRUNCATED` if the file was shortened or rewritten, or
	 * `CHAIN_REPLACED` if the path refers to another chain or to no chain.
	 */
	tail<K extends KindOf<E>>(query: TailQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	tail(query?: TailQuery): AsyncIterable<ChainRecord<E>>
	/**
	 * Returns the properties of the chain. Reads a chain of up to 1 MiB completely. In a larger chain, reads
	 * only the anchors that it needs, the frames where a record is missing or a writer opened the chain, and
	 * the end of each file. {@link ChainInfo.notChecked} then states what was not read.
	 *
	 * @throws {MeshChainError} `CHAIN_CLOSED`, or `INVALID_OPTION` for an unknown option.
	 */
	info(options?: ChainInfoOptions): Promise<ChainInfo>
	/**
	 * Describes the end of the live file. Reads only the part after the newest anchor, regardless of the file
	 * size.
	 */
	end(): Promise<ChainEndInfo>
	/** Closes the chain. Idempotent. Running iterations reject with `CHAIN_CLOSED`. */
	close(): Promise<void>
}

/**
 * State of a chain, or of one of its epochs.
 *
 * - `closed`: `close()` was called.
 * - `exited`: the writer's process exited, and the exit code is known.
 * - `crashed`: there is no closing anchor.
 * - `open`: a writer has the chain open.
 * - `unknown`: the chain was not closed, and this process cannot determine whether a writer has it open.
 */
export type ChainState = 'closed' | 'exited' | 'crashed' | 'open' | 'unknown'

/** Describes the end of a chain file. */
export interface ChainEndInfo {
	readonly state: ChainState
	/** Exit code of the process; undefined unless the state is `exited`. */
	readonly exitCode: number | undefined
	/** The process that has the chain open; undefined unless the state is `open`. */
	readonly holder: LockHolder | undefined
	/** Reason why the state is `unknown`; absent in any other state. */
	readonly unknownBecause?: string
	/**
	 * Size of an incomplete or unsynced end of the file, in bytes. A nonzero size is normal after a crash and
	 * while a writer is writing.
	 */
	readonly tornBytes: number
	/**
	 * Number of unreadable bytes at the end of the file whose cause is neither a killed process nor a power
	 * loss.
	 */
	readonly damagedBytes: number
}

/** One opening of the chain by a writer. */
export interface EpochInfo {
	/** Number of the epoch, starting at 1. */
	readonly epoch: number
	/** Time of the opening, in milliseconds since 1970. */
	readonly openedMs: number
	/** First and last seq; undefined if the epoch contains no records. */
	readonly firstSeq: number | undefined
	readonly lastSeq: number | undefined
	readonly state: ChainState
	/** Exit code of the process; undefined unless the state is `exited`. */
	readonly exitCode: number | undefined
	/** Number of bytes that this opening cut from the end of the file and saved to another file. */
	readonly cutBytes: number
}

/** The process that has a chain open for writing. */
export interface LockHolder {
	readonly pid: number
	readonly host: string
	/** Time of the opening, in milliseconds since 1970. */
	readonly sinceMs: number
}

/** One file of a chain. */
export interface SegmentInfo {
	readonly path: string
	/** Number of the file within the chain, starting at 0. */
	readonly segment: number
	readonly firstSeq: number
	readonly bytes: number
}

/** Options of `Chain.info`. */
export interface ChainInfoOptions {
	/** Whether to read every byte, regardless of the size of the chain. Default: false. */
	readonly full?: boolean | undefined
}

/** Properties of a chain. */
export interface ChainInfo {
	readonly path: string
	readonly chainId: string
	readonly formatVersion: number
	/** Creation time of the oldest remaining file, in milliseconds since 1970; undefined if unknown. */
	readonly createdMs: number | undefined
	/** Total size of all files, in bytes. */
	readonly bytes: number
	/** Files of the chain, oldest first. The last one is the live file. */
	readonly segments: readonly SegmentInfo[]
	/** Number of records, not counting gaps. */
	readonly records: number
	/** Seq of the first record; undefined if there is none. */
	readonly firstSeq: number | undefined
	/** Seq of the last record or gap; undefined if there is none. */
	readonly lastSeq: number | undefined
	/**
	 * Earliest and latest time of any record, in milliseconds since 1970; undefined if there are no records.
	 */
	readonly minTsMs: number | undefined
	readonly maxTsMs: number | undefined
	readonly levels: Readonly<Record<LogLevel, number>>
	/**
	 * Number of gaps, and number of records that they cover, in total and by cause. `byCause.retained` is the
	 * number of records that retention removed.
	 */
	readonly gaps: {
		readonly count: number
		readonly records: number
		readonly byCause: Readonly<Record<string, number>>
	}
	readonly epochs: readonly EpochInfo[]
	readonly state: ChainState
	readonly exitCode: number | undefined
	/**
	 * Number of records that the last writer could not write when it closed the chain; undefined unless the
	 * state is `crashed` and the lock file contains the number.
	 */
	readonly unwritten?: number | undefined
	/** The process that has the chain open; undefined unless the state is `open`. */
	readonly holder: LockHolder | undefined
	/** Reason why the state is `unknown`; absent in any other state. */
	readonly unknownBecause?: string
	/** Size of an incomplete or unsynced end of the file, in bytes. A nonzero size is normal after a crash. */
	readonly tornBytes: number
	/** Number of unreadable ranges, not counting an incomplete or unsynced end. */
	readonly damagedPlaces: number
	readonly damagedBytes: number
	/**
	 * Answer from a check that does not include the hash links. It is therefore never `cannot be checked`.
	 * `verifyChain` also checks the links.
	 */
	readonly answer: ChainAnswer
	/** Number of lost records covered by gaps in the chain. */
	readonly recordsLost: number
	/**
	 * What was not read and therefore not checked for damage: `frames between anchors`. Absent if everything
	 * was read.
	 */
	readonly notChecked?: string
	readonly head: ChainHead
}

/**
 * The newest hash link of a chain. A head stored elsewhere makes a later truncation or rewrite detectable.
 */
export interface ChainHead {
	readonly chainId: string
	/** Number of the file that contains the link, starting at 0. */
	readonly segment: number
	readonly epoch: number
	/** Seq of the last record that the link covers; 0 if it covers no record. */
	readonly seq: number
	readonly offset: number
	/** SHA-256, in hexadecimal. */
	readonly link: string
}

/**
 * - `tornTail`: the incomplete entry that a killed writer left behind. `unsynced`: a range that is unreadable
 *   because of a power loss. `notClosed`: the chain has no closing anchor.
 * - `damaged`: bytes cannot be read. `ambiguous`: bytes cannot be read, and the evidence does not show
 *   whether a power loss is the cause.
 * - `truncated`: bytes that were on disk are gone. `missingFile`: a complete file is gone. `headMissing`: the
 *   head that was stored elsewhere is not in the chain, or links no longer connect it to the beginning of the
 *   chain.
 * - `missing`: records are missing, and no gap covers them.
 * - `brokenLink`, `wrongSeq`, `wrongAnchor`: each entry verifies, but the entries contradict each other.
 * - `gap`: the chain itself records why records are missing. `superseded`: the next file contains these
 *   entries again. `stray`: a writer wrote these records after another writer had taken over. `repaired`: a
 *   change that `repairChain` made, or something that cannot be checked because of that change.
 */
export type VerifyFindingKind =
	| 'tornTail'
	| 'unsynced'
	| 'notClosed'
	| 'damaged'
	| 'ambiguous'
	| 'truncated'
	| 'missing'
	| 'missingFile'
	| 'headMissing'
	| 'brokenLink'
	| 'wrongSeq'
	| 'wrongAnchor'
	| 'gap'
	| 'superseded'
	| 'stray'
	| 'repaired'

/**
 * One finding of `verifyChain`. Its severity is `note` for a normal state, for example after a crash; `loss`
 * if records are lost and the chain itself records the loss; `unchecked` if the evidence is gone; and
 * `damage` if something is wrong.
 */
export interface VerifyFinding {
	readonly kind: VerifyFindingKind
	readonly severity: Severity
	readonly path: string
	readonly offset: number
	readonly bytes: number
	/** First and last seq of the affected records; undefined if unknown. */
	readonly fromSeq: number | undefined
	readonly toSeq: number | undefined
	readonly message: string
	readonly expected?: string
	readonly found?: string
}

/** The result of `verifyChain`. */
export interface VerifyReport {
	/** Whether the answer is `ok` or `ok, records lost`. */
	readonly ok: boolean
	/** Answer, determined by the most severe finding. */
	readonly answer: ChainAnswer
	/** Number of records covered by findings of severity `loss`. */
	readonly recordsLost: number
	readonly records: number
	readonly frames: number
	readonly anchors: number
	readonly bytes: number
	/** The first 1,000 findings of each kind and severity, in chain order. */
	readonly findings: readonly VerifyFinding[]
	/**
	 * Number of findings that are not listed in `findings`, by kind: for example, `{ damaged: 23456 }`. Empty
	 * if all findings are listed.
	 */
	readonly findingsNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	readonly head: ChainHead
}

/** An action that `repairChain` performed, or plans to perform, on one file. */
export interface RepairAction {
	/**
	 * `cut`: removes the bytes at the end. `rebuild`: replaces the file with a new one that contains
	 * everything readable, and a `$gap` wherever records are missing.
	 */
	readonly action: 'cut' | 'rebuild'
	readonly path: string
	/** Offset of the first change. */
	readonly offset: number
	/** Number of unreadable bytes. */
	readonly bytes: number
	/** Number of lost records; after the repair, a `$gap` covers them. */
	readonly lostRecords: number
	/** Path of the file with the saved bytes, or of the replaced file; undefined in a plan. */
	readonly keptAt: string | undefined
}

/** The result or the plan of `repairChain`. */
export interface RepairReport {
	readonly path: string
	readonly dryRun: boolean
	/** Performed or planned actions; empty if there is nothing to repair. */
	readonly actions: readonly RepairAction[]
	/**
	 * Damage that needs a human decision: evidence of a deliberate change, and missing files. Limited to the
	 * first 1,000 findings of each kind and severity.
	 */
	readonly left: readonly VerifyFinding[]
	/** Number of findings that are not listed in `left`, by kind. Empty if all findings are listed. */
	readonly leftNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	/** Number of records in the chain after the repair. In a dry run, the number before any repair. */
	readonly records: number
	/** Result of `verifyChain` after the repair. In a dry run, the result before any repair. */
	readonly ok: boolean
	readonly answer: ChainAnswer
	readonly recordsLost: number
}
