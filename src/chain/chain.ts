/**
 * The interfaces that a reader of a chain meets: the chain itself, what is known about it, and what is wrong
 * with it.
 */
import type { ChainRecord, EventMap, KindFilter, KindOf } from '../model/events.ts'
import type { LogFilter } from '../model/filter.ts'
import type { LogLevel } from '../model/record.ts'
import type { ChainAnswer, Severity } from './answer.ts'

/** Which records of a chain to read. Without any condition: all of them. */
export interface ChainQuery extends LogFilter {
	/** Maximum number of records; gaps do not count. Default: no limit. */
	readonly limit?: number | undefined
	/** Newest first. Default: false. */
	readonly reverse?: boolean | undefined
	/**
	 * What to do where records are missing: return a `$gap` record (`'yield'`, default), reject with
	 * `CHAIN_GAP`, or skip.
	 */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
}

/**
 * Which records of a chain to follow. Without any condition: all that are there, and all that are written
 * later.
 */
export interface TailQuery extends LogFilter {
	/** As in {@link ChainQuery}. */
	readonly gaps?: 'yield' | 'throw' | 'skip' | undefined
	/** How often to poll when the system gives no hint that the file changed, in milliseconds. Default: 200. */
	readonly pollIntervalMs?: number | undefined
	/** Return a record only once the watermark beside the chain says that it is on disk. Default: false. */
	readonly durableOnly?: boolean | undefined
	/** Ends the iteration when it aborts. */
	readonly signal?: AbortSignal | undefined
}

/**
 * A chain opened for reading. Any number of readers may read while one writer writes.
 *
 * `E` is the event map of the loop that wrote it: a filter by `kind` then gives records of that kind, and
 * gaps.
 */
