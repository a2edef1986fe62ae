/**
 * Decides how a writer treats the end of a chain when it opens the chain. Two tables determine the decision
 * from the evidence, the lock and the option `onDamage`. Does no I/O; resume-chain.ts carries out the
 * decision.
 *
 * Main rule: bytes before a valid entry are never cut. Only unreadable bytes at the end of a file may be cut,
 * and only if they can be the result of a killed process or a power loss. They are first saved to another
 * file. In all other cases of missing or unreadable bytes, the file is left unchanged, and the writer
 * continues in a new file or refuses to open the chain.
 *
 * Every possible input of a table matches exactly one row of that table (test/chain/write/recovery.test.ts).
 */
import type { Watermark } from '../format/watermark.ts'

/** The observable facts about the end of a file. */
export interface Evidence {
	/**
	 * `whole`: the file ends with a complete entry. `sealed`: that entry is a sealing anchor, so another file
	 * follows. `fragment`: the file ends with the beginning of an entry. `invalid`: the file ends with other
	 * unreadable bytes.
	 */
	readonly end: 'whole' | 'sealed' | 'fragment' | 'invalid'
	/** Whether unreadable bytes precede valid entries. */
	readonly hole: boolean
	/**
	 * Whether the file reaches the watermark. `none`: there is no watermark. `reached`: everything below the
	 * watermark is in the file. `missed`: the file ends or is unreadable below the watermark.
	 */
	readonly watermark: 'none' | 'reached' | 'missed'
	/** Whether the machine was rebooted after the last write to the file, as far as can be determined. */
	readonly boot: 'same' | 'changed' | 'unknown'
}

/**
 * Compares the watermark with a file that is readable up to `validEnd` and contains the seqs below `nextSeq`.
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
 * The verdict of an opening on the end of a chain.
 *
 * - `clean`: nothing is wrong. `sealed`: nothing is wrong, and another file follows.
 * - `torn`: the writer was killed during a write. Nothing in that write was ever committed.
 * - `unsyncedTail`, `unsyncedHole`: the machine stopped before the bytes were on disk. They were never
 *   acknowledged as on disk.
 * - `truncated`: bytes that were on disk are no longer in the file.
 * - `damaged`: bytes were changed.
 * - `ambiguous`: the cause is either a power loss or damage. The watermark or the boot id, which would
 *   distinguish them, is missing.
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

/** The input of the action table. */
export interface Situation {
	readonly verdict: RecoveryVerdict
	/**
	 * `sole`: no other process can be writing this file. `takenOver`: the previous writer appears to be dead,
	 * or its lock file was removed, but nothing proves that it is gone. It may resume.
	 */
	readonly writer: 'sole' | 'takenOver'
	readonly onDamage: 'rotate' | 'refuse'
}

/**
 * The action that a writer takes.
 *
 * - `append`: continue in this file. `cut`: save the suffix to another file, cut it off, and continue in this
 *   file.
 * - `next`: leave this file unchanged and continue in a new one.
 * - `move`: continue in a new file that starts at the hole and contains a copy of the entries after the hole.
 * - `refuse`: do not open the chain.
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

/** Returns the rows of a table that match an input. For valid input, exactly one row matches. */
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
