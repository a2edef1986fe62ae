/** Implements `mesh-chain merge`: merges the chains of many nodes into one history. */
import { answerFor, type Chain, ChainBuilder } from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { count, counted } from '../text/numbers.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { chainPath } from './chain-path.ts'
import { type Command, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { filtersWithout, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-env.ts'
import { openHistory } from './open-source.ts'
import { COLOR_OPTION } from './output-options.ts'
import { printed, together } from './printable.ts'
import { tellEnd, textFormat } from './printing.ts'
import { StatusLine } from './progress.ts'
import { SelectedSource } from './selected-source.ts'
import type { Terminal } from './terminal.ts'

export const merge: Command = {
	name: 'merge',
	summary: 'make one history of several chains',
	usage: 'FILE FILE... [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain merge a.chain b.chain --to cluster.chain',
			'makes one chain, ordered by time; the origin of each record names its chain',
		],
		[
			'mesh-chain merge node-*.chain -l warn -S -1h',
			'prints the warnings and errors of all nodes in the last hour',
		],
	],
	options: [
		// The chains share no seqs, and a merge only runs forward.
		...filtersWithout('from-seq', 'to-seq', 'reverse'),
		{ long: 'to', value: 'PATH', defaultText: 'stdout', help: 'path of a new chain' },
		STRICT_OPTION,
		COLOR_OPTION,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'the chains were merged; also if a chain explains which records are lost',
		notOk: 'a part of a chain is damaged or missing; with --strict, also if records are lost',
		failed: 'a chain or stream cannot be read, or the merged records cannot be written',
		interrupted: 'interrupted: no chain was made (--to)',
	}),
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length < 2 && !files.some(isStreamAddress))
			throw usage('which files? Name two or more chains, such as a.chain b.chain')
		const selection = selectionOf(invocation, terminal.now())
		const path = invocation.text('to')
		if (path !== undefined) chainPath(path)
		const chains = await openAll(files, terminal)
		try {
			const merged = mergeChains(chains)
			const { reverse: _reverse, limit: _limit, ...query } = selection.query
			const selected = new SelectedSource(merged, selection, merged.chainId)
			const batches = selected.batches(query)
			if (path === undefined) {
				const format = textFormat(invocation, terminal)
				for await (const batch of batches) {
					await terminal.stdout.write(together(batch.map(format)))
					if (terminal.stdout.isClosed) return STATUS.ok
				}
			} else {
				const interrupted = terminal.interrupted()
				const isBuilt = await build(batches, path, merged.chains?.length ?? 1, terminal, interrupted)
				if (!isBuilt) return interruptedStatus(interrupted)
			}
			if (merged.repeats > 0) terminal.stderr.write(printed`mesh-chain: ${repeatsText(merged.repeats)}\n`)
			for (const [index, chain] of chains.entries()) {
				if (await tellEnd(chain, files[index]!, terminal)) selected.severity = 'damage'
			}
			return statusFor(answerFor([selected.severity]), invocation)
		} finally {
			await Promise.all(chains.map((chain) => chain.close()))
		}
	},
}

function repeatsText(repeats: number): string {
	return `${counted(repeats, 'record is', 'records are')} in more than one of the chains, and written once`
}

async function openAll(files: readonly string[], terminal: Terminal): Promise<Chain[]> {
	const chains: Chain[] = []
	try {
		for (const file of files) chains.push(await openHistory(file, terminal))
	} catch (error) {
		await Promise.all(chains.map((chain) => chain.close()))
		throw error
	}
	return chains
}

/** Builds the merged chain. Resolves to false after an interruption, when no chain was made. */
async function build(
	batches: AsyncIterable<readonly LogRecord[]>,
	path: string,
	chains: number,
	terminal: Terminal,
	interrupted: AbortSignal,
): Promise<boolean> {
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
			line.show(printed`${counted(seq - gaps.count, 'record')}`)
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
