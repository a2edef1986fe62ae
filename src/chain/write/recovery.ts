/**
 * Decides what becomes of the end of a chain when a writer opens it: two tables, by evidence alone. Pure;
 * resume-chain.ts carries the decision out.
 *
 * First rule: bytes that a valid entry follows anywhere are never cut. Only a suffix without any valid entry
 * after it may be cut, and only where a killed process or a power loss explains it; it is kept aside first.
 * Everything else stays as it is, and the writer continues in a new file.
 *
 * Every possible evidence meets exactly one row of each table (test/chain/write/recovery.test.ts).
 */
import type { Watermark } from '../format/watermark.ts'

/** What can be seen of the end of a file. */
export interface Evidence {
	/**
	 * `whole`: the last byte ends an entry. `sealed`: that entry is an anchor which says that another file
	 * follows. `fragment`: the beginning of an entry whose rest is missing. `invalid`: bytes that are neither.
	 */
	readonly end: 'whole' | 'sealed' | 'fragment' | 'invalid'
	/** Unreadable bytes that valid entries follow. */
	readonly hole: boolean
	/**
	 * The watermark: everything below it is there (`reached`), or the file ends or cannot be read below it
	 * (`missed`).
	 */
	readonly watermark: 'none' | 'reached' | 'missed'
	/** Whether the machine was booted after the file was last written, as far as can be told. */
	readonly boot: 'same' | 'changed' | 'unknown'
}

/**
 * Whether everything below the watermark is in a file that can be read up to `validEnd` and holds the seqs
 * below `nextSeq`.
 */
export function watermarkEvidence(
	watermark: Watermark | undefined,
	{ segment }: { readonly segment: number },
	validEnd: number,
	nextSeq = Number.POSITIVE_INFINITY,
): Evidence['watermark'] {
	if (watermark === undefined) return 'none'
	if (watermark.seq >= nextSeq || watermark.segment > segment) return 'missed'
	return watermark.segment === segment && watermark.offset > validEnd ? 'missed' : 'reached'
}

/**
 * How the end of a chain was judged when it was opened.
 *
 * - `clean`: nothing is wrong. `sealed`: nothing is wrong, and another file follows.
 * - `torn`: the writer was killed during a write; nothing in it was ever committed.
 * - `unsyncedTail`, `unsyncedHole`: the machine stopped before the bytes were on disk; none was acknowledged
 *   as on disk.
 * - `truncated`: what was on disk is no longer in the file.
 * - `damaged`: bytes were changed.
 * - `ambiguous`: a power loss or damage explains it; the watermark or the boot id that could tell is missing.
 */
export type RecoveryVerdict =
	| 'clean'
	| 'sealed'
	| 'torn'
	| 'unsyncedTail'
	| 'unsyncedHole'
	| 'truncated'
	| 'damaged'
	| 'ambiguous'

type Pattern<T> = { readonly [K in keyof T]?: readonly T[K][] }
type Row<T, R> = readonly [pattern: Pattern<T>, result: R]

const present = ['none', 'reached'] as const

export const VERDICTS: readonly Row<Evidence, RecoveryVerdict>[] = [
	[{ end: ['whole'], hole: [false], watermark: present }, 'clean'],
	[{ end: ['sealed'], hole: [false], watermark: present }, 'sealed'],
	[{ end: ['fragment'], hole: [false], watermark: present }, 'torn'],
	[{ end: ['whole', 'sealed', 'fragment'], hole: [false], watermark: ['missed'] }, 'truncated'],
	[{ end: ['invalid'], hole: [false], watermark: ['missed'] }, 'damaged'],
	[{ end: ['invalid'], hole: [false], watermark: present, boot: ['same'] }, 'damaged'],
	[{ end: ['invalid'], hole: [false], watermark: ['reached'], boot: ['changed'] }, 'unsyncedTail'],
	[{ end: ['invalid'], hole: [false], watermark: ['none'], boot: ['changed'] }, 'ambiguous'],
	[{ end: ['invalid'], hole: [false], watermark: present, boot: ['unknown'] }, 'ambiguous'],
	[{ hole: [true], watermark: ['missed'] }, 'damaged'],
	[{ hole: [true], watermark: present, boot: ['same'] }, 'damaged'],
	[{ hole: [true], watermark: ['reached'], boot: ['changed'] }, 'unsyncedHole'],
	[{ hole: [true], watermark: ['none'], boot: ['changed'] }, 'ambiguous'],
	[{ hole: [true], watermark: present, boot: ['unknown'] }, 'ambiguous'],
]

/** What a writer may do. */
export interface Situation {
	readonly verdict: RecoveryVerdict
	/**
	 * `sole`: no other process can be writing this file. `takenOver`: the previous writer was judged dead, or
	 * its lock was removed, without proof from the kernel; it may resume.
	 */
	readonly writer: 'sole' | 'takenOver'
	readonly onDamage: 'rotate' | 'refuse'
}

/**
 * - `append`: continue in this file. `cut`: keep the suffix aside, cut it, and continue.
 * - `next`: leave this file as it is and continue in a new one.
 * - `move`: continue in a new file that begins where the hole does, with a copy of the entries that follow
 *   it.
 * - `refuse`: open nothing.
 */
export type Action = 'append' | 'cut' | 'next' | 'move' | 'refuse'

const killed = ['torn', 'unsyncedTail'] as const
const wrong = ['truncated', 'damaged', 'ambiguous'] as const

export const ACTIONS: readonly Row<Situation, Action>[] = [
	[{ verdict: ['clean'], writer: ['sole'] }, 'append'],
	[{ verdict: killed, writer: ['sole'] }, 'cut'],
	[{ verdict: ['clean', ...killed], writer: ['takenOver'] }, 'next'],
	[{ verdict: ['sealed'] }, 'next'],
	[{ verdict: ['unsyncedHole'] }, 'move'],
	[{ verdict: wrong, onDamage: ['rotate'] }, 'next'],
	[{ verdict: wrong, onDamage: ['refuse'] }, 'refuse'],
]

/** The rows of a table that match a case: exactly one. */
export function rowsFor<T extends object, R>(table: readonly Row<T, R>[], given: T): readonly Row<T, R>[] {
	return table.filter(([pattern]) =>
		(Object.keys(pattern) as (keyof T)[]).every((key) => pattern[key]?.includes(given[key])),
	)
}

export function verdictOf(evidence: Evidence): RecoveryVerdict {
	return rowsFor(VERDICTS, evidence)[0]![1]
}

export function actionFor(situation: Situation): Action {
	return rowsFor(ACTIONS, situation)[0]![1]
}
