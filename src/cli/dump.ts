/** `mesh-chain dump`: the records of a chain, for people or for programs. */
import { type Command, usage } from './command.ts'
import { FILTER_OPTIONS, selectionOf } from './filters.ts'
import { openHistory } from './open-source.ts'
import { PRINT_OPTIONS, Printer } from './printing.ts'
import { SESSION_OPTIONS, withinSession } from './session-range.ts'
import { splitAtEnd } from './split-at-end.ts'
import { STATUS } from './terminal.ts'

export const dump: Command = {
	name: 'dump',
	summary: 'print the records of a chain',
	usage: 'FILE [options]',
	takesAddresses: true,
	examples: [
		['mesh-chain dump node.chain', 'everything, oldest first'],
		['mesh-chain dump node.chain -l warn -S -1h', 'warnings and errors of the last hour'],
		['mesh-chain dump node.chain -k order.created,order.failed -g u-17', 'two kinds, of one user'],
		['mesh-chain dump node.chain -r -n 20', 'the last 20 records, newest first'],
		[
			'mesh-chain dump node.chain -o ndjson | jq \'select(.level == "error")\'',
			'JSON lines for another program',
		],
	],
	options: [...FILTER_OPTIONS, ...SESSION_OPTIONS, ...PRINT_OPTIONS],
	async run(invocation, terminal) {
		const { file } = invocation
		const selection = selectionOf(invocation, terminal.now())
		const follows = invocation.flag('follow')
		if (follows && selection.query.reverse) {
			throw usage('--follow goes forward and --reverse backward: choose one')
		}
		if (follows && (invocation.text('session') !== undefined || invocation.texts('between').length > 0)) {
			throw usage('a session that is over cannot be followed: leave out --follow')
		}
		const printer = new Printer(invocation, terminal, selection, selection.limit)
		const chain = await openHistory(file)
		try {
			const query = await withinSession(chain, invocation, selection.query)
			if (!follows) {
				await printer.printAll(chain, query)
				return await printer.finish(chain)
			}
			const interrupted = terminal.interrupted()
			const { before, after } = await splitAtEnd(chain)
			await printer.printAll(before, query, interrupted)
			return printer.isDone ? STATUS.fine : await printer.follow(after, interrupted)
		} finally {
			await chain.close()
		}
	},
}
