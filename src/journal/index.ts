/** `mesh-chain/journal`: lists names, defines nothing. */
export type { JournalOptions, RedactParams } from './journal-options.ts'
export { journalPg } from './journal-pg.ts'
export {
	STATEMENT_KIND,
	type StatementData,
	type TransactionEnd,
	type Unreplayable,
	type WireValue,
} from './statement.ts'
