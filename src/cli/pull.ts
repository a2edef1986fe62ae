/** Implements `mesh-chain pull`, which copies the chains in a NATS stream into files. */
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import type { PulledChain } from '../cluster/pull-chain.ts'
import { count, counted } from '../text/numbers.ts'
import { type Command, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { NATS_VARIABLES, natsAccess } from './nats-credentials.ts'
import { loadCluster } from './open-source.ts'
import { joined, printablePath, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import type { Terminal } from './terminal.ts'

export const pull: Command = {
	name: 'pull',
	summary: 'copy the chains in a NATS stream into files',
	usage: 'ADDRESS --to FOLDER [options]',
	examples: [
		[
			'mesh-chain pull nats://127.0.0.1:4222/mesh --to cluster',
			'writes the chain of each node to cluster/NODE.chain; the next pull adds only new records',
		],
		[
			"mesh-chain pull 'nats://127.0.0.1:4222/mesh?node=api-1' --to cluster -q",
			'pulls the chain of one node, and reports only problems',
		],
	],
	options: [
		{ long: 'to', value: 'FOLDER', help: 'folder for the chains; created if it does not exist' },
		{ long: 'quiet', short: 'q', help: 'report only problems' },
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'the files contain every record in the stream',
		notOk: 'messages are unreadable, records are out of order, or a subject contains a fork of its chain',
		failed: 'the stream cannot be read, or a file cannot be written',
		interrupted: 'interrupted; the next pull resumes from the same position',
	}),
	async run(invocation, terminal) {
		const { files } = invocation
		const [address, ...more] = files
		const folder = invocation.text('to')
		if (address === undefined || more.length > 0 || !isStreamAddress(address))
			throw usage('pull requires the address of one stream, such as nats://127.0.0.1:4222/mesh')
		if (folder === undefined) throw usage('--to is missing: name the folder, as in --to cluster')
		const { pullStream } = await loadCluster()
		const line = new StatusLine(terminal)
		const interrupted = terminal.interrupted()
		let pulled = 0
		const summary = await pullStream(address, folder, {
			...natsAccess(terminal.env),
			signal: interrupted,
			onProgress: ({ records, chain, index, chains }) => {
				pulled = records
				line.show(
					printed`${counted(records, 'record')}, chain ${index} of ${chains}: ${printablePath(chain.path)}`,
				)
			},
		})
			.finally(() => line.end())
			.catch((error) => {
				if (pulled > 0) terminal.stderr.write(printed`mesh-chain: ${soFarText(pulled)}\n`)
				throw error
			})
		const isQuiet = invocation.flag('quiet')
		for (const chain of summary.chains) tell(chain, isQuiet, terminal)
		if (summary.ended === 'aborted') {
			terminal.stderr.write(printed`mesh-chain: interrupted: ${soFarText(summary.records)}\n`)
			return interruptedStatus(interrupted)
		}
		return summary.chains.some(isIncomplete) ? STATUS.notOk : STATUS.ok
	},
}

function soFarText(records: number): string {
	return `${counted(records, 'record')} pulled so far; the next pull resumes from there`
}

/**
 * Returns whether a file lacks records. Records that the stream removed because of its limits are not
 * considered missing.
 */
function isIncomplete({ unreadable, outOfOrder, forks }: PulledChain): boolean {
	return unreadable > 0 || outOfOrder > 0 || forks > 0
}

function tell(chain: PulledChain, isQuiet: boolean, terminal: Terminal): void {
	if (isQuiet && !isIncomplete(chain) && chain.superseded === 0) return
	const { path, records, fromSeq, toSeq, gaps, superseded, supersededPaths } = chain
	const { unreadable, outOfOrder, forks } = chain
	const range = fromSeq === undefined ? '' : ` (seq ${fromSeq} to ${toSeq})`
	const text = [
		`${counted(records, 'record')}${range} written to ${path}`,
		gaps === 0 ? '' : counted(gaps, 'gap'),
		superseded === 0
			? ''
			: `${count(superseded)} superseded by a later epoch and moved to ${supersededPaths.join(' and ')}`,
		unreadable === 0 ? '' : `${counted(unreadable, 'message')} unreadable`,
		outOfOrder === 0 ? '' : `${counted(outOfOrder, 'record')} out of order`,
		forks === 0 ? '' : `${counted(forks, 'subject')} left out because of a fork of the chain`,
	]
	terminal.stderr.write(printed`mesh-chain: ${joined(text, printed`, `)}\n`)
}
