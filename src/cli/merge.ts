/** Implements `mesh-chain merge`, which merges the chains of several nodes into one history. */
import { answerFor, ChainBuilder } from '../chain/index.ts'
import { isStreamAddress } from '../cluster/is-stream-address.ts'
import { mergeChains } from '../merge/merge-chains.ts'
import type { MeshChainError } from '../model/errors.ts'
import { GAP_KIND, gapDataOf, type LogRecord } from '../model/record.ts'
import { counted } from '../text/numbers.ts'
import { STRICT_OPTION, statusFor } from './answer.ts'
import { chainPath } from './chain-path.ts'
import { type Command, usage } from './command.ts'
import { interruptedStatus, STATUS, statusTexts } from './exit-status.ts'
import { filtersWithout, selectionOf } from './filters.ts'
import { NATS_VARIABLES } from './nats-credentials.ts'
import { type OpenedHistories, openHistories } from './open-histories.ts'
import { COLOR_OPTION } from './output-options.ts'
import { printed, together } from './printable.ts'
import { tellEnds, textFormat } from './printing.ts'
import { StatusLine } from './progress.ts'
import { SelectedSource } from './selected-source.ts'
import type { Terminal } from './terminal.ts'

export const merge: Command = {
	name: 'merge',
	summary: 'merge several chains into one history',
	usage: 'FILE FILE... [options]',
	takesAddresses: true,
	examples: [
		[
			'mesh-chain merge a.chain b.chain --to cluster.chain',
			'creates one chain, ordered by time; the origin of each record identifies its chain',
		],
		[
			'mesh-chain merge node-*.chain -l warn -S -1h',
			'prints the warnings and errors of all nodes from the last hour',
		],
	],
	options: [
		// Seqs are not comparable across chains, and a merge runs only forward.
		...filtersWithout('from-seq', 'to-seq', 'reverse'),
		{ long: 'to', value: 'PATH', defaultText: 'stdout', help: 'path of the new chain' },
		STRICT_OPTION,
		COLOR_OPTION,
	],
	environment: NATS_VARIABLES,
	statuses: statusTexts({
		ok: 'the chains were merged; lost records that a chain accounts for are not errors',
		notOk: 'part of a chain is damaged or missing, or records are lost (with --strict)',
		failed: 'a chain or stream cannot be read, or the merged records cannot be written',
		interrupted: 'interrupted; no chain was created (with --to)',
	}),
	async run(invocation, terminal) {
		const { files } = invocation
		if (files.length === 0) throw tooFew()
		const selection = selectionOf(invocation, terminal.now())
		const path = invocation.text('to')
		if (path !== undefined) chainPath(path)
		const opened = await openHistories(files, terminal)
		try {
			const merged = mergeChains([opened.chain])
			if (isOneFile(opened)) throw tooFew()
			// A new chain without one of its sources would hide a loss.
			if (path !== undefined && opened.failure !== undefined) throw opened.failure
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
			if (await tellEnds(opened, terminal)) selected.severity = 'damage'
			return statusFor(answerFor([selected.severity]), invocation)
		} finally {
			await opened.chain.close()
		}
	},
}

function isOneFile({ histories: [first, ...more], failure }: OpenedHistories): boolean {
	return more.length === 0 && failure === undefined && !isStreamAddress(first?.name ?? '')
}

function tooFew(): MeshChainError {
	return usage('merge requires at least two chains, such as a.chain b.chain, or the address of a stream')
}

function repeatsText(repeats: number): string {
	return `${counted(repeats, 'repeat')} skipped, because a record in several chains is written only once`
}

/** Builds the merged chain. If interrupted, resolves to false and does not create a chain. */
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
				terminal.stderr.write(printed`mesh-chain: interrupted: ${path} was not created\n`)
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
		gaps.count === 0
			? ''
			: `, and ${counted(gaps.count, 'gap')} for ${counted(gaps.records, 'absent record')},`
	terminal.stderr.write(
		printed`mesh-chain: ${records} from ${counted(chains, 'chain')}${absent} written to ${path}\n`,
	)
	return true
}
