/** `mesh-chain pull`: the chains of a stream as files again. */
import type { PulledChain } from '../cluster/pull-chain.ts'
import { type Command, usage } from './command.ts'
import { count, counted } from './numbers.ts'
import { ACCESS_HELP, accessFrom, isStreamAddress, loadCluster } from './open-source.ts'
import { joined, printablePath, printed } from './printable.ts'
import { StatusLine } from './progress.ts'
import { STATUS, type Terminal } from './terminal.ts'

export const pull: Command = {
	name: 'pull',
	summary: 'make the chains of a stream of NATS files again',
	usage: 'ADDRESS -o FOLDER [options]',
	examples: [
		[
			'mesh-chain pull nats://127.0.0.1:4222/mesh -o cluster',
			'each node in a file of its own, cluster/NODE.chain; again, and only what is new comes',
		],
		[
			"mesh-chain pull 'nats://127.0.0.1:4222/mesh?node=api-1' -o cluster -q",
			'one node, and nothing is said',
		],
	],
	options: [
		{
			long: 'output',
			short: 'o',
			value: 'FOLDER',
			help: `where the chains are, or will be: made where it is not there; ${ACCESS_HELP}`,
		},
		{ long: 'quiet', short: 'q', help: 'say nothing of what went well' },
	],
	async run(invocation, terminal) {
		const { files } = invocation
		const [address, ...more] = files
		const folder = invocation.text('output')
		if (address === undefined || more.length > 0 || !isStreamAddress(address))
			throw usage('which stream? Name one, such as nats://127.0.0.1:4222/mesh')
		if (folder === undefined) throw usage('-o names the folder, as in -o cluster')
		const { pullStream } = await loadCluster()
		const line = new StatusLine(terminal)
		let came = 0
		const summary = await pullStream(address, folder, {
			...accessFrom(terminal.env),
			signal: terminal.interrupted(),
			onProgress: ({ records, chain, index, chains }) => {
				came = records
				line.show(
					printed`${counted(records, 'record')}, chain ${index} of ${chains}: ${printablePath(chain.path)}`,
				)
			},
		})
			.finally(() => line.end())
			.catch((error) => {
				if (came > 0) terminal.stderr.write(printed`mesh-chain: ${soFar(came)}\n`)
				throw error
			})
		const isQuiet = invocation.flag('quiet')
		for (const chain of summary.chains) tell(chain, isQuiet, terminal)
		if (summary.ended === 'aborted') {
			terminal.stderr.write(printed`mesh-chain: interrupted: ${soFar(summary.records)}\n`)
			return STATUS.usage
		}
		return summary.chains.some(isIncomplete) ? STATUS.damage : STATUS.fine
	},
}

function soFar(records: number): string {
	return `${counted(records, 'record')} came so far; the next pull goes on there`
}

/** What the stream removes by its limits is as it should be; what it has and cannot give is not. */
function isIncomplete({ unreadable, outOfOrder, forks }: PulledChain): boolean {
	return unreadable > 0 || outOfOrder > 0 || forks > 0
}

function tell(chain: PulledChain, isQuiet: boolean, terminal: Terminal): void {
	if (isQuiet && !isIncomplete(chain) && chain.superseded === 0) return
	const { path, records, fromSeq, toSeq, gaps, superseded, supersededPaths } = chain
	const { unreadable, outOfOrder, forks } = chain
	const range = fromSeq === undefined ? '' : ` (seq ${fromSeq} to ${toSeq})`
	const text = [
		`${counted(records, 'record')}${range} to ${path}`,
		gaps === 0 ? '' : counted(gaps, 'gap'),
		superseded === 0
			? ''
			: `${count(superseded)} superseded by a later epoch, in ${supersededPaths.join(' and ')}`,
		unreadable === 0 ? '' : `${counted(unreadable, 'message')} unreadable`,
		outOfOrder === 0 ? '' : `${counted(outOfOrder, 'record')} out of order`,
		forks === 0 ? '' : `${counted(forks, 'subject')} with another fork of the chain left out`,
	]
	terminal.stderr.write(printed`mesh-chain: ${joined(text, printed`, `)}\n`)
}
