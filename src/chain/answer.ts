/**
 * Defines the four possible answers of a verification. An answer states whether a chain is as its writers
 * left it. Only this file decides which answer applies. `verifyChain`, `repairChain`, `Chain.info` and the
 * exit statuses of the commands rely on it.
 *
 * Invariant: the most severe finding determines the answer. Nothing that a file contains (a `repaired`
 * anchor, a `$gap`, a `kept from`) makes another finding less severe.
 */
import { GAP_KIND, type GapData, isGap, type LogRecord } from '../model/record.ts'
import { processWide } from '../platform/process-wide.ts'

/**
 * Severities of findings, from the least to the most severe. `note`: normal, for example after a crash.
 * `loss`: records are lost, and the chain itself records the loss. `unchecked`: the evidence needed to decide
 * is gone. `damage`: something is wrong.
 */
export const SEVERITIES = ['note', 'loss', 'unchecked', 'damage'] as const
export type Severity = (typeof SEVERITIES)[number]

/**
 * Whether a chain is as its writers left it.
 *
 * - `ok`: everything is consistent.
 * - `ok, records lost`: everything is consistent, and the chain itself shows which records are missing.
 * - `cannot be checked`: a repair or retention has removed the evidence, and nothing else is wrong.
 * - `not ok`: something is damaged, changed, or missing without a recorded reason.
 */
export type ChainAnswer = 'ok' | 'ok, records lost' | 'cannot be checked' | 'not ok'

const ANSWERS: Readonly<Record<Severity, ChainAnswer>> = {
	note: 'ok',
	loss: 'ok, records lost',
	unchecked: 'cannot be checked',
	damage: 'not ok',
}

export function answerFor(severities: Iterable<Severity>): ChainAnswer {
	let heaviest: Severity = 'note'
	for (const each of severities) heaviest = heavier(heaviest, each)
	return ANSWERS[heaviest]
}

/** Returns the most severe of several chains' answers. */
export function heaviestAnswer(answers: readonly ChainAnswer[]): ChainAnswer {
	return answerFor(SEVERITIES.filter((severity) => answers.includes(ANSWERS[severity])))
}

export function heavier(a: Severity, b: Severity): Severity {
	return SEVERITIES.indexOf(b) > SEVERITIES.indexOf(a) ? b : a
}

/** Returns whether nothing is wrong and everything was checked. */
export function isOk(answer: ChainAnswer): boolean {
	return answer === 'ok' || answer === 'ok, records lost'
}

/** Causes of gaps that are not losses. */
const NO_LOSS: readonly unknown[] = ['retained', 'lagged', 'notImported'] satisfies GapData['cause'][]

/** Returns the severity of a gap with this cause. */
export function severityOfCause(cause: unknown): 'note' | 'loss' {
	return NO_LOSS.includes(cause) ? 'note' : 'loss'
}

/**
 * Severities of gaps whose data does not determine the severity: gaps that a reader created because the chain
 * does not record why records are missing, and gaps from merged chains.
 */
const severities = processWide('gap-severities', () => new WeakMap<LogRecord, Severity>())

/** Marks a gap as not recorded in the chain. */
export function asUnexplained<T extends LogRecord>(gap: T): T {
	severities.set(gap, 'damage')
	return gap
}

/** Assigns the severity of a gap to a changed copy of it. */
export function explainedAs<T extends LogRecord>(gap: LogRecord, changed: T): T {
	if (gap.kind === GAP_KIND) severities.set(changed, severityOfRecord(gap))
	return changed
}

/**
 * Returns the severity of a `$gap` record; `note` for any other record. A `$gap` that has an origin and was
 * read from a file is an ordinary record: the loss occurred in the chain that the record came from, not in
 * this one.
 */
export function severityOfRecord(record: LogRecord): Severity {
	if (record.kind !== GAP_KIND) return 'note'
	const known = severities.get(record)
	if (known !== undefined) return known
	return isGap(record) ? severityOfCause((record.data as Partial<GapData> | null | undefined)?.cause) : 'note'
}
