/** The state that both replay modes share: the window, the connections, and the end of the replay. */
import { setMaxListeners } from 'node:events'
import type { Chain } from '../chain/index.ts'
import { MeshChainError, messageOf } from '../model/errors.ts'
import { REPLAY_RETRY_MS_MIN, RETRY_MS_MAX } from '../model/limits.ts'
import type { LogRecord } from '../model/record.ts'
import { Backoff } from '../platform/backoff.ts'
import { type ReplayClock, waitBy } from '../replay/clock.ts'
import { Pacer } from '../replay/pacer.ts'
import type { PgTarget, TargetConnection } from './pg-target.ts'
import { Suspects } from './reading.ts'
import type { ResolvedStatementsOptions } from './replay-statements-options.ts'
import type { StatementData } from './statement.ts'
import type { StatementReport } from './statement-report.ts'
import { StatementTally } from './statement-tally.ts'
import { addSuspectsOf } from './target-suspects.ts'
import { statementOf } from './transactions.ts'

/**
 * Closes a connection that is not currently needed. If there is none, and none will become free later,
 * `isMade` is false, and `holders` is the number of connections whose transactions are waiting for later
 * statements.
 */
export type MakeRoom = () => Promise<{ readonly isMade: boolean; readonly holders: number }>

/** The state of one replay. */
export class StatementReplay {
	readonly options: ResolvedStatementsOptions
	readonly tally: StatementTally
	readonly pacer: Pacer
	readonly suspects = new Suspects()
	readonly #chain: Pick<Chain, 'batches'>
	readonly #target: PgTarget
	readonly #connections = new Set<TargetConnection>()
	#first: TargetConnection | undefined
	readonly #aborted = new AbortController()
	readonly #closed = new AbortController()
	#endedBy: MeshChainError | undefined

