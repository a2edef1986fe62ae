/**
 * The shapes a reader of a chain meets: the chain itself, what is known about it, and what is wrong with it.
 */
import type { LogFilter } from '../model/filter.ts'
import type { LogLevel, LogRecord } from '../model/record.ts'
import type { ChainAnswer, Severity } from './answer.ts'

export interface ChainQuery extends LogFilter {
	/** At most this many records; gaps do not count. */
	limit?: number
	/** Newest first. */
	reverse?: boolean
	/** What to do where records are absent: hand out a `$gap` record (default), reject with `CHAIN_GAP`, or pass over. */
	gaps?: 'yield' | 'throw' | 'skip'
}

export interface TailQuery extends LogFilter {
	/** As in {@link ChainQuery}. */
	gaps?: 'yield' | 'throw' | 'skip'
	/** How often to look when the system gives no hint that the file changed. Default 200 ms. */
	pollMs?: number
	/** Only what is known to be on disk, as the watermark beside the chain says; what is merely written comes later. */
	durableOnly?: boolean
	signal?: AbortSignal
}

/** A chain opened for reading. Any number of readers may read while one writer writes. */
export interface Chain extends AsyncDisposable {
	readonly path: string
	readonly chainId: string
	/** Only where it was merged: the chains it was made of. It has no file of its own then, and no seqs that stay. */
	readonly chains?: readonly Chain[]
	/**
	 * The records that match, in chain order, up to the end the file had when the iteration began. Memory does not grow with
	 * the file. By seq and by time in a number of reads that grows with the logarithm of the file, where times step back too;
	 * what cannot hold a record that matches is not read, and damage in it is not reported (`verifyChain` looks at everything).
	 *
	 * @throws {MeshChainError} `INVALID_FILTER` at once; while iterating `CHAIN_CLOSED`, `CHAIN_GAP`, and `CHAIN_TRUNCATED` when
	 * the file became shorter.
	 */
	records(query?: ChainQuery): AsyncIterable<LogRecord>
	/** The same in arrays, one per frame or part of it: the fast way. */
	batches(query?: ChainQuery): AsyncIterable<LogRecord[]>
	/**
	 * The records that match: those that are there, and then those that come, across restarts of the writer and without a gap or
	 * a double at the seam. Ends when `signal` aborts, and when `toSeq` is passed.
	 *
	 * @throws {MeshChainError} `INVALID_FILTER`, `INVALID_OPTION` at once; while iterating `CHAIN_CLOSED`, `CHAIN_GAP`,
	 * `CHAIN_TRUNCATED` when somebody shortened or rewrote the file, `CHAIN_REPLACED` when its name leads elsewhere.
	 */
	tail(query?: TailQuery): AsyncIterable<LogRecord>
	/** What there is to know without reading records: cost of the frame headers. */
	info(): Promise<ChainInfo>
	/** How the file ends: cost of the last span, whatever the size of the file. */
	end(): Promise<ChainEndInfo>
	/** Idempotent. Iterations under way reject with `CHAIN_CLOSED`. */
	close(): Promise<void>
}

/**
 * How a chain, or one of its epochs, came to its end. `unknown`: it was not closed, and whether a writer has it open cannot be told.
 */
export type ChainState = 'closed' | 'exited' | 'crashed' | 'open' | 'unknown'

/** How a chain file ends. */
export interface ChainEndInfo {
	readonly state: ChainState
	/** With state `exited` only. */
	readonly exitCode: number | undefined
	/** With state `open` only. */
	readonly holder: LockHolder | undefined
	/** With state `unknown` only: why nothing can be told. */
	readonly unknownBecause?: string
	/** Bytes behind the last whole entry; normal after a crash, and while a writer is writing. */
	readonly tornBytes: number
	/** Bytes at the end that no killed process leaves. */
	readonly damagedBytes: number
}

/** One writer's opening of the chain. */
export interface EpochInfo {
	readonly epoch: number
	readonly openedMs: number
	/** Undefined when the epoch holds no records. */
	readonly firstSeq: number | undefined
	readonly lastSeq: number | undefined
	readonly state: ChainState
	/** With `exited` only. */
	readonly exitCode: number | undefined
	/** Bytes of torn or damaged tail that this opening cut and kept aside. */
	readonly cutBytes: number
}

/** Who holds the chain open for writing. */
export interface LockHolder {
	readonly pid: number
	readonly host: string
	readonly sinceMs: number
}

/** One file of a chain. */
export interface SegmentInfo {
	readonly path: string
	/** Which file of the chain it is, from 0. */
	readonly segment: number
	readonly firstSeq: number
	readonly bytes: number
}

