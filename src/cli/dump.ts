/** Implements `mesh-chain dump`, which prints the records of a chain for people or programs. */
import { type Command, usage } from './command.ts'
import { STATUS } from './exit-status.ts'
import { FILTER_OPTIONS, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { openHistories } from './open-histories.ts'
import { PRINT_OPTIONS, PRINT_STATUSES, Printer } from './printing.ts'
import { SESSION_OPTIONS, withinSession } from './session-range.ts'
import { splitAtEnd } from './split-at-end.ts'

export const dump: Command = {
	name: 'dump',
	summary: 'print the records of one chain, or of several in time order',
	usage: 'FILE... [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain dump node.chain', 'prints all records, oldest first'],
		['mesh-chain dump node.chain -l warn -S -1h', 'prints the warnings and errors from the last hour'],
		[
			'mesh-chain dump node.chain -k order.created,order.failed -g u-17',
			'prints records of two kinds that mention one user',
		],
		['mesh-chain dump cluster/ -S -1h', 'prints the last hour of all chains in a folder'],
		['mesh-chain dump node.chain -r -n 20', 'prints the last 20 records, newest first'],
		[
			'mesh-chain dump node.chain -o ndjson | jq \'select(.level == "error")\'',
			'pipes the records to another program as JSON Lines',
		],
	],
	options: [...FILTER_OPTIONS, ...SESSION_OPTIONS, ...PRINT_OPTIONS],
	environment: NATS_VARIABLES,
	statuses: PRINT_STATUSES,
	async run(invocation, terminal) {
		const files = invocation.someFiles
		const selection = selectionOf(invocation, terminal.now())
		const follows = invocation.flag('follow')
		if (follows && selection.query.reverse)
			throw usage('--follow cannot be combined with --reverse, because new records would come last')
		if (follows && (invocation.isGiven('session') || invocation.isGiven('between')))
			throw usage('--follow cannot be combined with --session or --between, because they select past records')
		const printer = new Printer(invocation, terminal, selection, selection.limit)
		const opened = await openHistories(files, terminal)
		const { chain } = opened
		try {
			const query = await withinSession(chain, invocation, selection.query)
			if (!follows) {
				await printer.printAll(chain, query)
				return await printer.finish(opened)
			}
			const interrupted = terminal.interrupted()
			const { before, after } = await splitAtEnd(chain)
			await printer.printAll(before, query, interrupted)
			return printer.isDone ? STATUS.ok : await printer.follow(after, opened, interrupted)
		} finally {
			await chain.close()
		}
	},
}
