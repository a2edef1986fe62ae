/**
 * Defines the interfaces for readers of a chain: the chain itself, its properties, and the findings of a
 * verification.
 */
import type { ChainRecord, EventMap, KindFilter, KindOf } from '../model/events.ts'
import type { LogFilter } from '../model/filter.ts'
import type { LogLevel } from '../model/record.ts'
import type { ChainAnswer, Severity } from './answer.ts'

/** Selects records of a chain. Default: all records. */
export interface ChainQuery extends LogFilter {
	/** Maximum number of records; gaps do not count. Default: no limit. */
	readonly limit?: number | undefined
	/** Newest first. Default: false. */
	readonly reverse?: boolean | undefined
	/**
	 * What happens where records are missing: return a `$gap` record (`'yield'`, default), reject with
	 * `CHAIN_GAP`, or skip.
	 */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
}

/** Selects records of a chain to follow. Default: all existing records, then all new ones. */
export interface TailQuery extends LogFilter {
	/** Same as in {@link ChainQuery}. */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
	/** Interval of polls while the system reports no change of the file, in milliseconds. Default: 200. */
	readonly pollIntervalMs?: number | undefined
	/**
	 * Whether to return a record only once the watermark beside the chain shows that it is on disk. Default:
	 * false.
	 */
	readonly durableOnly?: boolean | undefined
	/** Signal that ends the iteration when it aborts. */
	readonly signal?: AbortSignal | undefined
}

/**
 * A chain opened for reading. Any number of readers can read while one writer writes.
 *
 * `E` is the event map of the loop that wrote the chain: with a filter by `kind`, a query returns records of
 * that kind, and gaps.
 */
