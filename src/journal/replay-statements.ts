/** Replays journaled statements into another Postgres, and says which of them answer differently there. */
import { type Chain, checkChain } from '../chain/index.ts'
import { PgTarget, type PgTargetOptions } from './pg-target.ts'
import { replayAsRecorded } from './replay-as-recorded.ts'
import { replayInCommitOrder } from './replay-in-commit-order.ts'
import { type ReplayStatementsOptions, resolveStatementsOptions } from './replay-statements-options.ts'
import { StatementReplay } from './statement-replay.ts'
import type { StatementReport } from './statement-report.ts'

/**
 * Replays what {@link journalPg} recorded into another Postgres: by default whatever committed, one transaction after the other in the order of their
 * commits, each on a clean connection, with the parameters bound as they were. With `compare`, rows, checksums and errors are compared with the
 * recording.
 *
 * A statement that fails is counted and listed, and the replay goes on. Where the connection is lost, it is made again and the transaction replayed
 * from its beginning; one that was committing then is not repeated, for nobody can know whether it took effect.
 *
 * @param chain what `journalPg` recorded into; anything that can be asked for batches.
 * @returns what happened, also when the signal ended it.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER`, `INVALID_LEVEL` before anything is read or connected to; `TARGET_UNREACHABLE` where no
 * connection can be made at the beginning, also for an empty window; what the chain throws.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { replayStatements } from 'mesh-chain/journal'
 *
 * const chain = await openChain('node.chain')
 * const staging = { url: 'postgres://mesh@staging/shop' }
 * const wouldBe = await replayStatements(chain, staging, { dryRun: true }) // connects to nothing
 * console.log(wouldBe.replayed, wouldBe.skipped)
 * // await replayStatements(chain, staging, { compare: true }) does it, and says what answered differently
 * await chain.close()
 * ```
 */
export async function replayStatements(
	chain: Pick<Chain, 'batches'>,
	target: PgTargetOptions,
	options: ReplayStatementsOptions = {},
): Promise<StatementReport> {
	checkChain('a replay of statements needs a chain', chain, ['batches'])
	const resolved = resolveStatementsOptions(options)
	const into = new PgTarget(target, resolved.timeoutMs, resolved.connectMs)
	const replay = new StatementReplay(chain, into, resolved)
	const { signal } = resolved
	const onAbort = () => replay.abort()
	if (signal?.aborted) onAbort()
	signal?.addEventListener('abort', onAbort)
	try {
		if (!replay.isOver && !resolved.dryRun) await replay.connectFirst()
		await (resolved.mode === 'commit' ? replayInCommitOrder : replayAsRecorded)(replay)
	} finally {
		signal?.removeEventListener('abort', onAbort)
		await replay.close()
	}
	return replay.tally.report(replay.ending, replay.endedBy)
}
