/**
 * The four answers to the question whether a chain is as its writers left it. This file alone decides which
 * one applies: `verifyChain`, `repairChain`, `Chain.info` and the exit statuses of the commands derive theirs
 * from here.
 *
 * Invariant: the answer is that of the most severe finding. Nothing that a file says of itself (a `repaired`
 * anchor, a `$gap`, a `kept from`) makes another finding less severe.
 */

import { GAP_KIND, type GapData, isGap, type LogRecord } from '../model/record.ts'
import { processWide } from '../platform/process-wide.ts'

/**
 * How severe a finding is, lightest first. `note`: normal, for example after a crash. `loss`: records are
 * lost, and the chain itself says so. `unchecked`: the evidence that could show whether it is right is gone.
 * `damage`: it is wrong.
 */
export const SEVERITIES = ['note', 'loss', 'unchecked', 'damage'] as const
export type Severity = (typeof SEVERITIES)[number]

/**
 * Whether a chain is as its writers left it.
 *
 * - `ok`: everything fits.
 * - `ok, records lost`: everything fits, and the chain explains what is missing.
 * - `cannot be checked`: a repair or retention has removed what would be needed, and nothing else is wrong.
 * - `not ok`: something is damaged, missing without an explanation, or was changed.
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

/** The answer for several chains as one. */
export function heaviestAnswer(answers: readonly ChainAnswer[]): ChainAnswer {
	return answerFor(SEVERITIES.filter((severity) => answers.includes(ANSWERS[severity])))
}

export function heavier(a: Severity, b: Severity): Severity {
	return SEVERITIES.indexOf(b) > SEVERITIES.indexOf(a) ? b : a
}

/** Whether nothing is wrong, and nothing was left unchecked. */
export function isOk(answer: ChainAnswer): boolean {
	return answer === 'ok' || answer === 'ok, records lost'
}

/** Causes of a gap that lose nothing of the chain itself. */
const NO_LOSS: readonly unknown[] = ['retained', 'lagged', 'notImported'] satisfies GapData['cause'][]

/** The severity of a gap that the chain explains by this cause. */
export function severityOfCause(cause: unknown): 'note' | 'loss' {
	return NO_LOSS.includes(cause) ? 'note' : 'loss'
}

/**
 * The severity of gaps whose own data does not say it: those that a reader made because the chain does not
 * say why records are missing, and those of a chain that was merged with others.
 */
const severities = processWide('gap-severities', () => new WeakMap<LogRecord, Severity>())

/** Marks a gap as one that nothing in the chain explains. */
export function asUnexplained<T extends LogRecord>(gap: T): T {
	severities.set(gap, 'damage')
	return gap
}

/** Gives a changed gap the severity that it had before. */
export function explainedAs<T extends LogRecord>(gap: LogRecord, changed: T): T {
	if (gap.kind === GAP_KIND) severities.set(changed, severityOfRecord(gap))
	return changed
}

/**
 * The severity of a `$gap` record; `note` for any other record. A `$gap` with an origin in a file is an
 * ordinary record: it belongs to the chain that it was merged from, and nothing is lost in this one.
 */
export function severityOfRecord(record: LogRecord): Severity {
	if (record.kind !== GAP_KIND) return 'note'
	const known = severities.get(record)
	if (known !== undefined) return known
	return isGap(record) ? severityOfCause((record.data as Partial<GapData> | null | undefined)?.cause) : 'note'
}