export interface Chain<E extends object = EventMap> extends AsyncDisposable {
	/** Path of the live file; a description for a chain without a file of its own. */
	readonly path: string
	/** Id of the chain, in hexadecimal. */
	readonly chainId: string
	/**
	 * Chains that a merged chain consists of; undefined for other chains. A merged chain has no file of its
	 * own, and its seqs can change.
	 */
	readonly chains?: readonly Chain[]
	/**
	 * Iterates over the matching records in chain order, up to the end of the file at the start of the
	 * iteration. Memory does not grow with the file. Finding a seq or a time takes a number of reads that
	 * grows with the logarithm of the file size, even where times step back. Parts that cannot match are not
	 * read, and damage in them is not reported; `verifyChain` checks everything.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER` at once; while iterating `CHAIN_CLOSED`, `CHAIN_GAP`, and
	 * `CHAIN_TRUNCATED` when the file became shorter.
	 */
	records<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	records(query?: ChainQuery): AsyncIterable<ChainRecord<E>>
	/**
	 * Iterates like {@link records}, but over arrays, one per frame or part of a frame. Faster than single
	 * records.
	 */
	batches<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>[]>
	batches(query?: ChainQuery): AsyncIterable<ChainRecord<E>[]>
	/**
	 * Iterates over the matching records: first existing ones, then new ones. It continues across restarts of
	 * the writer, without a gap or a repeat in between. Ends when `signal` aborts, or once `toSeq` is passed.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_OPTION` at once; while iterating `CHAIN_CLOSED`,
	 * `CHAIN_GAP`, `CHAIN_TRUNCATED` when the file was shortened or rewritten, `CHAIN_REPLACED` when its path
	 * leads to another chain or to none.
	 */
	tail<K extends KindOf<E>>(query: TailQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	tail(query?: TailQuery): AsyncIterable<ChainRecord<E>>
	/** Returns the properties of the chain. Reads all of its files once. */
	info(): Promise<ChainInfo>
	/**
	 * Returns how the live file ends. Reads only the part after its newest anchor, whatever the size of the
	 * file.
	 */
	end(): Promise<ChainEndInfo>
	/** Closes the chain. Idempotent. Running iterations reject with `CHAIN_CLOSED`. */
	close(): Promise<void>
}

/**
 * How a chain, or one of its epochs, ended. `closed`: by `close()`. `exited`: with its process, and the exit
 * code is known. `crashed`: without a closing anchor. `open`: a writer has it open. `unknown`: it was not
 * closed, and this process cannot determine whether a writer has it open.
 */
export type ChainState = 'closed' | 'exited' | 'crashed' | 'open' | 'unknown'

/** How a chain file ends. */
export interface ChainEndInfo {
	readonly state: ChainState
	/** Exit code of the process; undefined unless the state is `exited`. */
	readonly exitCode: number | undefined
	/** The process that has the chain open; undefined unless the state is `open`. */
	readonly holder: LockHolder | undefined
	/** Why the state is `unknown`; absent with any other state. */
	readonly unknownBecause?: string
	/** Bytes after the last whole entry; normal after a crash, and while a writer is writing. */
	readonly tornBytes: number
	/** Unreadable bytes at the end that a killed process cannot have left. */
	readonly damagedBytes: number
}

/** One writer's opening of the chain. */
export interface EpochInfo {
	/** Number of the epoch, from 1. */
	readonly epoch: number
	/** Time of the opening, in milliseconds since 1970. */
	readonly openedMs: number
	/** First and last seq; undefined when the epoch holds no records. */
	readonly firstSeq: number | undefined
	readonly lastSeq: number | undefined
	readonly state: ChainState
	/** Exit code of the process; undefined unless the state is `exited`. */
	readonly exitCode: number | undefined
	/** Number of bytes at the end of the file that this opening cut and kept aside. */
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
	/** Number of the file within the chain, from 0. */
	readonly segment: number
	readonly firstSeq: number
	readonly bytes: number
}

/** Properties of a chain. */
export interface ChainInfo {
	readonly path: string
	readonly chainId: string
	readonly formatVersion: number
	/** Creation time of the oldest file that is left, in milliseconds since 1970; undefined if unknown. */
	readonly createdMs: number | undefined
	/** Size of all files, in bytes. */
	readonly bytes: number
	/** Files of the chain, oldest first; the last is the live one. */
	readonly segments: readonly SegmentInfo[]
	/** Number of records, without gaps. */
	readonly records: number
	/** Seq of the first record; undefined if there is none. */
	readonly firstSeq: number | undefined
	/** Seq of the last record or gap; undefined if there is none. */
	readonly lastSeq: number | undefined
	/** Earliest and latest time of any record, in milliseconds since 1970; undefined if there is none. */
	readonly minTsMs: number | undefined
	readonly maxTsMs: number | undefined
	readonly levels: Readonly<Record<LogLevel, number>>
	/**
	 * Number of gaps, and of the records that they cover; `byCause.retained` counts records that retention
	 * removed.
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
	 * Number of records that the last writer could not write at its close; undefined unless the state is
	 * `crashed` and the lock file records it.
	 */
	readonly unwritten?: number | undefined
	/** The process that has the chain open; undefined unless the state is `open`. */
	readonly holder: LockHolder | undefined
	/** Why the state is `unknown`; absent with any other state. */
	readonly unknownBecause?: string
	/** Bytes after the last whole entry; normal after a crash. */
	readonly tornBytes: number
	/** Number of unreadable ranges that precede valid entries, or that a crash cannot leave. */
	readonly damagedPlaces: number
	readonly damagedBytes: number
	/**
	 * Answer without a check of the hash links, so never `cannot be checked`. `verifyChain` checks the links.
	 */
	readonly answer: ChainAnswer
	/** Number of lost records that gaps in the chain cover. */
	readonly recordsLost: number
	readonly head: ChainHead
}

/** The newest hash link of a chain. Kept elsewhere, it makes a later truncation or rewrite detectable. */
export interface ChainHead {
	readonly chainId: string
	/** Number of the file that holds the link, from 0. */
	readonly segment: number
	readonly epoch: number
	/** Seq of the last record that the link covers; 0 for none. */
	readonly seq: number
	readonly offset: number
	/** SHA-256, in hexadecimal. */
	readonly link: string
}

/**
 * - `tornTail`: the incomplete entry of a killed writer. `unsynced`: an unreadable range that a power loss
 *   left. `notClosed`: there is no closing anchor.
 * - `damaged`: bytes cannot be read. `ambiguous`: bytes cannot be read, and the evidence does not show
 *   whether a power loss is the cause.
 * - `truncated`: bytes that were on disk are gone. `missingFile`: a whole file is gone. `headMissing`: the
 *   head kept elsewhere is not in the chain.
 * - `missing`: records are absent, and no gap covers them.
 * - `brokenLink`, `wrongSeq`, `wrongAnchor`: every entry verifies, but they contradict each other.
 * - `gap`: the chain itself explains why records are absent. `superseded`: the next file has these entries
 *   again. `stray`: a writer wrote these records after another one took over. `repaired`: a change that
 *   `repairChain` made, and anything that cannot be checked because of it.
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
 * One finding of `verifyChain`. Severity: `note` is normal, for example after a crash; `loss` means lost
 * records that the chain itself explains; `unchecked` means that the evidence is gone; `damage` means that
 * something is wrong.
 */
export interface VerifyFinding {
	readonly kind: VerifyFindingKind
	readonly severity: Severity
	readonly path: string
	readonly offset: number
	readonly bytes: number
	/** First and last seq of the records concerned; undefined if unknown. */
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
	/** Answer of the most severe finding. */
	readonly answer: ChainAnswer
	/** Number of records that the findings of severity `loss` cover. */
	readonly recordsLost: number
	readonly records: number
	readonly frames: number
	readonly anchors: number
	readonly bytes: number
	/** The first 1,000 findings of each kind and severity, in the order of the chain. */
	readonly findings: readonly VerifyFinding[]
	/** Number of findings missing from `findings`, by kind: `{ damaged: 23456 }`. Empty if all are listed. */
	readonly findingsNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	readonly head: ChainHead
}

/** An action of `repairChain` on one file, done or planned. */
export interface RepairAction {
	/**
	 * `cut`: removes the bytes at the end. `rebuild`: writes the file anew with everything that can be read,
	 * and a `$gap` for everything that is missing.
	 */
	readonly action: 'cut' | 'rebuild'
	readonly path: string
	/** Offset of the first change. */
	readonly offset: number
	/** Number of unreadable bytes. */
	readonly bytes: number
	/** Number of lost records; after the repair, a `$gap` covers them. */
	readonly lostRecords: number
	/** Path where the replaced bytes or file are kept; undefined in a plan. */
	readonly keptAt: string | undefined
}

/** The result of `repairChain`, or its plan. */
export interface RepairReport {
	readonly path: string
	readonly dryRun: boolean
	/** Actions, done or planned; empty when there is nothing to repair. */
	readonly actions: readonly RepairAction[]
	/**
	 * Damage that needs a human decision: evidence of a deliberate change, and missing files. At most the
	 * first 1,000 findings of each kind and severity.
	 */
	readonly left: readonly VerifyFinding[]
	/** Number of findings missing from `left`, by kind. Empty if all are listed. */
	readonly leftNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	/** Number of records in the chain after the repair; in a dry run, before it. */
	readonly records: number
	/** Result of `verifyChain` after the repair; in a dry run, before it. */
	readonly ok: boolean
	readonly answer: ChainAnswer
	readonly recordsLost: number
}
