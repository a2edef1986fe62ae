/** `mesh-chain merge`: the chains of many nodes as one history. */
import { answerFor, type Chain, ChainBuilder } from '../chain/index.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { type Command, usage } from './command.ts'
import { FILTER_OPTIONS, selectionOf } from './filters.ts'
import { count, counted } from './numbers.ts'
import { isStreamAddress, openHistory } from './open-source.ts'
import { printed, together } from './printable.ts'
import { tellEnd, textFormat } from './printing.ts'
import { StatusLine } from './progress.ts'
import { COLOR_OPTION } from './report-options.ts'
import { Selected } from './selected-source.ts'
import { chainNamed } from './targets.ts'
import { STATUS, type Terminal } from './terminal.ts'

/** Merged chains have no common seqs, and history goes forward. */
const WITHOUT = ['from-seq', 'to-seq', 'reverse']

export const merge: Command = {
	name: 'merge',
	summary: 'make one history of several chains',
	usage: 'FILE FILE... [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain merge a.chain b.chain -o cluster.chain',
			'by time; each record says by its origin whose it was',
		],
		['mesh-chain merge node-*.chain -l warn -S -1h', 'what went wrong anywhere in the last hour'],
	],
	options: [
		...FILTER_OPTIONS.filter(({ long }) => !WITHOUT.includes(long)),
		{ long: 'output', short: 'o', value: 'PATH', help: 'a chain that is not there yet; stdout unless told' },
		STRICT_OPTION,
		COLOR_OPTION,
	],
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length < 2 && !files.some(isStreamAddress))
			throw usage('which files? Name two chains or more, such as a.chain b.chain')
		const selection = selectionOf(invocation, terminal.now())
		const path = invocation.text('output')
		if (path !== undefined) chainNamed(path)
		const chains = await openAll(files)
		try {
			const merged = mergeChains(chains)
			const { reverse: _reverse, limit: _limit, ...query } = selection.query
			const selected = new Selected(merged, selection, merged.chainId)
			const batches = selected.batches(query)
			if (path === undefined) {
				const format = textFormat(invocation, terminal)
				for await (const batch of batches) {
					await terminal.stdout.write(together(batch.map(format)))
					if (terminal.stdout.isClosed) return STATUS.fine
				}
			} else if (!(await build(batches, path, merged.chains?.length ?? 1, terminal))) return STATUS.usage
			if (merged.repeats > 0) terminal.stderr.write(printed`mesh-chain: ${repeated(merged.repeats)}\n`)
			for (const [index, chain] of chains.entries()) {
				if (await tellEnd(chain, files[index]!, terminal)) selected.severity = 'damage'
			}
			return statusFor(answerFor([selected.severity]), invocation)
		} finally {
			await Promise.all(chains.map((chain) => chain.close()))
		}
	},
}

function repeated(repeats: number): string {
	const records = repeats === 1 ? '1 record was' : `${count(repeats)} records were`
	return `${records} in more than one of the chains, and given once`
}

async function openAll(files: readonly string[]): Promise<Chain[]> {
	const chains: Chain[] = []
	try {
		for (const file of files) chains.push(await openHistory(file))
	} catch (error) {
		await Promise.all(chains.map((chain) => chain.close()))
		throw error
	}
	return chains
}

/** Whether the chain was made: an interruption leaves nothing. */
async function build(
	batches: AsyncIterable<readonly LogRecord[]>,
	path: string,
	chains: number,
	terminal: Terminal,
): Promise<boolean> {
	const interrupted = terminal.interrupted()
	const builder = new ChainBuilder(path)
	const line = new StatusLine(terminal)
	let seq = 0
	const gaps = { count: 0, records: 0 }
	try {
		for await (const batch of batches) {
			if (interrupted.aborted) {
				terminal.stderr.write(printed`mesh-chain: interrupted: ${path} was not made\n`)
				return false
			}
			for (const record of batch) {
				builder.push({ ...record, seq: ++seq })
				if (record.kind !== GAP_KIND) continue
				gaps.count++
				gaps.records += gapDataOf(record.data)?.count ?? 0
			}
			line.show(printed`${count(seq - gaps.count)} records`)
		}
		builder.finish()
	} finally {
		line.end()
		builder.discard()
	}
	const records = counted(seq - gaps.count, 'record')
	const absent =
		gaps.count === 0 ? '' : `, and ${counted(gaps.count, 'gap')} for ${count(gaps.records)} absent`
	terminal.stderr.write(printed`mesh-chain: ${records} of ${counted(chains, 'chain')}${absent} in ${path}\n`)
	return true
}