export interface Chain<E extends object = EventMap> extends AsyncDisposable {
	/** Path of the live file; a description for a chain without a file of its own. */
	readonly path: string
	/** Id of the chain, in hexadecimal. */
	readonly chainId: string
	/**
	 * Only in a merged chain: the chains that it was made of. A merged chain has no file of its own, and its
	 * seqs can change.
	 */
	readonly chains?: readonly Chain[]
	/**
	 * Iterates over the records that match, in chain order, up to the end of the file when the iteration began.
	 * Memory does not grow with the file. A seq or a time is found in a number of reads that grows with the
	 * logarithm of the file, also where times step back. Parts that cannot hold a match are not read, and
	 * damage in them is not reported (`verifyChain` checks everything).
	 *
	 * @throws {MeshChainError} `INVALID_FILTER` at once; while iterating `CHAIN_CLOSED`, `CHAIN_GAP`, and
	 * `CHAIN_TRUNCATED` when the file became shorter.
	 */
	records<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	records(query?: ChainQuery): AsyncIterable<ChainRecord<E>>
	/** The same in arrays, one per frame or part of a frame: faster than {@link records}. */
	batches<K extends KindOf<E>>(query: ChainQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>[]>
	batches(query?: ChainQuery): AsyncIterable<ChainRecord<E>[]>
	/**
	 * Iterates over the records that match: first those that are there, then new ones, across restarts of the
	 * writer and without a gap or a repeat in between. Ends when `signal` aborts, and when `toSeq` is passed.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_OPTION` at once; while iterating `CHAIN_CLOSED`,
	 * `CHAIN_GAP`, `CHAIN_TRUNCATED` when the file was shortened or rewritten, `CHAIN_REPLACED` when its name
	 * leads to another chain or to none.
	 */
	tail<K extends KindOf<E>>(query: TailQuery & KindFilter<K>): AsyncIterable<ChainRecord<E, K>>
	tail(query?: TailQuery): AsyncIterable<ChainRecord<E>>
	/** Returns what is known about the chain. Goes through all of its files once. */
	info(): Promise<ChainInfo>
	/**
	 * Returns how the live file ends. Reads only what follows its newest anchor, whatever the size of the file.
	 */
	end(): Promise<ChainEndInfo>
	/** Closes the chain. Idempotent. Running iterations reject with `CHAIN_CLOSED`. */
	close(): Promise<void>
}

/**
 * How a chain, or one of its epochs, ended. `closed`: by `close()`. `exited`: with its process, which wrote
 * an exit code. `crashed`: without a closing anchor. `open`: a writer has it open. `unknown`: it was not
 * closed, and this process cannot tell whether a writer has it open.
 */
export type ChainState = 'closed' | 'exited' | 'crashed' | 'open' | 'unknown'

/** How a chain file ends. */
export interface ChainEndInfo {
	readonly state: ChainState
	/** Exit code of the process, with state `exited` only. */
	readonly exitCode: number | undefined
	/** The process that has the chain open, with state `open` only. */
	readonly holder: LockHolder | undefined
	/** With state `unknown` only: why the state cannot be told. */
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
	/** Exit code of the process, with state `exited` only. */
	readonly exitCode: number | undefined
	/** Bytes at the end of the file that this opening cut and kept aside. */
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

/** What is known about a chain. */
export interface ChainInfo {
	readonly path: string
	readonly chainId: string
	readonly formatVersion: number
	/** When the first file that is there was begun; undefined where nothing says it. */
	readonly createdMs: number | undefined
	/** Size of all files. */
	readonly bytes: number
	/** Files of the chain, oldest first; the last is the live one. */
	readonly segments: readonly SegmentInfo[]
	/** Number of records, without gaps. */
	readonly records: number
	/** Seq of the first record; undefined where there is none. */
	readonly firstSeq: number | undefined
	/** Seq of the last record or gap; undefined where there is none. */
	readonly lastSeq: number | undefined
	/** The earliest and latest time of any record; undefined where there is none. */
	readonly minTsMs: number | undefined
	readonly maxTsMs: number | undefined
	readonly levels: Readonly<Record<LogLevel, number>>
	/**
	 * Number of gaps, and of the records that they stand for; `byCause.retained` counts those that retention
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
	 * With state `crashed` only: number of records that the last writer could not write at its close; undefined
	 * where no note says so.
	 */
	readonly unwritten?: number | undefined
	/** The process that has the chain open, with state `open` only. */
	readonly holder: LockHolder | undefined
	/** With state `unknown` only: why the state cannot be told. */
	readonly unknownBecause?: string
	/** Bytes after the last whole entry; normal after a crash. */
	readonly tornBytes: number
	/** Unreadable ranges that valid entries follow, or that no crash leaves. */
	readonly damagedPlaces: number
	readonly damagedBytes: number
	/** Answer without a check of the hash links, so never `cannot be checked`; `verifyChain` checks them. */
	readonly answer: ChainAnswer
	/** Number of lost records for which a gap in the chain stands. */
	readonly recordsLost: number
	readonly head: ChainHead
}

/** The newest hash link of a chain. Kept elsewhere, it makes a later truncation or rewrite detectable. */
export interface ChainHead {
	readonly chainId: string
	/** Number of the file that holds it, from 0. */
	readonly segment: number
	readonly epoch: number
	/** Seq of the last record that the link covers; 0 for none. */
	readonly seq: number
	readonly offset: number
	/** SHA-256, in hexadecimal. */
	readonly link: string
}

/**
 * - `tornTail`: what a killed writer left. `unsynced`: what a power loss left. `notClosed`: there is no
 *   closing anchor.
 * - `damaged`: bytes that cannot be read. `ambiguous`: the same, and nothing can tell it from a power loss.
 * - `truncated`: what was on disk is gone. `missingFile`: a whole file is. `headMissing`: the head kept
 *   elsewhere is not there.
 * - `missing`: records are absent with nothing in their place.
 * - `brokenLink`, `wrongSeq`, `wrongAnchor`: everything verifies by itself, and does not fit together.
 * - `gap`: records whose absence the chain itself explains. `superseded`: written again in the next file.
 *   `stray`: written by a writer that had lost the chain. `repaired`: what `repairChain` did, and what cannot
 *   be checked for that reason.
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
 * One thing that `verifyChain` found. Severity: `note` is normal, for example after a crash; `loss` means
 * lost records that the chain itself explains; `unchecked` means that the evidence is gone; `damage` means
 * that something is wrong.
 */
export interface VerifyFinding {
	readonly kind: VerifyFindingKind
	readonly severity: Severity
	readonly path: string
	readonly offset: number
	readonly bytes: number
	/** First and last seq of the records concerned; undefined where they are not known. */
	readonly fromSeq: number | undefined
	readonly toSeq: number | undefined
	readonly message: string
	readonly expected?: string
	readonly found?: string
}

/** What `verifyChain` comes to. */
export interface VerifyReport {
	/** Whether the answer is `ok` or `ok, records lost`. */
	readonly ok: boolean
	/** The answer that the heaviest finding gives. */
	readonly answer: ChainAnswer
	/** Number of records that the findings of severity `loss` stand for. */
	readonly recordsLost: number
	readonly records: number
	readonly frames: number
	readonly anchors: number
	readonly bytes: number
	/** The first 1,000 of each kind and severity, in the order of the chain. */
	readonly findings: readonly VerifyFinding[]
	/**
	 * Number of findings that `findings` does not list, by kind: `{ damaged: 23456 }`. Empty where all are
	 * listed.
	 */
	readonly findingsNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	readonly head: ChainHead
}

/** What `repairChain` does, or would do, to one file. */
export interface RepairAction {
	/**
	 * `cut`: the bytes at the end are cut off. `rebuild`: the file is written anew with everything that can be
	 * read, and a `$gap` for everything that is missing.
	 */
	readonly action: 'cut' | 'rebuild'
	readonly path: string
	/** Offset of the first change. */
	readonly offset: number
	/** Number of unreadable bytes. */
	readonly bytes: number
	/** Number of lost records; a `$gap` stands for them after the repair. */
	readonly lostRecords: number
	/** Path of the bytes or the file that was replaced; undefined in a plan. */
	readonly keptAt: string | undefined
}

/** What `repairChain` has done, or would do. */
export interface RepairReport {
	readonly path: string
	readonly dryRun: boolean
	/** Empty when there was nothing to do. */
	readonly actions: readonly RepairAction[]
	/**
	 * Damage that is left for a person to judge: evidence of a deliberate change, and missing files. The first
	 * 1,000 of each kind and severity.
	 */
	readonly left: readonly VerifyFinding[]
	/** Number of findings that `left` does not list, by kind. Empty where all are listed. */
	readonly leftNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	/** Number of records in the chain after the repair; before it in a dry run. */
	readonly records: number
	/** What `verifyChain` reports after the repair; before it in a dry run. */
	readonly ok: boolean
	readonly answer: ChainAnswer
	readonly recordsLost: number
}
