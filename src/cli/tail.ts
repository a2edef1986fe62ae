/** `mesh-chain tail`: the newest records of a chain, and what comes after them. */
import type { Chain, ChainQuery } from '../chain/index.ts'
import { isGap, type LogRecord } from '../model/record.ts'
import type { Command } from './command.ts'
import { FILTER_OPTIONS, type Selection, selectionOf } from './filters.ts'
import { openHistory } from './open-source.ts'
import { PRINT_OPTIONS, Printer } from './printing.ts'
import { splitAtEnd } from './split-at-end.ts'

const RECORDS_DEFAULT = 10

export const tail: Command = {
	name: 'tail',
	summary: 'print the newest records of a chain, and follow it',
	usage: 'FILE [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain tail node.chain', `the last ${RECORDS_DEFAULT} records`],
		[
			'mesh-chain tail node.chain -f -l warn',
			'the last warnings and errors, and whatever comes, until Ctrl-C',
		],
		['mesh-chain tail node.chain -f -n 0 -o ndjson | jq .message', 'only what comes, for another program'],
	],
	options: [
		...FILTER_OPTIONS.filter(({ long }) => long !== 'limit' && long !== 'reverse'),
		{
			long: 'limit',
			short: 'n',
			value: 'COUNT',
			help: `so many of the newest, ${RECORDS_DEFAULT} unless told`,
		},
		...PRINT_OPTIONS,
	],
	async run(invocation, terminal) {
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const count = invocation.count('limit') ?? RECORDS_DEFAULT
		const printer = new Printer(invocation, terminal, selection, Number.POSITIVE_INFINITY)
		// Before anything is printed: whoever has seen the newest records may press Ctrl-C.
		const interrupted = invocation.flag('follow') ? terminal.interrupted() : undefined
		const chain = await openHistory(file)
		try {
			const { before, after } = await splitAtEnd(chain)
			const newest = await newestRecords(before, selection.query, selection, count)
			// Those of a merged history have the seqs of a reading, which was backward.
			await printer.print(
				before.chains ? newest.map((record, index) => ({ ...record, seq: index + 1 })) : newest,
			)
			if (interrupted === undefined) return await printer.finish(chain)
			return await printer.follow(after, interrupted)
		} finally {
			await chain.close()
		}
	},
}

/** The last `count` records that are selected, oldest first, with the gaps between them. */
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
