/**
 * Implements `mesh-chain tail`, which prints the newest records of a chain, and then new records as they are
 * written.
 */
import type { Chain, ChainQuery } from '../chain/index.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import type { Command } from './command.ts'
import { filtersWithout, type Selection, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { openHistories } from './open-histories.ts'
import { PRINT_OPTIONS, PRINT_STATUSES, Printer } from './printing.ts'
import { splitAtEnd } from './split-at-end.ts'

const RECORDS_DEFAULT = 10

export const tail: Command = {
	name: 'tail',
	summary: 'print the newest records of one or several chains, and follow new records',
	usage: 'FILE... [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain tail node.chain', `prints the last ${RECORDS_DEFAULT} records`],
		[
			'mesh-chain tail node.chain -f -l warn',
			'prints the last warnings and errors, then new ones until Ctrl-C',
		],
		[
			'mesh-chain tail node.chain -f -n 0 -o ndjson | jq .message',
			'pipes only new records to another program',
		],
	],
	options: [
		...filtersWithout('limit', 'reverse'),
		{
			long: 'limit',
			short: 'n',
			value: 'COUNT',
			default: String(RECORDS_DEFAULT),
			help: 'number of newest records to print',
		},
		...PRINT_OPTIONS,
	],
	environment: NATS_VARIABLES,
	statuses: PRINT_STATUSES,
	async run(invocation, terminal) {
		const files = invocation.someFiles
		const selection = selectionOf(invocation, terminal.now())
		const count = invocation.count('limit') ?? RECORDS_DEFAULT
		const printer = new Printer(invocation, terminal, selection, Number.POSITIVE_INFINITY)
		// The handler is installed before any output, because a user may press Ctrl-C as soon as records
		// appear.
		const interrupted = invocation.flag('follow') ? terminal.interrupted() : undefined
		const opened = await openHistories(files, terminal)
		const { chain } = opened
		try {
			const { before, after } = await splitAtEnd(chain)
			const newest = await newestRecords(before, selection.query, selection, count)
			// The seqs of a merged chain are valid for only one read. This read ran backwards, so the records are
			// renumbered.
			await printer.print(
				before.chains ? newest.map((record, index) => ({ ...record, seq: index + 1 })) : newest,
			)
			if (interrupted === undefined) return await printer.finish(opened)
			return await printer.follow(after, opened, interrupted)
		} finally {
			await chain.close()
		}
	},
}

/** Returns the last `count` selected records and the gaps between them, oldest first. */
async function newestRecords(
	chain: Chain,
	query: ChainQuery,
	{ matches }: Selection,
	count: number,
): Promise<LogRecord[]> {
	const newest: LogRecord[] = []
	if (count === 0) return newest
	let left = count
	for await (const batch of chain.batches({ ...query, reverse: true })) {
		for (const record of batch) {
			if (!matches(record)) continue
			newest.push(record)
			if (!isGap(record) && --left === 0) return newest.reverse()
		}
	}
	return newest.reverse()
}
