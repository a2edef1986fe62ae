/** What a replay of statements counts on its way, and how a statement's answer compares with the recorded one. */

import { discard } from '../guard/promises.ts'
import type { MeshChainError } from '../model/errors.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import type { Answer } from './pg-target.ts'
import type { ResolvedStatementsOptions } from './replay-statements-options.ts'
import type { StatementData } from './statement.ts'
import type {
	DifferedStatement,
	FailedStatement,
	StatementPosition,
	StatementReport,
	StatementSkipReason,
	UnreplayableStatement,
} from './statement-report.ts'
import type { Recorded } from './transactions.ts'

/** The answer to everything in a transaction after an error. */
const IN_FAILED_TRANSACTION = '25P02'
const TEXT_MAX = 1000

export type Verdict =
	| { readonly is: 'replayed' }
	| { readonly is: 'afterError' }
	| { readonly is: 'failed'; readonly failed: FailedStatement }
	| { readonly is: 'differed'; readonly differed: DifferedStatement }

/** @param isAfterError a statement of the same transaction failed, and had not when it was recorded. */
export function judge(
	recorded: Recorded,
	{ data: actual, isLost, lostBy }: Answer,
	{ compare, isAfterError }: { readonly compare: boolean; readonly isAfterError: boolean },
): Verdict {
	const { data: expected } = recorded
	if (isLost || actual === undefined) return failed(recorded, null, lostBy)
	const { error } = actual
	if (isAfterError && isConsequence(expected, actual)) return { is: 'afterError' }
	if (error !== undefined && expected.error === undefined) return failed(recorded, error.code, error.message)
	const difference = compare ? differenceOf(expected, actual) : undefined
	if (difference === undefined) return { is: 'replayed' }
	return { is: 'differed', differed: { ...placeOf(recorded), ...difference } }
}

export function failed(recorded: Recorded, code: string | null, error: string, isUnknown = false): Verdict {
	return { is: 'failed', failed: { ...placeOf(recorded), code, error, isUnknown } }
}

/** Of an error before it: also a `COMMIT` that is answered with `ROLLBACK`. */
function isConsequence(expected: StatementData, actual: StatementData): boolean {
	if (actual.error !== undefined)
		return actual.error.code === IN_FAILED_TRANSACTION && expected.error?.code !== IN_FAILED_TRANSACTION
	return actual.commands.at(-1) === 'ROLLBACK' && expected.commands.at(-1) === 'COMMIT'
}

function differenceOf(
	expected: StatementData,
	actual: StatementData,
): Pick<DifferedStatement, 'what' | 'expected' | 'actual'> | undefined {
	const [was, is] = [codeOf(expected), codeOf(actual)]
	if (was !== is) return { what: 'error', expected: was, actual: is }
	// Of what a cursor did not read to its end, only a part is known.
	if (was !== null || expected.commands.length === 0) return undefined
	if (expected.rows !== actual.rows) return { what: 'rows', expected: expected.rows, actual: actual.rows }
	if (expected.checksum === actual.checksum) return undefined
	return { what: 'checksum', expected: expected.checksum, actual: actual.checksum }
}

/** Null for no error. One without a SQLSTATE is node-postgres' own. */
function codeOf({ error }: StatementData): string | null {
	return error === undefined ? null : (error.code ?? 'unknown')
}

function placeOf({ data: { tx, seq, text }, seq: recordSeq }: Recorded): StatementPosition {
	return { tx, seq, recordSeq, text: text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text }
}

export class StatementTally {
	readonly #options: ResolvedStatementsOptions
	readonly #begunMs: number
	readonly #counts = {
		replayed: 0,
		transactions: 0,
		failures: 0,
		unknown: 0,
		differences: 0,
		unreplayables: 0,
	}
	readonly #skipped: Partial<Record<StatementSkipReason, number>> = {}
	readonly #gaps = { count: 0, records: 0 }
	readonly #differed: DifferedStatement[] = []
	readonly #failed: FailedStatement[] = []
	readonly #unreplayable: UnreplayableStatement[] = []
	#firstError: string | undefined
	#toldMs: number
	retries = 0
	reconnects = 0

	constructor(options: ResolvedStatementsOptions) {
		this.#options = options
		this.#begunMs = options.clock.now()
		this.#toldMs = this.#begunMs
	}

	get hasFailures(): boolean {
		return this.#counts.failures > 0
	}

	gap({ kind, data }: LogRecord): boolean {
		if (kind !== GAP_KIND) return false
		this.#gaps.count++
		this.#gaps.records += gapDataOf(data)?.count ?? 0
		return true
	}

	skip(reason: StatementSkipReason, count: number): void {
		this.#skipped[reason] = (this.#skipped[reason] ?? 0) + count
	}

	readonly unreplayable = (statement: Recorded, why: UnreplayableStatement['why']): void => {
		this.#counts.unreplayables++
		this.#list(this.#unreplayable, { ...placeOf(statement), why })
	}

	transaction(): void {
		this.#counts.transactions++
	}

	replayed(count: number): void {
		this.#counts.replayed += count
	}

	take(verdict: Verdict): void {
		switch (verdict.is) {
			case 'afterError':
				this.skip('afterError', 1)
				break
			case 'failed':
				this.#fail(verdict.failed)
				break
			case 'differed':
				this.#counts.differences++
				this.#list(this.#differed, verdict.differed)
				this.#counts.replayed++
				break
			case 'replayed':
				this.#counts.replayed++
		}
	}

	progress({ seq, tsMs }: Pick<Recorded, 'seq' | 'tsMs'>): void {
		const { onProgress, progressIntervalMs, clock } = this.#options
		if (onProgress === undefined || clock.now() - this.#toldMs < progressIntervalMs) return
		this.#toldMs = clock.now()
		const { replayed, failures, differences } = this.#counts
		discard(onProgress({ replayed, failures, differences, seq, tsMs }))
	}

	report(ended: StatementReport['ended'], by: MeshChainError | undefined): StatementReport {
		const { from, to, clock } = this.#options
		return {
			...this.#counts,
			skipped: { ...this.#skipped },
			gaps: { ...this.#gaps },
			retries: this.retries,
			reconnects: this.reconnects,
			differed: this.#differed,
			failed: this.#failed,
			unreplayable: this.#unreplayable,
			firstError: this.#firstError ?? null,
			from,
			to,
			ended,
			endedBy: by === undefined ? null : { code: by.code, message: by.message },
			elapsedMs: clock.now() - this.#begunMs,
		}
	}

	#fail(statement: FailedStatement): void {
		this.#counts.failures++
		if (statement.isUnknown) this.#counts.unknown++
		this.#firstError ??= `tx ${statement.tx} seq ${statement.seq}: ${statement.error}`
		this.#list(this.#failed, statement)
	}

	#list<T>(list: T[], entry: T): void {
		if (list.length < this.#options.listMax) list.push(entry)
	}
}