export interface ChainInfo {
	readonly path: string
	readonly chainId: string
	readonly formatVersion: number
	/** When the first file that is there was begun; undefined where nothing says it. */
	readonly createdMs: number | undefined
	/** Of all files. */
	readonly bytes: number
	/** Oldest first; the last is the live one. */
	readonly segments: readonly SegmentInfo[]
	readonly records: number
	readonly firstSeq: number | undefined
	readonly lastSeq: number | undefined
	/** The earliest and latest time of any record. */
	readonly minTsMs: number | undefined
	readonly maxTsMs: number | undefined
	readonly levels: Readonly<Record<LogLevel, number>>
	/** Gaps in the chain, and the records they stand for; those that retention removed are `byCause.retained`. */
	readonly gaps: {
		readonly count: number
		readonly records: number
		readonly byCause: Readonly<Record<string, number>>
	}
	readonly epochs: readonly EpochInfo[]
	readonly state: ChainState
	readonly exitCode: number | undefined
	/** With state `crashed` only: records that its last writer could not write when it closed; undefined where nothing says that it did. */
	readonly unwritten?: number | undefined
	/** With state `open` only. */
	readonly holder: LockHolder | undefined
	/** With state `unknown` only: why nothing can be told. */
	readonly unknownBecause?: string
	/** Bytes behind the last whole frame; normal after a crash. */
	readonly tornBytes: number
	/** Places that cannot be read, with valid frames behind them or in a shape that no crash leaves. */
	readonly damagedPlaces: number
	readonly damagedBytes: number
	/** What can be said without checking links, so never `cannot be checked`: `verifyChain` checks them. */
	readonly answer: ChainAnswer
	/** Records that are lost by gaps which the chain explains. */
	readonly recordsLost: number
	readonly head: ChainHead
}

/** The newest hash link: kept elsewhere, it makes a later truncation or rewrite detectable. */
export interface ChainHead {
	readonly chainId: string
	/** Which file of the chain it is in, from 0. */
	readonly segment: number
	readonly epoch: number
	/** The last record that the link covers; 0 for none. */
	readonly seq: number
	readonly offset: number
	/** SHA-256, in hexadecimal. */
	readonly link: string
}

/**
 * - `tornTail`: what a killed writer left. `unsynced`: what a power loss left. `notClosed`: there is no mark of a clean end.
 * - `damaged`: bytes that cannot be read. `ambiguous`: the same, and nothing can tell it from a power loss.
 * - `truncated`: what was on disk is gone. `missingFile`: a whole file is. `headMissing`: the head kept elsewhere is not there.
 * - `missing`: records are absent with nothing in their place.
 * - `brokenLink`, `wrongSeq`, `wrongAnchor`: everything verifies by itself, and does not fit together.
 * - `gap`: records whose absence the chain itself explains. `superseded`: written again in the next file. `stray`: written by a
 *   writer that had lost the chain. `repaired`: what `repairChain` did, and what cannot be checked for that reason.
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
 * One thing that `verifyChain` noticed. Severity: `note` is normal, after a crash for example; `loss` is explained by the chain
 * itself; `unchecked` is something that nothing is left to check against; `damage` is wrong.
 */
export interface VerifyFinding {
	readonly kind: VerifyFindingKind
	readonly severity: Severity
	readonly path: string
	readonly offset: number
	readonly bytes: number
	/** The records concerned, both inclusive, where they are known. */
	readonly fromSeq: number | undefined
	readonly toSeq: number | undefined
	readonly message: string
	readonly expected?: string
	readonly found?: string
}

export interface VerifyReport {
	/** Whether the answer is `ok` or `ok, records lost`. */
	readonly ok: boolean
	/** The answer that the heaviest finding gives. */
	readonly answer: ChainAnswer
	/** Records that the findings of severity `loss` stand for. */
	readonly recordsLost: number
	readonly records: number
	readonly frames: number
	readonly anchors: number
	readonly bytes: number
	/** The first 1,000 of each kind and severity, in the order of the chain. */
	readonly findings: readonly VerifyFinding[]
	/** How many more there are that `findings` does not list, by kind: `{ damaged: 23456 }`. Empty where all of them are listed. */
	readonly findingsNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	readonly head: ChainHead
}

/** What `repairChain` does, or would do, to one file. */
export interface RepairAction {
	/**
	 * `cut`: the bytes at the end are cut off. `rebuild`: the file is written anew with everything that can be read, and a `$gap` for
	 * everything that is missing.
	 */
	readonly action: 'cut' | 'rebuild'
	readonly path: string
	/** Where the first change is. */
	readonly offset: number
	/** Bytes that cannot be read. */
	readonly bytes: number
	/** Records that are lost: a `$gap` says so from now on. */
	readonly lostRecords: number
	/** Where what was there before is kept; undefined before it was done. */
	readonly keptAt: string | undefined
}

export interface RepairReport {
	readonly path: string
	readonly dryRun: boolean
	/** Empty when there was nothing to do. */
	readonly actions: readonly RepairAction[]
	/**
	 * Damage that is left as it is, because a person has to judge it: evidence of a change that somebody made, and files that are gone. The
	 * first 1,000 of each kind and severity.
	 */
	readonly left: readonly VerifyFinding[]
	/** How many more there are that `left` does not list, by kind. Empty where all of them are listed. */
	readonly leftNotListed: Readonly<Partial<Record<VerifyFindingKind, number>>>
	/** Records in the chain: before for a dry run, and afterwards otherwise. */
	readonly records: number
	/** What `verifyChain` reports: before for a dry run, and afterwards otherwise. */
	readonly ok: boolean
	readonly answer: ChainAnswer
	readonly recordsLost: number
}
