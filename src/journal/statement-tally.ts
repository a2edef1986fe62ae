/** Compares answers with the recording, and counts the results of a statement replay. */
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

/** SQLSTATE that the server returns for each statement that follows an error in its transaction. */
const IN_FAILED_TRANSACTION = '25P02'
const TEXT_MAX = 1000

/** The outcome of a statement. */
export type Verdict =
	| { readonly is: 'replayed' }
	| { readonly is: 'afterError' }
	| { readonly is: 'failed'; readonly failed: FailedStatement }
	| { readonly is: 'differed'; readonly differed: DifferedStatement }

/**
 * Compares an answer with the recording.
 *
 * @param options.isAfterError Whether an earlier statement of the transaction failed in the replay but not in
 * the recording.
 */
export function judge(
	recorded: Recorded,
	{ data: actual, isLost, lostBy }: Answer,
	{ compare, isAfterError }: { readonly compare: boolean; readonly isAfterError: boolean },
): Verdict {
	const { data: expected } = recorded
	if (isLost || actual === undefined) return failed(recorded, { error: lostBy })
	const { error } = actual
	if (isAfterError && isConsequence(expected, actual)) return { is: 'afterError' }
	if (error !== undefined && expected.error === undefined)
		return failed(recorded, { code: error.code, error: error.message })
	const difference = compare ? differenceOf(expected, actual) : undefined
	if (difference === undefined) return { is: 'replayed' }
	return { is: 'differed', differed: { ...positionOf(recorded), ...difference } }
}

/** Details of a failed statement. Default: no SQLSTATE, and a known outcome. */
type Failure = Pick<FailedStatement, 'error'> & Partial<Pick<FailedStatement, 'code' | 'isUnknown'>>

/** Returns the verdict on a failed statement. */
export function failed(recorded: Recorded, why: Failure): Verdict {
	return { is: 'failed', failed: { ...positionOf(recorded), code: null, isUnknown: false, ...why } }
}

/**
 * Returns whether an answer is a consequence of an earlier error, for example if the server answered a
 * `COMMIT` with `ROLLBACK`.
 */
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
	// If a cursor was not read to its end, the recording contains only some of its rows.
	if (was !== null || expected.commands.length === 0) return undefined
	if (expected.rows !== actual.rows) return { what: 'rows', expected: expected.rows, actual: actual.rows }
	if (expected.checksum === actual.checksum) return undefined
	return { what: 'checksum', expected: expected.checksum, actual: actual.checksum }
}

/**
 * Returns the SQLSTATE, null if there is no error, or `'unknown'` for an error without a SQLSTATE, such as
 * one from node-postgres.
 */
function codeOf({ error }: StatementData): string | null {
	return error === undefined ? null : (error.code ?? 'unknown')
}

function positionOf({ data: { tx, seq, text }, seq: recordSeq }: Recorded): StatementPosition {
	return { tx, seq, recordSeq, text: text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text }
}

/** The counters and lists of a replay. */
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

	/** Whether any statement has failed. */
	get hasFailures(): boolean {
		return this.#counts.failures > 0
	}

	/** Counts a record if it is a gap. Returns whether it is a gap. */
	countGap({ kind, data }: LogRecord): boolean {
		if (kind !== GAP_KIND) return false
		this.#gaps.count++
		this.#gaps.records += gapDataOf(data)?.count ?? 0
		return true
	}

	/** Counts statements that are not replayed. */
	countSkipped(reason: StatementSkipReason, count: number): void {
		this.#skipped[reason] = (this.#skipped[reason] ?? 0) + count
	}

	/** Counts a statement that prevented the replay of its transaction. */
	readonly countUnreplayable = (statement: Recorded, why: UnreplayableStatement['why']): void => {
		this.#counts.unreplayables++
		this.#list(this.#unreplayable, { ...positionOf(statement), why })
	}

	/** Counts a transaction. */
	countTransaction(): void {
		this.#counts.transactions++
	}

	/** Counts replayed statements. */
	countReplayed(count: number): void {
		this.#counts.replayed += count
	}

	/** Counts a verdict. */
	count(verdict: Verdict): void {
		switch (verdict.is) {
			case 'afterError':
				this.countSkipped('afterError', 1)
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

	/** Reports progress if the progress interval has passed. */
	progress({ seq, tsMs }: Pick<Recorded, 'seq' | 'tsMs'>): void {
		const { onProgress, progressIntervalMs, clock } = this.#options
		if (onProgress === undefined || clock.now() - this.#toldMs < progressIntervalMs) return
		this.#toldMs = clock.now()
		const { replayed, failures, differences } = this.#counts
		discard(onProgress({ replayed, failures, differences, seq, tsMs }))
	}

	/** Returns the report. */
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
