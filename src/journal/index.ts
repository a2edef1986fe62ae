/** Entry point `mesh-chain/journal`. Contains only re-exports. */
export type { JournalOptions, RedactParams } from './journal-options.ts'
export { journalPg } from './journal-pg.ts'
export type { PgTargetOptions } from './pg-target.ts'
export { replayStatements } from './replay-statements.ts'
export type { ReplayStatementsOptions } from './replay-statements-options.ts'
export {
	STATEMENT_KIND,
	type StatementData,
	type TransactionEnd,
	type Unreplayable,
	type WireValue,
} from './statement.ts'
export type {
	DifferedStatement,
	FailedStatement,
	StatementPosition,
	StatementProgress,
	StatementReport,
	StatementSkipReason,
	UnreplayableStatement,
} from './statement-report.ts'
