/** Replays recorded statements into another Postgres server, and reports the answers that differ. */
import { type Chain, checkChain } from '../chain/index.ts'
import { PgTarget, type PgTargetOptions } from './pg-target.ts'
import { replayAsRecorded } from './replay-as-recorded.ts'
import { replayInCommitOrder } from './replay-in-commit-order.ts'
import { type ReplayStatementsOptions, resolveStatementsOptions } from './replay-statements-options.ts'
import { StatementReplay } from './statement-replay.ts'
import type { StatementReport } from './statement-report.ts'

/**
 * Replays the statements from a {@link journalPg} recording into another Postgres server. By default, all
 * committed transactions that are not read-only are replayed with the recorded parameters, one at a time in
 * commit order, each on a clean connection. With `compare`, read-only transactions are also replayed, and
 * rows, checksums and errors are compared with the recording.
 *
 * A failed statement is counted and listed, and the replay continues. A lost connection is replaced, and in
 * `commit` mode, the interrupted transaction is replayed from the start. However, if the connection is lost
 * during the commit, the transaction is not retried, because its effect is unknown.
 *
 * @param chain Chain that contains the recording, or an object with the same `batches` method.
 * @returns The report, even if the signal ends the replay.
 * @throws {MeshChainError} `INVALID_OPTION`, `INVALID_FILTER` or `INVALID_LEVEL` before anything is read or
 * any connection is opened, or `TARGET_UNREACHABLE` if the first connection fails, even if the window is
 * empty. Also throws any error from reading the chain.
 *
 * @example
 * ```ts
 * import { openChain } from 'mesh-chain'
 * import { replayStatements } from 'mesh-chain/journal'
 *
 * const chain = await openChain('node.chain')
 * const staging = { url: 'postgres://mesh@staging/shop' }
 * const wouldBe = await replayStatements(chain, staging, { dryRun: true }) // does not connect
 * console.log(wouldBe.replayed, wouldBe.skipped)
 * // await replayStatements(chain, staging, { compare: true }) replays them and reports different answers
 * await chain.close()
 * ```
 */
export async function replayStatements(
	chain: Pick<Chain, 'batches'>,
	target: PgTargetOptions,
	options: ReplayStatementsOptions = {},
): Promise<StatementReport> {
	checkChain('replaying statements requires a chain', chain, ['batches'])
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