	constructor(chain: Pick<Chain, 'batches'>, target: PgTarget, options: ResolvedStatementsOptions) {
		this.#chain = chain
		this.#target = target
		this.options = options
		this.tally = new StatementTally(options)
		this.pacer = new Pacer(options.clock, options.speed, options.gapMsMax)
		// A wait that loses a `Promise.race` keeps its listener until the wait ends, so listeners can accumulate.
		setMaxListeners(0, this.#aborted.signal)
	}

	/** Whether the replay has ended. No statement is started after the end. */
	get isOver(): boolean {
		return (
			this.#aborted.signal.aborted ||
			this.#endedBy !== undefined ||
			(this.options.stopOnError && this.tally.hasFailures)
		)
	}

	/** How the replay ended. */
	get ending(): StatementReport['ended'] {
		if (this.#endedBy !== undefined) return this.#endedBy.code === 'TARGET_FULL' ? 'targetFull' : 'targetGone'
		if (this.options.stopOnError && this.tally.hasFailures) return 'error'
		return this.#aborted.signal.aborted ? 'aborted' : 'end'
	}

	/** Ends the replay after the transaction in progress. */
	abort(): void {
		this.#aborted.abort()
		this.pacer.stop()
	}

	/**
	 * Yields the statements in the window in chain order, until the replay ends.
	 *
	 * @param options.counts Whether to count gaps and records that are not valid statements. Default: true.
	 */
	async *statements({
		counts = true,
	}: {
		readonly counts?: boolean
	} = {}): AsyncGenerator<{ record: LogRecord; data: StatementData }> {
		for await (const batch of this.#chain.batches(this.options.window)) {
			for (const record of batch) {
				if (this.isOver) return
				if (counts ? this.tally.countGap(record) : record.kind !== this.options.window.kind) continue
				const data = statementOf(record)
				if (data !== undefined) yield { record, data }
				else if (counts) this.tally.countSkipped('notAStatement', 1)
			}
		}
	}

	/** Opens the first connection. @throws {MeshChainError} `TARGET_UNREACHABLE` */
	async connectFirst(): Promise<void> {
		try {
			this.#first = await this.#connect()
			if (this.options.skipsReads) await addSuspectsOf(this.#first, this.suspects)
		} catch (error) {
			if (!this.#aborted.signal.aborted) throw error
		}
	}

	/** The error that ended the replay early; undefined if no error ended it. */
	get endedBy(): MeshChainError | undefined {
		return this.#endedBy
	}

	/** The clock of the replay. */
	get clock(): ReplayClock {
		return this.options.clock
	}

	/**
	 * Opens a connection, with retries.
	 *
	 * @param lost Connection that the new connection replaces.
	 * @param makeRoom Called if the target does not accept another connection.
	 * @throws {MeshChainError} `TARGET_UNREACHABLE` after the last attempt, or `TARGET_FULL` if the replay
	 * itself holds all connections that the target allows. Both end the replay.
	 */
	async connection(lost?: TargetConnection, makeRoom?: MakeRoom): Promise<TargetConnection> {
		if (lost !== undefined) {
			if (lost.isLost) this.tally.reconnects++
			await this.release(lost)
		}
		const first = this.#first
		this.#first = undefined
		if (first !== undefined && !first.isLost) return first
		const backoff = retryBackoff()
		for (let tries = 0; ; tries++) {
			try {
				return await this.#connect()
			} catch (error) {
				const room = isFull(error) || isSilent(error) ? await makeRoom?.() : undefined
				const isLast = tries >= this.options.retries
				// A full server may accept a connection after another client disconnects, so the attempt is repeated.
				// A pooler that does not answer has no free server connection, so the replay ends.
				if (room?.isMade === false && room.holders > 0 && (isLast || isSilent(error)))
					throw this.endFull(room.holders, error)
				if (isLast || this.#aborted.signal.aborted || this.#endedBy !== undefined) {
					if (!this.#aborted.signal.aborted && isUnreachable(error)) this.#endedBy ??= error
					throw error
				}
				await this.backOff(backoff)
			}
		}
	}

	/** Makes one attempt to open a connection. Returns the connection, or the reason for the failure. */
	async tryConnection(): Promise<TargetConnection | 'full' | 'silent' | 'unreachable'> {
		try {
			return await this.#connect()
		} catch (error) {
			if (isFull(error)) return 'full'
			return isSilent(error) ? 'silent' : 'unreachable'
		}
	}

	/**
	 * Ends the replay because it needs another connection while its open transactions hold all connections that
	 * the target allows. Returns the error.
	 */
	endFull(holders: number, cause?: unknown): MeshChainError {
		const reason = cause === undefined ? `no answer within ${this.options.connectMs} ms` : messageOf(cause)
		this.#endedBy ??= new MeshChainError(
			'TARGET_FULL',
			`the target allows no more than ${holders} connections, but more transactions were open at the ` +
				`same time in the recording (${reason}). Raise the limit (max_connections, CONNECTION LIMIT, ` +
				'default_pool_size of PgBouncer), or replay in commit order, which needs only one connection',
			{ cause },
		)
		return this.#endedBy
	}

	/** Waits before the next attempt. An abort ends the wait early. */
	backOff(backoff: Backoff): Promise<void> {
		return waitBy(this.clock, backoff.next(), this.#aborted.signal)
	}

	/**
	 * Resolves after `ms` milliseconds, or earlier if the replay is aborted during the wait. If the replay is
	 * already aborted, waits the full time, so that a loop that waits for statements in flight does not spin.
	 */
	wait(ms: number): Promise<void> {
		const { signal } = this.#aborted
		return waitBy(this.clock, ms, signal.aborted ? undefined : signal)
	}

	/** Closes a connection. */
	async release(connection: TargetConnection): Promise<void> {
		this.#connections.delete(connection)
		await connection.close()
	}

	/** Closes all connections. */
	async close(): Promise<void> {
		this.#closed.abort()
		await Promise.all([...this.#connections].map((connection) => this.release(connection)))
	}

	async #connect(): Promise<TargetConnection> {
		const connection = await this.#target.connect(
			AbortSignal.any([this.#aborted.signal, this.#closed.signal]),
		)
		if (this.#closed.signal.aborted) await connection.close()
		this.#connections.add(connection)
		return connection
	}
}

/** Returns a new backoff for attempts to reach the target. */
export function retryBackoff(): Backoff {
	return new Backoff(REPLAY_RETRY_MS_MIN, RETRY_MS_MAX)
}

/** Returns whether an error means that no connection to the target could be opened. */
export function isUnreachable(thrown: unknown): thrown is MeshChainError {
	return (
		thrown instanceof MeshChainError &&
		(thrown.code === 'TARGET_UNREACHABLE' || thrown.code === 'TARGET_FULL')
	)
}

/**
 * Returns whether an error means that the server, the database, the role or a pooler has reached its
 * connection limit.
 */
function isFull(thrown: unknown): boolean {
	if (!isUnreachable(thrown)) return false
	const { code } = (thrown.cause ?? {}) as { readonly code?: unknown }
	return code === '53300' || /no more connections allowed/.test(thrown.message)
}

/**
 * Returns whether an error means that a new connection received no answer in time, or that a pooler closed
 * the connection because no server connection was free.
 */
function isSilent(thrown: unknown): boolean {
	if (!isUnreachable(thrown)) return false
	const { code } = (thrown.cause ?? {}) as { readonly code?: unknown }
	return code === 'ETIMEDOUT' || /query_wait_timeout/.test(thrown.message)
}
